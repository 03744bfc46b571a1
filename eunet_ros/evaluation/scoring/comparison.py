# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A against B on the same frames: differences of scores and their confidence intervals.

The interval is a bootstrap of paired differences. Neighbouring frames show the same cones, so runs
of frames are drawn (Künsch, Annals of Statistics 17, 1989); the interval of single frames would be
too narrow.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eunet_ros.model.common.metrics.bootstrap import DRAWS, intervals, SEED
from eunet_ros.model.common.metrics.pixels import dice, miou, plain
import numpy as np

RUN_NS = 1_000_000_000  # length of a run of frames


def _scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return dice and miou of (..., k + 1, k + 1) counts [true, predicted]; NaN for none."""
    return {'dice': dice(counts), 'miou': miou(counts, counts.shape[-1] - 1)}


def runs_of(stamps: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the number of the run of each frame; stamps: (bag, stamp in ns) in order."""
    runs, start, number = [], None, -1
    for bag, stamp in stamps:
        if start is None or bag != start[0] or not 0 <= stamp - start[1] < RUN_NS:
            start, number = (bag, stamp), number + 1
        runs.append(number)
    return np.array(runs, np.int64)


def compare(a: np.ndarray, b: np.ndarray, runs: np.ndarray, same_classes: bool,
            draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """
    Return B - A of dice and miou with their intervals, and in how many frames each is better.

    a, b: (frames, k + 1, k + 1) counts [true, predicted] of the same frames; runs: see `runs_of`.
    same_classes: whether both have the same classes; else miou is left out.
    """
    whole = _scores(a.sum(0)), _scores(b.sum(0))
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    frames = np.concatenate([counts.reshape(len(a), -1) for counts in (a, b)], 1)

    def differences(sums: np.ndarray) -> dict[str, np.ndarray]:
        first, second = (_scores(part.reshape(-1, *counts.shape[1:])) for part, counts in
                         zip(np.split(sums, [a[0].size], axis=1), (a, b)))
        return {name: second[name] - first[name] for name in first}
    by_run, by_frame = (intervals(units, differences, draws, seed)
                        for units in (np.add.reduceat(frames, starts, axis=0), frames))
    report: dict[str, Any] = {'frames': len(a), 'runs': len(starts), 'draws': draws, 'seed': seed}
    for name in ('dice', 'miou') if same_classes else ('dice',):
        first, second = whole[0][name], whole[1][name]
        report[name] = {
            'a': plain(first), 'b': plain(second), 'difference': plain(second - first),
            'interval_95': by_run[name], 'interval_95_of_single_frames': by_frame[name]}
    first, second = dice(a), dice(b)
    report['frames_better'] = {'a': int((first > second).sum()),
                               'b': int((second > first).sum())}
    return report
