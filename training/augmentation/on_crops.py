# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zoom, flip and colour of single crops, for data/crops.py; NumPy and OpenCV only."""
from __future__ import annotations

import cv2
import numpy as np


def zoom_factor(rng: np.random.Generator) -> float:
    """Return by how much a crop is magnified, 0.75 to 1.5."""
    return float(np.exp(rng.uniform(np.log(0.75), np.log(1.5))))


def maybe_flipped(image: np.ndarray, mask: np.ndarray,
                  rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return image (h, w, 3) and mask (h, w), mirrored left to right with probability 0.5."""
    return (cv2.flip(image, 1), cv2.flip(mask, 1)) if rng.random() < 0.5 else (image, mask)


def photometric(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast, gamma and white balance of an (h, w, 3) uint8 image."""
    if rng.random() < 0.2:
        return image
    x = np.linspace(0, 1, 256)
    gamma, gain = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15))
    offset = rng.normal(0, 0.03)
    balance = np.exp(rng.normal(0, 0.06, 3))
    tables = np.clip((x ** gamma)[:, None] * gain * balance + offset, 0, 1) * 255
    return cv2.LUT(image, np.rint(tables).astype(np.uint8).reshape(1, 256, 3))
