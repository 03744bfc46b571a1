# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command that builds an engine ahead of time."""
import subprocess
import sys

from eunet_ros.model.build_engine import main
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
    (['--engine', 'torch', '--precision', 'float16'], 'not in float16')])
def test_what_cannot_be_is_a_sentence(arguments, words, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith('build_engine: ') and error.count('\n') == 1


def test_it_needs_no_ros():
    code = ('import sys; import eunet_ros.model.build_engine;'
            'sys.exit(any(m.split(".")[0] in ("rclpy", "sensor_msgs") for m in sys.modules))')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
