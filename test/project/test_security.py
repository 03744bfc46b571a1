# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nothing that a stranger hands over is run, and what is kept belongs to the user alone."""
import ast
import hashlib
import json
import os
from pathlib import Path
import pickle
import re
import stat
import xml.etree.ElementTree as ElementTree

from eunet_ros.model.common.resources import share_file
from eunet_ros.model.engines.cache import EngineCache
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


class Attack:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), 'w'))


def kept(cache, key, content):
    """Write a file as the cache itself would, whatever its content."""
    text = json.dumps(key, sort_keys=True)
    path = cache._place(f'openvino-{hashlib.sha256(text.encode()).hexdigest()[:20]}.engine')
    cache._write(path, text, content)
    return path


@pytest.mark.parametrize('whole', [True, False], ids=['with a checksum', 'as a plain pickle'])
def test_an_engine_that_is_an_attack_runs_nothing(tmp_path, monkeypatch, whole):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    from engine_making import create_engine
    from eunet_ros.model.checkpoint import random_checkpoint
    from eunet_ros.model.common.classes import cone_classes
    from eunet_ros.model.engines import EngineOptions
    proof, said, keys = tmp_path / 'attacked', [], []
    attack = pickle.dumps(Attack(proof))
    checkpoint = random_checkpoint('eunet_n', cone_classes(), (64, 96))
    options = EngineOptions((64, 96), cache=tmp_path / 'cache', say=said.append)
    get = EngineCache.get

    def planted(self, name, key, build, anew=False):
        if not keys:
            keys.append(key)
            path = kept(self, key, attack)
            if not whole:
                path.write_bytes(attack)
        return get(self, name, key, build, anew)
    monkeypatch.setattr(EngineCache, 'get', planted)
    engine, _ = create_engine('openvino', checkpoint, options)
    assert engine.precision == 'float32' and not proof.exists()
    assert len(said) == 1 and said[0].endswith('it is built again.')
    pickle.loads(attack)            # the attack would have worked
    assert proof.exists()


def test_weights_that_are_an_attack_run_nothing(tmp_path):
    """A pickle behind a safetensors header, and code in the metadata."""
    from checkpoint_files import contents, refusal, small_checkpoint, written
    from eunet_ros.model.checkpoint import save_checkpoint
    proof, good = tmp_path / 'attacked', tmp_path / 'good.safetensors'
    save_checkpoint(good, small_checkpoint())
    path = tmp_path / 'bad.safetensors'
    attack = pickle.dumps(Attack(proof))
    path.write_bytes(len(attack).to_bytes(8, 'little') + attack)
    assert 'damaged or not a safetensors file' in refusal(path)
    tensors, metadata = contents(good)
    code = f'__import__("os").system("touch {proof}")'
    for change in ({'variant': code}, {'input_size': [code, code]}, {'mean': [code] * 3},
                   {'format': code}, {'classes': [code]}):
        refusal(written(path, tensors, {**metadata, **change}))
    assert not proof.exists()


def test_a_run_to_resume_that_is_an_attack_runs_nothing(tmp_path):
    proof, path = tmp_path / 'attacked', tmp_path / 'last.ckpt'
    torch.save({'state_dict': Attack(proof)}, path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    calls = [node for source in sources() for node in ast.walk(ast.parse(source.read_text()))
             if isinstance(node, ast.Call) and ast.unparse(node.func) == 'torch.load']
    assert calls and all({k.arg: ast.unparse(k.value) for k in call.keywords}['weights_only']
                         == 'True' for call in calls)
    assert not proof.exists()


# Our sources

def sources():
    return sorted(p for part in ('eunet_ros', 'model', 'training', 'launch', 'benchmarks')
                  for p in (ROOT / part).rglob('*.py'))


FORBIDDEN = {'eval', 'exec', 'compile', 'os.system', 'os.popen', 'pickle.load', 'pickle.loads',
             'marshal.loads', 'torch.jit.load', 'torch.package', 'torch.export.load',
             'torch.hub.load', 'yaml.unsafe_load', 'yaml.full_load', 'tempfile.mktemp'}


def test_no_source_runs_what_it_reads():
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            words = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if (name in FORBIDDEN or words.get('shell', 'False') != 'False'
                    or words.get('allow_pickle', 'False') != 'False'
                    or words.get('weights_only', 'True') == 'False'
                    or (name == 'yaml.load' and 'PlainLoader' not in ast.unparse(node)
                        and ast.unparse(node.args[1]) != 'loader')):  # of read_yaml, a PlainLoader
                found.append(f'{path.relative_to(ROOT)}:{node.lineno} {name}')
    assert found == []


def test_launch_starts_no_shell():
    tree = ast.parse(share_file('launch/segmentation.launch.py').read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {'ExecuteProcess', 'ExecuteLocal', 'Command', 'PythonExpression'} & {
        ast.unparse(call.func) for call in calls}
    assert not {'shell', 'prefix', 'cmd'} & {k.arg for call in calls for k in call.keywords}


# The cache

def test_the_cache_is_private(tmp_path):
    old = os.umask(0)
    try:
        EngineCache(tmp_path / 'cache').get('some', {'a': 'b'}, lambda: b'engine')
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / 'cache').stat().st_mode) == 0o700
    (path,) = (tmp_path / 'cache').glob('*.engine')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_cache_that_was_open_is_made_private(tmp_path):
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache').chmod(0o777)
    EngineCache(tmp_path / 'cache').get('some', {'a': 'b'}, lambda: b'engine')
    assert stat.S_IMODE((tmp_path / 'cache').stat().st_mode) == 0o700


def test_another_users_cache_is_not_used(tmp_path, monkeypatch):
    folder, said = tmp_path / 'cache', []
    EngineCache(folder).get('some', {'a': 'b'}, lambda: b'theirs')
    other = os.geteuid() + 12345
    if os.geteuid() == 0:
        os.chown(folder, other, -1)      # root's own folders are trusted by everybody
    else:
        monkeypatch.setattr(os, 'geteuid', lambda: other)
    cache = EngineCache(folder, said.append)
    assert cache.get('some', {'a': 'b'}, lambda: b'mine') == b'mine'
    assert len(said) == 1 and 'belongs to another user' in said[0]


def test_an_engine_that_others_can_write_is_built_again(tmp_path):
    said = []
    cache = EngineCache(tmp_path / 'cache', said.append)
    cache.get('some', {'a': 'b'}, lambda: b'old')
    (path,) = (tmp_path / 'cache').glob('*.engine')
    path.chmod(0o666)
    assert cache.get('some', {'a': 'b'}, lambda: b'new') == b'new'
    assert len(said) == 1 and 'could have been written by another user' in said[0]


# SROS 2

def test_the_policy_names_what_the_node_uses():
    """Every topic, service and parameter service of README, and no wildcard."""
    tree = ElementTree.parse(share_file('security/eunet.policy.xml')).getroot()
    assert (tree.tag, tree.get('version')) == ('policy', '0.2.0')
    profiles = {p.get('node'): p for p in tree.iter('profile')}
    assert set(profiles) == {'eunet'}

    def names(kind, item, access):
        return {e.text.strip() for group in profiles['eunet'].findall(kind)
                if group.get(access) == 'ALLOW' for e in group.findall(item)}
    from eunet_ros.node.outputs import OUTPUTS
    assert names('topics', 'topic', 'publish') >= {
        output.topic.removeprefix('/') for output in OUTPUTS.values()}
    assert names('topics', 'topic', 'subscribe') >= {
        'camera/image_raw', 'camera/image_raw/compressed', 'camera/camera_info'}
    assert names('services', 'service', 'reply') >= {
        '~/set_enabled', '~/change_state', '~/get_state', '~/set_parameters', '~/get_parameters'}
    assert not [e.text for e in tree.iter() if '*' in (e.text or '')]


def test_the_locked_requirements_are_pinned_by_hash():
    text = (ROOT / 'requirements.lock').read_text()
    entries = re.split(r'\n(?=[a-zA-Z])', re.sub(r'(?m)^#.*\n', '', text).strip())
    assert len(entries) > 30
    form = re.compile(r'[\w.\-]+==\S+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\\n)?)+$')
    assert [entry for entry in entries if not form.match(entry)] == []
    assert '://' not in text
    pinned = {re.split('==', e)[0].lower().replace('_', '-') for e in entries}
    wanted = {re.split('[=<>]', line)[0].lower() for line in
              (ROOT / 'requirements.txt').read_text().splitlines() if line[:1].isalpha()}
    assert wanted <= pinned
