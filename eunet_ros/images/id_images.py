# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PNGs whose pixels are numbers, such as class ids, not brightness."""
from __future__ import annotations

import zlib

from eunet_ros.model.common.image_header import PNG
import numpy as np

_GREY, _PALETTE = 0, 3           # colour types of ISO/IEC 15948
_KEPT = (b'IDAT', b'IEND')


def as_stored(flat: np.ndarray) -> tuple[np.ndarray, int]:
    """
    Return a PNG that decodes to its stored numbers, and the divisor of them; flat: (n,) uint8.

    OpenCV maps palettes to colours and stretches grey of 1, 2 or 4 bits to 0 to 255. Other files
    are returned unchanged, with 1.
    """
    data = flat.tobytes() if flat[:8].tobytes() == PNG and flat.size > 33 else b''
    if not data or data[12:16] != b'IHDR':
        return flat, 1
    depth, kind = data[24:26]
    if kind not in (_GREY, _PALETTE) or depth not in (1, 2, 4, 8):
        return flat, 1
    head = data[12:25] + bytes([_GREY]) + data[26:29]
    parts = [data[:12], head, zlib.crc32(head).to_bytes(4, 'big')]
    at = 33
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], 'big')
        if data[at + 4:at + 8] in _KEPT:  # not the palette, and nothing that refers to it
            parts.append(data[at:end])
        at = end
    return np.frombuffer(b''.join(parts), np.uint8), 255 // (2 ** depth - 1)
