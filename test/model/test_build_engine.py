# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command that builds an engine ahead of time."""
from importlib.metadata import version
from pathlib import Path
import subprocess
import sys

from cuda_stand_in import answer_for_a_gpu
import cv2
from eunet_ros.model.build_engine import main
from eunet_ros.model.engines import ENGINES
from eunet_ros.training.renderer import render_scene
import pytest
import torch

SMALL = ['--height', '64', '--width', '96']


@pytest.mark.parametrize('which', [['--variant', 'eunet_s'], []])
def test_it_says_what_is_ready(which, capsys):
    assert main([*which, *SMALL]) == 0
    said = capsys.readouterr().out
    assert 'Ready in ' in said and 'input 64x96' in said and ' ms an image' in said
    assert (which or ['', 'eunet_n'])[1] + ' on ' in said


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--height', '64'], 'go together'),
    (['--height', '65', '--width', '96'], 'the nearest is 64x96'),
    (['--weights', 'eunet_x'], 'eunet_x'),
    (['--precision', 'int8'], 'go together'),
    (['--calibrate', '.'], 'go together'),
    (['--precision', 'int8', '--calibrate', 'nowhere'], 'nowhere is not a folder'),
    (['--precision', 'int8', '--calibrate', str(Path(__file__).parents[1] / 'data')],
     'Expected at least 10 images'),
    (['--engine', 'torch', '--precision', 'float16'], 'not in float16')])
def test_what_cannot_be_is_a_sentence(arguments, words, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith('build_engine: ') and error.count('\n') == 1


@pytest.mark.slow  # it calibrates
def test_int8_says_how_equal_its_masks_are(tmp_path, capsys):
    pytest.importorskip('openvino', reason='OpenVINO is not installed')
    pytest.importorskip('nncf', reason='NNCF is not installed')
    for seed in range(10):
        cv2.imwrite(str(tmp_path / f'{seed}.png'), render_scene(seed, 96, 160).image)
    assert main([*SMALL, '--engine', 'openvino', '--precision', 'int8', '--calibrate',
                 str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert 'openvino (int8)' in said
    assert 'Against float32 on 2 other images: ' in said and 'Dice between' in said


def test_check_tells_of_every_engine(capsys):
    assert main(['--check']) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ['engine', 'runs', 'here', 'with,', 'or', 'why', 'not']
    assert [row.split()[0] for row in rows] == list(ENGINES)
    assert rows[-1].split(None, 2)[1:] == ['yes', f'float32; torch {version("torch")}']
    if not torch.cuda.is_available():
        assert rows[0].split(None, 2)[1:] == [
            'no', 'The engine tensorrt needs an NVIDIA GPU and this machine has none; choose '
            'another engine.']


def test_check_on_a_gpu(capsys, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    answer_for_a_gpu(monkeypatch.setattr)
    monkeypatch.setitem(sys.modules, 'torch_tensorrt', None)
    assert main(['--check']) == 0
    tensorrt, cuda, *_ = [row.split(None, 2)[1:] for row in
                          capsys.readouterr().out.splitlines()[1:]]
    assert tensorrt[0] == 'no' and "pip install 'torch-tensorrt==" in tensorrt[1]
    assert cuda[0] == 'yes' and 'compute capability 8.6, 24.0 GiB' in cuda[1]


@pytest.mark.process
@pytest.mark.parametrize('arguments', [['--check'], []])
def test_without_pytorch_it_is_a_sentence(arguments):
    code = ('import sys; sys.modules["torch"] = None; import eunet_ros.model.build_engine as b;'
            f'sys.exit(b.main({arguments}))')
    done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True,
                          check=False)
    assert done.returncode == (0 if arguments else 1)
    assert 'torch' in done.stdout + done.stderr and 'Traceback' not in done.stderr
    assert done.stdout.count(' no ') == (len(ENGINES) if arguments else 0)


@pytest.mark.process
def test_it_needs_no_ros():
    code = ('import sys; import eunet_ros.model.build_engine;'
            'sys.exit(any(m.split(".")[0] in ("rclpy", "sensor_msgs") for m in sys.modules))')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
