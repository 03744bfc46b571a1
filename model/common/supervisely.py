# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pieces of the Supervisely format: masks as text, polygons, JSON files.

A mask's text is base64 of zlib of a PNG. The PNG has four channels, or a palette with a
transparent entry, and its alpha is the mask; or one channel, where what is not 0 is the mask.
"""
from __future__ import annotations

import base64
import binascii
import json
import math
from pathlib import Path
from typing import Any
import zlib

import cv2
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.image_header import PNG, read_header
import numpy as np

MAX_PIXELS = 7680 * 4320       # of a mask: an 8K image
MAX_PNG_BYTES = 16 * 2 ** 20   # of a mask's PNG; a cone has some hundred bytes
MAX_COORDINATE = 100_000       # pixels; keeps sums of hostile numbers small


class DataError(ValueError):
    """A data set that is missing, damaged or not what was asked for, in one sentence."""


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raises DataError naming the file."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f'Cannot read {path}: {one_line(error)}; download it again.') from error


def encode_bitmap(mask: np.ndarray) -> str:
    """Return the text of a (h, w) mask, of any dtype, as FSOCO has it: a white 4-channel PNG."""
    pixels = np.full((*mask.shape, 4), 255, np.uint8)
    pixels[..., 3] = np.where(mask, 255, 0)
    png = cv2.imencode('.png', pixels)[1].tobytes()
    return base64.b64encode(zlib.compress(png)).decode('ascii')


def _inflate(text: Any) -> bytes:
    if not isinstance(text, str):
        raise DataError(f"expected the bitmap's data as text, found {type(text).__name__}")
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        png = unpacker.decompress(packed, MAX_PNG_BYTES)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(f'the bitmap is not base64 of zlib data ({one_line(error)})') from error
    if not unpacker.eof:
        if unpacker.unconsumed_tail or len(png) >= MAX_PNG_BYTES:
            raise DataError(f'the bitmap unpacks to more than {MAX_PNG_BYTES} bytes')
        raise DataError("the bitmap's data ends too early")
    return png


def decode_bitmap(text: Any) -> np.ndarray:
    """Return the (h, w) bool mask of a bitmap's text; raises DataError, a clause."""
    png = _inflate(text)
    size, end = (png.startswith(PNG) and read_header(np.frombuffer(png, np.uint8))) or (None, 0)
    if size is None:
        raise DataError('the bitmap is not a PNG')
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(f'the bitmap has {width}x{height} pixels, expected 1 to {MAX_PIXELS}')
    if not end:
        raise DataError("the bitmap's PNG is damaged")
    try:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8, end), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (height, width):
        raise DataError("the bitmap's PNG is damaged")
    if pixels.ndim == 2:
        return pixels > 0
    if pixels.shape[2] == 4:
        return pixels[..., 3] > 0
    raise DataError(f"the bitmap's PNG has {pixels.shape[2]} channels, expected 1, or 4 of which "
                    'the last is the mask')


def read_point(value: Any, what: str) -> tuple[int, int]:
    """Return a point [x, y] in whole pixels; raises DataError, a clause, where it is none."""
    if (not isinstance(value, (list, tuple)) or len(value) != 2
            or not all(type(v) in (int, float) and math.isfinite(v)
                       and abs(v) <= MAX_COORDINATE for v in value)):
        raise DataError(f'expected {what} as [x, y] in pixels, found {str(value)[:60]}')
    return round(value[0]), round(value[1])


def _ring(points: Any) -> np.ndarray:
    if not isinstance(points, list) or not points:
        raise DataError('expected a polygon as a list of points')
    return np.array([read_point(p, 'a point of a polygon') for p in points], np.int32)


def rasterise_polygon(points: Any) -> tuple[tuple[int, int], np.ndarray]:
    """Return origin (x, y) and (h, w) bool mask of a polygon; raises DataError, a clause."""
    if not isinstance(points, dict):
        raise DataError("expected a polygon's points with exterior and interior")
    outer = _ring(points.get('exterior'))
    holes = points.get('interior') or []
    if not isinstance(holes, list):
        raise DataError("expected a polygon's interior as a list of lists of points")
    inner = [_ring(ring) for ring in holes]
    corner = outer.min(axis=0)
    width, height = (int(v) for v in outer.max(axis=0) - corner + 1)
    if width * height > MAX_PIXELS:
        raise DataError(f'a polygon covers {width}x{height} pixels, expected up to {MAX_PIXELS}')
    mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [outer - corner], 1)
    if inner:
        cv2.fillPoly(mask, [ring - corner for ring in inner], 0)
    return (int(corner[0]), int(corner[1])), mask > 0
