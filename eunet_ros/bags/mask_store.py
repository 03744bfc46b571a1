# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A lossless file of masks, about 10 kB for 720p, written during a drive; no ROS imports."""
from __future__ import annotations

import os
from pathlib import Path
import struct
from typing import BinaryIO, NamedTuple
import zlib

import numpy as np

MASKS_FILE = 'masks.bin'  # the recorder's, in its folder
# stamp and arrival in ns, height and width in pixels, runs (0: deflated pixels), bytes
_ENTRY = struct.Struct('<qqIIII')
_MAX_PIXELS = 2 ** 28  # of a mask: 16384 x 16384
_MAX_RUNS_SHARE = 0.05  # of the pixels; a noisy mask is smaller deflated


class StoredMask(NamedTuple):
    """A mask: (h, w) uint8; the stamp of its image and its arrival, ns since the epoch."""

    stamp: int
    arrival: int
    mask: np.ndarray


class MaskWriter:
    """Appends masks to a file after its first `after` bytes; raises OSError."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self._file = open(path, 'r+b' if after else 'wb')
        self.close = self._file.close
        self._file.truncate(after)
        self._end = self._file.seek(after)

    def append(self, stamp: int, arrival: int, mask: np.ndarray) -> int:
        """Store a mask, (h, w) uint8; stamp and arrival in ns. Returns the file's size [bytes]."""
        flat = np.ascontiguousarray(mask).reshape(-1)
        changes = flat[1:] != flat[:-1]
        runs = int(np.count_nonzero(changes)) + 1 if flat.size else 0
        if runs > _MAX_RUNS_SHARE * flat.size:
            runs, data = 0, zlib.compress(flat, 1)
        else:
            starts = np.empty(runs, np.uint32)
            starts[:1], starts[1:] = 0, np.flatnonzero(changes) + 1
            data = starts.tobytes() + flat[starts].tobytes()
        height, width = mask.shape
        self._file.write(_ENTRY.pack(stamp, arrival, height, width, runs, len(data)) + data)
        self._end += _ENTRY.size + len(data)
        return self._end

    def flush(self, to_disk: bool = False) -> None:
        """Make stored masks visible to other processes; to_disk: also safe from a power cut."""
        self._file.flush()
        if to_disk:
            os.fsync(self._file.fileno())


class MaskReader:
    """Reads a file of MaskWriter in any order; an incomplete last entry is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: list[int] = []
        self.arrivals: dict[int, int] = {}   # [ns] by stamp
        self.offsets: dict[int, int] = {}    # for `read_mask`, by stamp
        size, offset = path.stat().st_size, 0
        with open(path, 'rb') as file:
            while len(head := file.read(_ENTRY.size)) == _ENTRY.size:
                stamp, arrival, *_, length = _ENTRY.unpack(head)
                end = offset + _ENTRY.size + length
                if end > size:
                    break
                self._starts.append(offset)
                self.arrivals[stamp], self.offsets[stamp] = arrival, offset
                offset = file.seek(end)

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, index: int) -> StoredMask:
        """Return the mask at a position, in order of arrival; raises ValueError if damaged."""
        with open(self._path, 'rb') as file:
            return read_mask(file, self._starts[index])


def read_mask(file: BinaryIO, offset: int) -> StoredMask:
    """Return the mask at an offset of MaskWriter's file; raises ValueError if it is damaged."""
    file.seek(offset)
    stamp, arrival, height, width, runs, length = _ENTRY.unpack(file.read(_ENTRY.size))
    data, size = file.read(length), height * width
    try:
        if size > _MAX_PIXELS or runs > size or (runs and len(data) != 5 * runs):
            raise ValueError('sizes that do not fit')
        if runs:
            starts = np.frombuffer(data, np.uint32, runs).astype(np.int64)
            flat = np.repeat(np.frombuffer(data, np.uint8, runs, 4 * runs),
                             np.diff(starts, append=size))  # raises for negative lengths
        else:
            flat = np.frombuffer(zlib.decompressobj().decompress(data, size + 1), np.uint8)
        return StoredMask(stamp, arrival, flat.reshape(height, width))
    except (ValueError, zlib.error) as error:
        raise ValueError(f'The mask at byte {offset} of {file.name} is damaged: record it again.'
                         ) from error
