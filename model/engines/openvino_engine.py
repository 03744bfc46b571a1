# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default engine on CPUs: OpenVINO."""
from __future__ import annotations

import io
from pathlib import Path
import platform
import warnings

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.base import EngineError, EngineOptions, HostEngine
from eunet_ros.model.engines.cache import engine_key, EngineCache
from eunet_ros.model.errors import one_line
import numpy as np
import torch

_HINTS = {'float32': 'f32', 'bfloat16': 'bf16', 'float16': 'f16'}


def _processor() -> str:
    """Return what tells processors apart whose compiled code may differ."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.startswith(('model name', 'flags', 'Features'))})
    return ' '.join([platform.machine(), platform.processor(), *told])


class OpenvinoEngine(HostEngine):
    """
    OpenVINO, compiled for latency.

    float32 gives the reference's masks. bfloat16 is faster on x86 processors that have it, float16
    on Arm; on others OpenVINO computes in float32 all the same, and `precision` says so.
    """

    name = 'openvino'
    precisions = ('float32', 'float16' if platform.machine() in ('aarch64', 'arm64')
                  else 'bfloat16')

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
        config = {'PERFORMANCE_HINT': 'LATENCY',
                  'INFERENCE_PRECISION_HINT': _HINTS[self.precision]}
        if options.num_threads:
            config['INFERENCE_NUM_THREADS'] = options.num_threads
        key = engine_key(
            checkpoint, engine=self.name, size=str(options.input_size), precision=self.precision,
            library=openvino.get_version(), processor=_processor())
        cache = EngineCache(options.cache, options.say)
        try:
            built = cache.get(self.name, key, lambda: self._build(checkpoint, config))
            compiled = openvino.Core().import_model(io.BytesIO(built), 'CPU', config)
            used = compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()
            self.precision = {v: k for k, v in _HINTS.items()}.get(used, used)
            self._request = compiled.create_infer_request()
            self._request.set_input_tensor(openvino.Tensor(self._input, shared_memory=True))
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO could not compile the network: {one_line(error)}.') from error

    def _build(self, checkpoint: Checkpoint, config: dict[str, object]) -> bytes:
        """Compile the network; returns what OpenVINO exports of it."""
        import openvino
        network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std)
        example = torch.from_numpy(np.zeros_like(self._input))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PyTorch would like another way to export
            # Traced here: OpenVINO would trace it a second time to compare, which takes seconds.
            traced = torch.jit.trace(network, example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example,
                                           input=list(example.shape))
        exported = openvino.Core().compile_model(model, 'CPU', config).export_model()
        return exported.getvalue() if hasattr(exported, 'getvalue') else bytes(exported)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Map (1, H, W, 3) uint8 BGR to logits (C, H, W) float32."""
        if batch is not self._input:
            self._input[:] = batch
        try:
            self._request.infer()
        except RuntimeError as error:
            raise EngineError(f'OpenVINO failed on the network: {one_line(error)}.') from error
        return self._request.get_output_tensor(0).data[0]
