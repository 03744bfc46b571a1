# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the processes of an evaluation: for each bag, one segments it and others score it."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
import os
from pathlib import Path
import queue
from typing import Any

from eunet_ros.evaluation.run.journal import FrameRow, read_rows
from eunet_ros.evaluation.run.plan import bag_files, BagEnd, BagFiles, Plan, read_json
from eunet_ros.model.common.files import write_json
from eunet_ros.replay.drive import Child

_TAKE_S = 0.2
SEGMENT, SCORE, RENDER = 'segment', 'score', 'render'
# By name: this room must not import two of them.
MODULES = {SEGMENT: 'eunet_ros.evaluation.run.segment',
           SCORE: 'eunet_ros.evaluation.scoring.score',
           RENDER: 'eunet_ros.evaluation.page.recordings'}
Show = Callable[[str, int, int], None]
_Label = tuple[str, int, int]   # of a process: role, bag, shard


@dataclass
class BagState:
    """Progress of a bag; began, ended: (time, frames done) without loading and warming up."""

    segmented: int = 0
    scored: dict[int, int] = field(default_factory=dict)
    rendered: int = 0
    began: tuple[float, int] | None = None
    ended: tuple[float, int] | None = None


class Runner:
    """
    Runs the remaining work of a plan; an error of a bag goes to `errors`, other bags continue.

    With an engine on the CPU, scoring and writing start after segmentation, as they slow it down
    even at low priority; with one on a GPU, scoring starts at once. render: arguments of the
    process that writes a bag's recordings, or None. show(what, done, total): called repeatedly.
    """

    def __init__(self, plan: Plan, journal: Path, render: list[str] | None, cores: int,
                 show: Show) -> None:
        self.plan, self.journal, self._render, self._show = plan, journal, render, show
        self.states = [BagState() for _ in plan.bags]
        self.errors: list[str] = []
        self._cores, self._doing = cores, 'Starting the engine'
        self._events: queue.Queue[tuple[_Label, dict[str, Any]]] = queue.Queue()
        self._children: dict[_Label, Child] = {}
        self._bags: list[int] = []               # to segment
        self._jobs: list[tuple[Any, ...]] = []   # to do afterwards: role, bag, arguments
        self._scoring: set[int] = set()

    def files(self, number: int) -> BagFiles:
        return bag_files(self.journal, number)

    def run(self, segment: bool = True) -> None:
        """Run all processes to their ends; segment: False if all masks are there."""
        for number in range(len(self.plan.bags)):
            self.files(number).folder.mkdir(parents=True, exist_ok=True)
            if segment:
                self.files(number).end.unlink(missing_ok=True)
                self._bags.append(number)
            else:
                self._after_frames(number)
        try:
            self._fill()
            while self._children:
                self._take()
        finally:
            for child in self._children.values():
                child.stop()

    def _fill(self) -> None:
        running = sum(role == SEGMENT for role, *_ in self._children)
        while self._bags and running < self.plan.workers:
            self._start(SEGMENT, self._bags.pop(0))
            running += 1
        while self._jobs and not running and len(self._children) < max(2, self._cores):
            self._start(*self._jobs.pop(0))

    def _score(self, number: int, at_once: bool) -> None:
        if number not in self._scoring:
            self._scoring.add(number)
            for job in ((SCORE, number, shard) for shard in range(self.plan.shards)):
                if at_once:
                    self._start(*job)
                else:
                    self._jobs.append(job)

    def _after_frames(self, number: int) -> None:
        self._score(number, at_once=False)
        frames = self.files(number).frames
        if self._render is not None and frames.exists() and frames.stat().st_size:
            self._jobs.append((RENDER, number, *self._render))

    def _start(self, role: str, number: int, *args: object) -> None:
        label = role, number, args[0] if role == SCORE else 0
        # Other processes must not take several cores each from the engine.
        threads = {} if role == SEGMENT else {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
        self._children[label] = Child(
            role, MODULES[role], [str(self.journal), str(number), *map(str, args)],
            {**os.environ, **threads}, self._events, label)

    def _take(self) -> None:
        with suppress(queue.Empty):
            self._on_event(*self._events.get(timeout=_TAKE_S))
        self._tell()

    def _on_event(self, label: _Label, event: dict[str, Any]) -> None:
        role, number, shard = label
        state, kind = self.states[number], event.get('event')
        if kind in ('progress', 'ready') and role == SEGMENT:
            state.segmented = event['done']
            if 'at' in event and state.began:
                state.ended = event['at'], event['done']
            if kind == 'ready' and event['on_gpu']:  # the CPU is free
                self._score(number, at_once=True)
        elif kind == 'warm':
            state.began = event['at'], event['done']
        elif kind == 'progress' and role == SCORE:
            state.scored[shard] = event['done']
        elif kind == 'progress' and role == RENDER:
            state.rendered = event['done']
        elif kind == 'says':
            self._doing = event['text']
        elif kind == 'exit':
            child = self._children.pop(label)
            if child.exit_code:
                self._on_failure(role, number, child)
            if role == SEGMENT:
                self._after_frames(number)
            self._fill()

    def _on_failure(self, role: str, number: int, child: Child) -> None:
        label, code = self.plan.bags[number].label, child.exit_code
        doing = {SEGMENT: 'segmenting', SCORE: 'scoring', RENDER: 'writing the recordings of'}
        if code < 0:
            sentence = (f'The process that was {doing[role]} {label} was killed (signal {-code}).')
        else:
            sentence = f'{label}: {child.sentence}'
        self.errors.append(sentence)
        if role == SEGMENT:
            # Scorers wait for this file.
            write_json(self.files(number).end, vars(BagEnd(error=sentence, again=True)))

    def _tell(self) -> None:
        total = sum(bag.frames for bag in self.plan.bags)
        segmented = sum(s.segmented for s in self.states)
        scored = sum(sum(s.scored.values()) for s in self.states)
        if any(role == SEGMENT for role, *_ in self._children):
            started = any(s.began for s in self.states)
            self._show('Segmenting' if started else self._doing, segmented, total)
        elif self._children:
            writes = self._render is not None
            self._show('Scoring and writing the recordings' if writes else 'Scoring',
                       scored + sum(s.rendered for s in self.states), total * (1 + writes))

    def ends(self) -> list[BagEnd]:
        return [BagEnd(**(read_json(self.files(number).end) or {'again': True}))
                for number in range(len(self.plan.bags))]

    def engines(self) -> list[dict[str, Any]]:
        """Return engine, precision and input size of each weights, empty if none started."""
        for number in range(len(self.plan.bags)):
            if engines := read_json(self.files(number).folder / 'engine.json'):
                return engines
        return [{} for _ in self.plan.weights]

    def rate(self) -> float | None:
        """Return the rate of all engines together [images/s], None if it is not known."""
        spans = [(s.began, s.ended) for s in self.states if s.began and s.ended]
        frames = sum(end[1] - begin[1] for begin, end in spans)
        seconds = (max(end[0] for _, end in spans) - min(begin[0] for begin, _ in spans)
                   if spans else 0.0)
        return round(frames / seconds, 2) if seconds > 0 and frames > 0 else None

    def counted(self) -> int:
        return sum(sum(1 for _ in read_rows(self.files(n).frames, FrameRow))
                   for n in range(len(self.plan.bags)))
