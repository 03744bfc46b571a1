# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An image in, a mask out."""
from __future__ import annotations

from collections.abc import Callable, Sequence
import os
from time import perf_counter

from eunet_ros.model import strip as strips
from eunet_ros.model.checkpoint import (
    check_input_size,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
)
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, create_engines, EngineOptions, Segmentation
from eunet_ros.model.eunet import get_variant
from eunet_ros.model.pieces import settle
from eunet_ros.model.processing import PADDING_BGR
import numpy as np

__all__ = ['NO_STRIP', 'Segmentation', 'Segmenter']

NO_STRIP = (0, 0)


class Segmenter:
    """
    A network with its engine and processing: uint8 BGR image in, class ids out.

    weights: a Checkpoint, a path or a shipped name. variant: required variant. input_size,
    strip_size: (height, width), by default the checkpoint's; NO_STRIP for none. Others: see
    `engines`. Raises ValueError or EngineError. Not thread-safe. mask =
    Segmenter('eunet_n')(image)
    """

    def __init__(self, weights: Checkpoint | str | os.PathLike[str] = DEFAULT_WEIGHTS,
                 engine: str = AUTO, input_size: tuple[int, int] | None = None,
                 variant: str = '', num_threads: int = 0, precision: str = 'auto',
                 say: Callable[[str], None] = lambda text: None,
                 calibration: Sequence[np.ndarray] = (),
                 strip_size: tuple[int, int] | None = None) -> None:
        self.checkpoint = (weights if isinstance(weights, Checkpoint)
                           else load_checkpoint(weights, variant))
        if variant and get_variant(variant) and variant != self.checkpoint.variant:
            raise CheckpointError(f'The weights are of {self.checkpoint.variant}, not of '
                                  f'{variant}; set the variant to match or leave it empty.')
        self.classes = self.checkpoint.classes
        if strip_size is None and not input_size:
            strip_size = self.checkpoint.strip_size
        self.input_size = tuple(input_size or self.checkpoint.input_size)
        self.strip_size = tuple(strip_size) if strip_size and any(strip_size) else None
        sizes = [size for size in (self.input_size, self.strip_size) if size]
        for size in sizes:
            check_input_size(size, self.checkpoint.network.variant)
        self._engines, self.failures = create_engines(engine, self.checkpoint, [
            EngineOptions(size, num_threads, precision, say=say, calibration=calibration)
            for size in sizes])
        self.engine = self._engines[0]

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the (h, w) uint8 class ids of a (h, w, 3) uint8 BGR image."""
        return self.segment(image).mask

    def segment(self, image: np.ndarray, horizon: float | None = None) -> Segmentation:
        """Segment a (h, w, 3) uint8 BGR image; horizon: its row [px], to place the strip."""
        if (not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3
                or image.shape[2] != 3 or 0 in image.shape):
            found = (f'{image.dtype} of shape {image.shape}' if isinstance(image, np.ndarray)
                     else type(image).__name__)
            raise ValueError('Expected a BGR image as a uint8 array of shape (height, width, 3) '
                             f'that is not empty, found {found}.')
        result = self._segment(image, horizon)
        if any(self.checkpoint.thresholds):
            began = perf_counter()
            settle(result.mask)
            result.stage_ms['postprocess'] += (perf_counter() - began) * 1e3
        return result

    def _segment(self, image: np.ndarray, horizon: float | None) -> Segmentation:
        whole = self.engine.segment(image)
        if self.strip_size is None or 2 * image.shape[1] < self.strip_size[1]:
            return whole  # a strip of a smaller image adds nothing
        began = perf_counter()
        count = strips.strip_height(image.shape[:2], self.strip_size)
        pieces = strips.Pieces.of(whole.mask)
        rows = (strips.rows_of_far_cones(pieces, count) if horizon is None
                else strips.rows_below_horizon(horizon, count, len(image)))
        if rows is None:
            return whole
        placed = perf_counter()
        strip = self._engines[1].segment(image[rows])
        found = perf_counter()
        mask, own = strips.merge(whole.mask, pieces, strip.mask, rows)
        stage_ms = {**whole.stage_ms, 'strip': (found - placed) * 1e3,
                    'merge': (perf_counter() - found + placed - began) * 1e3}
        return strips.StripSegmentation(mask, stage_ms, whole, strip, rows, own)

    def warm_up(self, height: int, width: int, runs: int = 3) -> None:
        """Segment grey images of that size: the first segmentations are slow."""
        image = np.full((height, width, 3), PADDING_BGR, np.uint8)
        for _ in range(runs):
            self.segment(image, height / 2).confidence()

    @property
    def sizes(self) -> str:
        """Return the sizes of the inputs, such as '384x640 and strip 288x1920'."""
        return '{}x{}'.format(*self.input_size) + (
            ' and strip {}x{}'.format(*self.strip_size) if self.strip_size else '')

    def describe(self) -> str:
        return (f'{self.checkpoint.variant} on {self.engine.name} ({self.engine.precision}), '
                f'input {self.sizes}, {len(self.classes.names)} classes')

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
