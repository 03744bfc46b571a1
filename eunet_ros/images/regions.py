# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rows of an image that are segmented, where not all are."""
from __future__ import annotations

import numpy as np


def region_rows(region: tuple[float, float], height: int) -> slice:
    """Return the rows of a region, at least one; region: its edges as shares of the height."""
    top = min(round(region[0] * height), height - 1)
    return slice(top, max(top + 1, round(region[1] * height)))


def in_whole_image(part: np.ndarray, rows: slice, height: int, outside: int) -> np.ndarray:
    """Return rows of an image in their place, with a value above and below them."""
    if len(part) == height:
        return part
    whole = np.full((height, part.shape[1]), outside, part.dtype)
    whole[rows] = part
    return whole
