# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command that builds an engine ahead of time."""
from pathlib import Path
import subprocess
import sys

import cv2
from eunet_ros.model.build_engine import main
from eunet_ros.training.renderer import render_scene
import pytest

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
    (['--precision', 'int8', '--calibrate', 'nowhere'], 'nowhere is no folder'),
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


@pytest.mark.process
def test_it_needs_no_ros():
    code = ('import sys; import eunet_ros.model.build_engine;'
            'sys.exit(any(m.split(".")[0] in ("rclpy", "sensor_msgs") for m in sys.modules))')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
