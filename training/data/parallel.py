# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parallel work in order, and a lock for one process at a time."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
import multiprocessing
import os
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

_FEW = 64  # fewer tasks take less time than starting processes
_T, _R = TypeVar('_T'), TypeVar('_R')


def cache_lock(folder: Path) -> FileLock:
    """Return the lock of a folder, created if missing: one process at a time prepares data."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / '.lock')


def parallel_map(function: Callable[[_T], _R], tasks: Sequence[_T]) -> Iterator[_R]:
    """Yield function(task) in the order of the tasks; a few run in this process."""
    if len(tasks) < _FEW:
        yield from map(function, tasks)
        return
    # Spawned: a fork after PyTorch has started its threads may hang.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        try:
            yield from pool.map(function, tasks, chunksize=16)
        except BrokenProcessPool as error:
            raise OSError('A process that prepares data was killed, most likely because '
                          'memory ran out: free some and start again.') from error
