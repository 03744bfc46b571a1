# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Percentiles of latencies."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_PERCENTILES = (50, 90, 99)


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """Return p50, p90, p99 and max of milliseconds, None for none."""
    found = np.fromiter(values, float)
    if not found.size:
        return dict.fromkeys([f'p{p}' for p in _PERCENTILES] + ['max'])
    return {**{f'p{p}': round(float(v), 3) for p, v in zip(
        _PERCENTILES, np.percentile(found, _PERCENTILES))}, 'max': round(float(found.max()), 3)}
