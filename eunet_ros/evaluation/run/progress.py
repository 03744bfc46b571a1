# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Progress of a long job and the time left: a bar of rich, or plain lines in a log."""
from __future__ import annotations

from datetime import timedelta
import sys
import time

_PLAIN_S = 20.0   # between two lines in a log
_REFRESH_HZ = 4   # the display shares the cores with the engine


class Progress:
    """Shows progress on stderr, in a `with` block; name: of the command. Raises ImportError."""

    def __init__(self, name: str) -> None:
        try:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        except ImportError as error:
            raise ImportError(
                f'The Python package rich is missing ({error}): pip install rich.') from error
        self._name, self._printed = name, time.monotonic()
        console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            BarColumn(), TextColumn('{task.completed} of {task.total}'),
            TextColumn('{task.description}', markup=False), TimeRemainingColumn(),
            console=console, transient=True, refresh_per_second=_REFRESH_HZ,
            disable=not console.is_terminal)
        self._task = self._bar.add_task('', total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, text: str, done: int, total: int) -> None:
        """Show the progress of the job `text`; if `done` decreases, it is another job."""
        [task] = self._bar.tasks
        if done < task.completed:
            self._bar.reset(self._task)
        self._bar.update(self._task, description=text, completed=done, total=total)
        now = time.monotonic()
        if self._bar.disable and now - self._printed > _PLAIN_S:
            self._printed, left = now, task.time_remaining
            rest = '' if left is None else f', {timedelta(seconds=round(left))} left'
            print(f'{self._name}: {text}, {done} of {total}{rest}', file=sys.stderr, flush=True)

    def advance(self) -> None:
        self._bar.advance(self._task)

    def say(self, sentence: str) -> None:
        """Print a line to stderr, above the progress."""
        self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
