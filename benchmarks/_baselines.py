# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The same network as others would run it, to compare with.

Each function takes a checkpoint, the input (1, 3, H, W) float32 and the number of CPU threads (0
for the library's default), and returns what runs it once and the precision it computes in. Unlike
the package's engines, which take the image's bytes, they do not normalise.
"""
from __future__ import annotations

from collections.abc import Callable
import importlib.util
from pathlib import Path
import tempfile
import warnings

from eunet_ros.model.checkpoint import Checkpoint
import numpy as np
import torch

Way = tuple[Callable[[], object], str]


class UnavailableError(RuntimeError):
    """A baseline that cannot run here; the message says what is missing."""


def torch_eager(checkpoint: Checkpoint, x: np.ndarray, threads: int) -> Way:
    """Run the network as PyTorch does when nothing is said: eager, float32, NCHW."""
    del threads  # set for the whole process
    tensor, network = torch.from_numpy(x), checkpoint.network

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return network(tensor)
    return run, 'float32'


def torch_compile(checkpoint: Checkpoint, x: np.ndarray, threads: int) -> Way:
    """Run the network through torch.compile with its defaults."""
    del threads
    tensor, network = torch.from_numpy(x), torch.compile(checkpoint.network)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            return network(tensor)
    try:
        run()
    except Exception as error:  # of many kinds: there may be no compiler
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnavailableError(f'torch.compile failed: {reason[0]}') from error
    return run, 'float32'


def openvino_naive(checkpoint: Checkpoint, x: np.ndarray, threads: int) -> Way:
    """Run the network in OpenVINO as converted and compiled with every default."""
    try:
        import openvino
    except ImportError as error:
        raise UnavailableError(f'OpenVINO is not installed ({error}).') from error
    model = openvino.convert_model(checkpoint.network, example_input=torch.from_numpy(x))
    options = {'INFERENCE_NUM_THREADS': threads} if threads else {}
    compiled = openvino.compile_model(model, 'CPU', options)
    # With every default that is bfloat16 on some processors.
    name = compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()
    precision = {'f32': 'float32', 'f16': 'float16', 'bf16': 'bfloat16'}.get(name, name)
    return lambda: compiled(x), precision


def onnx_runtime(checkpoint: Checkpoint, x: np.ndarray, threads: int) -> Way:
    """Export the network to ONNX and run it in ONNX Runtime with its defaults."""
    missing = [name for name in ('onnxruntime', 'onnx') if not importlib.util.find_spec(name)]
    if missing:
        raise UnavailableError(
            f'it needs {" and ".join(missing)} (pip install {" ".join(missing)}).')
    import onnxruntime
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the exporter, which without onnxscript is the older
        path = Path(folder) / 'network.onnx'
        torch.onnx.export(checkpoint.network, (torch.from_numpy(x),), str(path),
                          input_names=['image'], verbose=False,
                          dynamo=importlib.util.find_spec('onnxscript') is not None)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options,
                                               providers=['CPUExecutionProvider'])
    return lambda: session.run(None, {'image': x}), 'float32'


BASELINES: dict[str, Callable[[Checkpoint, np.ndarray, int], Way]] = {
    'torch eager': torch_eager,
    'OpenVINO as exported': openvino_naive,
    'ONNX Runtime': onnx_runtime,
}
