# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the rows of all frames to the figures of the report; frames stream through."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
import re
from typing import Any

from eunet_ros.evaluation.run.journal import read_rows, Row
from eunet_ros.evaluation.run.plan import bag_files, BagFiles, BagPlan, Plan, WeightsPlan
from eunet_ros.evaluation.scoring.comparison import compare, runs_of
from eunet_ros.evaluation.scoring.position_errors import Positions
from eunet_ros.evaluation.scoring.score import counts_of
from eunet_ros.evaluation.scoring.steadiness import Steadiness
from eunet_ros.model.common.metrics.cones import (
    count_cones,
    HEIGHT_BINS,
    recall,
    recall_by_height,
    recall_row,
)
from eunet_ros.model.common.metrics.pixels import (
    dice,
    iou,
    pixel_scores,
    plain,
    ratio_or_none,
)
from eunet_ros.node.stream_statistics import StreamMonitor
import numpy as np

_LATE_NS = 500_000_000
_MOST_SENTENCES = 20


@dataclass
class FrameFigures:
    """What is kept of every frame: small, so that long drives fit."""

    bag: int
    index: int
    stamp: int
    time: int
    size: tuple[int, int] | None
    error: str
    has_truth: bool
    lost_before: int                      # images that the stamps say were lost before this one
    dice: list[float | None]              # by weights, as are the following
    wrong: list[int | None]               # pixels
    cones: list[list[int] | None]         # by class, background left out
    placed: list[int | None]              # cones with a place on the ground, None for withheld
    pitch: list[float | None]             # against the mounting, from the frame's cones [deg]
    stage_ms: list[dict[str, float] | None]
    flickering: list[int | None] = field(default_factory=list)


def merged_rows(files: BagFiles, shards: int) -> Iterator[tuple[Row, Row]]:
    """Yield the rows of frames that were scored, and their scores, in order."""
    scores = [read_rows(files.scores(k)) for k in range(shards)]
    for frame in read_rows(files.frames):
        row = next(scores[frame['i'] % shards], None)
        if row is None:
            return
        yield frame, row


class WeightsSummary:
    """Adds up what frames say of one set of weights."""

    def __init__(self, plan: WeightsPlan) -> None:
        self.plan, self.names = plan, plan.table.names
        n = len(self.names)
        self.counts: list[np.ndarray] = []      # of the frames with truth, in their order
        self.confusion = np.zeros((n + 1, n + 1), np.int64)
        self.cones = np.zeros((len(HEIGHT_BINS), n + 1, n + 1), np.int64)  # see `count_cones`
        self.false = np.zeros(256, np.int64)
        self.found = np.zeros(256, np.int64)
        self.frames = self.scored = 0
        self.steadiness, self.positions = Steadiness(), Positions()

    def add(self, row: Row, k: int) -> tuple[Any, ...]:
        """
        Count a frame's scores of weights k.

        Returns its dice, wrong pixels, cones by class, how many have places, and the pitch.
        """
        entry = row['k'][k]
        if entry is None:
            return None, None, None, None, None
        n = len(self.names)
        placed = self.positions.add(row, entry, n == 2)
        cones = np.array(entry['o'], np.int64).reshape(-1, 5)
        by_class = np.bincount(cones[:, 0], minlength=256)
        self.found += by_class
        self.frames += 1
        seen = by_class[1:n].tolist()
        if 'tc' not in row:
            return None, None, seen, placed, entry.get('p')
        self.scored += 1
        counts = counts_of(entry['c'], n)
        self.counts.append(counts.astype(np.int32))
        self.confusion += counts
        self.cones += count_cones(*np.array(entry['r'], np.int64).reshape(-1, 3).T, n)
        self.false += np.bincount(np.array(entry['f'], np.int64), minlength=256)
        return (plain(dice(counts)), int(counts.sum() - np.trace(counts)), seen, placed,
                entry.get('p'))

    def to_report(self) -> dict[str, Any]:
        """Return the figures; None for those that nothing was counted for."""
        names, n = self.names, len(self.names)
        report: dict[str, Any] = {
            'label': self.plan.label, 'weights': self.plan.given, 'sha256': self.plan.sha256,
            'variant': self.plan.variant, 'classes': list(names), 'frames': self.frames,
            'frames_with_truth': self.scored,
            'cones_per_image': {name: self.found[i] / self.frames if self.frames else None
                                for i, name in enumerate(names) if i},
            'steadiness': self.steadiness.to_report(), 'positions': self.positions.to_report(),
            'scores': None}
        if not self.scored:
            return report
        counts, cones = self.confusion, self.cones.sum(0)
        classes = {}
        for i, (name, iou_of_class) in enumerate(zip(names, iou(counts, n))):
            hit, true, taken = (int(v) for v in (
                counts[i, i], counts[i].sum(), counts[:, i].sum()))
            found = recall_row(cones[i].sum(), cones[i, 1:].sum(), cones[i, i])
            classes[name] = {
                'iou': plain(iou_of_class), 'precision': ratio_or_none(hit, taken),
                'recall': ratio_or_none(hit, true), 'true_pixels': true,
                'cones': found['cones'], 'cones_found': found['recall'],
                'cones_right_class': found['recall_right_class'],
                'false_cones': int(self.false[i])}
        false = int(self.false[1:n].sum())
        report['scores'] = {
            **pixel_scores(counts, names), 'classes': classes,
            'recall': recall(cones), 'recall_by_height': recall_by_height(self.cones),
            'false_cones': false, 'false_cones_per_image': false / self.scored,
            # One row more: pixels whose true id is no class of these weights.
            'confusion': counts[:, :n].tolist()}
        return report


class Sentences:
    """Counts sentences; those that differ in their numbers only are one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, sentence: str) -> None:
        """Count one."""
        key = re.sub(r'\d+', '0', sentence)
        self._first.setdefault(key, sentence)
        self._counts[key] += 1

    def to_report(self) -> list[dict[str, Any]]:
        """Return the most frequent ones, each as it was first met."""
        return [{'sentence': self._first[key], 'frames': n}
                for key, n in self._counts.most_common(_MOST_SENTENCES)]


class BagSummary:
    """Adds up what a bag's frames say of the bag."""

    def __init__(self, plan: BagPlan) -> None:
        self.plan = plan
        self.frames = self.masked = self.back = self.unstamped = self.truths = 0
        self.coneless = self.only_ignored = 0
        self.sizes: Counter[str] = Counter()
        self.errors, self.truth_errors, self.withheld = Sentences(), Sentences(), Sentences()
        self.truth_stamps: set[int] = set()
        self.distances: list[int] = []
        self.monitor = StreamMonitor(_LATE_NS)
        self.first = self.last = None

    def add(self, frame: Row, row: Row) -> int:
        """Count a frame; returns how many images were lost before it."""
        self.frames += 1
        self.masked += any(entry is not None for entry in row['k'])
        if 'h' in frame:
            self.sizes[f'{frame["w"]}x{frame["h"]}'] += 1
        if 'e' in frame:
            self.errors.add(frame['e'])
        stamp, lost = frame['s'], self.monitor.lost
        self.unstamped += stamp <= 0
        self.back += self.last is not None and stamp < self.last
        self.monitor.observe(stamp, frame['t'])
        self.first, self.last = stamp if self.first is None else self.first, stamp
        why = next((entry['why'] for entry in row['k'] if entry and 'why' in entry), '')
        if why:
            self.withheld.add(why)
        if 'd' in row:
            self.distances.append(row['d'])
        if 'n' in row:
            self.truth_errors.add(row['n'])
        elif 'ts' in row:
            self.truths += 1
            self.coneless += not any(row.get('tc', ())[1:])
            self.only_ignored += row.get('z', 0)
        if 'ts' in row:
            self.truth_stamps.add(row['ts'])
        return self.monitor.lost - lost

    def to_report(self, truth: dict[str, Any] | None, ended: Row) -> dict[str, Any]:
        """Return the figures. truth: source, masks; ended: complete, error."""
        span = (self.last - self.first) / 1e9 if self.frames > 1 else 0.0
        report = {
            'label': self.plan.label, 'path': self.plan.path,
            'image_topic': self.plan.image_topic, 'frames': self.plan.frames,
            'frames_done': self.frames, 'frames_masked': self.masked,
            'complete': bool(ended.get('complete')), 'error': ended.get('error', ''),
            'duration_s': round(span, 3),
            'camera_hz': round((self.frames - 1) / span, 3) if span > 0 else None,
            'images_lost_in_recording': self.monitor.lost,
            'recorded_late': self.monitor.late, 'stamps_going_back': self.back,
            'images_without_stamp': self.unstamped, 'sizes': dict(self.sizes),
            'warning': self.plan.warning,
            'errors': self.errors.to_report(), 'positions_withheld': self.withheld.to_report(),
            'truth': None}
        if truth:
            near = sorted(self.distances)
            report['truth'] = {
                **truth, 'frames_with_truth': self.truths,
                'frames_without_truth': self.frames - self.truths,
                'masks_of_no_frame': max(0, truth['masks'] - len(self.truth_stamps)),
                'only_ignored': self.coneless == self.truths and self.only_ignored > 0,
                'nearest_ms': round(near[len(near) // 2] / 1e6, 3) if near else None,
                'errors': self.truth_errors.to_report()}
        return report


@dataclass
class Summary:
    """All figures: of bags, of weights, of their comparison, and frame by frame."""

    bags: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    comparison: dict[str, Any] | None
    frames: list[FrameFigures]


def summarise(plan: Plan, journal: Path, ends: list[Row],
              truths: list[dict[str, Any] | None]) -> Summary:
    """Read all rows and return the figures. ends, truths: of each bag, see `to_report`."""
    weights = [WeightsSummary(w) for w in plan.weights]
    frames: list[FrameFigures] = []
    bags, both = [], []   # both: frames that all weights have scores of
    for number, bag_plan in enumerate(plan.bags):
        bag, start = BagSummary(bag_plan), len(frames)
        for frame, row in merged_rows(bag_files(journal, number), plan.shards):
            has_truth = 'tc' in row
            lost = bag.add(frame, row)
            told = [w.add(row, k) for k, w in enumerate(weights)]
            frames.append(FrameFigures(
                number, frame['i'], frame['s'], frame['t'],
                (frame['h'], frame['w']) if 'h' in frame else None, frame.get('e', ''), has_truth,
                lost, *map(list, zip(*told)), frame.get('ms', list(repeat(None, len(weights)))),
                [None] * len(weights)))
            if has_truth:
                both.append((number, frame['s']) if None not in row['k'] else None)
            for k, (w, entry) in enumerate(zip(weights, row['k'])):
                cones = None if entry is None else np.array(entry['o'], np.int64).reshape(-1, 5)
                said = w.steadiness.add(len(frames) - 1, frame['s'], cones)
                if said and said[0] >= start:
                    frames[said[0]].flickering[k] = said[1]
        for w in weights:
            w.steadiness.add(-1, 0, None)
        bags.append(bag.to_report(truths[number], ends[number]))
    comparison = None
    kept = [stamp for stamp in both if stamp is not None]
    if len(weights) == 2 and kept:
        a, b = (np.stack(c) for c in _common(weights, both, frames))
        comparison = compare(a, b, runs_of(kept), weights[0].names == weights[1].names)
    return Summary(bags, [w.to_report() for w in weights], comparison, frames)


def _common(weights: list[WeightsSummary], both: list[Any],
            frames: list[FrameFigures]) -> Iterator[list[np.ndarray]]:
    """Yield, for each weights, the counts of the frames that all of them have."""
    with_truth = [f for f in frames if f.has_truth]
    for k, w in enumerate(weights):
        counts = iter(w.counts)
        rows = [next(counts) if f.dice[k] is not None or f.wrong[k] is not None else None
                for f in with_truth]
        yield [row for row, stamp in zip(rows, both) if stamp is not None]
