# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Returns the memory of building an engine to the system; does nothing without glibc."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import ctypes
import gc
import time

from eunet_ros.model.common import heap

_ARENAS = 2
# Size from which blocks are mapped on their own, while an engine is built and while it runs.
# Images must be in the heap: when mapped, each page is a fault, which takes milliseconds.
_BUILDING, _RUNNING = 1 << 18, 1 << 25


def share_arenas() -> None:
    """Let all threads share two heaps, not eight per core; call it before starting any."""
    heap.set_option(heap.ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return freed memory to the system; exceptions hold engines until a full collection."""
    gc.collect()
    _trim()


class HoleTrimmer:
    """Trims the heaps every `period` s: images of varying size fragment them."""

    def __init__(self, period: float = 10.0) -> None:
        self._period, self._due = period, time.monotonic() + period

    def look(self) -> bool:
        """Trim if it is due; returns whether it was."""
        now = time.monotonic()
        if now < self._due:
            return False
        _trim()
        self._due = now + self._period
        return True


@contextmanager
def transient() -> Iterator[None]:
    """Map the blocks of an engine during its build, so that they leave no holes when freed."""
    _set_threshold(_BUILDING)
    try:
        yield
    finally:
        _set_threshold(_RUNNING)
        give_back()


def _set_threshold(size: int) -> None:
    heap.set_option(heap.MMAP_THRESHOLD, size)
    heap.set_option(heap.TRIM_THRESHOLD, 2 * size)  # as by default


def _trim() -> None:
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
