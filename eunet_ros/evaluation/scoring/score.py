# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Process: scores masks and finds their cones. Arguments: JOURNAL BAG_NUMBER SHARD."""
from __future__ import annotations

from contextlib import closing, nullcontext
import math
from pathlib import Path
import time

from eunet_ros.cones.attitude import attitude_of_frame, FEW
from eunet_ros.cones.detection import Cones, find_cones
from eunet_ros.cones.ground import Located
from eunet_ros.cones.locator import Seen
from eunet_ros.evaluation.run.journal import Follower, Journal, MaskScores, ScoreRow
from eunet_ros.evaluation.run.plan import BagFiles, FrameMasks, Plan
from eunet_ros.evaluation.run.positions import Places, position_errors
from eunet_ros.evaluation.run.process import ProgressLine, run_worker, say
from eunet_ros.evaluation.scoring.truth import as_binary, nearest, only_ignored, open_truth, Truth
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.metrics.cones import boxed_cones, cone_outcomes
from eunet_ros.model.common.metrics.false_cones import find_false_cones
from eunet_ros.model.common.metrics.pixels import confusion_matrix
import numpy as np

_FAR_M = 10.0
_POLL_S = 0.05


def _rows(cones: Cones) -> list[list[int]]:
    return [[int(c), *map(int, box)] for c, box in zip(cones.class_id, cones.box)]


def _moved(seen: Seen, located: Located, rows: np.ndarray) -> float | None:
    """Return the median change of position of cones beyond 10 m as a share of their distance."""
    _, a, b = np.intersect1d(seen.rows, rows, return_indices=True)
    distance = seen.located.distance[a]
    off = np.hypot(*(seen.located.xyz[a, :2] - located.xyz[b, :2]).T)
    far = distance >= _FAR_M
    return round(float(np.median(off[far] / distance[far])), 4) if far.any() else None


def score_masks(row: ScoreRow, masks: list[np.ndarray | None], truth: np.ndarray | None,
                tables: list[ClassTable], places: Places) -> None:
    """Add the scores of a frame's masks to its row."""
    if truth is not None:
        known = np.where(truth == IGNORE_ID, 0, truth).astype(np.uint8)
        true_cones = find_cones(known)
        pixels = boxed_cones(known, _rows(true_cones))
        row.true_cones = np.bincount(true_cones.class_id, minlength=1).tolist()
        true_seen = places.place_true(true_cones, known.shape)
        row.true_distances = true_seen.distances
    for k, (mask, table) in enumerate(zip(masks, tables)):
        if mask is None:
            row.masks.append(None)
            continue
        cones = find_cones(mask)
        seen = places.place(k, cones, mask.shape)
        scores = MaskScores(_rows(cones), seen.located and len(seen.located.cones), seen.reason)
        if seen.ground is not None:
            attitude = attitude_of_frame(cones, seen.ground)
            if attitude.cones >= FEW:
                scores.pitch_deg = round(math.degrees(attitude.pitch), 3)
                scores.far_moved = _moved(seen, *attitude.locate(cones, seen.ground))
        if truth is not None:
            own = as_binary(truth) if len(table.names) == 2 else truth
            counts = confusion_matrix(own, mask, len(table.names))
            scores.confusion = [[int(t), int(p), int(counts[t, p])]
                                for t, p in np.argwhere(counts)]
            outcomes = cone_outcomes(known, mask, pixels)
            scores.outcomes = np.stack(outcomes[1:], axis=1).tolist()
            scores.false = find_false_cones(truth, mask).class_id.tolist()
            scores.position_errors = position_errors(true_seen, seen)
        row.masks.append(scores)


def find_truth(row: ScoreRow, truth: Truth | None, stamp: int, size: tuple[int, int] | None,
               tolerance: int) -> np.ndarray | None:
    """Return an image's truth or None, and describe it in the row; size None: do not read it."""
    close = nearest(truth.stamps, stamp) if truth and stamp > 0 else None
    if close is None:
        return None
    row.nearest_ns = abs(close - stamp)
    if row.nearest_ns > tolerance:
        return None
    row.truth_stamp = close
    if size is None:
        return None
    try:
        found = truth.mask(close, size)
        if found.shape != size:
            raise ValueError(f'expected a mask of {size[1]}x{size[0]} like the image, found '
                             f'{found.shape[1]}x{found.shape[0]}')
        row.only_ignored = only_ignored(found)
        return found
    except (ValueError, OSError) as error:
        row.truth_error = str(error)
        return None


def score_bag(plan: Plan, number: int, files: BagFiles, shard: str) -> None:
    """Score every n-th frame (n = number of shards), also new ones, until the bag has ended."""
    follower, progress = Follower(files.frames), ProgressLine()
    tables, places = [w.table for w in plan.weights], Places.of(plan, number)
    truth = open_truth(plan.truth, Path(plan.bags[number].path), plan.truth_classes)
    with closing(Journal(files.scores(int(shard)))) as journal, (
            closing(truth) if truth else nullcontext()), closing(FrameMasks(files)) as stored:
        while True:
            last = files.end.exists()
            rows = follower.new_rows()
            for frame in rows:
                places.follow(frame)
                turn, whose = divmod(frame.index, plan.shards)
                if whose != int(shard) or turn < journal.count:
                    continue
                row, masks = ScoreRow(frame.index), stored.of(frame)
                size = next((m.shape for m in masks if m is not None), None)
                true = find_truth(row, truth, frame.stamp, size, plan.truth['tolerance_ns'])
                score_masks(row, masks, true, tables, places)
                journal.append(row)
                journal.count += 1
                progress.show(journal.count)
            if last and not rows:
                say('progress', done=journal.count)
                return
            if not rows:
                time.sleep(_POLL_S)


if __name__ == '__main__':
    run_worker('score', score_bag)
