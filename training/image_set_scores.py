# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a set of images with masks or boxes, at their own size; see model/common/metrics."""
from __future__ import annotations

from typing import Any

from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.files import rounded
from eunet_ros.model.common.metrics import boxes, cones, false_cones, pixels
from eunet_ros.model.common.metrics.bootstrap import intervals
from eunet_ros.training.data.sets import Boxed
import numpy as np


class ImageSetScores:
    """Counts over a set of images with masks; `compute` turns them into scores."""

    def __init__(self, classes: ClassTable) -> None:
        self.classes = classes
        n = len(classes.names)
        self._confusions: list[np.ndarray] = []  # of each image, (n, n)
        self._cones = np.zeros((len(cones.HEIGHT_BINS), n + 1, n + 1), np.int64)  # `count_cones`
        self._ignored = self._false_cones = 0

    def update(self, predicted: np.ndarray, truth: np.ndarray,
               instances: np.ndarray | None = None) -> None:
        """Count an image; instances: (h, w) cone numbers, or None; raises ValueError."""
        names = self.classes.names
        counts = pixels.confusion_matrix(truth, predicted, len(names))
        for whose, ids in (('The ground truth', truth[truth != IGNORE_ID]),
                           ('The prediction', predicted)):
            if ids.size and ids.max() >= len(names):
                raise ValueError(f'{whose} has the id {ids.max()}, but the classes end at '
                                 f'{len(names) - 1} ({names[-1]}): map its ids to these classes '
                                 'first.')
        outcomes = cones.cone_outcomes(truth, predicted, (
            cones.connected_cones(truth) if instances is None
            else cones.numbered_cones(truth, instances)))
        self._confusions.append(counts[:-1, :-1])
        self._cones += cones.count_cones(outcomes.height, outcomes.true_class, outcomes.taken_for,
                                         len(names))
        self._false_cones += len(false_cones.find_false_cones(truth, predicted).pixels)
        self._ignored += int(np.count_nonzero(truth == IGNORE_ID))

    def compute(self) -> dict[str, Any]:
        """
        Return the scores, in plain Python numbers, lists and dicts; ratios are 0 to 1 or None.

        dice, binary_iou: of cone or not. interval_95: of dice and miou, by a bootstrap of the
        images: a few large cones can decide them. confusion: pixels, rows true, columns predicted.
        color_confusion: the same of found cones, without the background. recall: see `recall_row`.
        """
        names, images = self.classes.names, len(self._confusions)
        counts = np.array(self._confusions, np.int64).reshape(-1, len(names), len(names))
        table = counts.sum(0)
        all_heights = self._cones.sum(0)
        return {
            'images': images,
            'classes': list(names),
            **pixels.pixel_scores(table, names),
            'interval_95': intervals(counts, lambda sums: {
                'dice': pixels.dice(sums), 'miou': pixels.miou(sums, len(names))}),
            'binary_iou': pixels.plain(pixels.binary_iou(table)),
            'recall': cones.recall(all_heights),
            'recall_by_height': cones.recall_by_height(self._cones),
            'color_confusion': all_heights[1:-1, 1:-1].tolist(),
            'false_cones': self._false_cones,
            'false_cones_per_image': pixels.ratio_or_none(self._false_cones, images),
            'false_cone_min_pixels': false_cones.MIN_FALSE_PIXELS,
            'confusion': table.tolist(),
            'pixels': {'counted': int(table.sum()), 'ignored': self._ignored,
                       'truth': dict(zip(names, table.sum(1).tolist())),
                       'predicted': dict(zip(names, table.sum(0).tolist()))}}

    def to_report(self, digits: int = 4) -> dict[str, Any]:
        return rounded(self.compute(), digits)


class BoxSetScores:
    """
    Counts over a set of images with boxes.

    A predicted box is that of a connected part of the mask: cones that touch are one box here; the
    node separates them (cones/).
    """

    def __init__(self) -> None:
        self._counts: np.ndarray | int = 0  # see `count_boxes`
        self._images = self._false_cones = 0

    def add(self, segmenter: Segmenter, item: Boxed) -> None:
        """Segment an image and count it."""
        mask = segmenter(item.image)
        self._counts += boxes.count_boxes(boxes.box_outcomes(
            item.boxes, item.class_id, mask, cones.part_boxes(mask)))
        self._false_cones += boxes.count_false_cones(item.boxes, item.class_id, mask)
        self._images += 1

    def to_report(self, digits: int = 4) -> dict[str, Any]:
        """Return counts and rounded ratios, ready for json.dumps; see `box_row` for the rows."""
        if not self._images:
            return {'images': 0}
        return rounded({
            'images': self._images, 'boxes': boxes.box_row(self._counts.sum(0)),
            'boxes_by_height': {name: boxes.box_row(row)
                                for name, row in zip(cones.HEIGHT_BINS, self._counts)},
            'false_cones': self._false_cones,
            'false_cones_per_image': pixels.ratio_or_none(self._false_cones, self._images)},
            digits)
