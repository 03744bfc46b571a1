# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Connected parts of a mask."""
from __future__ import annotations

import cv2
import numpy as np


def label_parts(part: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, int]:
    """
    Label the 8-connected parts of a mask.

    part: (h, w) bool. places: the flat places of its pixels, ascending. Returns the label of each
    of them, counted from 0, and how many labels there are.
    """
    if not len(places):
        return np.zeros(0, np.int64), 0
    rows, columns = np.divmod(places, part.shape[1])
    top, left = rows[0], columns.min()
    window = part[top:rows[-1] + 1, left:columns.max() + 1]
    count, labels = cv2.connectedComponents(window.view(np.uint8), connectivity=8)
    return labels[rows - top, columns - left].astype(np.int64) - 1, count - 1


def part_boxes(mask: np.ndarray) -> np.ndarray:
    """Return the boxes u0, v0, u1, v1 of the 8-connected parts of a mask, any class, (n, 4)."""
    stats = cv2.connectedComponentsWithStats((mask != 0).view(np.uint8), connectivity=8)[2][1:, :4]
    return np.hstack([stats[:, :2], stats[:, :2] + stats[:, 2:]])
