# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Scores of masks against ground truth, over all pixels of a drive; NumPy only.

All frames are added up before a ratio is taken, as the Pascal VOC and Cityscapes benchmarks do:
an average of per-frame ratios would let frames without cones decide.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

IGNORE = 255  # in ground truth: the pixel does not count
BACKGROUND = 0


class Confusion:
    """
    Counts of pixels by true and by predicted class.

    >>> scores = Confusion(3)
    >>> scores.add(np.array([[0, 1, 2]]), np.array([[0, 1, 1]]))
    >>> scores.dice(), scores.iou()
    (1.0, [1.0, 0.5, 0.0])
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        # One row and column more: ids that are no class count as wrong, not as an error.
        self.counts = np.zeros((num_classes + 1, num_classes + 1), np.int64)  # [true, predicted]

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """
        Add a frame: class ids, (h, w) of any integer type; true pixels that are 255 are ignored.

        Raises ValueError where the sizes differ.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f'Expected a mask of the size of the ground truth, {truth.shape}, '
                             f'found {predicted.shape}: they are of different images.')
        n = self.num_classes + 1
        pairs = (np.minimum(truth, n - 1).astype(np.int64).reshape(-1) * n
                 + np.minimum(predicted, n - 1).astype(np.int64).reshape(-1))
        keep = truth.reshape(-1) != IGNORE
        if not keep.all():
            pairs = pairs[keep]
        self.counts += np.bincount(pairs, minlength=n * n).reshape(n, n)

    def dice(self) -> float | None:
        """
        Return 2·TP / (2·TP + FP + FN) of 'cone or not', whatever the cone's class.

        None where neither the truth nor the masks have a cone.
        """
        hits = self.counts[1:, 1:].sum()
        invented, missed = self.counts[BACKGROUND, 1:].sum(), self.counts[1:, BACKGROUND].sum()
        return _ratio(2 * hits, 2 * hits + invented + missed)

    def iou(self) -> list[float | None]:
        """Return TP / (TP + FP + FN) by class id; None for a class in neither truth nor masks."""
        hits = np.diag(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - hits
        return [_ratio(h, u) for h, u in zip(hits[:-1], union[:-1])]

    def miou(self) -> float | None:
        """
        Return the mean IoU of the cone classes (not background) that the ground truth has.

        None where it has no cone.
        """
        present = self.counts.sum(1)[:-1] > 0
        values = [v for v, there in zip(self.iou()[1:], present[1:]) if there]
        return float(np.mean(values)) if values else None

    def report(self, names: Sequence[str]) -> dict[str, object]:
        """Return dice, iou by class name (background left out) and miou, rounded."""
        return {
            'dice': _rounded(self.dice()),
            'iou': {name: _rounded(v) for name, v in zip(names[1:], self.iou()[1:])},
            'miou': _rounded(self.miou())}


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
