# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that scores masks against the truth, and finds their cones.

    python -m eunet_ros.evaluation.scoring.score JOURNAL BAG_NUMBER SHARD

Of a bag's frames it takes each that its shard has its turn with, as they come or afterwards.
"""
from __future__ import annotations

import math
import os
from pathlib import Path
import sys
import time
from typing import Any, BinaryIO

import cv2
from eunet_ros.bags.mask_store import read_mask
from eunet_ros.cones.attitude import attitude_of_frame, FEW
from eunet_ros.cones.detection import Cones, find_cones
from eunet_ros.cones.ground import Located
from eunet_ros.cones.locator import Seen
from eunet_ros.evaluation.run.journal import Follower, Journal, Row
from eunet_ros.evaluation.run.plan import bag_files, BagFiles, Plan
from eunet_ros.evaluation.run.positions import distances_of, Places, position_errors
from eunet_ros.evaluation.run.process import run_worker, Say
from eunet_ros.evaluation.scoring.truth import as_binary, nearest, only_ignored, open_truth, Truth
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.metrics.cones import boxed_cones, cone_outcomes
from eunet_ros.model.common.metrics.false_cones import find_false_cones
from eunet_ros.model.common.metrics.pixels import confusion_matrix
import numpy as np

NICE = 10            # the engine comes first
_FAR_M = 10.0
_POLL_S = 0.05
_TELL_S = 0.25


def _rows(cones: Cones) -> list[list[int]]:
    return [[int(c), *map(int, box)] for c, box in zip(cones.class_id, cones.box)]


def _moved(seen: Seen, located: Located, rows: np.ndarray) -> float | None:
    """Return by which share of their distance cones beyond 10 m are elsewhere, the median."""
    _, a, b = np.intersect1d(seen.rows, rows, return_indices=True)
    distance = seen.located.distance[a]
    off = np.hypot(*(seen.located.xyz[a, :2] - located.xyz[b, :2]).T)
    far = distance >= _FAR_M
    return round(float(np.median(off[far] / distance[far])), 4) if far.any() else None


def score_masks(masks: list[np.ndarray | None], truth: np.ndarray | None,
                tables: list[ClassTable], places: Places) -> Row:
    """
    Return what is to be known of a frame's masks; see `score_frame` for the truth.

    tc: true cones by class; k: for each mask c, its confusion as [true, predicted, pixels]; o, its
    cones as [class, u0, v0, u1, v1]; r, of each true cone [height in px, true class, class it is
    taken for]; f, the classes of false cones. On the ground: td: how far each true cone is; for
    each mask n, how many cones have a place, why, why none has, e, what `position_errors`
    returns; where enough cones tell the attitude p, the pitch against the mounting [deg], and s,
    by which share of their distance it moves cones beyond 10 m, the median.
    """
    row: Row = {'k': []}
    true_cones = true_seen = None
    if truth is not None:
        known = np.where(truth == IGNORE_ID, 0, truth).astype(np.uint8)
        true_cones = find_cones(known)
        pixels = boxed_cones(known, _rows(true_cones))
        row['tc'] = np.bincount(true_cones.class_id, minlength=1).tolist()
        true_seen = places.place_true(true_cones, known.shape)
        row['td'] = distances_of(true_seen)
    for k, (mask, table) in enumerate(zip(masks, tables)):
        if mask is None:
            row['k'].append(None)
            continue
        cones = find_cones(mask)
        entry: Row = {'o': _rows(cones)}
        seen = places.place(k, cones, mask.shape)
        entry.update({'why': seen.reason} if seen.located is None else
                     {'n': len(seen.located.cones)})
        if seen.ground is not None:
            attitude = attitude_of_frame(cones, seen.ground)
            if attitude.cones >= FEW:
                entry['p'] = round(math.degrees(attitude.pitch), 3)
                entry['s'] = _moved(seen, *attitude.locate(cones, seen.ground))
        if truth is not None:
            own = as_binary(truth) if len(table.names) == 2 else truth
            counts = confusion_matrix(own, mask, len(table.names))
            entry['c'] = [[int(t), int(p), int(counts[t, p])] for t, p in np.argwhere(counts)]
            outcomes = cone_outcomes(known, mask, pixels)
            entry['r'] = np.stack(outcomes[1:], axis=1).tolist()
            entry['f'] = find_false_cones(truth, mask).class_id.tolist()
            entry['e'] = position_errors(true_seen, seen)
        row['k'].append(entry)
    return row


def near_truth(truth: Truth | None, stamp: int, tolerance: int) -> Row:
    """Return ts: the stamp of an image's truth, where there is one; d: how far the nearest is."""
    close = nearest(truth.stamps, stamp) if truth and stamp > 0 else None
    if close is None:
        return {}
    said: Row = {'d': abs(close - stamp)}
    return said if said['d'] > tolerance else {**said, 'ts': close}


def find_truth(truth: Truth | None, stamp: int, size: tuple[int, int],
               tolerance: int) -> tuple[np.ndarray | None, Row]:
    """
    Return the truth of an image, None where there is none, and what is to be said of it.

    That is what `near_truth` says, n: why the truth cannot be used, and z: it has
    pixels to ignore and no cone.
    """
    said = near_truth(truth, stamp, tolerance)
    if truth is None or 'ts' not in said:
        return None, said
    try:
        found = truth.mask(said['ts'], size)
        if found.shape != size:
            raise ValueError(f'expected a mask of {size[1]}x{size[0]} like the image, found '
                             f'{found.shape[1]}x{found.shape[0]}')
        return found, {**said, 'z': 1} if only_ignored(found) else said
    except (ValueError, OSError) as error:
        return None, {**said, 'n': str(error)}


class Scorer:
    """Scores the frames of one shard of a bag."""

    def __init__(self, plan: Plan, number: int, files: BagFiles) -> None:
        self._plan = plan
        self._tables = [w.table for w in plan.weights]
        self._truth = open_truth(plan.truth, Path(plan.bags[number].path), plan.truth_classes)
        self._files, self._open = files, {}
        self.places = Places(plan, number)

    def close(self) -> None:
        """Close the files."""
        if self._truth:
            self._truth.close()
        for file in self._open.values():
            file.close()

    def row(self, frame: Row) -> Row:
        """Return the row of scores of a frame's row."""
        places = frame['m']
        tolerance = self._plan.truth['tolerance_ns']
        if all(place is None for place in places):
            return {'i': frame['i'], **near_truth(self._truth, frame['s'], tolerance),
                    'k': [None] * len(places)}
        masks = [None if place is None else read_mask(self._masks(k), place).mask
                 for k, place in enumerate(places)]
        size = next(m.shape for m in masks if m is not None)
        truth, said = find_truth(self._truth, frame['s'], size, tolerance)
        return {'i': frame['i'], **said, **score_masks(masks, truth, self._tables, self.places)}

    def _masks(self, k: int) -> BinaryIO:
        if k not in self._open:
            self._open[k] = open(self._files.masks(k), 'rb')
        return self._open[k]


def score_bag(plan: Plan, number: int, shard: int, files: BagFiles, say: Say) -> None:
    """Score a shard's frames until the bag's end is told; raises ValueError, OSError."""
    journal = Journal(files.scores(shard))
    follower, scorer = Follower(files.frames), Scorer(plan, number, files)
    told = 0.0
    try:
        while True:
            last = files.end.exists()
            rows = follower.new_rows()
            for frame in rows:
                scorer.places.follow(frame)
                turn, whose = divmod(frame['i'], plan.shards)
                if whose != shard or turn < journal.count:
                    continue
                journal.append(scorer.row(frame))
                journal.count += 1
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    say('progress', done=journal.count)
            if last and not rows:
                say('progress', done=journal.count)
                return
            if not rows:
                time.sleep(_POLL_S)
    finally:
        scorer.close()
        journal.close()


def main() -> int:
    """Score the bag and shard that the command line names."""
    def work(say: Say) -> None:
        journal, number, shard = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        os.nice(NICE)
        cv2.setNumThreads(1)
        score_bag(Plan.load(journal), number, shard, bag_files(journal, number), say)
    return run_worker('score', work)


def counts_of(sparse: list[Any], classes: int) -> np.ndarray:
    """Return the confusion, [true, predicted], that a row of scores has as `c`."""
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for t, p, n in sparse:
        counts[t, p] = n
    return counts


if __name__ == '__main__':
    sys.exit(main())
