# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's health from its statistics: level, sentence and table; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import time
from typing import TYPE_CHECKING

from eunet_ros.node.drop_reasons import DropReason
from eunet_ros.node.stream_statistics import Snapshot
from eunet_ros.parameters import LEVELS, NodeParameters

if TYPE_CHECKING:
    from eunet_ros.node.engine_failover import EngineGuard

OK, WARN, ERROR, STALE = 0, 1, 2, 3   # diagnostic_msgs/DiagnosticStatus
_ENOUGH = 5   # images from which a share of them counts
_LEASE_S = 21.0
_TRANSPORT = 'send smaller images or fewer, or compressed ones'
_FEW_HZ = 5.0   # a lower rate of a connected camera is a fault of the transport


@dataclass(frozen=True)
class Situation:
    """The node's situation apart from its statistics; an empty text means no fault."""

    active: bool = True
    topic: str = ''      # of the images
    cameras: int = 1     # publishers on it
    no_engine: str = ''  # a sentence, as the next two
    fallback: str = ''
    throttled: str = ''
    source: str = ''     # why no image can arrive
    loss: str = ''       # why large images are lost, and what to do


class SteadyCount:
    """
    Number of publishers, without those that were killed.

    DDS counts a killed publisher for another 20 s, beside its replacement: several count only
    after they have been there for longer than that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._since = clock, None

    def of(self, count: int) -> int:
        """Return the count, or 1 while several may be one that has restarted."""
        if count < 2:
            self._since = None
            return count
        if self._since is None:
            self._since = self._clock()
        return count if self._clock() - self._since > _LEASE_S else 1


@dataclass(frozen=True)
class Health:
    """Level and sentence about the masks, and failures of other outputs."""

    level: int
    message: str
    masking: bool     # whether masks are published
    beside: str = ''  # sentences about other outputs, for /diagnostics, not for ~/status

    @property
    def status_level(self) -> int:
        """Return the level of ~/status: STALE without masks."""
        return STALE if not self.masking and self.level == OK else self.level

    @property
    def diagnostics_level(self) -> int:
        return max(self.level, WARN) if self.beside else self.level

    @property
    def diagnostics_message(self) -> str:
        return '; '.join(filter(None, (self.message, self.beside)))


def _graded(value: float, warn: float, error: float) -> int:
    return ERROR if value > error else WARN if value > warn else OK


def _images(state: Snapshot, where: Situation, p: NodeParameters) -> list[tuple[int, str]]:
    age, found = state.last_image_age_s, []
    if age is None:
        text = where.source or where.loss or 'a camera is connected and sends nothing'
        found.append((_graded(state.active_s, p.image_timeout, p.image_timeout_error),
                      f'{text}; no image has arrived on {where.topic}'))
    else:
        text = f'no image on {where.topic} for {age:.1f} s'
        few = state.counts.get('received', 0) < _FEW_HZ * state.active_s
        if where.source:
            text += f'; {where.source}'
        elif where.loss and few:
            text = f'{where.loss}; {text}'
        found.append((_graded(age, p.image_timeout, p.image_timeout_error), text))
    recent = state.recent
    came, lost, late = (recent.get(k, 0) for k in ('in', 'lost', 'late'))
    transport = LEVELS.index(p.level_transport)
    if lost > p.transport_share * (came + lost) and lost >= 3:
        found.append((transport, f'{where.loss or _TRANSPORT}; {lost} of the last {came + lost} '
                                 'images were lost on the way'))
    if late > p.transport_share * came and late >= 3:
        found.append((transport, f'{where.loss or _TRANSPORT}; {late} of the last {came} images '
                                 'arrived late'))
    stamps = LEVELS.index(p.level_stamps)
    if where.cameras > 1:
        found.append((stamps, f'{where.cameras} publishers send images on {where.topic}; '
                              'give each camera a topic of its own'))
    for kind, words in (('zero', 'carry no time stamp'), ('future', 'are stamped in the future'),
                        ('back', 'are stamped before the one that came before them')):
        if recent.get(kind):
            found.append((stamps, f'{recent[kind]} of the last {came} images {words}; check the '
                                  'clock of the camera driver'))
    return found


def _masks(state: Snapshot, where: Situation, p: NodeParameters) -> list[tuple[int, str]]:
    recent, found = state.recent, []
    if where.no_engine:
        found.append((ERROR, where.no_engine))
    came, failed, masked = (recent.get(k, 0) for k in ('in', 'failed', 'masked'))
    if failed:
        share = failed / max(came, failed)
        text = f'{failed} of the last {max(came, failed)} images failed: {state.last_error}'
        found.append((_graded(share, p.error_share_warn, p.error_share_error), text))
    if state.waiting_s and (state.last_image_age_s or 0) < p.image_timeout:
        found.append((_graded(state.waiting_s, p.mask_timeout, p.mask_timeout_error),
                      f'images come and no mask for {state.waiting_s:.1f} s'))
    came -= recent.get('unwanted', 0)
    if came >= _ENOUGH and state.active_s > 1.0:
        share = masked / came
        found.append((_graded(1 - share, 1 - p.mask_share_warn, 1 - p.mask_share_error),
                      f'only {masked} of the last {came} images were masked, the camera is faster '
                      'than the engine; lower its rate or the input size'))
    if masked >= _ENOUGH:
        found.append((_graded(state.recent_p99_s, p.latency_warn, p.latency_error),
                      f'masks are late: p99 {state.recent_p99_s:.2f} s after their image came'))
    found.append((LEVELS.index(p.level_fallback) if where.fallback else OK, where.fallback))
    found.append((LEVELS.index(p.level_throttled) if where.throttled else OK, where.throttled))
    return found


def assess(state: Snapshot, where: Situation, p: NodeParameters) -> Health:
    """Return the health of a node: the worst level found, and all sentences."""
    if not where.active:
        return Health(OK, 'inactive', False)
    if not p.enabled:
        return Health(OK, 'disabled by parameter or service', False)
    recent = state.recent
    idle = 'unwanted' in recent and not {'masked', 'failed'} & recent.keys()
    found = _images(state, where, p) + ([] if idle else _masks(state, where, p))
    level = max(found)[0]
    if level > OK:
        words = [words for grade in (ERROR, WARN) for g, words in found if g == grade]
        return Health(level, '; '.join(dict.fromkeys(words)), 'masked' in recent)
    if idle:
        return Health(OK, 'idle: nobody subscribes to an output', False)
    if 'masked' not in recent:
        return Health(OK, 'waiting for the first mask', False)
    return Health(OK, f'{state.rate_out:.1f} masks/s', True)


def with_outputs(found: Health, state: Snapshot, withheld: str, moved: str = '') -> Health:
    """Add failures of other outputs; withheld: why cones lack positions; moved: of the camera."""
    if not found.masking or found.level == ERROR:
        return found
    beside = [f'{name} failed {count} times lately: {state.output_errors[name]}'
              for name, count in sorted(state.outputs_failed.items())]
    beside += [withheld and f'positions of cones are withheld: {withheld}', moved]
    return replace(found, beside='; '.join(filter(None, beside)))


def table(state: Snapshot) -> dict[str, str]:
    """Return the rows of the diagnostics message; received = masked + dropped_… + in work."""
    rows = {'rate in [Hz]': f'{state.rate_in:.2f}', 'rate out [Hz]': f'{state.rate_out:.2f}'}
    for name in ('received', 'masked', *(reason.counter for reason in DropReason)):
        rows[name] = str(state.counts.get(name, 0))
    rows['in work'] = str(state.in_work)
    rows['lost in transport (estimate)'] = str(state.lost)
    rows['late on arrival'] = str(state.late)
    for name, (p50, p99) in state.stage_ms.items():
        rows[f'{name} p50 [ms]'] = f'{p50:.2f}'
        rows[f'{name} p99 [ms]'] = f'{p99:.2f}'
    rows['last error'] = state.last_error
    for name, error in sorted(state.output_errors.items()):
        rows[f'last error of {name}'] = error
    return rows


def engine_table(guard: EngineGuard, strip_rows: slice | None) -> dict[str, str]:
    """Return the rows of the diagnostics message about the engine."""
    engine, checkpoint = guard.engine, guard.checkpoint
    strip = 'none'
    if guard.strip_size:
        strip = '{}x{}, '.format(*guard.strip_size) + (
            f'rows {strip_rows.start} to {strip_rows.stop - 1}' if strip_rows else
            f'left out: no far cone and no horizon is known, or the image has under '
            f'{guard.strip_size[1] // 2} px of width')
    return {
        'engine': engine.name, 'precision': engine.precision, 'variant': checkpoint.variant,
        'weights sha256': checkpoint.sha256, 'input': 'x'.join(map(str, guard.input_size)),
        'strip': strip, 'images retried': str(guard.state.retried),
        'engines replaced': str(guard.state.replaced)}
