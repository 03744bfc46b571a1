# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine takes to be built, given back to the system; nothing where it is not glibc."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import ctypes
import gc
import time

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_ARENAS = 2
# Bytes from which a block is mapped on its own: while an engine is built, and while it runs, so
# that images lie in the heap. Mapped, each of their pages is a fault, at every image: 2,000 for
# one of 1280x720, which take milliseconds on a virtual machine.
_BUILDING, _RUNNING = 1 << 18, 1 << 25


def share_arenas() -> None:
    """Let all threads share two heaps, not eight a core; to be called before there are any."""
    _tell_glibc(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return freed memory to the system; exceptions hold engines until a full collection."""
    gc.collect()
    _trim()


class HoleTrimmer:
    """Gives the heaps' holes back every `period` s: images of several sizes leave ever more."""

    def __init__(self, period: float = 10.0) -> None:
        self._period, self._due = period, time.monotonic() + period

    def look(self) -> bool:
        """Give back, where it is time to; returns whether it was."""
        now = time.monotonic()
        if now < self._due:
            return False
        _trim()
        self._due = now + self._period
        return True


@contextmanager
def transient() -> Iterator[None]:
    """Map the blocks of an engine that is built, so that they leave no holes when freed."""
    _set_threshold(_BUILDING)
    try:
        yield
    finally:
        _set_threshold(_RUNNING)
        give_back()


def _set_threshold(size: int) -> None:
    _tell_glibc(_MMAP_THRESHOLD, size)
    _tell_glibc(_TRIM_THRESHOLD, 2 * size)  # goes with it, as where glibc is not told


def _trim() -> None:
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _tell_glibc(name: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(name, value)
