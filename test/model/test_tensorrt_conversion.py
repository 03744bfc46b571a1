# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every variant becomes one TensorRT engine, which needs no GPU to see.

TENSORRT_PYTHON names interpreters of environments that tensorrt_environment.sh makes, separated by
colons.
"""
import json
import os
from pathlib import Path
import subprocess
import sys

import cv2
from eunet_ros.model import export_onnx
from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.base import EngineError
from eunet_ros.model.engines.tensorrt_engine import quantised
from eunet_ros.model.eunet import VARIANTS
from eunet_ros.training.renderer import render_scene
import pytest
from torch import nn

pytestmark = pytest.mark.process

PYTHONS = list(filter(None, os.environ.get('TENSORRT_PYTHON', '').split(':')))
needs_tensorrt = pytest.mark.skipif(
    not PYTHONS, reason='TENSORRT_PYTHON names no interpreter with Torch-TensorRT (6.2 GB)')
# Of eunet_n, eunet_s and eunet, in either precision; more are a conversion that became worse.
MOST_LAYERS, MOST_CASTS = 150, 3


def run(script, tmp_path, *arguments, python=None):
    """Return what a script beside this one prints as JSON, run where TensorRT is."""
    here = Path(__file__).resolve()
    python = python or PYTHONS[0]
    done = subprocess.run(
        [python, str(here.with_name(script)), *arguments], text=True, capture_output=True,
        timeout=900, env={
            **os.environ, 'PYTHONPATH': f'{here.parents[2]}:{here.parents[1]}',
            'XDG_CACHE_HOME': str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@needs_tensorrt
@pytest.mark.parametrize('precision', ['float16', 'float32'])
@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('python', PYTHONS or [''])
def test_a_variant_is_one_engine(python, variant, precision, tmp_path):
    engine = run('tensorrt_conversion.py', tmp_path, '--weights', variant, '--height', '384',
                 '--width', '640', '--precision', precision, python=python)
    print(python, variant, precision, engine)
    kind = {'float16': 'half', 'float32': 'float'}[precision]
    assert engine['inputs'] == [['uint8', [1, 384, 640, 3]]]
    assert engine['outputs'] == [[kind, [1, 6, 384, 640]]]
    assert 1e6 < engine['bytes'] < 1e8 and not engine['quantised']
    assert engine['layers'] <= MOST_LAYERS and engine['casts'] <= MOST_CASTS


@needs_tensorrt
def test_tensorrt_reads_the_onnx_file(tmp_path):
    pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
    path = tmp_path / 'network.onnx'
    assert export_onnx.main(['--height', '384', '--width', '640', '--output', str(path)]) == 0
    engine = run('tensorrt_conversion.py', tmp_path, '--onnx', str(path))
    print(engine)
    assert engine['inputs'] == [['uint8', [1, 384, 640, 3]]]
    assert engine['outputs'] == [['float', [1, 6, 384, 640]]]
    assert engine['layers'] <= MOST_LAYERS and engine['bytes'] > 1e6


@needs_tensorrt
def test_int8_converts_as_a_whole(tmp_path):
    for seed in range(10):
        cv2.imwrite(str(tmp_path / f'{seed}.png'), render_scene(seed, 96, 160).image)
    network = run('tensorrt_conversion.py', tmp_path, '--weights', 'eunet_n', '--height', '96',
                  '--width', '160', '--precision', 'int8', '--calibrate', str(tmp_path))
    checkpoint = load_checkpoint('eunet_n')
    layers = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std).modules()
    dense = sum(isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) and layer.groups == 1
                for layer in layers)
    assert network['quantised'] == 2 * dense  # the input and the weights of each
    assert network['outputs'] == [['half', [1, 6, 96, 160]]]


@needs_tensorrt
def test_int8_keeps_the_mask(tmp_path):
    found = run('int8_agreement.py', tmp_path, '--calibrate', '30', '--compare', '10')
    print(found)
    assert found['equal'] > 0.99 and found['cone_dice'] > 0.95


def test_int8_without_modelopt_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'modelopt', None)
    with pytest.raises(EngineError, match='pip install nvidia-modelopt') as error:
        quantised(nn.Identity(), [], (32, 32))
    assert '\n' not in str(error.value)
