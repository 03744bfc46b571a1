# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A strip along the horizon at a high resolution: finds far cones with few operations."""
from __future__ import annotations

from dataclasses import dataclass

from eunet_ros.model.engines.base import Segmentation
from eunet_ros.model.pieces import Pieces
import numpy as np

# Chosen on photographs of four drives with labelled cones (docs/accuracy.md).
_CAMERA = 1.5        # height of the camera in cones, where the horizon is not known
_QUANTILE = 0.2      # of the horizons that the cones of an image show then
_ABOVE = 0.35        # share of the strip that is above that quantile
_HORIZON = 0.2       # share of the strip that is above the horizon, where that is known
_LARGE = 0.13        # of the strip's height: cones from there on are found in the whole image, too
_SEEN = 0.7          # of such a cone that the strip sees: its outline there is finer, and enough
_MIN_PIXELS = 10     # of a piece of the mask that counts as a cone


def strip_height(image: tuple[int, int], strip: tuple[int, int]) -> int:
    """Return the rows of an image (height, width) that a strip of input (height, width) covers."""
    return min(image[0], max(1, round(strip[0] * image[1] / strip[1])))


def rows_at(top: float, count: int, height: int) -> slice:
    """Return `count` rows from `top` on, moved into an image of that height."""
    first = round(min(max(top, 0), height - count))
    return slice(first, first + count)


def rows_below_horizon(horizon: float, count: int, height: int) -> slice:
    """Return the rows of a strip from the row of the horizon in the middle of the image [px]."""
    return rows_at(horizon - _HORIZON * count, count, height)


def horizon_of(middle: float, count: int) -> float:
    """Return the row of the horizon whose strip of `count` rows has its middle there [px]."""
    return middle - (0.5 - _HORIZON) * count


def rows_of_far_cones(pieces: Pieces, count: int) -> slice | None:
    """
    Return `count` rows around the horizon that the cones of an image show, None without cones.

    On flat ground the horizon passes all cones of a size at the same share of their height. That
    share is assumed: it hardly moves the row of far cones, and near ones that are seen alone still
    show about where far ones must be.
    """
    cones = np.flatnonzero(pieces.pixels[1:] >= _MIN_PIXELS) + 1
    if not len(cones):
        return None
    top, bottom = pieces.top[cones], pieces.bottom[cones]
    horizon = float(np.quantile(bottom - _CAMERA * (bottom - top), _QUANTILE))
    return rows_at(horizon - _ABOVE * count, count, len(pieces.labels))


def merge(whole: np.ndarray, pieces: Pieces, strip: np.ndarray,
          rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """
    Merge the masks of an image (h, w) and of its strip at `rows` without seams.

    The strip's cones count there, except cones that its edge cuts and large ones that it misses.
    Returns the mask and, (rows, w) bool, where it is the strip's.
    """
    labels = pieces.labels[rows]
    seen = np.bincount(labels[strip > 0], minlength=len(pieces.pixels))
    kept = ((pieces.top < rows.start) | (pieces.bottom > rows.stop)
            | ((pieces.bottom - pieces.top >= _LARGE * (rows.stop - rows.start))
               & (seen < _SEEN * pieces.pixels)))
    kept[0] = False  # the background
    own = (strip > 0) | ~kept[labels]
    out = whole.copy()
    out[rows] = np.where(own, strip, whole[rows])
    return out, own


@dataclass
class StripSegmentation:
    """A Segmentation of an image and of its strip; see `merge` for rows and own."""

    mask: np.ndarray
    stage_ms: dict[str, float]
    whole: Segmentation
    strip: Segmentation
    rows: slice
    own: np.ndarray

    def confidence(self, cones_only: bool = False) -> np.ndarray:
        return self._merged(self.whole.confidence(cones_only), self.strip.confidence(cones_only))

    def cone_probability(self) -> np.ndarray:
        return self._merged(self.whole.cone_probability(), self.strip.cone_probability())

    def _merged(self, whole: np.ndarray, strip: np.ndarray) -> np.ndarray:
        whole[self.rows] = np.where(self.own, strip, whole[self.rows])
        return whole
