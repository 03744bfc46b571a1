# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What engines in int8 share: the images that they are calibrated by."""
from __future__ import annotations

from eunet_ros.model import processing
from eunet_ros.model.engines.base import EngineError
import numpy as np


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return what the network gets of a (h, w, 3) uint8 BGR image: (1, H, W, 3), size (H, W)."""
    batch = np.empty((1, *size, 3), np.uint8)
    processing.to_network(image, processing.fit(image.shape[:2], size), batch[0])
    return batch


def no_calibration(engine: str) -> EngineError:
    """Return the error of an engine in int8 that is not kept, and without images to make it."""
    return EngineError(
        f'The engine {engine} has no int8 network of these weights yet, and needs images to make '
        f'it: run build_engine --engine {engine} --precision int8 --calibrate FOLDER first, with '
        'the same weights and input size.')
