# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Rows of frames and of scores that survive a kill: one JSON object a line, appended at once.

A line that was cut short by a kill or a power cut, and what follows it, is dropped when the
journal is opened again. JOURNAL_FORMAT of plan.py counts up where rows change.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import fcntl
import json
import os
from pathlib import Path
import time
from typing import Any, TypeVar

_Row = TypeVar('_Row')
_LOCK_S = 20.0      # a killed parent's processes need a moment to end
_SYNC_S = 5.0       # so much may be lost in a power cut
_POLL_S = 0.05


@dataclass(kw_only=True)
class FrameRow:
    """
    A frame that was run, and its masks; lists have an entry of each weights, None for no mask.

    time: of recording, stamp: of the image [ns]. size: (h, w). stage_ms: latency by stage. masks:
    where each begins in the file of masks, ends: where that file ends [bytes]. error: why the
    image could not be used. camera_info: the message as base64, '' where it is that of the frame
    before, so that who has the rows need not read the bag.
    """

    index: int
    time: int
    stamp: int
    size: tuple[int, int] | None = None
    stage_ms: list[dict[str, float] | None] = field(default_factory=list)
    masks: list[int | None] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    error: str = ''
    camera_info: str = ''


@dataclass
class MaskScores:
    """
    What is to be known of a mask; without ground truth its cones alone.

    cones: as [class, u0, v0, u1, v1]. placed: how many have a position, None where positions are
    withheld, for the reason `withheld`. confusion: as [true, predicted, pixels]. outcomes: of each
    true cone [height in px, true class, class it is taken for]. false: classes of false cones.
    position_errors: see `positions.position_errors`. Where enough cones tell the attitude,
    pitch_deg: against the mounting, far_moved: by which share of their distance it moves cones
    beyond 10 m, the median.
    """

    cones: list[list[int]]
    placed: int | None = None
    withheld: str = ''
    confusion: list[list[int]] = field(default_factory=list)
    outcomes: list[list[int]] = field(default_factory=list)
    false: list[int] = field(default_factory=list)
    position_errors: list[list[float]] = field(default_factory=list)
    pitch_deg: float | None = None
    far_moved: float | None = None


@dataclass
class ScoreRow:
    """
    The scores of a frame; masks: of each weights.

    nearest_ns: how far the nearest true mask is. truth_stamp: of the one that is near enough;
    truth_error: why it cannot be used; only_ignored: it has pixels to ignore and no cone.
    true_cones: their number by class, true_distances: how far each is [m].
    """

    index: int
    masks: list[MaskScores | None] = field(default_factory=list)
    nearest_ns: int | None = None
    truth_stamp: int | None = None
    truth_error: str = ''
    only_ignored: bool = False
    true_cones: list[int] | None = None
    true_distances: list[float | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.masks = [MaskScores(**m) if isinstance(m, dict) else m for m in self.masks]


def read_rows(path: Path, kind: Callable[..., _Row]) -> Iterator[_Row]:
    """Yield the whole rows of a journal, none where there is no file."""
    for row, _ in _rows(path):
        yield kind(**row)


def _rows(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the whole rows and where each ends, in bytes."""
    end = 0
    try:
        with open(path, 'rb') as file:
            for line in file:
                if not line.endswith(b'\n'):
                    return
                try:
                    row = json.loads(line)
                except ValueError:
                    return
                if not isinstance(row, dict):
                    return
                end += len(line)
                yield row, end
    except FileNotFoundError:
        return


class Journal:
    """
    A journal to append to; one process at a time.

    valid: whether a row that it has can be kept; the first that cannot ends it. last: the row it
    ended with when it was opened, count: how many it had. Raises OSError, or BlockingIOError where
    another process does not let go of it.
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
        """Return whether the next row goes to disk, and what it speaks of must go before."""
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
        """Write it to disk and let go of it."""
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
        """Return the whole rows that were appended since the last call."""
        try:
            with open(self._path, 'rb') as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b'\n') + 1
        self._at += whole
        return [FrameRow(**json.loads(line)) for line in data[:whole].splitlines()]
