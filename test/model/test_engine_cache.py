# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Built engines on disk: found again, and whatever is wrong with them is built again or said."""
from dataclasses import replace
import json
from pathlib import Path
import subprocess
import sys

from eunet_ros.model.checkpoint import random_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.engines.cache import default_folder, engine_key, EngineCache
import pytest
import torch

KEY = {'weights': 'a', 'gpu': 'one'}


class Builds:
    """Count builds, and keep what is said."""

    def __init__(self, folder):
        self.count, self.said = 0, []
        self.cache = EngineCache(folder, self.said.append)

    def get(self, key=KEY, content=b'engine\n\0'):
        def build():
            self.count += 1
            return content
        return self.cache.get('some', key, build)


def test_found_again(tmp_path):
    first, second = Builds(tmp_path / 'new' / 'folder'), Builds(tmp_path / 'new' / 'folder')
    assert first.get() == second.get(content=b'other') == b'engine\n\0'
    assert (first.count, second.count) == (1, 0)
    assert not first.said and not second.said


@pytest.mark.parametrize('other', [{'gpu': 'two'}, {'weights': 'b'}, {'tensorrt': '11'}])
def test_another_key_is_another_engine(tmp_path, other):
    builds = Builds(tmp_path)
    builds.get()
    assert builds.get({**KEY, **other}, b'another') == b'another'
    assert builds.get() == b'engine\n\0'
    assert builds.count == 2


@pytest.mark.parametrize(('damage', 'words'), [
    (lambda data: data[:-1], 'is damaged'),
    (lambda data: data[:len(data) // 2], 'does not match its name|is damaged'),
    (lambda data: data[:-1] + b'x', 'is damaged'),
    (lambda data: b'', 'does not match its name'),
    (lambda data: b'\x80\x04pickle', 'does not match its name'),
    (lambda data: data.replace(b'one', b'two'), 'does not match its name'),
    (lambda data: data.replace(b'{', b'[', 1), 'does not match its name')])
def test_what_is_damaged_is_built_again(tmp_path, damage, words):
    builds = Builds(tmp_path)
    builds.get()
    (path,) = tmp_path.glob('*.engine')
    path.write_bytes(damage(path.read_bytes()))
    assert builds.get(content=b'new') == b'new'
    (said,) = builds.said
    assert str(path) in said and any(word in said for word in words.split('|'))
    assert said.endswith('it is built again.')
    assert builds.get() == b'new'
    assert builds.count == 2
    assert [p.suffix for p in tmp_path.iterdir() if p.suffix != '.lock'] == ['.engine']


def test_a_folder_that_cannot_be_is_said(tmp_path):
    (tmp_path / 'file').write_text('no folder')
    builds = Builds(tmp_path / 'file' / 'cache')
    assert builds.get() == b'engine\n\0'
    (said,) = builds.said
    assert 'cannot be kept' in said and 'at every start' in said


def test_a_folder_only_for_reading_still_serves_what_it_has(tmp_path, monkeypatch):
    Builds(tmp_path).get()
    builds = Builds(tmp_path)

    def refuse(*arguments, **options):
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr('filelock.FileLock.acquire', refuse)
    monkeypatch.setattr('pathlib.Path.write_bytes', refuse)
    assert builds.get() == b'engine\n\0' and builds.count == 0 and not builds.said
    assert builds.get({'weights': 'new'}, b'new') == b'new'
    (said,) = builds.said
    assert 'cannot be kept (' in said and 'Permission denied' in said


def test_a_build_that_fails_leaves_nothing(tmp_path):
    cache = EngineCache(tmp_path)

    def fail():
        raise OSError('of the build')
    with pytest.raises(OSError, match='of the build'):
        cache.get('some', KEY, fail)
    assert not list(tmp_path.glob('*.engine')) and not list(tmp_path.glob('.*'))
    assert cache.get('some', KEY, lambda: b'good') == b'good'


@pytest.mark.process
def test_of_two_processes_one_builds(tmp_path):
    code = """
import sys, time
from pathlib import Path
from eunet_ros.model.engines.cache import EngineCache
folder = Path(sys.argv[1])
def build():
    (folder / f'built{sys.argv[2]}').touch()
    if sys.argv[2] == '1':
        print('building', flush=True)
        sys.stdin.read()  # until the test has seen the other one wait
    return b'engine'
def say(text):
    print(text, flush=True)
print(EngineCache(folder, say).get('some', {'weights': 'a'}, build).decode(), flush=True)
"""

    def start(number):
        return subprocess.Popen([sys.executable, '-c', code, str(tmp_path), number], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with start('1') as first:
        assert first.stdout.readline() == 'building\n'
        with start('2') as second:
            assert 'Another process is building' in second.stdout.readline()
            first.stdin.close()
            assert first.stdout.readline() == 'engine\n'
            assert second.stdout.readline() == 'engine\n'
    assert [p.name for p in tmp_path.glob('built*')] == ['built1']


def test_the_key_knows_the_weights_and_the_network():
    torch.manual_seed(0)
    one = random_checkpoint('eunet_n', cone_classes(), (64, 96))
    two = random_checkpoint('eunet_n', cone_classes(), (64, 96))
    keys = [engine_key(c) for c in (one, two, replace(one, mean=(0.1, 0.2, 0.3)))]
    assert engine_key(one) == keys[0]
    assert len({json.dumps(key) for key in keys}) == 3
    assert engine_key(one, gpu='a') != engine_key(one, gpu='b')


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert default_folder() == tmp_path / 'eunet_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')  # the specification says: ignore it
    assert default_folder() == Path.home() / '.cache' / 'eunet_ros'


def test_openvino_is_built_once(tmp_path, monkeypatch):
    openvino = pytest.importorskip('openvino', reason='OpenVINO is not installed')
    from engine_making import create_engine
    from eunet_ros.model.engines import EngineOptions
    import numpy as np
    checkpoint = random_checkpoint('eunet_n', cone_classes(), (64, 96))
    options = EngineOptions((64, 96), cache=tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), np.uint8)
    first = create_engine('openvino', checkpoint, options)[0].segment(image)
    monkeypatch.setattr(openvino, 'convert_model', lambda *a, **k: pytest.fail('built again'))
    again = create_engine('openvino', checkpoint, options)[0].segment(image)
    assert np.array_equal(first.logits, again.logits)


def test_a_kept_engine_that_openvino_refuses_is_built_again(tmp_path):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    from engine_making import create_engine
    from eunet_ros.model.engines import EngineOptions
    checkpoint, said = random_checkpoint('eunet_n', cone_classes(), (64, 96)), []
    options = EngineOptions((64, 96), cache=tmp_path, say=said.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('eunet_ros.model.engines.cache.EngineCache.get',
                      lambda self, name, key, build, anew=False: build() if anew else b'foreign')
        assert create_engine('openvino', checkpoint, options)[0].precision == 'float32'
    assert len(said) == 1 and said[0].endswith('it is built again.')
