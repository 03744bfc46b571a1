# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far an evaluation is and how long it will take: a line of rich, or plain lines in a log."""
from __future__ import annotations

import sys
import time
from typing import Any

_PLAIN_S = 20.0   # between two lines in a log
_RECENT = 30.0    # seconds that the rate is taken over


def duration(seconds: float) -> str:
    """
    Return seconds in words.

    >>> duration(8), duration(95), duration(7300)
    ('8 s', '1 min 35 s', '2 h 02 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60:02d} s'
    return f'{whole // 3600} h {whole % 3600 // 60:02d} min'


class TimeLeft:
    """Estimates from the last half minute; another task starts afresh."""

    def __init__(self) -> None:
        self._task, self._seen = '', []

    def update(self, task: str, done: int, total: int, now: float) -> float | None:
        """Return the seconds that are left, None while that cannot be said."""
        if task != self._task:
            self._task, self._seen = task, []
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RECENT:
            self._seen.pop(0)
        (then, before) = self._seen[0]
        if done <= before or now - then < 1.0:
            return None
        return (total - done) * (now - then) / (done - before)


class Progress:
    """Shows progress on stderr; use it in a `with` block."""

    def __init__(self, quiet: bool = False) -> None:
        self._left, self._bar, self._task = TimeLeft(), None, None
        self._quiet, self._printed = quiet, time.monotonic()
        if not quiet and sys.stderr.isatty():
            self._bar = _rich_bar()

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, text: str, done: int, total: int) -> None:
        """Show what is done and how far it is."""
        now = time.monotonic()
        left = self._left.update(text, done, total, now)
        told = f', {duration(left)} left' if left is not None else ''
        if self._bar:
            if self._task is None:
                self._task = self._bar.add_task('', total=total)
            self._bar.update(self._task, description=f'{text}{told}', completed=done, total=total)
        elif not self._quiet and now - self._printed > _PLAIN_S:
            self._printed = now
            print(f'evaluate_bag: {text}, {done} of {total}{told}', file=sys.stderr, flush=True)

    def say(self, sentence: str) -> None:
        """Print a line to stderr, above the progress."""
        if self._bar:
            self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
        else:
            print(sentence, file=sys.stderr, flush=True)


def _rich_bar() -> Any:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        return None
    return Progress(BarColumn(), MofNCompleteColumn(), TextColumn('{task.description}',
                                                                  markup=False),
                    console=Console(stderr=True), transient=True, refresh_per_second=4)
