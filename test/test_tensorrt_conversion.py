# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every variant becomes one TensorRT engine, which needs no GPU to see.

TENSORRT_PYTHON names an interpreter of the environment that tensorrt_environment.sh makes.
"""
import json
import os
from pathlib import Path
import subprocess

from eunet_ros.model.eunet import VARIANTS
import pytest

PYTHON = os.environ.get('TENSORRT_PYTHON')
needs_tensorrt = pytest.mark.skipif(
    not PYTHON, reason='TENSORRT_PYTHON names no interpreter with Torch-TensorRT (5.5 GB)')


@needs_tensorrt
@pytest.mark.parametrize('precision', ['float16', 'float32'])
@pytest.mark.parametrize('variant', VARIANTS)
def test_a_variant_is_one_engine(variant, precision, tmp_path):
    here = Path(__file__).resolve()
    done = subprocess.run(
        [PYTHON, str(here.with_name('tensorrt_conversion.py')), '--variant', variant, '--height',
         '384', '--width', '640', '--precision', precision], text=True, capture_output=True,
        timeout=900, env={**os.environ, 'PYTHONPATH': str(here.parents[1]),
                          'XDG_CACHE_HOME': str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    engine = json.loads(done.stdout.splitlines()[-1])
    kind = {'float16': 'half', 'float32': 'float'}[precision]
    assert engine['inputs'] == [['uint8', [1, 384, 640, 3]]]
    assert engine['outputs'] == [[kind, [1, 6, 384, 640]]]
    assert 1e6 < engine['bytes'] < 1e8
