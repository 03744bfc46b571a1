# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Rows that survive a kill: one JSON object a line, appended and handed to the system at once.

A line that was cut short by a kill or a power cut, and what follows it, is dropped when the
journal is opened again.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
import fcntl
import json
import os
from pathlib import Path
import time
from typing import Any

Row = dict[str, Any]
_LOCK_S = 20.0      # a killed parent's processes need a moment to end
_SYNC_S = 5.0       # so much may be lost in a power cut
_POLL_S = 0.05


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the whole rows of a journal, none where there is no file."""
    for row, _ in _rows(path):
        yield row


def _rows(path: Path) -> Iterator[tuple[Row, int]]:
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

    def __init__(self, path: Path, valid: Callable[[Row], bool] = lambda row: True) -> None:
        self.path = path
        self._file = open(path, 'ab')
        _lock(self._file.fileno(), path)
        self.last: Row | None = None
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

    def append(self, row: Row) -> None:
        """Add a row."""
        due = self.sync_is_due
        self._file.write(json.dumps(row, separators=(',', ':')).encode() + b'\n')
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
    """Reads the rows of a journal that another process may still append to."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0

    def new_rows(self) -> list[Row]:
        """Return the whole rows that were appended since the last call."""
        try:
            with open(self._path, 'rb') as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b'\n') + 1
        self._at += whole
        return [json.loads(line) for line in data[:whole].splitlines()]
