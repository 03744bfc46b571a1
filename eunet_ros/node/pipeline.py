# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From an image message to everything that can be published about it; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TYPE_CHECKING

from eunet_ros.images.conversions import compressed_to_bgr, image_to_bgr
from eunet_ros.images.overlay import blend_overlay, colorize
from eunet_ros.images.regions import in_whole_image, region_rows
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.model.common.classes import ClassTable
    from eunet_ros.model.segmenter import Segmenter


@dataclass
class Products:
    """
    The arrays for one image, all (h, w) or (h, w, 3) uint8 at its size; None: not asked for.

    mask: class ids. overlay: BGR. color_mask: RGB. confidence: 255 = certain; cone_confidence
    returns the same, but only where the mask is not background: on call, before the next image,
    so that the mask need not wait for it.
    """

    mask: np.ndarray
    overlay: np.ndarray | None = None
    color_mask: np.ndarray | None = None
    confidence: np.ndarray | None = None
    cone_confidence: Callable[[], np.ndarray] | None = None
    stage_ms: dict[str, float] = field(default_factory=dict)


def parse_classes(text: str, classes: ClassTable) -> np.ndarray | None:
    """
    Return a (256,) uint8 table that keeps the named classes and maps the others to background.

    text: names separated by commas; None is returned for an empty one: all are kept. Raises
    ValueError for an unknown name.
    """
    names = [name.strip() for name in text.split(',') if name.strip()]
    if not names:
        return None
    table = np.zeros(256, np.uint8)
    for name in names:
        table[classes.id_of(name)] = classes.id_of(name)
    return table


class FramePipeline:
    """
    Decodes, segments and draws; one image at a time.

    keep: see `parse_classes`; opacity: of the overlay, 0 to 1. region: upper and lower edge of
    what is segmented, as shares of the height; outside is background, with certainty. All three
    may change between images.
    """

    def __init__(self, segmenter: Segmenter, opacity: float, keep: np.ndarray | None = None,
                 region: tuple[float, float] = (0.0, 1.0)) -> None:
        self.segmenter = segmenter
        self.opacity = opacity
        self.keep = keep
        self.region = region
        self._table_bgr = segmenter.classes.table_bgr
        self._table_rgb = np.ascontiguousarray(self._table_bgr[:, ::-1])

    def run(self, msg: Any, wanted: Collection[str] = ()) -> Products:
        """
        Segment a sensor_msgs Image or CompressedImage.

        wanted: which of 'overlay', 'color_mask' and 'confidence' to compute besides the mask.
        Raises ConversionError for a bad message, EngineError where the engine fails.
        """
        start = perf_counter()
        image = compressed_to_bgr(msg) if hasattr(msg, 'format') else image_to_bgr(msg)
        decoded = perf_counter()
        rows = region_rows(self.region, len(image))
        result = self.segmenter.segment(image[rows])
        drawn = perf_counter()
        mask = result.mask if self.keep is None else self.keep[result.mask]
        mask = in_whole_image(mask, rows, len(image), 0)
        products = Products(mask)
        if 'overlay' in wanted:
            products.overlay = blend_overlay(image, mask, self._table_bgr, self.opacity)
        if 'color_mask' in wanted:
            products.color_mask = colorize(mask, self._table_rgb)
        confidence = None
        if 'confidence' in wanted:
            confidence = in_whole_image(result.confidence(), rows, len(image), 255)
        products.confidence, height = confidence, len(image)
        # Holds no `products`: in a circle its arrays, and the engine, wait for a full collection.
        products.cone_confidence = lambda: (
            confidence if confidence is not None
            else in_whole_image(result.confidence(cones_only=True), rows, height, 255))
        products.stage_ms = {'decode': (decoded - start) * 1e3, **result.stage_ms,
                             'draw': (perf_counter() - drawn) * 1e3}
        return products
