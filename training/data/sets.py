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
    """
    Images as (count, H, W, 4) uint8 BGR and class ids, and what a checkpoint says of them.

    train, validation: arrays, or what is indexed like them. split: of a project; None where
    scenes are rendered. left_out: a sentence of each kind of data that is not used.
    """

    train: Any
    validation: Any
    classes: ClassTable
    description: dict[str, Any]
    split: Split | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """
    An image with its truth.

    image: (h, w, 3) uint8 BGR. mask: (h, w) uint8 class ids. instances: (h, w) integers, 0 none,
    one number per cone.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    instances: np.ndarray


@dataclass(frozen=True)
class LabelledImages:
    """Images to score, how many there are, and what a report says of them."""

    images: Iterable[Labelled]
    count: int
    description: dict[str, Any]
