# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rows of frames and scores, a JSON line each; only an incomplete one is lost after a kill."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
import fcntl
import json
import os
from pathlib import Path
import time
from typing import Any, TypeVar

_Row = TypeVar('_Row')
_LOCK_S = 20.0      # the processes of a killed parent need some time to end
_SYNC_S = 5.0       # a power cut may lose the rows of this time
_POLL_S = 0.05


@dataclass(kw_only=True)
class FrameRow:
    """A segmented frame; lists have an entry for each set of weights, None without a mask."""

    index: int
    time: int                               # of recording [ns]
    stamp: int                              # of the image [ns]
    size: tuple[int, int] | None = None     # (h, w)
    stage_ms: list[dict[str, float] | None] = field(default_factory=list)
    masks: list[int | None] = field(default_factory=list)   # where each starts in its file [bytes]
    ends: list[int] = field(default_factory=list)           # sizes of the files of masks [bytes]
    error: str = ''         # why the image could not be used
    camera_info: str = ''   # the message as base64, '' if equal to that of the frame before


@dataclass
class MaskScores:
    """Cones and scores of a mask."""

    cones: list[list[int]]      # [class, u0, v0, u1, v1]
    placed: int | None = None   # cones with a position, None if all positions are rejected
    withheld: str = ''          # why positions are rejected
    confusion: list[list[int]] = field(default_factory=list)    # [true, predicted, pixels]
    # of each true cone: [height in px, true class, predicted class]
    outcomes: list[list[int]] = field(default_factory=list)
    false: list[int] = field(default_factory=list)              # classes of false cones
    position_errors: list[list[float]] = field(default_factory=list)    # see `position_errors`
    pitch_deg: float | None = None  # against the mounting, if enough cones show the attitude
    far_moved: float | None = None  # effect on cones beyond 10 m: median share of distance


@dataclass
class ScoreRow:
    """The scores of a frame."""

    index: int
    masks: list[MaskScores | None] = field(default_factory=list)    # of each set of weights
    nearest_ns: int | None = None           # time to the nearest true mask
    truth_stamp: int | None = None          # of the true mask, if it is within the tolerance
    truth_error: str = ''                   # why it cannot be used
    only_ignored: bool = False              # it has pixels to ignore and no cone
    true_cones: list[int] | None = None     # number by class
    true_distances: list[float | None] = field(default_factory=list)    # of each true cone [m]

    def __post_init__(self) -> None:
        self.masks = [MaskScores(**m) if isinstance(m, dict) else m for m in self.masks]


def read_rows(path: Path, kind: Callable[..., _Row]) -> Iterator[_Row]:
    """Yield the complete rows of a journal, none if the file does not exist."""
    for row, _ in _rows(path):
        yield kind(**row)


def _rows(path: Path, end: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the complete rows after `end` bytes, and where each ends [bytes]."""
    with suppress(FileNotFoundError, ValueError), open(path, 'rb') as file:
        file.seek(end)
        for line in file:
            row = json.loads(line)
            if not line.endswith(b'\n') or not isinstance(row, dict):
                return
            end += len(line)
            yield row, end


class Journal:
    """
    A journal to append to; one process at a time. Raises OSError.

    valid: whether a row can be kept; the first that cannot is dropped with all that follow. last,
    count: the last row and the number of rows when it was opened.
    """

    def __init__(self, path: Path,
                 valid: Callable[[dict[str, Any]], bool] = lambda row: True) -> None:
        self.path = path
        self._file = open(path, 'ab')
        _lock(self._file.fileno(), path)
        self.last: dict[str, Any] | None = None
        self.count = size = 0
        for row, end in _rows(path):
            if not valid(row):
                break
            self.last, self.count, size = row, self.count + 1, end
        self._file.truncate(size)
        self._synced = time.monotonic()

    @property
    def sync_is_due(self) -> bool:
        """Return whether the next row is synced to disk; sync what it refers to first."""
        return time.monotonic() - self._synced > _SYNC_S

    def append(self, row: Any) -> None:
        due = self.sync_is_due
        self._file.write(
            json.dumps(row, separators=(',', ':'), default=vars).encode() + b'\n')
        self._file.flush()
        if due:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Write it to disk and release the lock."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _lock(number: int, path: Path) -> None:
    end = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise BlockingIOError(
                    f'{path} is in use: another evaluation writes to this folder, wait for it or '
                    'choose another --output.') from None
            time.sleep(_POLL_S)


class Follower:
    """Reads the frames of a journal that another process may still append to."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new_rows(self) -> list[FrameRow]:
        """Return the complete rows that were appended since the last call."""
        found = list(_rows(self._path, self._at))
        self._at = found[-1][1] if found else self._at
        return [FrameRow(**row) for row, _ in found]
