# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits on what a chunk of a bag may unpack to; rosbags has none of its own."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

MAX_CHUNK = 2 ** 30   # bytes, unpacked; recorders write chunks of some MB


def _bounded(make: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    """Return a decompressor that stops one byte after what the chunk's header promises."""
    def unpack(data: bytes, size: int) -> bytes:
        if size > MAX_CHUNK:
            raise ValueError(f'a chunk promises {size} bytes, expected up to {MAX_CHUNK}')
        return make().decompress(data, max_length=size + 1)
    return unpack


@lru_cache(maxsize=1)
def limit_chunks() -> None:
    """Make rosbags unpack the chunks of an mcap no further than their headers say."""
    try:
        from lz4.frame import LZ4FrameDecompressor
        from rosbags.rosbag2 import storage_mcap
        table, zstd = storage_mcap.DECOMPRESSORS, storage_mcap.zstd
    except (ImportError, AttributeError):  # another release of rosbags
        return
    table.update(zstd=_bounded(zstd.ZstdDecompressor), lz4=_bounded(LZ4FrameDecompressor))
