# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From an image message to everything that can be published about it; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, TYPE_CHECKING

from eunet_ros.images.blending import blend_overlay, colorize
from eunet_ros.images.conversions import to_bgr
from eunet_ros.images.regions import in_whole_image, region_rows
from eunet_ros.model.strip import horizon_of, strip_height
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.model.common.classes import ClassTable
    from eunet_ros.model.engines.base import Segmentation
    from eunet_ros.model.segmenter import Segmenter


class Products:
    """What can be published of one image, computed on first use, before the next image."""

    def __init__(self, image: np.ndarray, rows: slice, result: Segmentation, mask: np.ndarray,
                 opacity: float, table_bgr: np.ndarray, stage_ms: dict[str, float]) -> None:
        self._image, self._rows, self._result = image, rows, result
        self._opacity, self._table_bgr = opacity, table_bgr
        self.mask, self.stage_ms = mask, stage_ms

    @property
    def strip_rows(self) -> slice | None:
        """Return the rows that were segmented at a high resolution as well, None for none."""
        rows = getattr(self._result, 'rows', None)
        return rows and slice(self._rows.start + rows.start, self._rows.start + rows.stop)

    @cached_property
    def overlay(self) -> np.ndarray:
        """Return the image with the mask and the edges of the strip on it, BGR."""
        overlay = blend_overlay(self._image, self.mask, self._table_bgr, self._opacity)
        if self.strip_rows:
            for row in (self.strip_rows.start, self.strip_rows.stop - 1):
                overlay[row] = 255 - (255 - overlay[row]) // 2
        return overlay

    @cached_property
    def color_mask(self) -> np.ndarray:
        """Return the mask in the colours of its classes, RGB."""
        return colorize(self.mask, np.ascontiguousarray(self._table_bgr[:, ::-1]))

    @cached_property
    def confidence(self) -> np.ndarray:
        """Return the probability of each pixel's class, 255 = certain."""
        return self._confidence(cones_only=False)

    @cached_property
    def cone_confidence(self) -> np.ndarray:
        """Return `confidence` of cones, undefined on the background; faster."""
        whole = self.__dict__.get('confidence')
        return self._confidence(cones_only=True) if whole is None else whole

    def _confidence(self, cones_only: bool) -> np.ndarray:
        return in_whole_image(self._result.confidence(cones_only=cones_only), self._rows,
                              len(self.mask), 255)


def parse_classes(text: str, classes: ClassTable) -> np.ndarray | None:
    """Return a (256,) uint8 table of the ids to keep, None for all; raises ValueError."""
    names = [name.strip() for name in text.split(',') if name.strip()]
    if not names:
        return None
    table = np.zeros(256, np.uint8)
    for name in names:
        table[classes.id_of(name)] = classes.id_of(name)
    return table


@dataclass
class FramePipeline:
    """Decodes, segments and draws; one image at a time; fields may change between images."""

    segmenter: Segmenter                      # must not change
    opacity: float                            # of the overlay, 0 to 1
    keep: np.ndarray | None = None            # see `parse_classes`
    region: tuple[float, float] = (0.0, 1.0)  # edges of what is segmented, as shares of the height
    # From the (h, w) of an image and its message to the row of the horizon [px].
    horizon: Callable[[tuple[int, int], Any], float | None] | None = None
    strip_center: float = 0.0                 # share of the height, if no horizon; 0: far cones

    def run(self, msg: Any) -> Products:
        """Segment an Image or CompressedImage; raises ConversionError or EngineError."""
        start = perf_counter()
        image = to_bgr(msg)
        decoded = perf_counter()
        rows = region_rows(self.region, len(image))
        horizon = self._horizon_row(image.shape[:2], msg)
        result = self.segmenter.segment(
            image[rows], None if horizon is None else horizon - rows.start)
        mask = result.mask if self.keep is None else self.keep[result.mask]
        return Products(
            image, rows, result, in_whole_image(mask, rows, len(image), 0), self.opacity,
            self.segmenter.classes.table_bgr,
            {'decode': (decoded - start) * 1e3, **result.stage_ms})

    def _horizon_row(self, size: tuple[int, int], msg: Any) -> float | None:
        """Return the row of the horizon for the strip [px], None if unknown."""
        strip = self.segmenter.strip_size
        if not strip:
            return None
        row = self.horizon(size, msg) if self.horizon else None
        if row is None and self.strip_center:
            return horizon_of(self.strip_center * size[0], strip_height(size, strip))
        return row
