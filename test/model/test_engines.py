# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every engine that works here gives the reference's masks: variants, sizes, precisions."""
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
import tracemalloc

from cuda_stand_in import answer_for_a_gpu, OnTheCpu
from engine_making import create_engine
from eunet_ros.model import load_checkpoint, Segmenter
from eunet_ros.model.engines import (
    EngineError,
    EngineOptions,
    ENGINES,
    PRECISIONS,
)
from eunet_ros.model.eunet import VARIANTS
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest
import torch

SIZES = ((96, 160), (128, 96))
STRIP = (64, 320)
AGREEMENT = {'float32': 0.999, 'float16': 0.995, 'bfloat16': 0.995, 'int8': 0.99}
OTHERS = [name for name in ENGINES if name != 'torch']


@pytest.fixture(scope='module')
def checkpoints():
    """Return the shipped weights of every variant."""
    return {name: load_checkpoint(name) for name in VARIANTS}


@cache
def images(size, first, count):
    return [render_scene(seed, *(2 * side for side in size)).image
            for seed in range(first, first + count)]


def made(checkpoint, engine, size, precision):
    """Return a segmenter, or skip where that engine cannot run here."""
    try:
        return Segmenter(replace(checkpoint, input_size=size), engine, precision=precision,
                         calibration=images(size, 50, 16) if precision == 'int8' else ())
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope='module')
def references(checkpoints):
    """Return who makes the reference of a variant and a size, once."""
    return cache(lambda variant, size: made(checkpoints[variant], 'torch', size, 'float32'))


@pytest.mark.parametrize(('variant', 'size'), [
    *((name, SIZES[0]) for name in VARIANTS), ('eunet_n', SIZES[1])])
@pytest.mark.parametrize('precision', [
    pytest.param(p, marks=pytest.mark.slow) if p == 'int8' else p  # calibrating takes seconds
    for p in PRECISIONS if p != 'auto'])
@pytest.mark.parametrize('engine', OTHERS)
def test_masks_equal_the_references(engine, precision, variant, size, checkpoints, references,
                                    capsys):
    if precision == 'int8' and size != SIZES[0]:
        pytest.skip('one size of int8 is enough')
    reference = references(variant, size)
    segmenter = made(checkpoints[variant], engine, size, precision)
    if segmenter.engine.precision != precision:
        pytest.skip(f'{engine} computes in {segmenter.engine.precision} on this processor')
    equal = total = 0
    error = 0.0
    for image in images(size, 0, 4):
        expected, found = (s.segment(image) for s in (reference, segmenter))
        equal += int((expected.mask == found.mask).sum())
        total += expected.mask.size
        if hasattr(found, 'logits'):
            error = max(error, float(np.abs(found.logits - expected.logits).max()))
    with capsys.disabled():
        print(f'\n  {engine} {precision} {variant} {size}: {equal / total:.5f} of pixels, '
              f'largest error of a logit {error:.2g}', end='')
    assert equal / total >= AGREEMENT[precision]


@pytest.fixture
def rehearsed(engine, monkeypatch):
    """Run the engine cuda on the CPU where there is no GPU."""
    if engine != 'cuda' or torch.cuda.is_available():
        yield
        return
    answer_for_a_gpu(monkeypatch.setattr)
    with OnTheCpu():
        yield


@pytest.fixture(scope='module')
def with_strip(checkpoints):
    """Return who makes the segmenter of an engine with a strip, once."""
    return cache(lambda engine: made(
        replace(checkpoints['eunet_n'], strip_size=STRIP), engine, SIZES[0], 'float32'))


@pytest.mark.parametrize('placed', ['by the horizon', 'by the mask', 'left out'])
@pytest.mark.parametrize('engine', OTHERS)
def test_masks_with_a_strip_equal_the_references(engine, placed, with_strip, rehearsed):
    segmenters = with_strip('torch'), with_strip(engine)
    horizon = 75.0 if placed == 'by the horizon' else None
    equal, differences, strips = [], [], 0
    for image in images(SIZES[0], 0, 4):
        # Of a dark image no cone is found.
        results = [s.segment(image // (16 if placed == 'left out' else 1), horizon)
                   for s in segmenters]
        expected, found = ((r.mask, r.confidence(), getattr(r, 'rows', None)) for r in results)
        assert found[2] == expected[2]
        strips += found[2] is not None
        equal.append((found[0] == expected[0]).mean())
        differences.append(np.abs(found[1].astype(int) - expected[1]))
    assert {'by the horizon': strips == 4, 'by the mask': strips >= 2,
            'left out': strips == 0}[placed]
    assert np.mean(equal) >= AGREEMENT['float32']
    assert np.percentile(differences, 99) <= 2


@pytest.mark.parametrize('engine', ENGINES)
def test_a_precision_that_an_engine_has_not_is_told(engine, checkpoints):
    foreign = type('Options', (), {'precision': 'int4', 'input_size': SIZES[0], 'num_threads': 0,
                                   'calibration': (), 'cache': None, 'say': print})
    with pytest.raises(EngineError, match=r'not in int4; choose another|needs'):
        Segmenter(checkpoints['eunet_n'], engine).engine.__class__(checkpoints['eunet_n'],
                                                                   foreign())


def test_int8_without_images_says_how_to_make_it(checkpoints, tmp_path):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    options = EngineOptions(SIZES[0], precision='int8', cache=tmp_path)
    with pytest.raises(EngineError, match=r'^The engine openvino has no int8 .* run build_en'):
        create_engine('openvino', checkpoints['eunet_n'], options)
    assert not list(tmp_path.glob('*.engine'))


@pytest.mark.slow  # it calibrates
def test_int8_is_found_again(checkpoints, tmp_path):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    pytest.importorskip('nncf', reason='NNCF is not installed')
    options = EngineOptions(SIZES[0], precision='int8', cache=tmp_path,
                            calibration=images(SIZES[0], 50, 10))
    first = create_engine('openvino', checkpoints['eunet_n'], options)[0]
    again = create_engine('openvino', checkpoints['eunet_n'],
                          replace(options, calibration=()))[0]
    assert first.precision == again.precision == 'int8'
    [image] = images(SIZES[0], 0, 1)
    assert np.array_equal(first.segment(image).logits, again.segment(image).logits)


def test_unknown_precision_is_told():
    with pytest.raises(ValueError, match=r'did you mean float16\?'):
        EngineOptions((96, 160), precision='float61')


def test_auto_passes_engines_over_that_have_not_the_precision(monkeypatch):
    monkeypatch.setattr('eunet_ros.model.engines.openvino_engine.OpenvinoEngine.precisions',
                        ('bfloat16',))
    segmenter = Segmenter('eunet_n', precision='float32', input_size=(96, 160))
    assert (segmenter.engine.name, segmenter.engine.precision) == ('torch', 'float32')
    if find_spec('openvino'):
        (failure,) = segmenter.failures
        assert 'openvino computes in bfloat16, not in float32' in failure


def test_openvino_does_not_copy_the_logits(checkpoints):
    engine = made(checkpoints['eunet_n'], 'openvino', SIZES[0], 'float32').engine
    batch = np.zeros((1, *SIZES[0], 3), np.uint8)
    tracemalloc.start()
    try:
        size = engine.infer(batch).nbytes
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < size / 4
