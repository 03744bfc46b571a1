# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What engines do on a GPU with streams and CUDA graphs, rehearsed without one."""
import threading

from cuda_stand_in import answer_for_a_gpu, Driver, OnTheCpu
from eunet_ros.model import load_checkpoint, Segmenter
from eunet_ros.model.engines import device, DeviceLostError, EngineError, EngineOptions
from eunet_ros.model.engines.cuda_engine import CudaEngine
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest
import torch

SIZE = (96, 160)
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')


@pytest.fixture(scope='module')
def checkpoint():
    return load_checkpoint('eunet_n')


@pytest.fixture
def gpu(monkeypatch):
    answer_for_a_gpu(monkeypatch.setattr)
    with OnTheCpu():
        yield


def made(checkpoint, precision='float32'):
    return CudaEngine(checkpoint, EngineOptions(SIZE, precision=precision))


def in_a_thread(run):
    """Run something as if in another thread of a node; returns the thread and what it raised."""
    raised = []

    def work():
        try:
            with OnTheCpu():
                run()
        except Exception as error:
            raised.append(error)
    thread = threading.Thread(target=work)
    thread.start()
    return thread, raised


@pytest.mark.parametrize(('precision', 'equal'), [('float32', 0.999), ('float16', 0.995)])
def test_a_replay_gives_the_references_mask(gpu, checkpoint, precision, equal):
    reference, engine = Segmenter(checkpoint, 'torch', SIZE), made(checkpoint, precision)
    for size in ((96, 160), (120, 90)):
        for seed in range(2):  # of which the first captures
            image = render_scene(seed, *size).image
            expected, found = reference.engine.segment(image), engine.segment(image)
            assert (found.mask == expected.mask).mean() >= equal
            difference = found.confidence().astype(int) - expected.confidence()
            assert np.percentile(np.abs(difference), 99) <= 2
    assert len(Driver.captures) == 2  # one for each size: nothing ran but replays after it


def test_all_sizes_share_one_pool_and_are_warmed_in_the_thread_that_captures(gpu, checkpoint):
    engine, chain, warmed = made(checkpoint), CudaEngine._chain, []

    def counted(self, plan):
        warmed.append((threading.get_ident(), Driver.capturing))
        chain(self, plan)
    engine._chain = counted.__get__(engine)
    thread, raised = in_a_thread(lambda: engine.segment(np.zeros((50, 41, 3), np.uint8)))
    thread.join()
    assert not raised
    threads, capturing = zip(*warmed)
    assert set(threads) == {thread.ident} and len(warmed) > 1
    assert capturing == (None,) * (len(warmed) - 1) + (thread.ident,)
    assert {capture['pool'] for capture in Driver.captures} == {torch.cuda.graph_pool_handle()}


def test_an_engine_works_while_another_captures(gpu, checkpoint, monkeypatch):
    running, image = made(checkpoint), np.zeros((*SIZE, 3), np.uint8)
    chain, raised = CudaEngine._chain, []

    def while_capturing(self, plan):
        if Driver.capturing == threading.get_ident() and not raised:
            thread, errors = in_a_thread(lambda: running.segment(image))
            thread.join()
            raised.append(errors)
        chain(self, plan)
    monkeypatch.setattr(CudaEngine, '_chain', while_capturing)
    made(checkpoint)
    assert raised == [[]]
    assert {c.get('capture_error_mode') for c in Driver.captures} == {'thread_local'}


def test_one_graph_is_captured_at_a_time(gpu, checkpoint, monkeypatch):
    other, chain, asked = made(checkpoint), CudaEngine._chain, threading.Event()
    started = []

    class Lock:
        held = threading.Lock()

        def __enter__(self):
            if started:
                asked.set()
            self.held.acquire()

        def __exit__(self, *error):
            self.held.release()
    monkeypatch.setattr(device, '_CAPTURING', Lock())

    def while_capturing(self, plan):
        if Driver.capturing == threading.get_ident() and not started:
            started.append(in_a_thread(lambda: other.segment(np.zeros((40, 64, 3), np.uint8))))
            assert asked.wait(10)
        chain(self, plan)
    monkeypatch.setattr(CudaEngine, '_chain', while_capturing)
    made(checkpoint).close()
    (thread, raised), = started
    thread.join()
    assert not raised


def test_memory_that_is_missing_in_a_capture_is_told(gpu, checkpoint, monkeypatch):
    engine = made(checkpoint)

    def network(image):
        if Driver.capturing is not None:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory.')
        return torch.zeros(1, 6, *SIZE)
    monkeypatch.setattr(engine, 'network', network)
    with pytest.raises(EngineError, match='not enough free memory'):
        engine.segment(np.zeros((48, 64, 3), np.uint8))


def test_a_gpu_that_is_lost_is_told_from_an_image_that_fails(gpu, checkpoint, monkeypatch):
    engine, image = made(checkpoint), np.zeros((48, 64, 3), np.uint8)

    def network(image):
        raise RuntimeError('CUDA error: an illegal memory access was encountered')
    monkeypatch.setattr(engine, 'network', network)
    with pytest.raises(EngineError, match='illegal memory access') as caught:
        engine.segment(image)
    assert not isinstance(caught.value, DeviceLostError)
    Driver.lost = True
    with pytest.raises(DeviceLostError, match='start it again'):
        engine.segment(image)


def test_what_is_not_foreseen_is_passed_over(gpu, checkpoint, monkeypatch):
    monkeypatch.setattr(CudaEngine, 'build', lambda self, checkpoint, options: {}['HALF'])
    with pytest.raises(EngineError, match='HALF'):
        made(checkpoint)


def test_both_memory_formats_are_tried(checkpoint, monkeypatch):
    tried = []

    def seconds(network, example):
        first = network.__self__._network.network.stem.depthwise
        hook = first.register_forward_pre_hook(lambda layer, inputs: tried.append(
            inputs[0].is_contiguous(memory_format=torch.channels_last)))
        with torch.inference_mode():
            network(example)
        hook.remove()
        return len(tried)
    monkeypatch.setattr('eunet_ros.model.engines.cuda_engine._seconds', seconds)

    class OnCpu(CudaEngine):
        device = 'cpu'
        precisions = ('float32',)
    engine = OnCpu(checkpoint, EngineOptions(SIZE))
    assert tried[:2] == [False, True]
    image = render_scene(0, *SIZE).image  # in the first, which was the faster one here
    expected = Segmenter(checkpoint, 'torch', SIZE).engine.segment(image).mask
    assert (engine.segment(image).mask == expected).mean() > 0.999
