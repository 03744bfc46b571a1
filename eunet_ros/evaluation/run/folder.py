# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The output folder of an evaluation: replaced, kept or resumed."""
from __future__ import annotations

import fcntl
from pathlib import Path
import shutil
from typing import Any, TextIO

from eunet_ros.evaluation.run.plan import Plan, PLAN_FILE, read_json

REPORT, METRICS, PAGE, JOURNAL = 'report.json', 'metrics.csv', 'index.html', 'journal'
BAG, VIDEO = 'bag', 'overlay'


class FolderError(ValueError):
    """An output folder that cannot be used, in one sentence."""


class OutputFolder:
    """The folder of an evaluation, locked while this object lives. Raises FolderError, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self.journal = self.path / JOURNAL   # until `finish`
        self.labels = self.path.with_name(f'{self.path.name}_labels')   # of --export-labels
        self._lock: TextIO | None = None
        self._old: Path | None = None   # a former evaluation, renamed

    @property
    def unfinished(self) -> bool:
        """Return whether the folder has an unfinished evaluation."""
        return (self.journal / PLAN_FILE).is_file()

    def begin(self, plan: Plan, resume: bool, restart: bool) -> bool:
        """Prepare the folder; returns whether an unfinished evaluation is resumed."""
        if self.path.exists() and not self.path.is_dir():
            raise FolderError(f'{self.path} is a file: choose another --output.')
        if self.unfinished:
            self._take_lock()
        if self.unfinished and not restart:
            before = Plan.load(self.journal)
            if not resume:
                raise FolderError(f'{self.path} has an unfinished evaluation: continue it with '
                                  '--resume, start again with --restart, or choose another '
                                  '--output.')
            if words := before.difference(plan):
                raise FolderError(f'The evaluation in {self.path} differs in {words}: repeat the '
                                  'command that started it, start again with --restart, or '
                                  'choose another --output.')
            plan.shards = before.shards
            plan.save(self.journal)
            return True
        self._make_room()
        self.journal.mkdir(parents=True)
        self._take_lock()
        plan.save(self.journal)
        return False

    def check_space(self, needed: int) -> None:
        """Raise FolderError if the disk has less space than that many bytes."""
        place = next(p for p in (self.path.absolute(), *self.path.absolute().parents)
                     if p.exists())
        free = shutil.disk_usage(place).free
        if free < needed:
            raise FolderError(f'About {needed / 1e9:.1f} GB are needed in {self.path}, '
                              f'{free / 1e9:.1f} GB are free: free some space, or write no '
                              'output bag with --bag-topics none.')

    def _make_room(self) -> None:
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not self._is_ours(self.path):
            raise FolderError(f'{self.path} holds files that are not of an evaluation: choose '
                              'another --output, or move them away.')
        old = self.path.with_name(f'{self.path.name}.old')
        if old.exists():
            if not self._is_ours(old):
                raise FolderError(f'{old} exists and is not an evaluation: move it away, or '
                                  'choose another --output.')
            shutil.rmtree(old)
        self.path.rename(old)
        self._old = old

    def _is_ours(self, path: Path) -> bool:
        """Return whether a folder holds an evaluation and no other files."""
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
        """Undo `begin` after an evaluation without results."""
        shutil.rmtree(self.journal, ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()
            if self._old:
                self._old.rename(self.path)

    def finish(self) -> None:
        """Remove the journals; the report has all results."""
        # Renamed first: a kill must not leave an incomplete journal that --resume would use.
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
