# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default engine on CPUs: OpenVINO."""
from __future__ import annotations

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.engines.base import EngineError, EngineOptions, HostEngine
from eunet_ros.model.engines.image_network import ImageNetwork
from eunet_ros.model.errors import one_line
import numpy as np
import torch


class OpenvinoEngine(HostEngine):
    """OpenVINO in float32, compiled for latency."""

    name = 'openvino'
    precision = 'float32'

    @classmethod
    def check_available(cls) -> None:
        """Raise EngineError where OpenVINO is not installed."""
        try:
            import openvino  # noqa: F401
        except ImportError as error:
            raise EngineError(
                f'The engine openvino needs the OpenVINO library ({one_line(error)}); install it '
                'with: pip install openvino.') from error

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        import openvino
        super().__init__(checkpoint, options)
        # float32 spelt out: on some CPUs OpenVINO would choose bfloat16 by itself.
        config = {'PERFORMANCE_HINT': 'LATENCY', 'INFERENCE_PRECISION_HINT': 'f32'}
        if options.num_threads:
            config['INFERENCE_NUM_THREADS'] = options.num_threads
        example = torch.from_numpy(np.zeros_like(self._input))
        try:
            # Traced here: OpenVINO would trace it a second time to compare, which takes seconds.
            traced = torch.jit.trace(ImageNetwork(checkpoint).eval(), example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example,
                                           input=list(example.shape))
            compiled = openvino.Core().compile_model(model, 'CPU', config)
            self._request = compiled.create_infer_request()
            self._request.set_input_tensor(openvino.Tensor(self._input, shared_memory=True))
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO could not compile the network: {one_line(error)}.') from error

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Map (1, H, W, 3) uint8 BGR to logits (C, H, W) float32."""
        if batch is not self._input:
            self._input[:] = batch
        try:
            self._request.infer()
        except RuntimeError as error:
            raise EngineError(f'OpenVINO failed on the network: {one_line(error)}.') from error
        return self._request.get_output_tensor(0).data[0]
