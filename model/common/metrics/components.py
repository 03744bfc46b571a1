# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Connected parts of a mask."""
from __future__ import annotations

import cv2
import numpy as np


def label_parts(part: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, int]:
    """
    Label the 8-connected parts of a mask.

    part: (h, w) bool. places: flat indices of its pixels, ascending. Returns the label of each of
    them, from 0, and the number of labels.
    """
    if not len(places):
        return np.zeros(0, np.int64), 0
    rows, columns = np.divmod(places, part.shape[1])
    top, left = rows[0], columns.min()
    window = part[top:rows[-1] + 1, left:columns.max() + 1]
    count, labels = cv2.connectedComponents(window.view(np.uint8), connectivity=8)
    return labels[rows - top, columns - left].astype(np.int64) - 1, count - 1
