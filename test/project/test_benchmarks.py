# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run from a checkout that is not installed and write what they should."""
from importlib.util import find_spec
import json
import os
from pathlib import Path
import subprocess
import sys

from eunet_ros.model import load_checkpoint
import pytest
import torch

FOLDER = Path(__file__).resolve().parents[2] / 'benchmarks'
KEYS = {'name', 'engine', 'variant', 'precision', 'height', 'width', 'baseline', 'p50_ms',
        'p90_ms', 'p99_ms'}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not FOLDER.is_dir(), reason='benchmarks are not installed')]


def run(folder, *arguments, script='latency.py'):
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    return subprocess.run([sys.executable, str(FOLDER / script), *arguments], cwd=folder,
                          text=True, capture_output=True, timeout=300,
                          env={**environment, 'OMP_NUM_THREADS': '1'})


def test_latency(tmp_path):
    path = tmp_path / 'rows.json'
    path.write_text('older')
    done = run(tmp_path, '--height', '64', '--width', '96', '--runs', '3', '--variants', 'eunet_n',
               '--threads', '1', '--json', 'rows.json')
    assert done.returncode == 0, done.stderr
    rows = json.loads(path.read_text())
    assert list(tmp_path.iterdir()) == [path]
    names = [row['name'] for row in rows]
    assert len(set(names)) == len(names)
    assert 'eunet_n torch eager' in names
    for row in rows:
        assert set(row) == KEYS
        assert row['name'] == f'{row["variant"]} {row["engine"]}'
        assert (row['variant'], row['height'], row['width']) == ('eunet_n', 64, 96)
        assert row['precision'] in ('float32', 'float16', 'bfloat16')
        assert 0 < row['p50_ms'] <= row['p90_ms'] <= row['p99_ms'] < 60_000
        assert row['name'] in done.stdout
    ours = [row for row in rows if not row['baseline']]
    if find_spec('openvino'):
        assert [r['precision'] for r in ours if r['engine'] == 'openvino'] == ['float32']
        assert len(ours) == len({r['precision'] for r in ours})
        assert 'eunet_n OpenVINO as exported' in names
    for words in ('CPU: ', 'cores: ', 'memory: ', 'Python: ', 'torch: ', 'numpy: ', 'threads: 1',
                  'p99 ms', 'images/s', 'speed-up', ' weights', 'preprocess', 'inference',
                  'postprocess', 'image 1280x720'):
        assert words in done.stdout
    # Each baseline has its row or the reason why not.
    assert 'eunet_n ONNX Runtime' in names or 'Left out: eunet_n ONNX Runtime: ' in done.stdout


@pytest.mark.parametrize(('arguments', 'words'), [
    (('--variants', 'eunet_nn'), 'did you mean eunet_n?'),
    (('--height', '65'), 'the nearest is 64x640'),
    (('--runs', '0'), '--runs must be 1 or more'),
    (('--json', 'nowhere/rows.json'), 'nowhere/rows.json does not exist'),
])
def test_wrong_arguments_stop_before_measuring(tmp_path, arguments, words):
    done = run(tmp_path, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ''


def test_training(tmp_path):
    pytest.importorskip('lightning', reason='lightning is not installed')
    done = run(tmp_path, '--variants', 'eunet_n', '--size', '64', '96', '--batch', '2', '--steps',
               '3', script='training.py')
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith('eunet_n')]
    assert [row.split()[-1][-1] for row in rows] == ['x', 'x'] and not list(tmp_path.iterdir())


def test_training_data(tmp_path):
    done = run(tmp_path, '--images', '10', '--drawn', '5', script='training_data.py')
    assert done.returncode == 0, done.stderr
    assert 'Index and split of 10 images' in done.stdout
    assert done.stdout.splitlines()[-1].startswith('crop of 384x256, zoomed')


def test_contenders_are_trained_alike_and_scored(tmp_path, monkeypatch, cache):
    monkeypatch.syspath_prepend(str(FOLDER))
    contest = pytest.importorskip('_contest', reason='what training needs is not installed')
    networks = pytest.importorskip('_baseline_networks')
    config = contest.TrainConfig(images=4, height=64, width=96, crop_height=64, crop_width=96,
                                 batch=2, steps=2, validate_every=2, workers=0, cache=str(cache))
    entries = [contest.Contender('eunet_n'),
               contest.Contender('U-Net', lambda: networks.PlainUNet(6, 2)),
               contest.Contender('other scenes', profile=contest.replace(
                   contest.TRAIN, layouts={'scatter': 1.0}))]
    rows = list(contest.compete(entries, config, 0, contest.benchmark_scenes(2, (64, 96)),
                                tmp_path))
    assert [row['name'] for row in rows] == ['eunet_n', 'U-Net', 'other scenes']
    assert all(row['steps'] == 2 and 0 <= row['dice'] <= 1 for row in rows)
    assert rows[0]['parameters'] == rows[2]['parameters'] == 700_296
    # The weights of EUnets stay, for evaluate.py.
    kept = sorted(tmp_path.glob('*.safetensors'))
    assert [p.name for p in kept] == ['eunet_n.safetensors', 'other_scenes.safetensors']
    assert all(load_checkpoint(p).variant == 'eunet_n' for p in kept)
    assert '-' in contest.score_columns({**rows[0], 'recall': {'10-19': None, '20-39': 0.5}})


def test_baseline_networks(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    networks = pytest.importorskip('_baseline_networks')
    x = torch.rand(1, 3, 64, 96)
    for network in (networks.PlainUNet(6, 2), networks.FastSCNN(6),
                    networks.without_attention(6, 'eunet_n'), networks.without_spd(6, 'eunet_n')):
        assert network.eval()(x).shape == (1, 6, 64, 96)
    quarter = networks.PlainUNet(6, 2, stem=4).eval()
    assert quarter(torch.rand(1, 3, 64, 128)).shape == (1, 6, 64, 128)
    # Table 1 of the paper; it counts 1.11 million with its classes.
    assert sum(p.numel() for p in networks.FastSCNN(19).parameters()) == pytest.approx(1.11e6,
                                                                                       rel=0.05)
    pooled = networks.without_spd(6, 'eunet_n').down1.conv
    space_to_depth = torch.nn.functional.pixel_unshuffle(x, 2)
    pooled.conv = torch.nn.Identity()
    assert torch.equal(pooled(space_to_depth), torch.nn.functional.max_pool2d(x, 2))


def test_roofline(tmp_path):
    done = run(tmp_path, '--size', '64', '96', '--layers', '3', script='roofline.py')
    assert done.returncode == 0, done.stderr
    for words in ('depthwise 7x7 dilated 3', 'of bound', 'slowest layers', 'GB/s', 'CPU: '):
        assert words in done.stdout
    total = next(line for line in done.stdout.splitlines() if line.startswith('all '))
    macs = float(total.split()[2])
    # The network's multiply-adds at 384x640, 640 million, in proportion to the area, or nearly.
    assert macs == pytest.approx(640 * 64 * 96 / (384 * 640), rel=0.1)
    refused = run(tmp_path, '--size', '65', '96', script='roofline.py')
    assert refused.returncode == 1 and 'multiples of 32, found 65x96' in refused.stderr


def test_node_latency(tmp_path):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    done = run(tmp_path, '--size', '96', '160', '--seconds', '2', '--loads', '1',
               '--json', 'n.json', '--engine', 'torch', script='node_latency.py')
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / 'n.json').read_text())
    assert [row['name'] for row in rows] == ['unloaded', '1 x capacity']
    for row in rows:
        latency = row['latency_ms']
        assert 0 < latency['p50'] <= latency['p90'] <= latency['p99'] <= latency['max'] < 10_000
        assert row['stage_ms']['total']['p50'] > 0 and row['memory_mib'][0] > 10
    assert 'for everything else' in done.stdout


def test_bag_evaluation(tmp_path, tiny_weights):
    done = run(tmp_path, '--frames', '30', '--rounds', '1', '--size', '48', '64', '--seconds',
               '0.3', '--weights', str(tiny_weights), '--no-recordings',
               script='bag_evaluation.py')
    assert done.returncode == 0, done.stderr
    for words in ("engine's own rate", 'while segmenting', 'all in all', 'segment', 'score'):
        assert words in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('script', 'arguments', 'words'), [
    ('bag_evaluation.py', ('--frames', '1'), '--frames must be at least 10'),
    ('node_latency.py', ('--hz', '0'), '--hz must be from 0.1'),
    ('node_latency.py', ('--size', '0', '96'), '--size must be at least 16'),
    ('comparison.py', ('--minutes', '0'), '--minutes must be above 0'),
    ('randomisation.py', ('--steps', '0'), 'steps must be at least 1')])
def test_what_cannot_be_is_a_sentence(tmp_path, script, arguments, words):
    done = run(tmp_path, *arguments, script=script)
    assert done.returncode == 1
    assert words in done.stderr and 'Traceback' not in done.stderr
    assert not list(tmp_path.iterdir())


def test_renderer(tmp_path):
    done = run(tmp_path, '--scenes', '10', '--warm-up', '0', script='renderer.py')
    assert done.returncode == 0, done.stderr
    for words in ('384x640: 10 scenes, p50', '720x1280: 10 scenes', 'memory by tenths', 'CPU: '):
        assert words in done.stdout
    assert run(tmp_path, '--scenes', '1', script='renderer.py').returncode == 2


def test_family(tmp_path):
    done = run(tmp_path, '--networks', '8/4', '8/2', '--height', '64', '--width', '96', '--runs',
               '2', script='family.py')
    assert done.returncode == 0, done.stderr
    for words in ('8/4 ', '8/2 ', 'GMAC', 'p99 ms', 'CPU: '):
        assert words in done.stdout
    done = run(tmp_path, '--networks', '8x4', script='family.py')
    assert done.returncode == 1
    assert done.stderr.startswith('family: ') and 'such as 24/4, found' in done.stderr


def test_cones(tmp_path):
    done = run(tmp_path, '--weights', '', '--drives', '1', '--frames', '4', '--json', 'rows.json',
               script='cones.py')
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / 'rows.json').read_text())
    asked = report['true masks']['over_15_px_within_20_m']
    assert asked['cones'] > 20 and asked['found_and_right'] > 0.9
    near = [r for r in report['true masks']['positions']
            if r['pitch_error_deg'] == 0 and r['metres'][1] <= 10]
    assert near and all(r['median'] < 0.03 for r in near)
    assert all(0 < r['p50_ms'] <= r['p99_ms'] for r in report['time'])
    assert 'Touching pairs separated' in done.stdout
    done = run(tmp_path, '--weights', '', '--picture', 'a.png', script='cones.py')
    assert done.returncode == 0 and (tmp_path / 'a.png').is_file()
    done = run(tmp_path, '--weights', '', '--picture', 'a.png', script='cones.py')
    assert done.returncode == 1 and 'a.png exists: choose another file' in done.stderr
    done = run(tmp_path, '--weights', '', '--tracking', script='cones.py')
    assert done.returncode == 1 and done.stderr.count('\n') == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')
def test_gpu(tmp_path):
    done = run(tmp_path, script='gpu.py')
    assert done.returncode == 1 and not done.stdout
    assert 'finds no GPU here' in done.stderr and done.stderr.count('\n') == 1
    done = run(tmp_path, '--dry-run', '--json', 'gpu.json', '--only', 'engines', 'camera',
               'formats', 'threads', script='gpu.py')
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / 'gpu.json').read_text())
    assert [row['way'] for row in found['engines']] == [
        'torch float32', 'eager float32', 'eager 16 bit']
    assert all(row['agreement'] > 0.99 and row['p50_ms'] > 0 for row in found['engines'])
    assert found['camera']['torch']['inference'] > 0 and len(found['formats']['eunet_n']) == 3
    assert 'a dry run' in found['device'] and not found['failures']
    assert ', 0 errors.' in done.stdout and done.stdout.endswith('\n0 failures.\n')
