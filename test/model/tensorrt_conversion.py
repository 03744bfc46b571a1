# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build TensorRT engines on a machine without an NVIDIA GPU, with the package's own command.

    PYTHONPATH=.:test tensorrt-python test/model/tensorrt_conversion.py --weights eunet_n

What PyTorch is asked about the GPU is answered for one of compute capability 8.6. The graph is
exported and converted by Torch-TensorRT and built by TensorRT as on a real one; there it stops,
and prints the engine as a line of JSON: bytes, layers, how many of these are casts, inputs and
outputs with their types. That shows that every layer converts, and in which types; not how fast
it is, nor what it computes.

    tensorrt-python test/model/tensorrt_conversion.py --precision int8 --calibrate images/

TensorRT-RTX has no convolution in int8, TensorRT has: here it stops before the engine is built,
with `bytes` 0 and `quantised`, how many tensors are rounded to int8.

    tensorrt-python test/model/tensorrt_conversion.py --onnx network.onnx

TensorRT's parser reads a file that export_onnx wrote, and the engine is built of that.
"""
from __future__ import annotations

from collections import Counter
import importlib
from importlib.util import find_spec
import json
import sys
from typing import Any

from cuda_stand_in import answer_for_a_gpu, OnTheCpu
import torch


class EngineBuilt(BaseException):
    """Leaves through code that waits for an engine to run, with the engine's description."""


def stop_at_the_engine() -> Any:
    """Let TensorRT build for that GPU, and leave with the engine's description; returns it."""
    trt = importlib.import_module('tensorrt_rtx' if find_spec('tensorrt_rtx') else 'tensorrt')
    make_config, build = trt.Builder.create_builder_config, trt.Builder.build_serialized_network

    def config_for_the_gpu(builder: Any) -> Any:
        config = make_config(builder)
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)
        return config

    def build_and_leave(builder: Any, network: Any, config: Any) -> None:
        kinds = Counter(network.get_layer(k).type for k in range(network.num_layers))
        quantised = kinds[trt.LayerType.QUANTIZE]
        engine = None if quantised else build(builder, network, config)
        if engine is None and not quantised:
            raise RuntimeError('TensorRT could not build the engine.')

        def described(tensor: Any) -> list[Any]:
            return [tensor.dtype.name.lower(), list(tensor.shape)]
        raise EngineBuilt(json.dumps({
            'bytes': engine.nbytes if engine else 0, 'layers': kinds.total(),
            'casts': kinds[trt.LayerType.CAST], 'quantised': quantised,
            'inputs': [described(network.get_input(k)) for k in range(network.num_inputs)],
            'outputs': [described(network.get_output(k)) for k in range(network.num_outputs)]}))
    trt.Builder.create_builder_config = config_for_the_gpu
    trt.Builder.build_serialized_network = build_and_leave
    return trt


def build_of_onnx(trt: Any, path: str) -> None:
    """Build an engine of an ONNX file."""
    log = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(log)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(path):
        raise RuntimeError(str(parser.get_error(0)))
    builder.build_serialized_network(network, builder.create_builder_config())


def round_on_the_cpu() -> None:
    """Let ModelOpt use the operation that it exports, which it does for tensors on a GPU alone."""
    from modelopt.torch.quantization import tensor_quant
    plain, operation = tensor_quant._tensor_quant, tensor_quant.quantize_op

    def on_the_gpu(inputs: torch.Tensor, amax: torch.Tensor, num_bits: int = 8,
                   unsigned: bool = False, narrow_range: bool = True) -> torch.Tensor:
        return operation(inputs, amax, num_bits=num_bits, exponent_bits=0, unsigned=unsigned,
                         narrow_range=narrow_range)
    tensor_quant._tensor_quant = on_the_gpu
    tensor_quant.fake_quant_impl = plain


def main(arguments: list[str]) -> int:
    """Run `build_engine` with these arguments; returns the exit code."""
    answer_for_a_gpu()
    trt = stop_at_the_engine()
    if 'int8' in arguments:
        round_on_the_cpu()
    from eunet_ros.model.build_engine import main as build_engine
    try:
        if arguments[0] == '--onnx':
            build_of_onnx(trt, arguments[1])
        with OnTheCpu():
            return build_engine(['--engine', 'tensorrt', *arguments]) or 1
    except EngineBuilt as built:
        print(built)
        return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
