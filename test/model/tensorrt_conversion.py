# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build TensorRT engines on a machine without an NVIDIA GPU, with the package's own command.

    tensorrt-python test/model/tensorrt_conversion.py --variant eunet_n --height 384 --width 640

What PyTorch is asked about the GPU is answered for one of compute capability 8.6. The graph is
exported and converted by Torch-TensorRT and built by TensorRT as on a real one; there it stops,
and prints the engine as a line of JSON: bytes, inputs and outputs with their types. That shows
that every layer converts, and in which types; not how fast it is, nor what it computes.

    tensorrt-python test/model/tensorrt_conversion.py --precision int8 --calibrate images/

TensorRT-RTX has no convolution in int8, TensorRT has: here it stops before the engine is built,
with `bytes` 0 and `quantised`, how many tensors are rounded to int8.
"""
from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_GPU = 'a GPU of compute capability 8.6, not there'
_CAPABILITY = (8, 6)


class EngineBuilt(BaseException):
    """Leaves through code that waits for an engine to run, with the engine's description."""


class OnTheCpu(TorchFunctionMode):
    """Makes tensors that are asked for on a GPU on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def here(value: Any) -> Any:
            named = isinstance(value, (str, torch.device)) and str(value).startswith('cuda')
            return torch.device('cpu') if named else value
        if func is torch.Tensor.cuda:
            return args[0]
        return func(*map(here, args), **{k: here(v) for k, v in (kwargs or {}).items()})


class _Stream:
    cuda_stream = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def synchronize(self) -> None:
        """Return at once."""

    def wait_stream(self, stream: Any) -> None:
        """Return at once."""


class _Properties:
    name, total_memory, multi_processor_count = _GPU, 24 << 30, 84
    major, minor = _CAPABILITY


def answer_for_a_gpu() -> None:
    """Replace what PyTorch says of the GPU."""
    answers = {
        'is_available': True, 'device_count': 1, 'current_device': 0, 'get_device_name': _GPU,
        'get_device_capability': _CAPABILITY, 'get_device_properties': _Properties,
        'mem_get_info': (20 << 30, 24 << 30), 'get_rng_state': torch.zeros(16, dtype=torch.uint8),
        **dict.fromkeys(('init', 'synchronize', 'empty_cache', 'set_device', 'set_rng_state',
                         'reset_peak_memory_stats'))}
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *args, _answer=answer, **options: _answer)
    torch.cuda.Stream = torch.cuda.stream = _Stream
    torch.cuda.current_stream = torch.cuda.default_stream = lambda *args, **options: _Stream()


def stop_at_the_engine() -> None:
    """Let TensorRT build for that GPU, and leave with the engine's description."""
    import tensorrt_rtx as trt
    make_config, build = trt.Builder.create_builder_config, trt.Builder.build_serialized_network

    def config_for_the_gpu(builder: Any) -> Any:
        config = make_config(builder)
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM86, 0)
        return config

    def build_and_leave(builder: Any, network: Any, config: Any) -> None:
        layers = [network.get_layer(k) for k in range(network.num_layers)]
        quantised = sum(layer.type == trt.LayerType.QUANTIZE for layer in layers)
        engine = None if quantised else build(builder, network, config)
        if engine is None and not quantised:
            raise RuntimeError('TensorRT could not build the engine.')

        def described(tensor: Any) -> list[Any]:
            return [tensor.dtype.name.lower(), list(tensor.shape)]
        raise EngineBuilt(json.dumps({
            'bytes': engine.nbytes if engine else 0, 'quantised': quantised,
            'inputs': [described(network.get_input(k)) for k in range(network.num_inputs)],
            'outputs': [described(network.get_output(k)) for k in range(network.num_outputs)]}))
    trt.Builder.create_builder_config = config_for_the_gpu
    trt.Builder.build_serialized_network = build_and_leave


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
    stop_at_the_engine()
    if 'int8' in arguments:
        round_on_the_cpu()
    from eunet_ros.model.build_engine import main as build_engine
    try:
        with OnTheCpu():
            return build_engine(['--engine', 'tensorrt', *arguments]) or 1
    except EngineBuilt as built:
        print(built)
        return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
