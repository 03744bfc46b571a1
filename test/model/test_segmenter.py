# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image in, mask out: every engine against the reference, and what a user can get wrong."""
import importlib
import sys

import cv2
from eunet_ros.model.checkpoint import Checkpoint, CheckpointError, random_checkpoint
from eunet_ros.model.common.classes import BINARY_CLASSES, ClassTable, cone_classes
from eunet_ros.model.engines import EngineError, ENGINES
from eunet_ros.model.engines.base import HostEngine
from eunet_ros.model.engines.torch_engine import TorchEngine
from eunet_ros.model.eunet import EUnet, Variant, VARIANTS
from eunet_ros.model.segmenter import Segmenter
import numpy as np
import pytest
import torch
from torch import nn

torch.set_num_threads(1)  # of layers this small, threads only wait for each other
THREE = ClassTable(('background', 'a', 'b'), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


def picture(height, width, seed=0):
    """Return an image with structure at every scale."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width, 3))
    for size in (2, 5, 17):
        noise = rng.uniform(0, 255, (min(size, height), min(size, width), 3))
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR) / 3
    return image.astype(np.uint8)


def lively(checkpoint):
    """Make a random network depend on the image: each output channel spread around zero."""
    network = checkpoint.network
    images = np.stack([picture(*checkpoint.input_size, seed) for seed in range(4)])
    x = (images[..., ::-1] / 255 - checkpoint.mean) / checkpoint.std
    x = torch.from_numpy(x).float().permute(0, 3, 1, 2)
    seen = []
    handle = network.head.register_forward_hook(lambda *a: seen.append(a[2]))
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = None  # the plain average of what follows
        network.train()(x)
        network.eval()(x)
        handle.remove()
        mean, std = seen[-1].mean((0, 2, 3)), seen[-1].std((0, 2, 3))
        network.head.weight.mul_(4 / std[:, None, None, None])
        network.head.bias.sub_(mean).mul_(4 / std)
    return checkpoint


def engine_class(name):
    return getattr(importlib.import_module(f'eunet_ros.model.engines.{name}_engine'),
                   ENGINES[name])


def usable(name):
    try:
        engine_class(name).check_available()
    except EngineError as error:
        return pytest.param(name, marks=pytest.mark.skip(reason=str(error)))
    return name


USABLE = [usable(name) for name in ENGINES]
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.fixture(scope='module')
def tiny():
    torch.manual_seed(0)
    network = EUnet(3, Variant(width=4, stem=2, gate='sigmoid')).eval()
    return lively(Checkpoint(network, 'eunet_s', THREE, (32, 48), MEAN, STD))


@pytest.fixture(scope='module', params=USABLE)
def segmenter(request, tiny):
    return Segmenter(tiny, request.param, num_threads=1)


# Every engine is held to PyTorch in float32

@pytest.mark.parametrize('engine', [name for name in USABLE if name != 'torch'])
@pytest.mark.parametrize('options', [{'norm': 'group'}, {'norm': 'layer'}, {'attention': 'lska'}])
def test_engine_with_the_options_of_the_network(engine, options):
    torch.manual_seed(2)
    network = EUnet(3, Variant(width=8, stem=2, gate='sigmoid', **options)).eval()
    checkpoint = lively(Checkpoint(network, 'eunet_s', THREE, (32, 48), MEAN, STD))
    masks = [Segmenter(checkpoint, name, num_threads=1)(picture(60, 90))
             for name in ('torch', engine)]
    assert len(np.unique(masks[0])) > 1
    assert (masks[0] == masks[1]).mean() >= 0.999


@pytest.mark.parametrize('engine', [name for name in USABLE if name != 'torch'])
@pytest.mark.parametrize(('variant', 'classes', 'size'), [
    *((name, cone_classes(), (64, 96)) for name in VARIANTS), ('eunet_n', BINARY_CLASSES, (32, 64))
], ids=[*VARIANTS, 'binary'])
def test_engine_equals_the_reference(engine, variant, classes, size):
    torch.manual_seed(1)
    checkpoint = lively(random_checkpoint(variant, classes, size))
    tested = Segmenter(checkpoint, engine, num_threads=1)
    reference = Segmenter(checkpoint, 'torch', num_threads=1)
    worst, same = 0.0, []
    for image in (picture(150, 201), picture(*size, 1), picture(40, 30, 2)):
        got, want = tested.segment(image), reference.segment(image)
        if isinstance(tested.engine, HostEngine):
            spread = np.abs(want.logits).max()
            worst = max(worst, float(np.abs(got.logits - want.logits).max() / spread))
        same.append((got.mask == want.mask).mean())
        assert np.abs(got.confidence().astype(int) - want.confidence()).max() <= 2
        assert got.mask.shape == image.shape[:2]
    print(f'{engine} {variant}: largest logit error {worst:.1e} of the largest logit, '
          f'equal pixels {min(same):.4%}')
    assert worst < 1e-3
    assert min(same) >= 0.999
    counts = np.bincount(reference(picture(150, 201)).ravel())
    assert counts.max() < 0.9 * counts.sum()  # there was something to compare
    assert (reference(picture(150, 201)) != reference(picture(150, 201, 1))).mean() > 0.1


def test_channels_reach_the_network_as_normalised_rgb(tiny, segmenter):
    seen = {}
    for channel, name in enumerate(('red', 'green', 'blue')):
        rgb = np.zeros((32, 48, 3))
        rgb[..., channel] = 1
        x = torch.from_numpy((rgb - MEAN) / STD).float().permute(2, 0, 1)[None]
        with torch.inference_mode():
            seen[name] = logits = tiny.network(x)[0].numpy()
        result = segmenter.segment((255 * rgb[..., ::-1]).astype(np.uint8))
        np.testing.assert_allclose(result.logits, logits, rtol=1e-3, atol=1e-3)
        clear = np.sort(logits, 0)[-1] - np.sort(logits, 0)[-2] > 1e-2
        np.testing.assert_array_equal(result.mask[clear], logits.argmax(0)[clear])
    assert np.abs(seen['red'] - seen['blue']).max() > 0.1  # BGR for RGB would be seen


# A stream of images

def test_sizes_may_change_and_results_do_not_depend_on_the_past(segmenter):
    images = [picture(*size, seed) for seed, size in enumerate(
        [(60, 80), (32, 48), (90, 20), (1, 1), (480, 640), (60, 80)])]
    forwards = [segmenter(image) for image in images]
    backwards = [segmenter(image) for image in reversed(images)][::-1]
    for image, one, other in zip(images, forwards, backwards):
        assert one.shape == image.shape[:2]
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(forwards[0], forwards[-1])


@pytest.mark.parametrize('size', [(32, 48), (64, 96), (20, 31)])
def test_the_mask_is_the_callers(segmenter, size):
    first = segmenter(picture(*size, 1))
    kept = first.copy()
    second = segmenter(255 - picture(*size, 2))
    assert not np.array_equal(kept, second)
    np.testing.assert_array_equal(first, kept)
    first[:] = 9  # nor does writing to it reach a later result
    assert segmenter(picture(*size, 1)).max() < 3
    assert first.flags.c_contiguous


def test_stages_are_timed(tiny):
    stages = Segmenter(tiny, 'torch').segment(picture(60, 80)).stage_ms
    assert list(stages) == ['preprocess', 'inference', 'postprocess']
    assert all(0 < v < 60_000 for v in stages.values())


def test_input_size_and_description(tiny):
    segmenter = Segmenter(tiny, 'torch', (64, 32))
    assert segmenter.input_size == (64, 32)
    assert segmenter.segment(picture(60, 80)).logits.shape == (3, 64, 32)
    assert segmenter.describe() == 'eunet_s on torch (float32), input 64x32, 3 classes'
    assert Segmenter(tiny, 'torch').input_size == (32, 48)
    segmenter.warm_up(30, 40, runs=1)
    segmenter.close()


def test_weights_by_path(tiny_weights):
    segmenter = Segmenter(tiny_weights, 'torch', variant='eunet_n')
    assert segmenter.classes == cone_classes()
    assert segmenter(picture(30, 40)).shape == (30, 40)


# What a user can get wrong

def refused(kind, call):
    """Return the message of the error; it is one sentence on one line."""
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert message[-1] in '.?'
    assert '..' not in message
    assert '\n' not in message
    return message


@pytest.mark.parametrize(('image', 'found'), [
    (np.zeros((8, 8, 3), np.float32), 'float32 of shape (8, 8, 3)'),
    (np.zeros((8, 8, 3), np.uint16), 'uint16'), (np.zeros((8, 8, 3), bool), 'bool of shape'),
    (np.zeros((8, 8), np.uint8), 'uint8 of shape (8, 8)'),
    (np.zeros((8, 8, 1), np.uint8), '(8, 8, 1)'), (np.zeros((8, 8, 4), np.uint8), '(8, 8, 4)'),
    (np.zeros((1, 8, 8, 3), np.uint8), '(1, 8, 8, 3)'), (np.zeros((3, 8, 8), np.uint8), '(3, 8'),
    (np.zeros((0, 8, 3), np.uint8), '(0, 8, 3)'), (np.zeros((8, 0, 3), np.uint8), '(8, 0, 3)'),
    (np.zeros(0, np.uint8), '(0,)'), ([[[1, 2, 3]]], 'found list'), (None, 'found NoneType'),
    (torch.zeros(8, 8, 3, dtype=torch.uint8), 'found Tensor'), ('image.png', 'found str'),
])
def test_wrong_images(tiny, image, found):
    segmenter = Segmenter(tiny, 'torch')
    message = refused(ValueError, lambda: segmenter(image))
    assert all(words in message for words in ('BGR', 'uint8', '(height, width, 3)', found))


@pytest.mark.parametrize(('options', 'kind', 'words'), [
    ({'engine': 'opnvino'}, ValueError, 'did you mean openvino?'),
    ({'engine': 'tensor'}, ValueError, 'one of auto, tensorrt, cuda, openvino, torch'),
    ({'engine': ''}, ValueError, "Unknown engine ''"),
    ({'engine': None}, ValueError, 'Unknown engine None'),
    ({'input_size': (33, 48)}, ValueError, 'the nearest is 32x48'),
    ({'input_size': (8, 8)}, ValueError, 'the nearest is 16x16'),
    ({'input_size': (16, 100_000)}, ValueError, 'the nearest is 16x8192'),
    ({'input_size': (32,)}, ValueError, 'two whole numbers'),
    ({'input_size': (32.0, 48.0)}, ValueError, 'two whole numbers'),
    ({'num_threads': -1}, ValueError, 'num_threads'),
    ({'variant': 'eunet_n'}, CheckpointError, 'of eunet_s, not of eunet_n'),
    ({'variant': 'eunet_z'}, ValueError, "Unknown variant 'eunet_z'"),
    ({'weights': 'nothing'}, CheckpointError, 'no weights named nothing'),
    ({'weights': '/nowhere/a.safetensors'}, CheckpointError, 'no weights file /nowhere'),
])
def test_wrong_options(tiny, options, kind, words):
    options = {'weights': tiny, 'engine': 'torch', **options}
    assert words in refused(kind, lambda: Segmenter(**options))


# Engines that cannot run

def test_named_engine_without_its_library(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    message = refused(EngineError, lambda: Segmenter(tiny, 'openvino'))
    assert 'The engine openvino needs the OpenVINO library' in message
    assert 'pip install openvino' in message


def test_auto_goes_on_and_says_why(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    segmenter = Segmenter(tiny, 'auto')
    assert segmenter.engine.name == 'torch'
    assert len(segmenter.failures) == 1
    assert 'The engine openvino needs the OpenVINO library' in segmenter.failures[0]
    assert segmenter(picture(30, 40)).shape == (30, 40)


def test_auto_takes_the_first_that_works(tiny, monkeypatch):
    first = engine_class(next(iter(ENGINES)))
    monkeypatch.setattr(first, 'check_available', classmethod(lambda cls: None))
    monkeypatch.setattr(first, '__init__', lambda self, *_: None)
    segmenter = Segmenter(tiny)
    assert type(segmenter.engine) is first
    assert segmenter.failures == []


def test_no_engine_at_all(tiny, monkeypatch):
    def fail(cls):
        raise EngineError('PyTorch is out.')
    monkeypatch.setitem(sys.modules, 'openvino', None)
    monkeypatch.setattr(TorchEngine, 'check_available', classmethod(fail))
    message = refused(EngineError, lambda: Segmenter(tiny, 'auto'))
    assert 'No engine works on this machine: ' in message
    assert 'OpenVINO' in message
    assert message.endswith('PyTorch is out.')


class Broken(nn.Module):
    """A network that fails when it runs or is traced."""

    num_classes, variant = 3, Variant(width=4, stem=2)

    def forward(self, x):
        raise RuntimeError('first line\nsecond line.')


def test_failures_of_libraries_are_one_sentence():
    checkpoint = Checkpoint(Broken(), 'eunet_s', THREE, (16, 16))
    segmenter = Segmenter(checkpoint, 'torch')
    message = refused(EngineError, lambda: segmenter(picture(16, 16)))
    assert message.startswith('PyTorch') and 'first line second line.' in message


def test_openvino_that_cannot_compile_is_one_sentence(tiny, monkeypatch, tmp_path):
    openvino = pytest.importorskip('openvino', reason='OpenVINO is not installed')

    def fail(*arguments, **options):
        raise RuntimeError('first line\nsecond line.')
    monkeypatch.setattr(openvino, 'convert_model', fail)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))  # nothing is built yet
    message = refused(EngineError, lambda: Segmenter(tiny, 'openvino'))
    assert message.startswith('OpenVINO') and 'first line second line.' in message
    segmenter = Segmenter(tiny, 'auto')  # and auto goes on
    assert segmenter.engine.name == 'torch'
    assert 'could not compile' in segmenter.failures[0]


def test_values_that_are_not_finite_are_an_error_not_a_mask(tiny):
    """The published LKA gate is an unbounded product: some images can make it overflow."""
    segmenter = Segmenter(tiny, 'torch', num_threads=1)
    segmenter.engine.infer = lambda batch: np.full((3, 32, 48), np.nan, np.float32)
    with pytest.raises(EngineError, match='not finite'):
        segmenter(picture(32, 48))
