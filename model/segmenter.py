# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An image in, a mask out."""
from __future__ import annotations

from collections.abc import Callable, Sequence
import os

from eunet_ros.model.checkpoint import (
    check_input_size,
    Checkpoint,
    CheckpointError,
    load_checkpoint,
)
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, create_engine, EngineOptions, Segmentation
from eunet_ros.model.eunet import get_variant
from eunet_ros.model.processing import PADDING_BGR
import numpy as np

__all__ = ['Segmentation', 'Segmenter']


class Segmenter:
    """
    A network with its engine and its processing: uint8 BGR image in, class ids out.

    weights: a Checkpoint, the path of a .safetensors file or the name of shipped weights. engine:
    'auto' or a name (see `engines.ENGINES`). input_size: (height, width) of the network's input,
    by default the checkpoint's. variant: where given, the weights must be of it. num_threads: CPU
    threads, 0 for all. precision: 'auto' or a name (see `engines.PRECISIONS`). Raises ValueError
    (CheckpointError among them) or EngineError, each one sentence. say: gets a sentence where
    building takes long. calibration: images that int8 is made with. Use it from one thread at a
    time.

    >>> segmenter = Segmenter('eunet_n')
    >>> mask = segmenter(image)          # (h, w, 3) uint8 BGR -> (h, w) uint8 class ids
    """

    def __init__(self, weights: Checkpoint | str | os.PathLike[str] = DEFAULT_WEIGHTS,
                 engine: str = AUTO, input_size: tuple[int, int] | None = None,
                 variant: str = '', num_threads: int = 0, precision: str = 'auto',
                 say: Callable[[str], None] = lambda text: None,
                 calibration: Sequence[np.ndarray] = ()) -> None:
        self.checkpoint = (weights if isinstance(weights, Checkpoint)
                           else load_checkpoint(weights, variant))
        if variant and get_variant(variant) and variant != self.checkpoint.variant:
            raise CheckpointError(
                f'The weights are of {self.checkpoint.variant}, not of {variant}; set the variant '
                'to match or leave it empty.')
        self.classes = self.checkpoint.classes
        self.input_size = tuple(input_size or self.checkpoint.input_size)
        check_input_size(self.input_size, self.checkpoint.network.variant)
        self.engine, self.failures = create_engine(
            engine, self.checkpoint,
            EngineOptions(self.input_size, num_threads, precision, say=say,
                          calibration=calibration))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the (h, w) uint8 class ids of a (h, w, 3) uint8 BGR image."""
        return self.segment(image).mask

    def segment(self, image: np.ndarray) -> Segmentation:
        """
        Segment a (h, w, 3) uint8 BGR image of any size; the mask has the image's size.

        Raises ValueError for an array of another layout, EngineError where the engine fails.
        """
        if (not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3
                or image.shape[2] != 3 or 0 in image.shape):
            found = (f'{image.dtype} of shape {image.shape}' if isinstance(image, np.ndarray)
                     else type(image).__name__)
            raise ValueError('Expected a BGR image as a uint8 array of shape (height, width, 3) '
                             f'that is not empty, found {found}.')
        return self.engine.segment(image)

    def warm_up(self, height: int, width: int, runs: int = 3) -> None:
        """Segment grey images of that size, so that the first real one is not slow."""
        image = np.full((height, width, 3), PADDING_BGR, np.uint8)
        for _ in range(runs):
            self.segment(image).confidence()

    def describe(self) -> str:
        """Return one line: variant, engine, precision, input size, classes."""
        height, width = self.input_size
        return (f'{self.checkpoint.variant} on {self.engine.name} ({self.engine.precision}), '
                f'input {height}x{width}, {len(self.classes.names)} classes')

    def close(self) -> None:
        """Free what the engine holds."""
        self.engine.close()
