# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets for training and for scores, as the modules of `formats` return them."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.training.data.splits import Split
import numpy as np


@dataclass(frozen=True)
class TrainingSets:
    """Images (count, H, W, 4) uint8 BGR and ids, and their description in a checkpoint."""

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
class Boxed:
    """
    An image with boxes around its cones.

    image: (h, w, 3) uint8 BGR. boxes: (n, 4) float u0, v0, u1, v1 [px], u1 and v1 exclusive; may
    reach outside. class_id: (n,) integers, see `model.common.metrics.boxes.box_outcomes`.
    """

    name: str
    image: np.ndarray
    boxes: np.ndarray
    class_id: np.ndarray


@dataclass(frozen=True)
class LabelledImages:
    """
    Images to score, their number, and their description in a report.

    boxes: images are Boxed, not Labelled.
    """

    images: Iterable[Labelled] | Iterable[Boxed]
    count: int
    description: dict[str, Any]
    boxes: bool = False
