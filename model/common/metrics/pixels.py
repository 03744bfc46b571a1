# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Dice, IoU and mIoU, from counts of pixels by true and by predicted class."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
import numpy as np


def check_masks(truth: np.ndarray, predicted: np.ndarray) -> None:
    """Raise ValueError unless both are class ids, (h, w) uint8, of the same size."""
    for mask, name in ((predicted, 'prediction'), (truth, 'ground truth')):
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise ValueError(f'Expected the {name} as class ids, (height, width) uint8, found '
                             f'{mask.shape} {mask.dtype}.')
    if predicted.shape != truth.shape:
        raise ValueError(f'Expected a prediction of the size of the ground truth, {truth.shape}, '
                         f'found {predicted.shape}: both need the size of the original image.')


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count pixels [true, predicted], (n + 1, n + 1), last: unknown ids; raises ValueError."""
    check_masks(truth, predicted)
    # Most pixels are background in both: only the others are counted one by one.
    places = np.flatnonzero(cv2.bitwise_or(truth, predicted) != 0)
    true, taken = truth.reshape(-1)[places], predicted.reshape(-1)[places]
    known = true != IGNORE_ID
    size = num_classes + 1
    pairs = np.minimum(true, num_classes).astype(np.int64) * size + np.minimum(taken, num_classes)
    counts = np.bincount(pairs[known], minlength=size * size).reshape(size, size)
    counts[0, 0] += truth.size - len(places)
    return counts


def dice(counts: np.ndarray) -> np.ndarray:
    """Return Dice of cone or not of counts (..., m, m) [true, predicted]; NaN without cones."""
    hits, wrong = _cone_or_not(counts)
    return ratio(2 * hits, 2 * hits + wrong)


def binary_iou(counts: np.ndarray) -> np.ndarray:
    """Return TP / (TP + FP + FN) of cone or not; see `dice`."""
    hits, wrong = _cone_or_not(counts)
    return ratio(hits, hits + wrong)


def iou(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Return TP / (TP + FP + FN) of each class, (..., num_classes); NaN if not in the truth."""
    hits, true = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1)
    values = ratio(hits, counts.sum(-2) + true - hits)
    return np.where(true > 0, values, np.nan)[..., :num_classes]


def miou(counts: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the mean IoU of the cone classes that the truth has; NaN where it has no cone."""
    present = counts.sum(-1)[..., 1:num_classes] > 0
    values = np.where(present, iou(counts, num_classes)[..., 1:], 0)
    return ratio(values.sum(-1), present.sum(-1))


def pixel_scores(counts: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return dice, miou, and iou by class name, of counts (m, m); None where undefined."""
    values = iou(counts, len(names))
    return {'dice': plain(dice(counts)), 'miou': plain(miou(counts, len(names))),
            'iou': {name: plain(v) for name, v in zip(names[1:], values[1:])}}


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole; NaN where the whole is 0."""
    with np.errstate(invalid='ignore', divide='ignore'):
        return np.true_divide(part, whole)


def plain(value: np.ndarray | float) -> float | None:
    return None if np.isnan(value) else float(value)


def ratio_or_none(part: float, whole: float) -> float | None:
    return plain(ratio(part, whole))


def _cone_or_not(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wrong = counts[..., 0, 1:].sum(-1) + counts[..., 1:, 0].sum(-1)
    return counts[..., 1:, 1:].sum((-2, -1)), wrong
