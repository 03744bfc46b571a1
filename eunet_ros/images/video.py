# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes videos with OpenCV."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

_CODECS = ('avc1', 'mp4v')  # H.264 plays in browsers; OpenCV's wheels lack it, Ubuntu's has it


class Video:
    """Writes (h, w, 3) uint8 BGR frames at a rate in Hz; the size is that of the first, even."""

    def __init__(self, path: Path, hz: float) -> None:
        self._path, self._hz = path, hz
        self._size = (0, 0)   # width, height
        self._writer: cv2.VideoWriter | None = None

    def write(self, image: np.ndarray) -> None:
        """Add a frame, scaled with its aspect ratio kept; raises OSError."""
        if self._writer is None:
            self._size = (image.shape[1] // 2 * 2, image.shape[0] // 2 * 2)
            self._writer = self._opened()
        self._writer.write(_letterbox(image, self._size))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()

    def _opened(self) -> cv2.VideoWriter:
        # OpenCV complains of each codec that it lacks; old versions cannot be silenced.
        set_level = getattr(cv2, 'setLogLevel', lambda level: level)
        level = set_level(0)
        try:
            for codec in _CODECS:
                video = cv2.VideoWriter(str(self._path), cv2.VideoWriter_fourcc(*codec), self._hz,
                                        self._size)
                if video.isOpened():
                    return video
        finally:
            set_level(level)
        raise OSError(f'OpenCV cannot write {self._path}: it has none of the codecs '
                      f'{", ".join(_CODECS)}')


def _letterbox(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    if image.shape[1] - width in (0, 1) and image.shape[0] - height in (0, 1):
        return np.ascontiguousarray(image[:height, :width])
    scale = min(width / image.shape[1], height / image.shape[0])
    w, h = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - h) // 2, (width - w) // 2
    out[top:top + h, left:left + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
    return out
