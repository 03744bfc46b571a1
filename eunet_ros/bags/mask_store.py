# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Masks on disk while a drive is recorded: lossless, small and quick to write; no ROS imports.

A 720p mask is 0.9 MB; as runs of equal class ids it is about 10 kB, made in 0.3 ms, so that long
drives fit and the recorder takes no time from the node that it watches.
"""
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
    """Appends masks to a file, behind `after` bytes of an older one; raises OSError."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self._file = open(path, 'r+b' if after else 'wb')
        self._file.truncate(after)
        self._end = self._file.seek(after)

    def append(self, stamp: int, arrival: int, mask: np.ndarray) -> int:
        """Store a mask, (h, w) uint8; stamp and arrival in ns. Returns where it ends, bytes."""
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
        """Let other processes see what was stored; to_disk: a power cut must not lose it."""
        self._file.flush()
        if to_disk:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class MaskReader:
    """Reads a file of MaskWriter in any order; a last entry that was cut short is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: list[tuple[int, int, int]] = []  # stamp, arrival, offset
        size, offset = path.stat().st_size, 0
        with open(path, 'rb') as file:
            while len(head := file.read(_ENTRY.size)) == _ENTRY.size:
                stamp, arrival, *_, length = _ENTRY.unpack(head)
                end = offset + _ENTRY.size + length
                if end > size:
                    break
                self._entries.append((stamp, arrival, offset))
                offset = end
                file.seek(offset)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def arrivals(self) -> dict[int, int]:
        """Return the arrival of each mask by its stamp, in order of arrival, ns."""
        return {stamp: arrival for stamp, arrival, _ in self._entries}

    @property
    def offsets(self) -> dict[int, int]:
        """Return where the mask of each stamp begins in the file, for `read_mask`."""
        return {stamp: offset for stamp, _, offset in self._entries}

    def read(self, index: int) -> StoredMask:
        """Return the mask at a position, in order of arrival; raises ValueError if damaged."""
        with open(self._path, 'rb') as file:
            return read_mask(file, self._entries[index][2])


def read_mask(file: BinaryIO, offset: int) -> StoredMask:
    """Return the mask at an offset of MaskWriter's file; raises ValueError if it is damaged."""
    file.seek(offset)
    stamp, arrival, height, width, runs, length = _ENTRY.unpack(file.read(_ENTRY.size))
    data = file.read(length)
    flat, size = None, height * width
    if size <= _MAX_PIXELS:
        flat = _from_runs(data, runs, size) if runs else _inflated(data, size)
    if flat is None:
        raise ValueError(f'The mask at byte {offset} of {file.name} is damaged: record it again.')
    return StoredMask(stamp, arrival, flat.reshape(height, width))


def _from_runs(data: bytes, runs: int, size: int) -> np.ndarray | None:
    if len(data) != 5 * runs or runs > size:
        return None
    starts = np.frombuffer(data, np.uint32, runs).astype(np.int64)
    lengths = np.diff(starts, append=size)
    if starts[0] or lengths.min() < 0:
        return None
    return np.repeat(np.frombuffer(data, np.uint8, runs, 4 * runs), lengths)


def _inflated(data: bytes, size: int) -> np.ndarray | None:
    try:
        content = zlib.decompressobj().decompress(data, size + 1)
    except zlib.error:
        return None
    return np.frombuffer(content, np.uint8) if len(content) == size else None
