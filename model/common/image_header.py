# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The size of a JPEG, PNG or WebP file from its header, before memory is taken to decode it."""
from __future__ import annotations

import numpy as np

MAX_SIDE = 16384      # pixels; no camera is larger, a damaged header often is
MAX_PIXELS = 2 ** 26  # of a compressed image: 8192 x 8192, 200 MB once decoded
PNG = b'\x89PNG\r\n\x1a\n'


def fits(width: int, height: int) -> bool:
    """Return whether an image of that size is decoded at all."""
    return 1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width * height <= MAX_PIXELS


def read_header(flat: np.ndarray) -> tuple[tuple[int, int] | None, int] | None:
    """Return (width, height), None if damaged, and bytes to decode; None for other formats."""
    data = memoryview(flat)
    start = bytes(data[:30])
    if start[:3] == b'\xff\xd8\xff':
        return _jpeg_header(data)
    if start[:8] == PNG:
        return _png_header(data)
    if start[:4] == b'RIFF' and start[8:12] == b'WEBP':
        whole = len(data) >= int.from_bytes(start[4:8], 'little') + 8
        return (_webp_size(start) if len(start) == 30 else None), len(data) * whole
    return None


def _png_header(data: memoryview) -> tuple[tuple[int, int] | None, int]:
    """Walk the chunks of a PNG (ISO/IEC 15948): OpenCV allocates what a length claims."""
    if len(data) < 24 or bytes(data[8:16]) != b'\0\0\0\rIHDR':
        return None, 0
    size = tuple(int.from_bytes(data[i:i + 4], 'big') for i in (16, 20))
    at, pixels = 33, False
    while at + 12 <= len(data):
        kind = data[at + 4:at + 8]
        if kind == b'IEND':
            return size, (at + 12) * (pixels and data[at:at + 4] == b'\0\0\0\0')
        pixels |= kind == b'IDAT'
        at += 12 + int.from_bytes(data[at:at + 4], 'big')
    return size, 0


def _jpeg_header(data: memoryview) -> tuple[tuple[int, int] | None, int]:
    """Walk the segments of a JPEG (ITU T.81, annex B) up to its first scan."""
    size, at = None, 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length = data[at + 2] << 8 | data[at + 3]
        if marker == 0xDA:
            # Entropy-coded data holds no FF D9, an EXIF thumbnail before the scan may; cameras
            # pad after it, so look for it anywhere behind the scan's start.
            return size, len(data) * (bytes(data[at:]).rfind(b'\xff\xd9') >= 0)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(data):
            size = data[at + 7] << 8 | data[at + 8], data[at + 5] << 8 | data[at + 6]
        at += 2 + length
    return size, 0


def _webp_size(start: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the first 30 bytes of a WebP file (RFC 9649)."""
    kind = start[12:16]
    if kind == b'VP8X':
        return tuple(int.from_bytes(start[i:i + 3], 'little') + 1 for i in (24, 27))
    if kind == b'VP8L':
        bits = int.from_bytes(start[21:25], 'little')
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b'VP8 ':
        return tuple(int.from_bytes(start[i:i + 2], 'little') & 0x3FFF for i in (26, 28))
    return None
