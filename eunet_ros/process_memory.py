# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine takes to be built, given back to the system; nothing where it is not glibc."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
import ctypes
import gc
import os
from pathlib import Path
import time

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_ARENAS = 2
# Bytes from which a block is mapped on its own: an engine's, an image's, and the most that glibc
# comes to by itself.
_SMALL, _IMAGE, _LARGE = 1 << 18, 1 << 20, 1 << 25
_usual = _LARGE
# Of a GrowthWatch: between looks, between trims at first and at last, bytes that it may grow by.
_LOOK_S, _PAUSE_S, _ALLOWED = 1.0, (2.0, 64.0), 4 << 20


def share_arenas() -> None:
    """
    Let all threads share two heaps; to be called before there are any.

    glibc gives a node's 25 threads up to eight for each core, and each keeps its own holes.
    """
    _tell_glibc(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """
    Return freed memory to the system: glibc keeps what an engine had, for each thread.

    An error keeps the frames that it went through, with the engine, until the next full
    collection, which may be hours away.
    """
    gc.collect()
    _trim()


def keep_in_heap(large_blocks: bool) -> None:
    """
    Choose where blocks of an image's size come from, while an engine runs.

    In the heap they cost no page faults (up to 1 ms an image of 1280x720), but it grows around
    engines that come and go. glibc maps a block only where no hole in the heap fits: less is held
    so, but it does not stay the same.
    PyTorch on the CPU, whose every layer asks for such a block, takes twice its time without.
    """
    global _usual
    _usual = _LARGE if large_blocks else _IMAGE
    _set_threshold(_usual)


@contextmanager
def transient() -> Iterator[None]:
    """
    Let the blocks of an engine that is built be mapped, so that they leave no holes when freed.

    Afterwards it is as `keep_in_heap` was told last.
    """
    _set_threshold(_SMALL)
    try:
        yield
    finally:
        _set_threshold(_usual)
        give_back()


class GrowthWatch:
    """
    Returns freed memory to the system: at once where the process has grown, else ever more rarely.

    Images of another size, and listeners that come and go, each use other holes of the heap, and
    what was used once stays resident. A trim takes 1 to 8 ms: in calm minutes there is one a
    minute. used: returns the bytes that are resident and private.
    """

    def __init__(self, used: Callable[[], int] | None = None,
                 trim: Callable[[], None] | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._used, self._trim, self._clock = used or _used, trim or _trim, clock
        self._next = self._due = 0.0
        self._pause, self._least = _PAUSE_S[0], 0   # 0: to be measured

    def look(self) -> None:
        """Look at the memory where the last look is long enough ago; from one thread."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _LOOK_S
        used = self._used()
        if self._least and used > self._least + _ALLOWED:
            self._pause = _PAUSE_S[0]
        elif now < self._due:
            self._least = min(used, self._least or used)
            return
        self._trim()
        # Some of it is used again by the next image: what is needed shows at the next look.
        self._least, self._due = 0, now + self._pause
        self._pause = min(2 * self._pause, _PAUSE_S[1])


def _used() -> int:
    with suppress(OSError):  # another system
        resident, shared = Path('/proc/self/statm').read_text().split()[1:3]
        return (int(resident) - int(shared)) * os.sysconf('SC_PAGE_SIZE')
    return 0


def _trim() -> None:
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _set_threshold(size: int) -> None:
    _tell_glibc(_MMAP_THRESHOLD, size)
    _tell_glibc(_TRIM_THRESHOLD, 2 * size)  # goes with it, as where glibc is not told


def _tell_glibc(name: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(name, value)
