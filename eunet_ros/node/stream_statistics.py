# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts, rates and latencies of the stream; no ROS, times in nanoseconds."""
from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
import threading

from eunet_ros.node.drop_reasons import DropReason, FAILED, UNWANTED
import numpy as np

WINDOW = 300            # frames over which the percentiles of stages are taken
_RATE_WINDOW_NS = 5_000_000_000
_MIN_INTERVALS = 5      # for a valid period of the camera
_SLOWER = 15            # equal intervals, all too long: the camera has become slower
_DAY_NS = 86_400_000_000_000


class Rate:
    """Events a second over the last five seconds."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=2000)

    def tick(self, now: int) -> None:
        self._times.append(now)

    def hz(self, now: int) -> float:
        recent = [t for t in self._times if 0 <= now - t <= _RATE_WINDOW_NS]
        span = max(now - recent[0], 1) if recent else 1
        return (len(recent) - 1) / span * 1e9 if len(recent) > 1 else 0.0


class Recent:
    """Events of the health window."""

    def __init__(self, length_ns: int) -> None:
        self.length_ns = length_ns
        self._events: deque[tuple[int, str, float]] = deque(maxlen=20_000)

    def add(self, now: int, kind: str, value: float = 1.0) -> None:
        self._forget(now)
        self._events.append((now, kind, value))

    def values(self, now: int) -> dict[str, list[float]]:
        self._forget(now)
        found: dict[str, list[float]] = {}
        for _, kind, value in self._events:
            found.setdefault(kind, []).append(value)
        return found

    def _forget(self, now: int) -> None:
        while self._events and now - self._events[0][0] > self.length_ns:
            self._events.popleft()


class StreamMonitor:
    """
    Detects frames that were lost or late in transport, from stamps and arrival times.

    late_ns: age on arrival from which an image is late. A gap of k periods (median of recent
    intervals) counts k - 1 lost frames. Equal gaps mean a slower camera: losses are uneven.
    """

    def __init__(self, late_ns: int) -> None:
        self.late_ns = late_ns
        self.lost = 0
        self.late = 0
        self._last: int | None = None
        self._intervals: deque[int] = deque(maxlen=30)
        self._long: deque[int] = deque(maxlen=_SLOWER)  # in a row

    def observe(self, stamp: int, arrival: int) -> dict[str, int]:
        """Add an image; returns its faults: lost (before it), late, zero, future, back."""
        if stamp <= 0:
            return {'zero': 1}
        found = {}
        age = arrival - stamp
        # A day means a bag played without a clock.
        if self.late_ns < age < _DAY_NS:
            self.late += 1
            found['late'] = 1
        elif age < -self.late_ns and arrival > 0:  # a simulated clock that stands still is at 0
            found['future'] = 1
        interval = stamp - self._last if self._last is not None else 0
        if self._last is not None and interval <= 0:
            found['back'] = 1
        self._last = stamp
        if interval <= 0 or interval > 2_000_000_000:  # a loop, a pause
            return found
        if len(self._intervals) >= _MIN_INTERVALS:
            period = median(self._intervals)
            if interval > 1.6 * period:
                self._long.append(interval)
                if len(self._long) == _SLOWER and max(self._long) < 1.6 * min(self._long):
                    self._intervals = deque(self._long, maxlen=30)  # a camera that became slower
                found['lost'] = round(interval / period) - 1
                self.lost += found['lost']
                return found
        self._long.clear()
        self._intervals.append(interval)
        return found


@dataclass
class Snapshot:
    """The figures in diagnostics: counts since activation, rates in Hz, latencies in ms."""

    counts: dict[str, int]
    rate_in: float
    rate_out: float
    lost: int
    late: int
    stage_ms: dict[str, tuple[float, float]]  # name: (p50, p99)
    last_image_age_s: float | None
    last_error: str
    active_s: float = 0.0
    # Counts of images in the health window: 'in', 'masked', 'failed', 'unwanted' (no subscriber or
    # disabled), 'lost', 'late', 'zero', 'future' and 'back'.
    recent: dict[str, int] = field(default_factory=dict)
    recent_p99_s: float = 0.0
    waiting_s: float = 0.0  # time without a mask while images arrive
    in_work: int = 0  # images neither masked nor dropped
    outputs_failed: dict[str, int] = field(default_factory=dict)  # of other outputs, recently
    output_errors: dict[str, str] = field(default_factory=dict)  # their last errors


@dataclass
class NodeStatistics:
    """Thread-safe statistics of the node; `now` is of the monotonic clock [ns]."""

    late_ns: int = 500_000_000
    recent_ns: int = 2_000_000_000  # length of the health window
    trace: Callable[[str, int], None] | None = None  # gets the fate and stamp of each image
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self, now: int = 0) -> None:
        with self._lock:
            self._counts: Counter[str] = Counter()
            self._in, self._out = Rate(), Rate()
            self._monitor = StreamMonitor(self.late_ns)
            self._recent = Recent(self.recent_ns)
            self._stages: dict[str, deque[float]] = {}
            self._start = now
            self._last_image: int | None = None
            self._unanswered: int | None = None  # arrival of the first image since the last mask
            self._last_error = ''
            self._failures = Recent(self.recent_ns)   # of outputs beside the mask
            self._output_errors: dict[str, str] = {}

    def remember_for(self, recent_ns: int) -> None:
        """Change the length of the health window."""
        with self._lock:
            self.recent_ns = self._recent.length_ns = self._failures.length_ns = recent_ns

    def received(self, stamp: int, arrival: int, now: int) -> None:
        """Count an image; stamp and arrival are of the clock that stamps images, in ns."""
        with self._lock:
            self._counts['received'] += 1
            self._in.tick(now)
            self._last_image = now
            if self._unanswered is None:
                self._unanswered = now
            self._recent.add(now, 'in')
            for kind, number in self._monitor.observe(stamp, arrival).items():
                self._recent.add(now, kind, number)
        self._tell('received', stamp)

    def dropped(self, reason: DropReason, now: int, stamp: int = 0) -> None:
        """Count an image that was received and not masked."""
        with self._lock:
            self._counts[reason.counter] += 1
            if reason.group == UNWANTED:  # nobody waits for its mask
                self._unanswered = None
            if reason.group in (UNWANTED, FAILED):
                self._recent.add(now, reason.group)
        self._tell(reason.counter, stamp)

    def masked(self, now: int, stage_ms: dict[str, float], stamp: int = 0) -> None:
        """Count a published mask and its milliseconds by stage."""
        with self._lock:
            self._counts['masked'] += 1
            self._out.tick(now)
            self._unanswered = None
            self._recent.add(now, 'masked', stage_ms.get('total', 0.0))
            self._add_stages(stage_ms)
        self._tell('masked', stamp)

    def published_others(self, stage_ms: dict[str, float]) -> None:
        """Take in the milliseconds by stage of what was published after a mask."""
        with self._lock:
            self._add_stages(stage_ms)

    def output_failed(self, name: str, sentence: str, now: int) -> None:
        """Count a failure of an output beside the mask."""
        with self._lock:
            self._failures.add(now, name)
            self._output_errors[name] = sentence

    def error(self, sentence: str) -> None:
        with self._lock:
            self._last_error = sentence

    def snapshot(self, now: int, stages: bool = True) -> Snapshot:
        """Return the figures at `now`; stages: with their percentiles, which take time."""
        with self._lock:
            percentiles = {name: tuple(float(v) for v in np.percentile(values, (50, 99)))
                           for name, values in self._stages.items()} if stages else {}
            recent = self._recent.values(now)
            latencies = recent.get('masked')

            def age(t: int | None) -> float | None:
                return None if t is None else (now - t) / 1e9
            counts = dict(self._counts)
            ended = sum(n for name, n in counts.items() if name != 'received')
            return Snapshot(
                counts, self._in.hz(now), self._out.hz(now), self._monitor.lost,
                self._monitor.late, percentiles, age(self._last_image), self._last_error,
                active_s=age(self._start),
                recent={kind: int(sum(values)) if kind == 'lost' else len(values)
                        for kind, values in recent.items()},
                recent_p99_s=float(np.percentile(latencies, 99)) / 1e3 if latencies else 0.0,
                waiting_s=age(self._unanswered) or 0.0,
                outputs_failed={n: len(v) for n, v in self._failures.values(now).items()},
                output_errors=dict(self._output_errors),
                in_work=max(0, counts.get('received', 0) - ended))

    def _add_stages(self, stage_ms: dict[str, float]) -> None:
        for name, ms in stage_ms.items():
            self._stages.setdefault(name, deque(maxlen=WINDOW)).append(ms)

    def _tell(self, event: str, stamp: int) -> None:
        if self.trace:
            self.trace(event, stamp)
