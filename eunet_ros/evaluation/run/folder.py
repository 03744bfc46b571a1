# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder an evaluation leaves: what may be replaced, what is kept, what goes on."""
from __future__ import annotations

import fcntl
from pathlib import Path
import shutil
from typing import Any, TextIO

from eunet_ros.evaluation.run.plan import Plan, PLAN_FILE, read_json

REPORT, METRICS, PAGE, JOURNAL = 'report.json', 'metrics.csv', 'index.html', 'journal'
BAG, VIDEO = 'bag', 'overlay'


class FolderError(ValueError):
    """A folder that cannot be written to as asked, in one sentence."""


class OutputFolder:
    """
    The folder of an evaluation, locked while this object lives. Raises FolderError, OSError.

    A finished evaluation that is there before is kept as <name>.old once a new one begins; an
    unfinished one is gone on with, or given up when that is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self._lock: TextIO | None = None
        self._old: Path | None = None

    @property
    def journal(self) -> Path:
        """Return the folder of journals, which goes when all is done."""
        return self.path / JOURNAL

    @property
    def labels(self) -> Path:
        """Return the folder beside it that --export-labels writes."""
        return self.path.with_name(f'{self.path.name}_labels')

    @property
    def unfinished(self) -> bool:
        """Return whether an evaluation was begun here and not finished."""
        return (self.journal / PLAN_FILE).is_file()

    def report(self) -> dict[str, Any] | None:
        return read_report(self.path / REPORT)

    def begin(self, plan: Plan, resume: bool, restart: bool) -> bool:
        """Make the folder ready; returns whether an unfinished evaluation is gone on with."""
        if self.path.exists() and not self.path.is_dir():
            raise FolderError(f'{self.path} is a file: choose another --output.')
        if self.unfinished and not restart:
            self._take_lock()
            before = Plan.load(self.journal)
            if not resume:
                raise FolderError(f'{self.path} has an unfinished evaluation: go on with '
                                  '--resume, begin again with --restart, or choose another '
                                  '--output.')
            if words := before.difference(plan):
                raise FolderError(f'The evaluation in {self.path} differs in {words}: repeat the '
                                  'command it was begun with, begin again with --restart, or '
                                  'choose another --output.')
            plan.shards = before.shards
            plan.save(self.journal)
            return True
        if self.unfinished:
            self._take_lock()
        self._make_room()
        self.journal.mkdir(parents=True)
        self._take_lock()
        plan.save(self.journal)
        return False

    def check_space(self, needed: int) -> None:
        """Raise FolderError where the disk has less room than that many bytes."""
        place = next(p for p in (self.path.absolute(), *self.path.absolute().parents)
                     if p.exists())
        free = shutil.disk_usage(place).free
        if free < needed:
            raise FolderError(f'About {needed / 1e9:.1f} GB are needed in {self.path}, '
                              f'{free / 1e9:.1f} GB are free: make room, or leave the output bag '
                              'out with --bag-topics none.')

    def _make_room(self) -> None:
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self._is_ours(self.path):
            raise FolderError(f'{self.path} holds files that are not of an evaluation: choose '
                              'another --output, or move them away.')
        old = self.path.with_name(f'{self.path.name}.old')
        if old.exists():
            if not self._is_ours(old):
                raise FolderError(f'{old} is in the way and not of an evaluation: move it away, '
                                  'or choose another --output.')
            shutil.rmtree(old)
        self.path.rename(old)
        self._old = old

    def _is_ours(self, path: Path) -> bool:
        """Return whether a folder holds an evaluation and nothing of others."""
        if not path.is_dir():
            return False
        known = (REPORT, METRICS, PAGE, JOURNAL)
        names = [p.name for p in path.iterdir()]
        recorded = [n for n in names if n not in known and not n.startswith((BAG, VIDEO, '.'))]
        return not recorded and bool({REPORT, JOURNAL} & set(names)) and (
            read_report(path / REPORT) is not None or (path / JOURNAL / PLAN_FILE).is_file())

    def _take_lock(self) -> None:
        if self._lock:
            self._lock.close()
        self._lock = open(self.journal / 'lock', 'w')
        try:
            fcntl.flock(self._lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderError(f'{self.path} is in use by another evaluation: wait for it, or '
                              'choose another --output.') from None

    def discard(self) -> None:
        """Undo the beginning of what came to nothing."""
        shutil.rmtree(self.journal, ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()
            if self._old:
                self._old.rename(self.path)

    def finish(self) -> None:
        """Remove the journals: all is in the report."""
        # Renamed first: a kill on the way must not leave half of a journal to go on with.
        gone = self.path / '.journal.done'
        shutil.rmtree(gone, ignore_errors=True)
        self.journal.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        if self._lock:
            self._lock.close()


def read_report(path: Path) -> dict[str, Any] | None:
    report = read_json(path)
    ours = isinstance(report, dict) and {'format', 'mode', 'weights', 'bags'} <= set(report)
    return report if ours else None
