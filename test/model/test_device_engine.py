# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What engines on a GPU do between the image and the mask, run on the CPU; and on a GPU where one is.

The chain is the same but for the CUDA graph.
"""
from engine_making import create_engine
from eunet_ros.model import load_checkpoint, Segmenter
from eunet_ros.model.engines import EngineError, EngineOptions
from eunet_ros.model.engines.cuda_engine import CudaEngine
from eunet_ros.model.engines.device import device_labels
from eunet_ros.model.processing import fit, labels
from eunet_ros.training.renderer import render_scene
from image_making import labels_plain
import numpy as np
import pytest
import torch

SIZE = (96, 160)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU here')


class OnTheCpu(CudaEngine):
    device = 'cpu'
    precisions = ('float32', 'bfloat16')


@pytest.fixture(scope='module')
def checkpoint():
    return load_checkpoint('eunet_n')


@pytest.fixture(scope='module')
def engine(checkpoint):
    return OnTheCpu(checkpoint, EngineOptions(SIZE))


@pytest.mark.parametrize('image', [(96, 160), (192, 320), (90, 200), (50, 41)])
@pytest.mark.parametrize('classes', [1, 2, 6])
@pytest.mark.parametrize('thresholds', [(0, 0), (-1, 2)])
def test_labels_equal_the_plain_ones(classes, image, thresholds):
    logits = np.random.default_rng(0).normal(0, 1, (classes, *SIZE)).astype(np.float32)
    plan = fit(image, SIZE)
    found = device_labels(torch.from_numpy(logits)[None], plan, thresholds).numpy()
    expected = labels(logits, plan, thresholds) if any(thresholds) else labels_plain(logits, plan)
    assert found.dtype == np.uint8 and found.shape == image
    assert (found != expected).mean() < 1e-3  # where two logits are equal but for rounding


@pytest.mark.parametrize('size', [(96, 160), (192, 320), (120, 90)])
def test_masks_and_confidence_equal_the_references(engine, checkpoint, size):
    reference = Segmenter(checkpoint, 'torch', SIZE)
    for seed in range(3):
        image = render_scene(seed, *size).image
        expected, found = reference.engine.segment(image), engine.segment(image)
        assert (found.mask != expected.mask).mean() < 1e-3
        assert found.mask.flags.owndata and set(found.stage_ms) == set(expected.stage_ms)
        difference = found.confidence().astype(int) - expected.confidence()
        assert np.abs(difference).max() <= 2


def test_a_mask_is_the_callers(engine):
    image = render_scene(1, *SIZE).image
    mask = engine.segment(image).mask
    before = mask.copy()
    engine.segment(np.zeros_like(image))
    assert np.array_equal(mask, before)


def test_many_sizes_take_no_more_memory(engine):
    for height in range(40, 60):
        engine.segment(np.zeros((height, 64, 3), np.uint8))
    assert engine._plan.cache_info().currsize <= 4


def test_values_that_are_not_finite_are_an_error(checkpoint, monkeypatch):
    engine = OnTheCpu(checkpoint, EngineOptions(SIZE))
    monkeypatch.setattr(engine, 'network', lambda image: torch.full((1, 6, *SIZE), torch.nan))
    with pytest.raises(EngineError, match='not finite'):
        engine.segment(np.zeros((*SIZE, 3), np.uint8))


@pytest.mark.parametrize(('error', 'words'), [
    (torch.cuda.OutOfMemoryError('CUDA out of memory'), 'not enough free memory'),
    (RuntimeError('driver\nshut down.'), 'The engine cuda failed: driver shut down.')])
def test_failures_are_one_sentence(checkpoint, monkeypatch, error, words):
    engine = OnTheCpu(checkpoint, EngineOptions(SIZE))

    def fail(image):
        raise error
    monkeypatch.setattr(engine, 'network', fail)
    with pytest.raises(EngineError, match=words) as caught:
        engine.segment(np.zeros((*SIZE, 3), np.uint8))
    assert '\n' not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
@pytest.mark.parametrize('name', ['cuda', 'tensorrt'])
def test_without_a_gpu(checkpoint, name):
    with pytest.raises(EngineError, match=f'The engine {name} needs'):
        create_engine(name, checkpoint, EngineOptions(SIZE))
    segmenter = Segmenter(checkpoint, 'auto', SIZE)
    assert segmenter.engine.name not in ('cuda', 'tensorrt')
    assert not any('has none' in failure for failure in segmenter.failures)


@needs_gpu
@pytest.mark.parametrize('precision', CudaEngine.precisions)
@pytest.mark.parametrize('size', [(96, 160), (720, 1280)])
def test_on_a_gpu(checkpoint, precision, size):
    reference = Segmenter(checkpoint, 'torch', SIZE)
    segmenter = Segmenter(checkpoint, 'cuda', SIZE, precision=precision)
    for seed in range(3):
        image = render_scene(seed, *size).image
        assert (segmenter(image) == reference(image)).mean() >= 0.995
