# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights files that are wrong are refused in one sentence, and nothing in them is run."""
import json
from pathlib import Path
import pickle
import re
import struct

from checkpoint_files import contents, failing, refusal, small_checkpoint, written
from eunet_ros.model.checkpoint import save_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.eunet import EUnet
import pytest
from safetensors.torch import save as safetensors_save
import torch


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp('good') / 'good.safetensors'
    save_checkpoint(path, small_checkpoint())
    return path


# Tensors that are not the network's

def without(tensors, name):
    return {k: v for k, v in tensors.items() if k != name}


BAD_TENSORS = {
    'missing': (lambda t: without(t, 'head.bias'), '1 missing, 0 unexpected, such as head.bias'),
    'extra': (lambda t: {**t, 'more': torch.ones(1)}, '0 missing, 1 unexpected, such as more'),
    'renamed': (lambda t: {**without(t, 'head.bias'), 'head.b': t['head.bias']}, '1 missing, 1'),
    'none': (lambda t: {}, '0 unexpected'),
    'shape': (lambda t: {**t, 'head.bias': torch.zeros(25)}, r'\(25,\), expected \(24,\)'),
    'scalar': (lambda t: {**t, 'head.bias': torch.tensor(1.0)}, r'shape \(\), expected'),
    'turned': (lambda t: {**t, 'head.weight': t['head.weight'].transpose(0, 1).contiguous()},
               'head.weight has shape'),
    'nan': (lambda t: {**t, 'head.bias': torch.full((24,), torch.nan)}, 'head.bias holds values'),
    'inf': (lambda t: {**t, 'head.bias': torch.full((24,), torch.inf)}, 'not finite'),
    'whole': (lambda t: {**t, 'head.bias': torch.zeros(24, dtype=torch.int64)}, 'torch.int64'),
    'bool': (lambda t: {**t, 'head.bias': torch.zeros(24, dtype=torch.bool)}, 'torch.bool'),
}


@pytest.mark.parametrize('case', BAD_TENSORS)
def test_wrong_tensors(tmp_path, good, case):
    change, words = BAD_TENSORS[case]
    tensors, metadata = contents(good)
    message = refusal(written(tmp_path / 'bad.safetensors', change(tensors), metadata))
    assert message.startswith('Cannot use the weights in ')
    assert re.search(words, message), message


# Metadata that is not ours

def absurd(**architecture):
    return lambda m: {**m, 'architecture': {**m['architecture'], **architecture}}


def other(**values):
    return lambda m: {**m, **values}


def dropped(key):
    return lambda m: {k: v for k, v in m.items() if k != key}


CLASSES = cone_classes().to_list()
BAD_METADATA = {
    'format 2': (other(format=2), 'expected checkpoint format 1, found 2'),
    'format text': (other(format='1'), "found '1'"),
    'variant': (other(variant='eunet_x'), "unknown variant 'eunet_x'"),
    'variant list': (other(variant=[]), ''),
    'width huge': (absurd(width=10**9), 'width must be a whole number from 1 to 1024'),
    # Allowed, but gigabytes: refused for its tensors before any memory is taken.
    'width large': (absurd(width=1024), 'has shape'),
    'width negative': (absurd(width=-4), 'not -4'),
    'width text': (absurd(width='4'), "not '4'"),
    'width real': (absurd(width=4.0), 'not 4.0'),
    'width none': (absurd(width=None), 'not None'),
    'width list': (absurd(width=[4]), r'not [4]'),
    'width true': (absurd(width=True), 'not True'),
    'stem': (absurd(stem=10**9), 'stem must be'),
    'stem real': (absurd(stem=2.0), 'stem must be'),
    'stem other': (absurd(stem=1), 'has shape'),
    'gate': (absurd(gate='x'), 'gate must be'),
    'gate list': (absurd(gate=['product']), 'gate must be'),
    'more': (absurd(depth=3), 'depth'),
    'architecture': (other(architecture=5), ''),
    'classes number': (other(classes=7), 'a list of classes'),
    'classes few': (other(classes=CLASSES[:3]), 'head.'),
    'classes many': (other(classes=CLASSES * 50), 'count from 0'),
    'class newline': (other(classes=[{**CLASSES[0], 'name': 'a\nb'}] + [
        {**c, 'color': []} for c in CLASSES[1:]]), 'three whole numbers'),
    'size odd': (other(input_size=[100, 100]), 'multiples of 16'),
    'size zero': (other(input_size=[0, 0]), 'multiples of 16'),
    'size huge': (other(input_size=[2**40, 2**40]), 'up to 8192'),
    'size infinite': (other(input_size=[float('inf'), 64]), ''),
    'size nan': (other(input_size=[float('nan'), 64]), ''),
    'size short': (other(input_size=[64]), '2 numbers in input_size'),
    'size text': (other(input_size='64x96'), "found '64x96'"),
    'size nested': (other(input_size=[[64], [96]]), ''),
    'mean text': (other(mean=['a', 'b', 'c']), 'a'),
    'mean nan': (other(mean=[float('nan')] * 3), 'must be finite'),
    'mean huge': (other(mean=[10**400] * 3), 'too large'),
    'std zero': (other(std=[0, 1, 1]), 'positive'),
    'std negative': (other(std=[-1, 1, 1]), 'positive'),
    'std nan': (other(std=[1, float('nan'), 1]), 'must be finite'),
    'std infinite': (other(std=[1, float('inf'), 1]), 'must be finite'),
    'std short': (other(std=[1, 1]), '3 numbers in std'),
    'training': (other(training=5), ''),
    'scores': (other(scores='good'), ''),
    'number': (lambda m: 5, ''), 'null': (lambda m: None, ''), 'list': (lambda m: [m], ''),
    'not json': (lambda m: 'format: 1', ''), 'empty': (lambda m: '', ''),
    'deep': (lambda m: '[' * 200_000, ''),
    **{f'no {key}': (dropped(key), f"'{key}' is missing") for key in (
        'format', 'variant', 'architecture', 'classes', 'input_size', 'mean', 'std')},
}


@pytest.mark.parametrize('case', BAD_METADATA)
def test_wrong_metadata(tmp_path, good, case):
    change, words = BAD_METADATA[case]
    tensors, metadata = contents(good)
    message = refusal(written(tmp_path / 'bad.safetensors', tensors, change(metadata)))
    assert message.startswith('Cannot use the weights in ')
    assert words in message


def test_an_absurd_width_takes_no_memory(tmp_path, good, monkeypatch):
    tensors, metadata = contents(good)
    path = written(tmp_path / 'bad.safetensors', tensors, absurd(width=1024)(metadata))
    made = []

    def record(network, *arguments):
        original(network, *arguments)
        made.extend(p.device.type for p in network.parameters())
    original = EUnet.__init__
    monkeypatch.setattr(EUnet, '__init__', record)
    refusal(path)
    assert set(made) == {'meta'}  # shapes without memory


def test_no_metadata(tmp_path, good):
    path = tmp_path / 'plain.safetensors'
    path.write_bytes(safetensors_save(contents(good)[0]))
    assert 'no eunet_ros metadata' in refusal(path)


# Files that are something else

def bomb(length, data=b'{}'):
    """Return a safetensors header that promises `length` bytes."""
    return struct.pack('<Q', length) + data


def far_tensor(good_bytes):
    """Return a file whose only tensor claims to be of an exabyte."""
    header = json.dumps({'head.bias': {'dtype': 'F32', 'shape': [2**58],
                                       'data_offsets': [0, 2**60]}}).encode()
    return struct.pack('<Q', len(header)) + header + b'\0' * 64


BROKEN = {
    'empty': lambda b: b'',
    'short': lambda b: b[:7],
    'header cut': lambda b: b[:100],
    'truncated': lambda b: b[:-1],
    'half': lambda b: b[:len(b) // 2],
    'longer': lambda b: b + b'\0' * 9,
    'text': lambda b: b'these are not weights\n' * 50,
    'html': lambda b: b'<!DOCTYPE html>\n<html>404</html>\n',
    'lfs pointer': lambda b: b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
    'zeros': lambda b: bytes(5000),
    'header of 2**63': lambda b: bomb(2**63),
    'header of 2**64-1': lambda b: bomb(2**64 - 1),
    'header of 4 GB': lambda b: bomb(2**32, b[8:]),
    'header deep': lambda b: bomb(50_000, b'[' * 50_000),
    'header null': lambda b: bomb(4, b'null'),
    'exabyte tensor': far_tensor,
}


@pytest.mark.parametrize('case', BROKEN)
def test_broken_files(tmp_path, good, case):
    path = tmp_path / 'broken.safetensors'
    path.write_bytes(BROKEN[case](good.read_bytes()))
    assert f'The weights file {path} is damaged or not a safetensors file' in refusal(path)


class Attack:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


@pytest.mark.parametrize('name', ['w.pt', 'w.pth', 'w.ckpt', 'w.pkl', 'w.bin', 'w.onnx',
                                  'w.safetensors', 'w.SAFETENSORS'])
@pytest.mark.parametrize('writer', ['pickle', 'torch'])
def test_nothing_in_a_file_is_run(tmp_path, name, writer):
    proof, path = tmp_path / 'attacked', tmp_path / name
    if writer == 'pickle':
        path.write_bytes(pickle.dumps(Attack(proof)))
    else:
        torch.save({'state_dict': Attack(proof)}, path)
    message = refusal(path)
    if name == 'w.safetensors':
        assert 'damaged or not a safetensors file' in message
    else:
        assert 'is not a .safetensors file' in message
    assert not proof.exists()
    pickle.loads(pickle.dumps(Attack(proof)))  # the attack would have worked
    assert proof.exists()


@pytest.mark.parametrize(('name', 'words'), [
    ('', 'found an empty string'),
    ('folder.safetensors', 'folder.safetensors is not a file'),
    ('folder', 'There are no weights named folder'),
    ('./folder', 'is not a file'),
    ('nowhere.safetensors', 'There is no weights file nowhere.safetensors'),
    ('/nowhere/at/all.safetensors', 'There is no weights file /nowhere/at/all.safetensors'),
    ('~nobody_of_that_name/x', 'There is no weights file'),
    ('a' * 5000, 'There are no weights named'), ('a' * 300 + '.safetensors', 'no weights file'),
    ('nul\0byte', 'There are no weights'), ('eunet_n.onnx', 'There is no weights file'),
])
def test_paths_without_weights(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder.safetensors').mkdir()
    assert words in refusal(name)


def test_file_that_cannot_be_read(good, monkeypatch):
    monkeypatch.setattr(Path, 'read_bytes', failing(OSError(5, 'Input/output error')))
    assert 'Input/output error' in refusal(good)
