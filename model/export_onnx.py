# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Export a network to ONNX, for trtexec, ONNX Runtime and others; what it computes is checked.

    python -m eunet_ros.model.export_onnx --output eunet_n.onnx
    python -m eunet_ros.model.export_onnx --weights my.safetensors --height 544 --width 960

It takes `image`, (1, height, width, 3) uint8 BGR, and gives `logits`, (1, classes, height, width)
float32. Normalisation is part of it; scaling and choosing a class are in `model/processing.py`.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from typing import Any, TYPE_CHECKING
import warnings

from eunet_ros.model.build_engine import add_network, network_of
from eunet_ros.model.common.command import check_new_file, run_command
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import written_beside
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.model.checkpoint import Checkpoint

OPSET = 17        # every operation of the network is in it; TensorRT reads 9 and later
_ERROR = 1e-3     # of a logit, as a share of the largest
_AGREEMENT = 0.999


def export(checkpoint: Checkpoint, path: Path, size: tuple[int, int]) -> float:
    """Write the network to an ONNX file; returns the largest error; raises ValueError."""
    from eunet_ros.model.checkpoint import check_input_size
    from eunet_ros.model.deploy import deploy_image
    import onnx
    import onnxruntime
    import torch
    check_input_size(size, checkpoint.network.variant)
    network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std)
    example = torch.zeros((1, *size, 3), dtype=torch.uint8)
    with written_beside(path) as beside:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # PyTorch prefers an exporter of more libraries
                torch.onnx.export(network, (example,), str(beside), input_names=['image'],
                                  output_names=['logits'], opset_version=OPSET, dynamo=False)
            onnx.checker.check_model(str(beside), full_check=True)
            session = onnxruntime.InferenceSession(str(beside), providers=['CPUExecutionProvider'])
        except RuntimeError as error:
            raise ValueError(f'PyTorch could not export the network: {one_line(error)}.'
                             ) from error
        return _largest_error(checkpoint, session.run, size)


def _largest_error(checkpoint: Checkpoint, run: Any, size: tuple[int, int]) -> float:
    """Return it for noise and for a grey image; raises ValueError if it exceeds rounding."""
    from eunet_ros.model.engines.torch_engine import ImageNetwork
    import torch
    reference, largest = ImageNetwork(checkpoint).eval(), 0.0
    noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    for image in (noise, np.full_like(noise, 114)):
        with torch.inference_mode():
            expected = reference(torch.from_numpy(image)).numpy()
        found = run(None, {'image': image})[0]
        error = float(np.abs(found - expected).max())
        equal = float((found.argmax(1) == expected.argmax(1)).mean())
        if not error <= _ERROR * max(1.0, float(np.abs(expected).max())) or equal < _AGREEMENT:
            raise ValueError(
                f'The exported network differs from PyTorch: a logit by {error:g}, and {equal:.2%}'
                ' of pixels are of the same class; try another release of ONNX Runtime.')
        largest = max(largest, error)
    return largest


def _export(options: argparse.Namespace) -> None:
    checkpoint, size = network_of(options)
    path = options.output or Path(f'{checkpoint.variant}.onnx')
    size = size or checkpoint.input_size
    check_new_file(path)
    error = export(checkpoint, path, size)
    print(f'{path}: image (1, {size[0]}, {size[1]}, 3) uint8 BGR to logits (1, '
          f'{checkpoint.classes.num_logits}, {size[0]}, {size[1]}), opset {OPSET}; against '
          f'PyTorch a logit differs by {error:.1e} at most.')


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Export a network to ONNX and check the file.')
    add_network(parser)
    parser.add_argument('--output', type=Path, help='default: <variant>.onnx here')
    options = parser.parse_args(arguments)
    return run_command('export_onnx', lambda: _export(options),
                       install='install it with: pip install onnx onnxruntime')


if __name__ == '__main__':
    sys.exit(main())
