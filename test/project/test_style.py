# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The linters of ROS 2 and ruff find nothing."""
from pathlib import Path
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).resolve().parents[2]


def tracked(pattern):
    found = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', pattern], cwd=ROOT,
                           capture_output=True, text=True)
    if found.returncode:
        pytest.skip('not a git checkout: no list of files to lint')
    return sorted(found.stdout.split())


# ament_flake8 takes 15 s: it reads every file with ten plugins.
@pytest.mark.parametrize('tool', ['ruff', 'ament_flake8', 'ament_pep257'])
def test_lint(tool):
    if tool == 'ament_flake8' and sys.version_info >= (3, 12):
        pytest.skip('the flake8 that ament_flake8 pins cannot read the f-strings of Python 3.12')
    if tool == 'ruff':
        command = [sys.executable, '-m', 'ruff', 'check', '--no-cache', '.']
    else:
        command = [sys.executable, '-c', f'import sys, {tool}.main as m; sys.exit(m.main())',
                   *tracked('*.py')]
    try:
        __import__(tool)
    except ImportError:
        pytest.skip(f'{tool} is not installed: pip install -r requirements-dev.txt')
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = [line for line in (result.stdout + result.stderr).splitlines()
            if not line.startswith(('checking', '* '))]
    assert result.returncode == 0, '\n'.join(said)


def test_every_source_file_names_its_licence():
    lines = ['# Copyright 2026 The eunet_ros contributors',
             '# SPDX-License-Identifier: Apache-2.0']
    wrong = [p for p in tracked('*.py')
             if (ROOT / p).read_text().splitlines()[:2] != lines]
    assert wrong == []


def test_no_file_is_long():
    lengths = {p: len((ROOT / p).read_text().splitlines()) for p in tracked('*.py')}
    assert {p: n for p, n in lengths.items() if n > 400} == {}
