# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Flicker and changes of class, over frames that follow each other."""
from __future__ import annotations

from typing import Any

from eunet_ros.model.common.metrics.cones import height_bin, HEIGHT_BINS
from eunet_ros.model.common.metrics.pixels import ratio_or_none
import numpy as np


class FlickerCounts:
    """
    Counts of cones, by height, that flicker or change their class.

    A cone flickers if it is missed in a frame and found in those before and after. It changes its
    class if two consecutive frames find it with different classes.
    """

    def __init__(self) -> None:
        # seen before and after, flickering, seen twice, class changes
        self._counts = np.zeros((len(HEIGHT_BINS), 4), np.int64)

    def add_seen_around(self, height: int, flickers: bool) -> None:
        """Count a cone that is found in the frames before and after; height in pixels."""
        self._counts[height_bin(height), :2] += 1, flickers

    def add_seen_twice(self, height: int, changes: bool) -> None:
        """Count a cone that is found in two frames that follow each other."""
        self._counts[height_bin(height), 2:] += 1, changes

    def to_report(self) -> dict[str, Any]:
        """Return counts and rates of all cones, and by height; a rate of nothing is None."""
        return {**_row(self._counts.sum(0)), 'by_height': {
            name: _row(row) for name, row in zip(HEIGHT_BINS, self._counts)}}


def _row(counts: np.ndarray) -> dict[str, Any]:
    around, flickering, twice, changes = counts
    return {'seen_before_and_after': int(around), 'flickering': int(flickering),
            'flicker_rate': ratio_or_none(flickering, around),
            'seen_twice': int(twice), 'class_changes': int(changes),
            'class_change_rate': ratio_or_none(changes, twice)}
