# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a set of images with labelled boxes; model/common/metrics/boxes.py defines them."""
from __future__ import annotations

from typing import Any

from eunet_ros.model import Segmenter
from eunet_ros.model.common.files import rounded
from eunet_ros.model.common.metrics.boxes import (
    box_outcomes,
    box_row,
    count_boxes,
    count_false_cones,
)
from eunet_ros.model.common.metrics.cones import HEIGHT_BINS, part_boxes
from eunet_ros.model.common.metrics.pixels import ratio_or_none
from eunet_ros.training.data.sets import Boxed
import numpy as np


class BoxSetScores:
    """
    Counts over a set of images; a predicted box is that of a connected part of the mask.

    So cones that touch in the mask are one box here; the node separates them (cones/).
    """

    def __init__(self) -> None:
        self._counts: np.ndarray | int = 0  # see `count_boxes`
        self._images = self._false_cones = 0

    def add(self, segmenter: Segmenter, item: Boxed) -> None:
        """Segment an image and count it."""
        mask = segmenter(item.image)
        self._counts += count_boxes(box_outcomes(
            item.boxes, item.class_id, mask, part_boxes(mask)))
        self._false_cones += count_false_cones(item.boxes, item.class_id, mask)
        self._images += 1

    def to_report(self, digits: int = 4) -> dict[str, Any]:
        """Return counts and rounded ratios, ready for json.dumps; see `box_row` for the rows."""
        if not self._images:
            return {'images': 0}
        return rounded({
            'images': self._images, 'boxes': box_row(self._counts.sum(0)),
            'boxes_by_height': {name: box_row(row)
                                for name, row in zip(HEIGHT_BINS, self._counts)},
            'false_cones': self._false_cones,
            'false_cones_per_image': ratio_or_none(self._false_cones, self._images)}, digits)
