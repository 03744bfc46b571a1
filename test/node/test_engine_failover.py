# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that fails in mid-stream: tried again, then replaced, then said."""
import threading
from types import SimpleNamespace

from eunet_ros.model.engines import DeviceLostError, EngineError, NotFiniteError
from eunet_ros.node.engine_failover import EngineGuard, order_after
import numpy as np
import pytest

IMAGE = np.zeros((4, 6, 3), np.uint8)
ORDER = ('fast', 'slow', 'last')


class Workshop:
    """Engines that fail on request; `broken` names those that fail, `unbuildable` those too."""

    def __init__(self, retry_s=0.0):
        self.broken, self.unbuildable, self.built, self.closed = {}, set(), [], []
        self.overflows = set()
        self.said, self.now = [], 0.0
        self.guard = EngineGuard(self.build('fast'), self.build, self.said.append, retry_s, ORDER,
                                 lambda: self.now)

    def build(self, name, precision='float16'):
        if name in self.unbuildable or f'{name} {precision}' in self.unbuildable:
            raise EngineError(f'No {name} here.')
        self.built.append(name)

        def segment(image, horizon=None):
            if not isinstance(image, np.ndarray):
                raise ValueError('Expected a BGR image.')
            if f'{name} {precision}' in self.overflows:
                raise NotFiniteError
            left = self.broken.get(name, 0)
            if left:
                self.broken[name] = left - 1
                raise {0: EngineError('The device was lost.'), 1: MemoryError()}[left % 2]
            return name
        return SimpleNamespace(
            engine=SimpleNamespace(name=name, precision=precision), classes=None,
            checkpoint=None, input_size=(4, 6), strip_size=None,
            segment=segment, describe=lambda: name,
            close=lambda: self.closed.append(name))


@pytest.fixture(autouse=True)
def no_trimming(monkeypatch):
    # It would collect garbage at each failure: 11 s where the process has done much else.
    monkeypatch.setattr('eunet_ros.node.engine_failover.give_back', lambda: None)


@pytest.fixture
def shop():
    return Workshop()


def test_an_image_that_fails_is_tried_again(shop):
    shop.broken['fast'] = 1
    assert shop.guard.segment(IMAGE) == 'fast'
    assert shop.guard.state.retried == 1 and not shop.guard.state.fallback
    assert 'MemoryError' in shop.said[0] and 'once more' in shop.said[0]
    assert len(shop.said) == 2 and 'Traceback' in shop.said[1]   # whatever a driver raises


def test_the_next_engine_gets_the_same_image(shop):
    shop.broken['fast'] = 2
    assert shop.guard.segment(IMAGE) == 'slow'
    assert shop.guard.engine.name == 'slow' and shop.closed == ['fast']
    state = shop.guard.state
    assert state.replaced == 1 and not state.no_engine
    assert 'slow stands in for fast' in state.fallback and 'MemoryError' in state.fallback
    assert shop.guard.segment(IMAGE) == 'slow'


def test_one_that_cannot_be_built_is_passed_over(shop):
    shop.broken['fast'], shop.unbuildable = 2, {'slow'}
    assert shop.guard.segment(IMAGE) == 'last'
    assert 'No slow here' in shop.guard.state.fallback


def test_where_none_works_it_is_said_and_tried_again_with_a_pause(shop):
    shop.broken = dict.fromkeys(ORDER, 99)
    with pytest.raises(EngineError, match=r'No engine works .*last: .*; all are tried again'):
        shop.guard.segment(IMAGE)
    assert shop.guard.state.no_engine.startswith('No engine works')
    built = len(shop.built)
    for _ in range(50):
        with pytest.raises(EngineError, match='No engine works'):
            shop.guard.segment(IMAGE)
    assert len(shop.built) == built       # not one engine for each image
    for _ in range(20):                   # seconds
        shop.now += 1.0
        with pytest.raises(EngineError):
            shop.guard.segment(IMAGE)
    assert len(shop.built) == built + 20 * len(ORDER)
    shop.broken = {}
    shop.now += 1.0
    assert shop.guard.segment(IMAGE) == 'fast'
    assert not shop.guard.state.no_engine and not shop.guard.state.fallback
    assert 'fast works again' in shop.said[-1]


def test_values_that_are_not_finite_are_computed_in_float32_by_the_same_engine(shop):
    shop.overflows = {'fast float16'}
    assert shop.guard.segment(IMAGE) == 'fast'
    assert shop.guard.engine.precision == 'float32' and shop.built == ['fast'] * 2
    assert not shop.guard.state.fallback and 'Switching to fast in float32' in shop.said[-1]
    shop.broken = dict.fromkeys(ORDER, 2)     # all fail, and come back
    with pytest.raises(EngineError, match='No engine works'):
        shop.guard.segment(IMAGE)
    shop.now += 1
    assert shop.guard.segment(IMAGE) == 'fast' and shop.guard.engine.precision == 'float32'


@pytest.mark.parametrize('unbuildable', [set(), {'fast float32'}])
def test_where_float32_does_not_help_the_next_engine_takes_over(shop, unbuildable):
    shop.overflows, shop.unbuildable = {'fast float16', 'fast float32'}, unbuildable
    assert shop.guard.segment(IMAGE) == 'slow'
    assert shop.guard.state.fallback.startswith('the engine slow stands in for fast (')


def test_a_gpu_that_is_lost_is_passed_on_at_once(shop):
    def lost(image, horizon=None):
        raise DeviceLostError('The GPU cannot be used any more.')
    shop.guard._segmenter.segment = lost
    with pytest.raises(DeviceLostError):
        shop.guard.segment(IMAGE)
    assert shop.built == ['fast'] and not shop.said


def test_every_failure_is_said(shop):
    shop.broken = dict.fromkeys(ORDER, 2)
    with pytest.raises(EngineError):
        shop.guard.segment(IMAGE)
    text = ' '.join(shop.said)
    assert all(name in text for name in ORDER) and 'The device was lost' in text


def test_what_is_no_image_is_no_failure_of_the_engine(shop):
    with pytest.raises(ValueError, match='BGR'):
        shop.guard.segment('no image')
    assert shop.built == ['fast'] and not shop.said


def finish(guard):
    guard._thread.join(10)
    assert not guard._thread.is_alive()


def test_the_better_engine_comes_back():
    shop = Workshop(retry_s=30.0)
    shop.broken['fast'] = 2
    assert [shop.guard.segment(IMAGE) for _ in range(3)] == ['slow'] * 3
    assert shop.guard._thread is None
    shop.now += 31
    assert shop.guard.segment(IMAGE) == 'slow'   # it is built beside
    finish(shop.guard)
    assert shop.guard.segment(IMAGE) == 'fast'
    assert not shop.guard.state.fallback and shop.closed == ['fast', 'slow']
    assert 'fast works again' in shop.said[-1]


def test_one_that_still_fails_is_not_taken_and_tried_more_rarely():
    shop = Workshop(retry_s=30.0)
    shop.broken['fast'] = 99
    shop.guard.segment(IMAGE)
    tries = []
    for _ in range(20):
        shop.now += 31
        assert shop.guard.segment(IMAGE) == 'slow'
        if shop.guard._thread:
            tries.append(shop.now)
            finish(shop.guard)
    assert len(tries) in (4, 5) and shop.closed.count('fast') == 1 + len(tries)


def test_however_often_it_failed_it_is_tried_within_ten_pauses():
    shop = Workshop(retry_s=1.0)
    shop.broken['fast'] = 999
    shop.guard.segment(IMAGE)
    tries = []
    for _ in range(100):
        shop.now += 1
        shop.guard.segment(IMAGE)
        if shop.guard._thread:
            tries.append(shop.now)
            finish(shop.guard)
    pauses = np.diff(tries)
    assert pauses[0] < 4 and pauses[-1] == pauses.max() and 9 < pauses.max() < 12


def test_closed_while_a_better_engine_is_built():
    shop = Workshop(retry_s=1.0)
    shop.broken['fast'] = 2
    shop.guard.segment(IMAGE)
    started, release, build = threading.Event(), threading.Event(), shop.guard._build

    def slowly(name):
        started.set()
        assert release.wait(10)
        return build(name)
    shop.guard._build = slowly
    shop.now += 2
    shop.guard.segment(IMAGE)
    assert started.wait(10)
    threading.Timer(0.05, release.set).start()
    shop.guard.close()
    assert sorted(shop.closed) == ['fast', 'fast', 'slow']   # nothing is left open


def test_the_order_is_that_of_auto():
    assert order_after('cuda') == ['cuda', 'openvino', 'torch']
    assert order_after('torch') == ['torch'] and order_after('other') == ['other']
