# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The documentation builds as a site, and every link in it leads somewhere."""
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_make_docs_has_no_warning(tmp_path):
    pytest.importorskip('sphinx', reason='Sphinx is not installed')
    pytest.importorskip('myst_parser', reason='MyST is not installed')
    if not shutil.which('make') or not (ROOT / 'Makefile').is_file():
        pytest.skip('make, or the checkout, is not here')
    built = subprocess.run(
        ['make', '-o', f'{sys.prefix}/.dev', 'docs', f'VENV={sys.prefix}', f'DOCS={tmp_path}'],
        cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / 'docs/api.html').read_text()
    assert 'id="eunet_ros.model.Segmenter.segment"' in page
