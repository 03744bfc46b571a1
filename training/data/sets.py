# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a format of data sets gives: to train on, and to score."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.training.data.splits import Split
import numpy as np


@dataclass(frozen=True)
class TrainingSets:
    """Images (count, H, W, 4) uint8 BGR and ids, and what a checkpoint reports of them."""

    train: Any
    validation: Any
    classes: ClassTable
    description: dict[str, Any]
    split: Split | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """An image (h, w, 3) BGR, its class ids (h, w) and cone numbers (h, w), 0 for none."""

    name: str
    image: np.ndarray
    mask: np.ndarray
    instances: np.ndarray


@dataclass(frozen=True)
class LabelledImages:
    """Images to score, their number, and what a report says of them."""

    images: Iterable[Labelled]
    count: int
    description: dict[str, Any]
