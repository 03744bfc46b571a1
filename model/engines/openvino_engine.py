# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default engine on CPUs: OpenVINO."""
from __future__ import annotations

from collections.abc import Sequence
import io
import logging
from pathlib import Path
import platform
from typing import Any
import warnings

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.base import (
    EngineError,
    EngineOptions,
    fitted,
    HostEngine,
    no_calibration,
)
from eunet_ros.model.engines.cache import engine_key, EngineCache
import numpy as np
import torch

_HINTS = {'float32': 'f32', 'bfloat16': 'bf16', 'float16': 'f16', 'int8': 'f32'}


def _processor() -> str:
    """Return a key of processors that can share compiled code."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    kinds = {line for line in lines if line.startswith(('model name', 'flags', 'Features'))}
    return ' '.join([platform.machine(), platform.processor(), *sorted(kinds)])


def _quantised(model: Any, images: Sequence[np.ndarray], size: tuple[int, int]) -> Any:
    """Return the model in int8, calibrated with images; raises EngineError."""
    try:
        import nncf
    except ImportError as error:
        raise EngineError(f'Quantising needs the NNCF library ({one_line(error)}); install it '
                          'with: pip install nncf.') from error
    nncf.set_log_level(logging.ERROR)
    try:
        return nncf.quantize(
            model, nncf.Dataset(images, lambda image: fitted(image, size)),
            subset_size=len(images), preset=nncf.QuantizationPreset.MIXED)
    except Exception as error:  # of many types
        raise EngineError(f'NNCF could not quantise the network: {one_line(error)}.') from error


class OpenvinoEngine(HostEngine):
    """OpenVINO, compiled for latency; `precision` reports what the processor computes in."""

    name = 'openvino'
    libraries = ('openvino', 'torch')
    precisions = ('float32', 'float16' if platform.machine() in ('aarch64', 'arm64')
                  else 'bfloat16', 'int8')

    @classmethod
    def check_available(cls) -> None:
        try:
            import openvino  # noqa: F401
        except ImportError as error:
            raise EngineError(
                f'The engine openvino needs the OpenVINO library ({one_line(error)}); install it '
                'with: pip install openvino.') from error

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        import openvino
        super().__init__(checkpoint, options)
        # Explicit float32: on some CPUs OpenVINO would choose bfloat16.
        config = {'PERFORMANCE_HINT': 'LATENCY',
                  'INFERENCE_PRECISION_HINT': _HINTS[self.precision]}
        if options.num_threads:
            config['INFERENCE_NUM_THREADS'] = options.num_threads
        key = engine_key(
            checkpoint, engine=self.name, size=str(options.input_size), precision=self.precision,
            library=openvino.get_version(), processor=_processor())
        cache = EngineCache(options.cache, options.say)
        try:
            def built(anew: bool) -> io.BytesIO:
                return io.BytesIO(cache.get(
                    self.name, key, lambda: self._build(checkpoint, config, options.calibration),
                    anew))
            core = openvino.Core()
            found = built(self.precision == 'int8' and len(options.calibration) > 0)
            try:
                compiled = core.import_model(found, 'CPU', config)
            except RuntimeError as error:
                options.say(f'OpenVINO refuses the kept engine ({one_line(error)}); it is built '
                            'again.')
                compiled = core.import_model(built(True), 'CPU', config)
            used = compiled.get_property('INFERENCE_PRECISION_HINT').get_type_name()
            if self.precision != 'int8':
                self.precision = next((k for k, v in _HINTS.items() if v == used), used)
            self._request = compiled.create_infer_request()
            self._request.set_input_tensor(openvino.Tensor(self._input, shared_memory=True))
        except EngineError:
            raise
        except RuntimeError as error:
            raise EngineError(
                f'OpenVINO could not compile the network: {one_line(error)}.') from error

    def _build(self, checkpoint: Checkpoint, config: dict[str, object],
               calibration: Sequence[np.ndarray]) -> bytes:
        import openvino
        if self.precision == 'int8' and not len(calibration):
            raise no_calibration(self.name)
        network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std)
        example = torch.from_numpy(np.zeros_like(self._input))
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # PyTorch recommends another exporter
            # Traced here: OpenVINO would trace it again for comparison, which takes seconds.
            traced = torch.jit.trace(network, example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example,
                                           input=list(example.shape))
        if self.precision == 'int8':
            model = _quantised(model, calibration, self.input_size)
        exported = openvino.Core().compile_model(model, 'CPU', config).export_model()
        return exported.getvalue() if hasattr(exported, 'getvalue') else bytes(exported)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        if batch is not self._input:
            self._input[:] = batch
        try:
            self._request.infer(share_outputs=True)  # else it copies the logits
        except RuntimeError as error:
            raise EngineError(f'OpenVINO failed on the network: {one_line(error)}.') from error
        return self._request.get_output_tensor(0).data[0]
