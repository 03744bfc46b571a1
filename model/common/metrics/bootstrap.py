# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Confidence intervals of scores that are computed from sums of counts, by percentile bootstrap.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

DRAWS, SEED = 2000, 20260101
_CHUNK = 100  # draws at a time, to limit memory
Scores = dict[str, np.ndarray]


def intervals(counts: np.ndarray, scores: Callable[[np.ndarray], Scores], draws: int = DRAWS,
              seed: int = SEED) -> dict[str, list[float] | None]:
    """
    Return the 95 % interval [low, high] of each score; None where it is never defined.

    counts: (units, ...), of units that are drawn with replacement: images, frames or runs of
    frames. scores: turns sums of drawn units, (draws, ...), into scores by name, (draws,).
    """
    rng, n = np.random.default_rng(seed), len(counts)
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, draws if n else 0, _CHUNK):
        weights = rng.multinomial(n, np.full(n, 1 / n), min(_CHUNK, draws - start)).astype(float)
        sums = (weights @ counts.reshape(n, -1)).reshape(-1, *counts.shape[1:])
        for name, values in scores(sums).items():
            found.setdefault(name, []).append(values)
    return {name: _interval(np.concatenate(parts)) for name, parts in found.items()}


def _interval(values: np.ndarray) -> list[float] | None:
    values = values[np.isfinite(values)]
    return np.percentile(values, (2.5, 97.5)).tolist() if len(values) else None
