# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ONNX file computes what the network does, in operations that TensorRT reads."""
import sys

from eunet_ros.model import Segmenter
from eunet_ros.model.eunet import VARIANTS
from eunet_ros.model.export_onnx import main
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest
import torch

onnx = pytest.importorskip('onnx', reason='ONNX is not installed')
onnxruntime = pytest.importorskip('onnxruntime', reason='ONNX Runtime is not installed')
SMALL = ['--height', '96', '--width', '160']


@pytest.mark.parametrize('variant', VARIANTS)
def test_it_takes_bytes_and_gives_the_references_logits(variant, tmp_path, capsys):
    path = tmp_path / 'network.onnx'
    which = ['--weights', 'eunet_n'] if variant == 'eunet_n' else ['--variant', variant]
    assert main([*which, *SMALL, '--output', str(path)]) == 0
    assert 'image (1, 96, 160, 3) uint8 BGR' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ('image', 'tensor(uint8)', [1, 96, 160, 3])
    assert (logits.name, logits.type, logits.shape) == ('logits', 'tensor(float)', [1, 6, 96, 160])
    if variant == 'eunet_n':
        scene = render_scene(0, 96, 160).image
        expected = Segmenter('eunet_n', 'torch', (96, 160)).segment(scene)
        found = session.run(None, {'image': scene[None]})[0][0]
        assert np.abs(found - expected.logits).max() < 1e-3


def test_its_operations_are_few_and_old(tmp_path):
    path = tmp_path / 'network.onnx'
    assert main([*SMALL, '--output', str(path)]) == 0
    model = onnx.load(path)
    assert [(o.domain, o.version) for o in model.opset_import] == [('', 17)]
    assert {node.op_type for node in model.graph.node} == {
        'Add', 'Cast', 'Concat', 'Constant', 'Conv', 'ConvTranspose', 'DepthToSpace',
        'HardSigmoid', 'Mul', 'Reshape', 'Sigmoid', 'Sub', 'Transpose'}


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--variant', 'eunet_x'], 'Unknown variant'),
    (['--height', '65', '--width', '96'], 'the nearest is 64x96'),
    (['--height', '64'], 'go together'),
    (['--output', 'nowhere/network.onnx'], 'The folder of nowhere'),
    (['--output', 'kept.onnx'], 'kept.onnx exists')])
def test_what_cannot_be_is_a_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'kept.onnx').write_text('mine')
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith('export_onnx: ') and error.count('\n') == 1
    assert [p.read_text() for p in tmp_path.iterdir()] == ['mine']


def test_a_file_that_computes_something_else_is_not_left(tmp_path, monkeypatch, capsys):
    run = onnxruntime.InferenceSession.run
    monkeypatch.setattr(onnxruntime.InferenceSession, 'run',
                        lambda *arguments: [run(*arguments)[0] + 1])
    assert main([*SMALL, '--output', str(tmp_path / 'network.onnx')]) == 1
    assert 'differs from PyTorch' in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize('missing', ['onnx', 'onnxruntime'])
def test_what_is_missing_is_told(missing, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main([*SMALL, '--output', str(tmp_path / 'network.onnx')]) == 1
    error = capsys.readouterr().err
    assert 'pip install onnx onnxruntime' in error and error.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_what_pytorch_cannot_export_is_a_sentence(tmp_path, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise torch.onnx.errors.OnnxExporterError('no such\noperator')
    monkeypatch.setattr(torch.onnx, 'export', fail)
    assert main([*SMALL, '--output', str(tmp_path / 'network.onnx')]) == 1
    assert 'could not export the network: no such operator.' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
