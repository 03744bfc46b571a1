# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights files: what is written comes back, and what is wrong is refused in one sentence."""
from dataclasses import replace
import hashlib
import os

from checkpoint_files import contents, failing, refusal, SMALL, small_checkpoint
from eunet_ros.model import checkpoint as module
from eunet_ros.model.checkpoint import (
    available_weights,
    check_input_size,
    load_checkpoint,
    random_checkpoint,
    resolve_weights,
    save_checkpoint,
)
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.eunet import Variant, VARIANTS
import numpy as np
import pytest
import torch


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp('good') / 'good.safetensors'
    save_checkpoint(path, small_checkpoint())
    return path


# What is written comes back

@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('classes', [cone_classes(), BINARY_CLASSES], ids=['cones', 'binary'])
def test_round_trip_is_exact(tmp_path, variant, classes):
    path = tmp_path / 'a.safetensors'
    before = random_checkpoint(variant, classes, (64, 96))
    save_checkpoint(path, before)
    after = load_checkpoint(path, variant)
    assert after.network.variant == VARIANTS[variant]
    assert after.classes == classes
    want, got = before.network.state_dict(), after.network.state_dict()
    assert list(got) == list(want)
    for name in want:
        assert torch.equal(got[name], want[name]), name
        assert got[name].dtype == want[name].dtype
        assert got[name].device.type == 'cpu'


def test_round_trip_of_everything_else(good):
    before, after = small_checkpoint(), load_checkpoint(good)
    for name in ('variant', 'classes', 'input_size', 'mean', 'std', 'training', 'scores'):
        assert getattr(after, name) == getattr(before, name), name
    assert after.network.variant == SMALL  # the file's architecture, not today's of that name
    assert not any(m.training for m in after.network.modules())
    assert all(p.requires_grad and p.is_leaf for p in after.network.parameters())
    assert after.path == good
    assert after.sha256 == hashlib.sha256(good.read_bytes()).hexdigest()
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(before.network(x), after.network(x))


def test_metadata_is_complete(good):
    info = contents(good)[1]
    assert info == {
        'format': 1, 'variant': 'eunet_s',
        'architecture': {'width': 4, 'stem': 2, 'gate': 'sigmoid', 'attention': 'lka',
                         'norm': 'batch'},
        'classes': cone_classes().to_list(), 'input_size': [64, 96],
        'mean': [0.1, 0.2, 0.3], 'std': [0.4, 0.5, 0.6],
        'training': {'steps': 7, 'data': ['a', 'b']}, 'scores': {'set': {'iou': 0.5}}}


def test_half_precision(tmp_path, good):
    path = tmp_path / 'half.safetensors'
    save_checkpoint(path, small_checkpoint(), half=True)
    stored = contents(path)[0]
    exact = contents(good)[0]
    for name, tensor in stored.items():
        kind = exact[name]
        small = kind.ndim > 1
        assert tensor.dtype == (torch.float16 if small else kind.dtype), name
    after = load_checkpoint(path).network.state_dict()
    for name, tensor in exact.items():
        assert after[name].dtype == tensor.dtype
        torch.testing.assert_close(after[name], tensor, rtol=2**-10, atol=1e-6)
    assert path.stat().st_size < good.stat().st_size


def test_loaded_weights_do_not_change_with_the_file(tmp_path, good):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(good.read_bytes())
    network = load_checkpoint(path).network
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with open(path, 'r+b') as file:  # in place, as cp does
        file.seek(-1000, os.SEEK_END)
        file.write(b'\x11' * 1000)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_shipped_names():
    names = available_weights()
    for name in names:
        assert resolve_weights(name).is_file()
    message = refusal('eunet_huge')
    assert 'There are no weights named eunet_huge' in message
    assert (', '.join(names) or 'none') in message


def test_name_of_shipped_weights(tmp_path, monkeypatch, good):
    (tmp_path / 'mine.safetensors').write_bytes(good.read_bytes())
    monkeypatch.setattr(module, 'WEIGHTS_DIR', tmp_path)
    assert available_weights() == ['mine']
    assert load_checkpoint('mine').path == tmp_path / 'mine.safetensors'
    assert 'shipped names: mine.' in refusal('other')
    assert 'shipped weights: mine.' in refusal('')


def test_home_folder(tmp_path, monkeypatch, good):
    (tmp_path / 'a.safetensors').write_bytes(good.read_bytes())
    monkeypatch.setenv('HOME', str(tmp_path))
    assert load_checkpoint('~/a.safetensors').path == tmp_path / 'a.safetensors'


def test_variant_must_match(good):
    assert load_checkpoint(good, 'eunet_s').variant == 'eunet_s'
    assert 'holds weights of eunet_s, not of eunet_n' in refusal(good, 'eunet_n')
    with pytest.raises(ValueError, match='did you mean eunet_n'):
        load_checkpoint(good, 'eunet_nn')


# Writing

@pytest.mark.parametrize('function', ['replace', 'fsync'])
def test_a_failed_write_leaves_the_older_file(tmp_path, monkeypatch, good, function):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(good.read_bytes())
    monkeypatch.setattr(module.os, function, failing(OSError(28, 'No space left on device')))
    with pytest.raises(OSError, match='No space left'):
        save_checkpoint(path, small_checkpoint(input_size=(32, 32)))
    assert path.read_bytes() == good.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_cannot_start_leaves_the_older_file(tmp_path, monkeypatch, good):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(good.read_bytes())
    monkeypatch.setattr('builtins.open', failing(OSError(30, 'Read-only file system')))
    with pytest.raises(OSError, match='Read-only'):
        save_checkpoint(path, small_checkpoint(input_size=(32, 32)))
    monkeypatch.undo()
    assert path.read_bytes() == good.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_and_leaves_nothing_else(tmp_path, good):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(b'old')
    save_checkpoint(str(path), small_checkpoint())
    assert path.read_bytes() == good.read_bytes()  # the same content gives the same file
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(OSError, match='nowhere'):
        save_checkpoint(tmp_path / 'nowhere' / 'a.safetensors', small_checkpoint())


@pytest.mark.parametrize(('value', 'half'), [
    (torch.nan, False), (torch.inf, False), (70_000.0, True)])
def test_weights_that_could_not_be_loaded_are_not_written(tmp_path, value, half):
    checkpoint = small_checkpoint()
    with torch.no_grad():
        checkpoint.network.head.weight[0, 0] = value
    with pytest.raises(ValueError, match=r'head\.weight holds values that are not finite'):
        save_checkpoint(tmp_path / 'a.safetensors', checkpoint, half)
    assert list(tmp_path.iterdir()) == []
    if half:
        save_checkpoint(tmp_path / 'a.safetensors', checkpoint)


def test_other_suffix_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"end in \.safetensors, not 'a\.pt'"):
        save_checkpoint(tmp_path / 'a.pt', small_checkpoint())
    assert list(tmp_path.iterdir()) == []


# The dataclass

@pytest.mark.parametrize(('changes', 'words'), [
    ({'classes': BINARY_CLASSES}, 'has 6 outputs but 2 classes need 1'),
    ({'input_size': (64, 90)}, 'the nearest is 64x96'),
    ({'std': (0.0, 1.0, 1.0)}, 'positive'), ({'std': (1.0, 1.0, np.nan)}, 'finite'),
    ({'mean': (np.inf, 0.0, 0.0)}, 'finite'),
])
def test_wrong_checkpoints(changes, words):
    with pytest.raises(ValueError, match=words) as caught:
        replace(small_checkpoint(), **changes)
    assert str(caught.value).endswith('.')


@pytest.mark.parametrize(('size', 'multiple', 'nearest'), [
    ((101, 99), 1, '104x96'), ((0, 8), 1, '8x8'), ((-8, 8), 1, '8x8'), ((1, 9000), 2, '16x8192'),
    ((384, 641), 4, '384x640'), ((7, 31), 4, '32x32'), ((10**9, 10**9), 4, '8192x8192'),
])
def test_nearest_input_size(size, multiple, nearest):
    with pytest.raises(ValueError, match=f'the nearest is {nearest}') as caught:
        check_input_size(size, Variant(stem=multiple))
    assert f'{size[0]}x{size[1]}' in str(caught.value)
    height, width = map(int, nearest.split('x'))
    check_input_size((height, width), Variant(stem=multiple))  # and it works


@pytest.mark.parametrize('size', [(64,), (64, 64, 3), (64.0, 64.0), ('64', '96'), ()])
def test_input_size_of_another_kind(size):
    with pytest.raises(ValueError, match='two whole numbers'):
        check_input_size(size, SMALL)
