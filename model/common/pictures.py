# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Picture files, seen the way viewers show them: turned as their EXIF orientation says."""
from __future__ import annotations

from pathlib import Path

import cv2
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.image_header import fits, MAX_PIXELS, read_header
from eunet_ros.model.common.supervisely import DataError
import numpy as np

_EXIF = (b'Exif\0', b'eXIf', b'EXIF')  # of JPEG, PNG and WebP


def read_file(path: Path) -> np.ndarray:
    """Return a picture file's bytes, (n,) uint8; raises DataError for what cannot be decoded."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f'Cannot read the image {path}: {one_line(error)}.') from error
    header = read_header(data)
    if header and header[0] and not fits(*header[0]):
        raise DataError(f'{path} says that it has {header[0][0]}x{header[0][1]} pixels, '
                        f'expected up to {MAX_PIXELS}; download it again.')
    if header and not header[1]:
        raise DataError(f'{path} is damaged or cut short; download it again.')
    return data[:header[1]] if header else data


def read_picture(path: Path) -> np.ndarray:
    """Return a picture as (h, w, 3) uint8 BGR; raises DataError naming the file."""
    data = read_file(path)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise DataError(f'Cannot read the image {path}: {one_line(error)}.') from error
    if image is None:
        raise DataError(f'{path} is not an image that can be read; download it again.')
    return image


def is_turned(path: Path, data: np.ndarray) -> bool:
    """Return whether EXIF turns a picture file; data: its bytes. Raises DataError."""
    if not any(mark in data.tobytes() for mark in _EXIF):
        return False
    lying = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return lying is not None and not np.array_equal(lying, read_picture(path))
