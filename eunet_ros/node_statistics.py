# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts, rates, latencies and the health of the stream; all without ROS, times in nanoseconds."""
from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from statistics import median
import threading

import numpy as np

WINDOW = 300            # frames over which percentiles are taken
_RATE_WINDOW_NS = 5_000_000_000
_MIN_INTERVALS = 5      # before the camera's period is believed


class Rate:
    """Events a second over the last five seconds."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=2000)

    def tick(self, now: int) -> None:
        """Count one event at `now`."""
        self._times.append(now)

    def hz(self, now: int) -> float:
        """Return the rate in Hz."""
        recent = [t for t in self._times if 0 <= now - t <= _RATE_WINDOW_NS]
        span = max(now - recent[0], 1) if recent else 1
        return (len(recent) - 1) / span * 1e9 if len(recent) > 1 else 0.0


class StreamMonitor:
    """
    Notices frames that the transport lost or delivered late, from stamps and arrival times.

    late_ns: an image older than this on arrival is late. A gap of k periods between stamps counts
    k - 1 lost frames; the period is the median of the last intervals.
    """

    def __init__(self, late_ns: int) -> None:
        self.late_ns = late_ns
        self.lost = 0
        self.late = 0
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=30)

    def observe(self, stamp: int, arrival: int) -> None:
        """Take in one image; stamps that are zero or jump back start afresh."""
        if stamp <= 0:
            return
        age = arrival - stamp
        # A day old is a bag played without a clock, not a slow transport.
        self.late += self.late_ns < age < 86_400_000_000_000
        interval = stamp - self._last if self._last is not None else 0
        self._last = stamp
        if interval <= 0 or interval > 2_000_000_000:  # a loop, a pause
            return
        if len(self._intervals) >= _MIN_INTERVALS:
            period = median(self._intervals)
            if interval > 1.6 * period:
                self.lost += round(interval / period) - 1
                return
        self._intervals.append(interval)


@dataclass
class Snapshot:
    """What diagnostics report; counts since activation, rates in Hz, latencies in ms."""

    counts: dict[str, int]
    rate_in: float
    rate_out: float
    lost: int
    late: int
    stage_ms: dict[str, tuple[float, float]]  # name: (p50, p99)
    last_image_age_s: float | None
    last_error: str
    since_error_s: float | None


@dataclass
class NodeStatistics:
    """Thread-safe statistics of the node; `now` is of the monotonic clock, in ns."""

    late_ns: int = 500_000_000
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts: Counter[str] = Counter()
            self._in, self._out = Rate(), Rate()
            self._monitor = StreamMonitor(self.late_ns)
            self._stages: dict[str, deque[float]] = {}
            self._last_image: int | None = None
            self._last_error, self._error_time = '', None

    def received(self, stamp: int, arrival: int, now: int) -> None:
        """Count an image; stamp and arrival are of the clock that stamps images, in ns."""
        with self._lock:
            self._counts['received'] += 1
            self._in.tick(now)
            self._last_image = now
            self._monitor.observe(stamp, arrival)

    def dropped(self, reason: str) -> None:
        """Count an image that was received and not masked."""
        with self._lock:
            self._counts[f'dropped_{reason}'] += 1

    def masked(self, now: int, stage_ms: dict[str, float]) -> None:
        """Count a published mask and its milliseconds by stage."""
        with self._lock:
            self._counts['masked'] += 1
            self._out.tick(now)
            for name, ms in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=WINDOW)).append(ms)

    def error(self, sentence: str, now: int) -> None:
        """Remember the last error."""
        with self._lock:
            self._last_error, self._error_time = sentence, now

    def snapshot(self, now: int) -> Snapshot:
        """Return the figures at `now`."""
        with self._lock:
            stages = {name: tuple(float(v) for v in np.percentile(values, (50, 99)))
                      for name, values in self._stages.items()}

            def age(t: int | None) -> float | None:
                return None if t is None else (now - t) / 1e9
            return Snapshot(dict(self._counts), self._in.hz(now), self._out.hz(now),
                            self._monitor.lost, self._monitor.late, stages,
                            age(self._last_image), self._last_error, age(self._error_time))
