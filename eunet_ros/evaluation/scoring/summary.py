# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Computes the figures of the report from the rows of all frames, one at a time."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

from eunet_ros.evaluation.run.journal import FrameRow, read_rows, ScoreRow
from eunet_ros.evaluation.run.plan import bag_files, BagEnd, BagFiles, BagPlan, Plan, WeightsPlan
from eunet_ros.evaluation.scoring.comparison import compare, runs_of
from eunet_ros.evaluation.scoring.position_errors import Positions
from eunet_ros.evaluation.scoring.steadiness import Steadiness
from eunet_ros.model.common.metrics import cones as cone_metrics
from eunet_ros.model.common.metrics.pixels import dice, iou, pixel_scores, plain, ratio_or_none
from eunet_ros.node.stream_statistics import StreamMonitor
import numpy as np

_LATE_NS = 500_000_000
_MOST_SENTENCES = 20


@dataclass(kw_only=True)
class FrameFigures(FrameRow):
    """Figures of a frame; lists have an entry for each set of weights."""

    bag: int
    has_truth: bool = False
    lost_before: int = 0                  # images lost before this one, estimated from the stamps
    dice: list[float | None]
    wrong: list[int | None]               # pixels
    cones: list[list[int] | None]         # by class, without background
    placed: list[int | None]              # cones with a position, None if rejected
    pitch: list[float | None]             # against the mounting, from the frame's cones [deg]
    flickering: list[int | None]


def merged_rows(files: BagFiles, shards: int) -> Iterator[tuple[FrameRow, ScoreRow]]:
    """Yield the scored frames, each with its camera_info, and their scores, in order."""
    scores = [read_rows(files.scores(k), ScoreRow) for k in range(shards)]
    info = ''
    for frame in read_rows(files.frames, FrameRow):
        row = next(scores[frame.index % shards], None)
        if row is None:
            return
        info = frame.camera_info = frame.camera_info or info
        yield frame, row


class WeightsSummary:
    """Accumulates the figures of one set of weights."""

    def __init__(self, plan: WeightsPlan) -> None:
        self.plan, self.names = plan, plan.table.names
        n = len(self.names)
        self.counts: list[np.ndarray | None] = []   # of the frames with truth, in their order
        self.confusion = np.zeros((n + 1, n + 1), np.int64)
        self.cones = np.zeros((len(cone_metrics.HEIGHT_BINS), n + 1, n + 1), np.int64)
        self.false = np.zeros(256, np.int64)
        self.found = np.zeros(256, np.int64)
        self.frames = self.scored = 0
        self.steadiness, self.positions = Steadiness(), Positions()

    def add(self, row: ScoreRow, k: int) -> tuple[Any, ...]:
        """Add a frame; returns dice, wrong pixels, cones by class, cones with position, pitch."""
        scores = row.masks[k]
        if scores is None:
            if row.true_cones is not None:
                self.counts.append(None)
            return None, None, None, None, None
        n, placed = len(self.names), scores.placed
        self.positions.add(row, scores, n == 2)
        cones = np.array(scores.cones, np.int64).reshape(-1, 5)
        by_class = np.bincount(cones[:, 0], minlength=256)
        self.found += by_class
        self.frames += 1
        seen = by_class[1:n].tolist()
        if row.true_cones is None:
            return None, None, seen, placed, scores.pitch_deg
        self.scored += 1
        counts = np.zeros_like(self.confusion)
        for true, predicted, pixels in scores.confusion:
            counts[true, predicted] = pixels
        self.counts.append(counts.astype(np.int32))
        self.confusion += counts
        self.cones += cone_metrics.count_cones(
            *np.array(scores.outcomes, np.int64).reshape(-1, 3).T, n)
        self.false += np.bincount(np.array(scores.false, np.int64), minlength=256)
        return (plain(dice(counts)), int(counts.sum() - np.trace(counts)), seen, placed,
                scores.pitch_deg)

    def to_report(self) -> dict[str, Any]:
        """Return the figures; None for those without data."""
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
            found = cone_metrics.recall_row(cones[i].sum(), cones[i, 1:].sum(), cones[i, i])
            classes[name] = {
                'iou': plain(iou_of_class), 'precision': ratio_or_none(hit, taken),
                'recall': ratio_or_none(hit, true), 'true_pixels': true,
                'cones': found['cones'], 'cones_found': found['recall'],
                'cones_right_class': found['recall_right_class'],
                'false_cones': int(self.false[i])}
        false = int(self.false[1:n].sum())
        report['scores'] = {
            **pixel_scores(counts, names), 'classes': classes,
            'recall': cone_metrics.recall(cones),
            'recall_by_height': cone_metrics.recall_by_height(self.cones),
            'false_cones': false, 'false_cones_per_image': false / self.scored,
            # The last row has pixels whose true id is not a class of these weights.
            'confusion': counts[:, :n].tolist()}
        return report


class Sentences:
    """Counts sentences; those that differ only in their numbers count as one."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Any]] = {}

    def add(self, sentence: str) -> None:
        if sentence:
            key = re.sub(r'\d+', '0', sentence)
            self._rows.setdefault(key, {'sentence': sentence, 'frames': 0})['frames'] += 1

    def to_report(self) -> list[dict[str, Any]]:
        """Return the most frequent ones, with the numbers of the first."""
        return sorted(self._rows.values(), key=lambda row: -row['frames'])[:_MOST_SENTENCES]


class BagSummary:
    """Accumulates the figures of a bag."""

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

    def add(self, frame: FrameRow, row: ScoreRow) -> int:
        """Add a frame; returns how many images were lost before it."""
        self.frames += 1
        self.masked += any(scores is not None for scores in row.masks)
        if frame.size:
            self.sizes[f'{frame.size[1]}x{frame.size[0]}'] += 1
        self.errors.add(frame.error)
        stamp, lost = frame.stamp, self.monitor.lost
        self.unstamped += stamp <= 0
        self.back += self.last is not None and stamp < self.last
        self.monitor.observe(stamp, frame.time)
        self.first, self.last = stamp if self.first is None else self.first, stamp
        self.withheld.add(next((m.withheld for m in row.masks if m and m.withheld), ''))
        if row.nearest_ns is not None:
            self.distances.append(row.nearest_ns)
        self.truth_errors.add(row.truth_error)
        if row.truth_stamp is not None:
            self.truth_stamps.add(row.truth_stamp)
            if not row.truth_error:
                self.truths += 1
                self.coneless += not any((row.true_cones or ())[1:])
                self.only_ignored += row.only_ignored
        return self.monitor.lost - lost

    def to_report(self, truth: dict[str, Any] | None, ended: BagEnd) -> dict[str, Any]:
        """Return the figures. truth: source, masks."""
        span = (self.last - self.first) / 1e9 if self.frames > 1 else 0.0
        report = {
            'label': self.plan.label, 'path': self.plan.path,
            'image_topic': self.plan.image_topic, 'frames': self.plan.frames,
            'frames_done': self.frames, 'frames_masked': self.masked,
            'complete': ended.complete, 'error': ended.error,
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
    """All figures: of bags, weights, their comparison, and frames."""

    bags: list[dict[str, Any]]
    weights: list[dict[str, Any]]
    comparison: dict[str, Any] | None
    frames: list[FrameFigures]


def summarise(plan: Plan, journal: Path, ends: list[BagEnd],
              truths: list[dict[str, Any] | None]) -> Summary:
    """Read all rows and return the figures. ends, truths: of each bag, see `to_report`."""
    weights = [WeightsSummary(w) for w in plan.weights]
    frames: list[FrameFigures] = []
    bags, stamps = [], []   # of frames with truth
    for number, bag_plan in enumerate(plan.bags):
        bag, start = BagSummary(bag_plan), len(frames)
        for frame, row in merged_rows(bag_files(journal, number), plan.shards):
            lost = bag.add(frame, row)
            added = [w.add(row, k) for k, w in enumerate(weights)]
            frames.append(FrameFigures(
                **vars(frame), bag=number, has_truth=row.true_cones is not None, lost_before=lost,
                **dict(zip(('dice', 'wrong', 'cones', 'placed', 'pitch'), map(list, zip(*added)))),
                flickering=[None] * len(weights)))
            if row.true_cones is not None:
                stamps.append((number, frame.stamp))
            for k, (w, scores) in enumerate(zip(weights, row.masks)):
                cones = scores and np.array(scores.cones, np.int64).reshape(-1, 5)
                said = w.steadiness.add(len(frames) - 1, frame.stamp, cones)
                if said and said[0] >= start:
                    frames[said[0]].flickering[k] = said[1]
        for w in weights:
            w.steadiness.add(-1, 0, None)
        bags.append(bag.to_report(truths[number], ends[number]))
    comparison = None
    if len(weights) == 2:
        both = [row for row in zip(stamps, *(w.counts for w in weights))
                if all(counts is not None for counts in row[1:])]
        if both:
            kept, a, b = zip(*both)
            comparison = compare(np.stack(a), np.stack(b), runs_of(kept),
                                 weights[0].names == weights[1].names)
    return Summary(bags, [w.to_report() for w in weights], comparison, frames)
