# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The connected pieces of a mask, and which of them are cones."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
from eunet_ros.model.processing import SURE, WEAK
import numpy as np

# Chosen on labelled photographs; see docs/accuracy.md.
_OUTLINED = 24       # rows from which on a piece may lose its weak pixels
_STRONG = 0.7        # share of the pixels of such a piece that are not weak


@dataclass(frozen=True)
class Pieces:
    """Connected pieces of a mask: labels (h, w), and by label first row, end row and pixels."""

    labels: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    pixels: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> Pieces:
        """Return the pieces of a (h, w) uint8 mask."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            (mask > 0).view(np.uint8), connectivity=8)
        top = stats[:, cv2.CC_STAT_TOP]
        return cls(labels, top, top + stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA])


def settle(mask: np.ndarray) -> None:
    """
    Decide which pixels of a mask (h, w) with the bits of `processing.labels` are cones, in place.

    Hysteresis thresholding (Canny, doi:10.1109/TPAMI.1986.4767851): a piece counts if one of its
    pixels is SURE. Far cones keep their WEAK pixels; large ones that hardly have any lose them,
    as these lie outside of their outline.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return
    part = mask[y:y + height, x:x + width]
    pieces, at = Pieces.of(part), np.flatnonzero(part > 0)  # few pixels of the image
    values, labels = part.ravel()[at], pieces.labels.ravel()[at]
    count = len(pieces.pixels)
    weak = values & WEAK > 0
    sure = np.bincount(labels, values & SURE > 0, count) > 0
    outlined = ((pieces.bottom - pieces.top >= _OUTLINED)
                & (np.bincount(labels, ~weak, count) >= _STRONG * pieces.pixels))
    kept = sure[labels] & ~(weak & outlined[labels])
    part[np.unravel_index(at, part.shape)] = np.where(kept, values & ~np.uint8(SURE | WEAK), 0)
