# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Videos of overlays, written by OpenCV."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

_CODECS = ('avc1', 'mp4v')  # H.264 plays in browsers; OpenCV's wheels lack it, Ubuntu's has it


def open_video(path: Path, hz: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """Return a writer of (width, height) BGR frames at a rate in Hz; raises OSError."""
    # OpenCV complains of each codec that it lacks; old versions cannot be silenced.
    set_level = getattr(cv2, 'setLogLevel', lambda level: level)
    level = set_level(0)
    try:
        for codec in _CODECS:
            video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), hz, size)
            if video.isOpened():
                return video
    finally:
        set_level(level)
    raise OSError(f'OpenCV cannot write {path}: it has none of the codecs {", ".join(_CODECS)}')


def letterbox(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image at (width, height), scaled with its aspect ratio kept, black around."""
    width, height = size
    if image.shape[1] - width in (0, 1) and image.shape[0] - height in (0, 1):
        return np.ascontiguousarray(image[:height, :width])
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    out[top:top + h, left:left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return out
