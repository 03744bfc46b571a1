# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT, built ahead of time by Torch-TensorRT and kept in the user's cache.

The network is exported, converted as a whole (an operation that does not convert is an error, not
a slow engine) and built for this GPU. The precision is that of the graph's own types, which holds
from Torch-TensorRT 2.8 (JetPack 6) on. What is kept is TensorRT's own serialised engine: bytes
that no unpickling reads.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
import importlib
from importlib.metadata import PackageNotFoundError, version
import logging
from types import ModuleType

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.base import EngineError, EngineOptions
from eunet_ros.model.engines.cache import engine_key, EngineCache
from eunet_ros.model.engines.calibration import no_calibration
from eunet_ros.model.engines.device import check_gpu, DeviceEngine
from eunet_ros.model.engines.tensorrt_int8 import export_mode, quantised
import numpy as np
import torch

# Of what is computed in floating point.
DTYPES = {'float16': torch.float16, 'float32': torch.float32, 'int8': torch.float16}


def _runtime() -> ModuleType:
    """Return TensorRT, or TensorRT-RTX where Torch-TensorRT was built on that."""
    for name in ('tensorrt', 'tensorrt_rtx'):
        try:
            return importlib.import_module(name)
        except ImportError as error:
            failure = error
    raise EngineError(f'The engine tensorrt needs the TensorRT library ({one_line(failure)}); '
                      'JetPack has it, elsewhere: pip install tensorrt.')


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ''


def build(checkpoint: Checkpoint, size: tuple[int, int], precision: str,
          calibration: Sequence[np.ndarray] = ()) -> bytes:
    """
    Build TensorRT's serialised engine for this GPU; takes seconds to minutes.

    size: (height, width) of the network's input. calibration: images (h, w, 3) uint8 BGR, for
    int8. Raises EngineError where that fails.
    """
    import torch_tensorrt
    logging.getLogger('torch_tensorrt').setLevel(logging.CRITICAL)  # what fails is raised
    network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std).cuda()
    int8 = precision == 'int8'
    if int8:
        network = quantised(network, calibration, size)
    network = network.to(DTYPES[precision])
    example = torch.zeros((1, *size, 3), dtype=torch.uint8).cuda()
    try:
        with (torch.inference_mode(False), torch.no_grad(),
              export_mode() if int8 else nullcontext()):
            exported = torch.export.export(network, (example,))
            return bytes(torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
                exported, arg_inputs=(example,), require_full_compilation=True,
                min_block_size=1, disable_tf32=True,
                # Until 2.10 the types of the graph would not be those of the engine without it.
                use_explicit_typing=True))
    except Exception as error:  # until 2.11 a failure leaves as an UnboundLocalError
        raise EngineError('Torch-TensorRT could not build the engine: '
                          f'{one_line(error)}.') from error


class TensorrtEngine(DeviceEngine):
    """TensorRT, by default in half precision; int8 is quantised with images to calibrate by."""

    name = 'tensorrt'
    precisions = ('float16', 'float32', 'int8')

    @classmethod
    def check_available(cls) -> None:
        """Raise EngineError where the GPU or a library is missing."""
        check_gpu(cls.name)
        try:
            importlib.import_module('torch_tensorrt')
        except (ImportError, OSError) as error:  # the latter where a library of it is missing
            raise EngineError(
                f'The engine tensorrt needs the Torch-TensorRT library ({one_line(error)}); '
                'install the one for your PyTorch: pip install torch-tensorrt.') from error
        _runtime()

    def build(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        """Load the engine from the cache, or build it."""
        trt = _runtime()
        key = engine_key(
            checkpoint, engine=self.name, size=str(options.input_size), precision=self.precision,
            gpu=torch.cuda.get_device_name(), capability=str(torch.cuda.get_device_capability()),
            tensorrt=f'{trt.__name__} {trt.__version__}', torch=torch.__version__,
            torch_tensorrt=_version('torch-tensorrt') or _version('torch-tensorrt-rtx'))

        int8 = self.precision == 'int8'

        def make() -> bytes:
            if int8 and not len(options.calibration):
                raise no_calibration(self.name)
            options.say(f'Building the TensorRT engine of {checkpoint.variant} for '
                        f'{torch.cuda.get_device_name()}: this takes up to some minutes, once.')
            return build(checkpoint, options.input_size, self.precision, options.calibration)
        cache = EngineCache(options.cache, options.say)
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        calibrated = int8 and len(options.calibration) > 0
        for anew in (calibrated, True):  # one that is refused is built again
            self._engine = self._runtime.deserialize_cuda_engine(
                cache.get(self.name, key, make, anew))
            if self._engine is not None:
                break
        else:
            raise EngineError('TensorRT refuses the engine that it has just built.')
        self._context = self._engine.create_execution_context()
        self._outputs: dict[str, torch.Tensor] = {}
        kinds = {trt.DataType.HALF: torch.float16, trt.DataType.FLOAT: torch.float32,
                 trt.DataType.INT32: torch.int32}
        for k in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(k)
            if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                self._input = name
                continue
            self._outputs[name] = torch.empty(
                tuple(self._engine.get_tensor_shape(name)), device=self.device,
                dtype=kinds[self._engine.get_tensor_dtype(name)])
            self._context.set_tensor_address(name, self._outputs[name].data_ptr())
        self._logits = next(t for t in self._outputs.values() if t.is_floating_point())

    def network(self, image: torch.Tensor) -> torch.Tensor:
        """Map (1, H, W, 3) uint8 BGR to logits (1, C, H, W), both on the device."""
        self._context.set_tensor_address(self._input, image.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError('TensorRT failed on the network; its log says why.')
        return self._logits

    def close(self) -> None:
        """Free the device's memory."""
        super().close()
        self._context = self._engine = None
