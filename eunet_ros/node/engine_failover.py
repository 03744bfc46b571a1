# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Failover of a failing engine: retry once, switch to the next engine, then report failure; no ROS.

An image that fails twice goes to the next engine of `engines.ENGINES`. If none is left, it is
dropped and all are retried after a growing pause. The chosen engine is meanwhile rebuilt in the
background. After values that are not finite the same engine is first rebuilt in float32; the loss
of the GPU is passed on.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
import threading
import time
from typing import Any

from eunet_ros.model.common.errors import one_line, TracebackLog
from eunet_ros.model.engines import DeviceLostError, EngineError, ENGINES, NotFiniteError
from eunet_ros.node.process_memory import give_back, transient
import numpy as np

_PAUSE_S = (0.25, 1.0)        # the first and the longest pause while no engine works
_LONGEST_RETRY = 10           # longest pause, in multiples of retry_s
_STEADY = 2                   # pauses without failure after which the pause is reset
_CLOSE_S = 10.0
_EXACT = 'float32'            # available on every engine


@dataclass(frozen=True)
class GuardState:
    """The state of the failover; no_engine, fallback: sentences, see `health.Situation`."""

    no_engine: str = ''
    fallback: str = ''
    retried: int = 0
    replaced: int = 0


def order_after(name: str) -> list[str]:
    """Return an engine and its possible replacements, in the order of `auto`."""
    names = list(ENGINES)
    return names[names.index(name):] if name in names else [name]


class EngineGuard:
    """
    Wraps a Segmenter and keeps an engine working; call `segment` from one thread at a time.

    build: makes one from the name of an engine and, optionally, a precision; it may raise
    anything. say: receives a sentence for each change. retry_s: pause before a better engine is
    retried, 0 for never; may be changed.
    """

    def __init__(self, segmenter: Any, build: Callable[..., Any], say: Callable[[str], None],
                 retry_s: float = 0.0, order: Sequence[str] = (),
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._build, self._say, self._clock = build, say, clock
        self._unexpected = TracebackLog(say)
        self.retry_s = retry_s
        self.classes, self.checkpoint = segmenter.classes, segmenter.checkpoint
        self.input_size, self.engine = segmenter.input_size, segmenter.engine
        self.strip_size = segmenter.strip_size
        self._order = list(order or order_after(segmenter.engine.name))
        self._segmenter: Any = segmenter   # None: no engine works
        self._place, self._why = 0, ''
        self._exact: set[str] = set()      # engines that are built in float32
        self._state = GuardState()
        self._next_try = self._pause = 0.0
        self._better: tuple[int, Any] | None = None
        self._better_at = self._better_pause = self._taken_at = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def state(self) -> GuardState:
        return self._state

    def describe(self) -> str:
        return self._segmenter.describe() if self._segmenter else self._state.no_engine

    def segment(self, image: np.ndarray, horizon: float | None = None) -> Any:
        """Segment a (h, w, 3) uint8 BGR image; raises EngineError if no engine works."""
        self._take_better()
        if self._segmenter is None:  # retry all engines after the pause
            if self._clock() < self._next_try:
                raise EngineError(self._state.no_engine)
            self._take_first(0, '')
        while True:
            try:
                result = self._twice(image, horizon)
            except (ValueError, DeviceLostError):
                raise
            except Exception as error:
                self._replace(error)
                continue
            self._pause = 0.0
            if self._state.no_engine:
                self._tell(no_engine='')
                self._say(f'The engine {self.engine.name} works again.')
            self._look_for_better(image.shape[:2])
            return result

    def close(self) -> None:
        with self._lock:
            self._closed = True
            better, self._better = self._better, None
        if self._thread:
            self._thread.join(_CLOSE_S)
        for segmenter in (self._segmenter, better and better[1]):
            _close(segmenter)
        self._segmenter = None

    def _twice(self, image: np.ndarray, horizon: float | None) -> Any:
        try:
            return self._segmenter.segment(image, horizon)
        except (ValueError, DeviceLostError):
            raise
        except Exception as error:  # whatever a driver raises
            self._say(f'The engine {self.engine.name} failed on an image '
                      f'({one_line(error)}); it is tried once more.')
            if not isinstance(error, EngineError):
                self._unexpected.add(f'running the engine {self.engine.name}', error)
        result = self._segmenter.segment(image, horizon)
        self._tell(retried=self._state.retried + 1)
        return result

    def _replace(self, error: Exception) -> None:
        """Replace an engine that failed twice; raises EngineError if none is left."""
        failed, self._segmenter = self._segmenter, None
        _close(failed)
        if self._place or self._clock() - self._taken_at > _STEADY * self._better_pause:
            self._better_pause = 0.0  # the chosen engine does not fail repeatedly
        start, name = self._place + 1, self.engine.name
        if (isinstance(error, NotFiniteError) and self.engine.precision != _EXACT
                and name not in self._exact):
            self._exact.add(name)
            start = self._place
        self._take_first(start, f'{name}: {one_line(error)}')

    def _made(self, name: str) -> Any:
        return self._build(name, _EXACT) if name in self._exact else self._build(name)

    def _take_first(self, start: int, why: str) -> None:
        """Use the first engine in the order, from `start`, that can be built."""
        reasons = [why] if why else []
        for place in range(start, len(self._order)):
            name = self._order[place]
            if reasons:
                how = f'{name} in {_EXACT}' if name in self._exact else name
                self._say(f'Engine failed ({reasons[-1]}). Switching to {how}.')
            try:
                with transient():
                    segmenter = self._made(name)
            except Exception as error:
                reasons.append(f'{name}: {one_line(error)}')
                continue
            self._take(place, segmenter, '; '.join(reasons))
            return
        self._pause = min(max(2 * self._pause, _PAUSE_S[0]), _PAUSE_S[1])
        self._next_try = self._clock() + self._pause
        self._place, self._why = 0, ''
        sentence = f'No engine works ({"; ".join(reasons)}); all are tried again every second.'
        self._tell(no_engine=sentence, fallback='')
        raise EngineError(sentence)

    def _take(self, place: int, segmenter: Any, why: str) -> None:
        self._segmenter, self.engine = segmenter, segmenter.engine
        self._taken_at = self._clock()
        give_back()
        self._why = why or self._why
        if place and place != self._place:
            self._tell(replaced=self._state.replaced + 1)
        self._place = place
        self._tell(fallback=(
            f'the engine {self.engine.name} stands in for {self._order[0]} ({self._why})'
            if place else ''))
        if not place:
            self._why = ''
        self._lengthen()
        self._better_at = self._taken_at + self._better_pause

    def _look_for_better(self, size: tuple[int, int]) -> None:
        """Start to build a better engine in the background if it is due."""
        if (self._place and self.retry_s and self._thread is None
                and self._clock() >= self._better_at):
            self._thread = threading.Thread(
                target=self._build_better, args=(size, self._place), name='eunet_engine',
                daemon=True)
            self._thread.start()

    def _build_better(self, size: tuple[int, int], limit: int) -> None:
        image = np.zeros((*size, 3), np.uint8)
        for place in range(limit):
            segmenter = None
            try:
                with transient():
                    segmenter = self._made(self._order[place])
                    segmenter.segment(image, size[0] / 2)
            except Exception:  # it still fails, as was reported
                _close(segmenter)
                continue
            with self._lock:
                if self._closed:
                    _close(segmenter)
                else:
                    self._better = place, segmenter
            return

    def _take_better(self) -> None:
        """Switch to the engine that was built in the background, if there is one."""
        if self._thread is None or self._thread.is_alive():
            return
        self._thread = None
        with self._lock:
            better, self._better = self._better, None
        if better is None or self._segmenter is None:
            _close(better and better[1])
            self._lengthen()
            self._better_at = self._clock() + self._better_pause
            return
        _close(self._segmenter)
        self._take(better[0], better[1], '')
        self._say(f'The engine {self.engine.name} works again and is used.')

    def _lengthen(self) -> None:
        self._better_pause = min(max(2 * self._better_pause, self.retry_s),
                                 _LONGEST_RETRY * self.retry_s)

    def _tell(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)


def _close(segmenter: Any) -> None:
    """Free an engine that may be broken."""
    if segmenter is not None:
        with suppress(Exception):  # a lost device cannot free anything
            segmenter.close()
