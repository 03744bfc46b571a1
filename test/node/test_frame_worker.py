# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest frame wins, and nothing is lost without being counted."""
import queue
import threading
import weakref

from eunet_ros.node.frame_worker import LatestFrameWorker
import pytest

LIMIT = 10


@pytest.fixture
def make_worker():
    workers = []

    def make(work, on_error=lambda frame, error: None):
        workers.append(LatestFrameWorker(work, on_error))
        return workers[-1]
    yield make
    for worker in workers:
        worker.stop()


def test_frames_in_order_when_there_is_time(make_worker):
    done = queue.Queue()
    worker = make_worker(done.put)
    for i in range(5):
        assert not worker.submit(i)
        assert done.get(timeout=LIMIT) == i


def test_a_waiting_frame_is_replaced_and_reported(make_worker):
    release, started, done = threading.Event(), threading.Event(), queue.Queue()

    def work(frame):
        started.set()
        assert release.wait(LIMIT)
        done.put(frame)
    worker = make_worker(work)
    worker.submit(0)
    assert started.wait(LIMIT)
    assert [worker.submit(i) for i in (1, 2, 3)] == [False, True, True]
    release.set()
    assert [done.get(timeout=LIMIT) for _ in range(2)] == [0, 3]


def test_errors_are_handed_over_and_the_next_frame_is_worked_on(make_worker):
    errors, done = queue.Queue(), queue.Queue()

    def work(frame):
        if frame == 'bad':
            raise ValueError('bad frame')
        done.put(frame)
    worker = make_worker(work, lambda frame, error: errors.put((frame, str(error))))
    worker.submit('bad')
    assert errors.get(timeout=LIMIT) == ('bad', 'bad frame')
    worker.submit('good')
    assert done.get(timeout=LIMIT) == 'good'


def test_stop_finishes_the_frame_in_work_and_drops_the_waiting_one(make_worker):
    release, started, done = threading.Event(), threading.Event(), []

    def work(frame):
        started.set()
        assert release.wait(LIMIT)
        done.append(frame)
    worker = make_worker(work)
    worker.submit('first')
    assert started.wait(LIMIT)
    worker.submit('second')
    assert not worker.stop(timeout=0.01)
    release.set()
    assert worker.stop(LIMIT)
    assert done == ['first']


@pytest.mark.parametrize('fails', [False, True])
def test_a_frame_that_is_done_is_held_no_longer(make_worker, fails):
    class Frame:
        """What weak references can refer to."""

    def work(frame):
        if fails:
            raise ValueError
    worker, frame = make_worker(work), Frame()
    gone = threading.Event()
    weakref.finalize(frame, gone.set)
    worker.submit(frame)
    del frame
    assert gone.wait(LIMIT)
