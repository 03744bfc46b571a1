# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a set of labelled images, at their own size; model/common/metrics defines them."""
from __future__ import annotations

from typing import Any

from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.files import rounded
from eunet_ros.model.common.metrics.cones import (
    cone_outcomes,
    connected_cones,
    count_cones,
    HEIGHT_BINS,
    numbered_cones,
    recall,
    recall_by_height,
)
from eunet_ros.model.common.metrics.false_cones import find_false_cones, MIN_FALSE_PIXELS
from eunet_ros.model.common.metrics.pixels import (
    binary_iou,
    confusion_matrix,
    pixel_scores,
    plain,
    ratio_or_none,
)
import numpy as np


class ImageSetScores:
    """Counts over a set of images; `compute` turns them into scores."""

    def __init__(self, classes: ClassTable) -> None:
        self.classes = classes
        n = len(classes.names)
        self._confusion = np.zeros((n, n), np.int64)
        self._cones = np.zeros((len(HEIGHT_BINS), n + 1, n + 1), np.int64)  # see `count_cones`
        self._images = self._ignored = self._false_cones = 0

    def update(self, predicted: np.ndarray, truth: np.ndarray,
               instances: np.ndarray | None = None) -> None:
        """Count an image; instances: (h, w) cone numbers, or None; raises ValueError."""
        counts = confusion_matrix(truth, predicted, len(self.classes.names))
        self._check_ids(truth[truth != IGNORE_ID], 'The ground truth')
        self._check_ids(predicted, 'The prediction')
        pixels = (connected_cones(truth) if instances is None
                  else numbered_cones(truth, instances))
        outcomes = cone_outcomes(truth, predicted, pixels)
        self._confusion += counts[:-1, :-1]
        self._cones += count_cones(outcomes.height, outcomes.true_class, outcomes.taken_for,
                                   len(self.classes.names))
        self._false_cones += len(find_false_cones(truth, predicted).pixels)
        self._ignored += int(np.count_nonzero(truth == IGNORE_ID))
        self._images += 1

    def compute(self) -> dict[str, Any]:
        """
        Return the scores, in plain Python numbers, lists and dicts; ratios are 0 to 1 or None.

        dice, binary_iou: of cone or not. confusion: pixels, rows true, columns predicted.
        color_confusion: the same of found cones, without the background. recall: see `recall_row`.
        """
        table, names = self._confusion, self.classes.names
        cones = self._cones.sum(0)
        return {
            'images': self._images,
            'classes': list(names),
            **pixel_scores(table, names),
            'binary_iou': plain(binary_iou(table)),
            'recall': recall(cones),
            'recall_by_height': recall_by_height(self._cones),
            'color_confusion': cones[1:-1, 1:-1].tolist(),
            'false_cones': self._false_cones,
            'false_cones_per_image': ratio_or_none(self._false_cones, self._images),
            'false_cone_min_pixels': MIN_FALSE_PIXELS,
            'confusion': table.tolist(),
            'pixels': {
                'counted': int(table.sum()),
                'ignored': self._ignored,
                'truth': dict(zip(names, table.sum(1).tolist())),
                'predicted': dict(zip(names, table.sum(0).tolist()))}}

    def to_report(self, digits: int = 4) -> dict[str, Any]:
        return rounded(self.compute(), digits)

    def _check_ids(self, ids: np.ndarray, whose: str) -> None:
        if ids.size and ids.max() >= len(self.classes.names):
            raise ValueError(
                f'{whose} has the id {ids.max()}, but the classes end at '
                f'{len(self.classes.names) - 1} ({self.classes.names[-1]}): '
                'map its ids to these classes first.')
