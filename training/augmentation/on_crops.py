# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Zoom, rotation, flip and colour of single crops, for data/crops.py; NumPy and OpenCV only."""
from __future__ import annotations

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
import numpy as np

_ROTATED = 0.4  # share of crops
_MOST_DEGREES = 25.0


def zoom_factor(rng: np.random.Generator) -> float:
    """Return by how much a crop is magnified, 0.75 to 1.5."""
    return float(np.exp(rng.uniform(np.log(0.75), np.log(1.5))))


def rotation_degrees(rng: np.random.Generator) -> float:
    """Return by how much a crop is rotated: cameras lean, and wide lenses let cones lean."""
    return float(rng.uniform(-1, 1)) * _MOST_DEGREES if rng.random() < _ROTATED else 0.0


def warped(image: np.ndarray, mask: np.ndarray, size: tuple[int, int],
           degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Return image (h, w, 3) and mask (h, w), scaled to `size` and rotated about their centre.

    Both by the same matrix: cv2.resize rounds the pixels of a mask down, half a pixel off.
    """
    h, w = mask.shape
    scale_y, scale_x = size[0] / h, size[1] / w
    matrix = cv2.getRotationMatrix2D((0.5 * (w - 1), 0.5 * (h - 1)), degrees, 1.0)
    matrix *= ((scale_x,), (scale_y,))
    # Centres of pixels: an image of w pixels reaches from -0.5 to w - 0.5.
    matrix[:, 2] += 0.5 * (scale_x - 1), 0.5 * (scale_y - 1)
    return (cv2.warpAffine(image, matrix, size[::-1], flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_REFLECT_101),
            cv2.warpAffine(mask, matrix, size[::-1], flags=cv2.INTER_NEAREST,
                           borderMode=cv2.BORDER_CONSTANT, borderValue=IGNORE_ID))


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
