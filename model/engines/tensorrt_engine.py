# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT, built ahead of time by Torch-TensorRT; the cache holds its serialised engine."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
import importlib
import io
import logging
from pathlib import Path
import re
import tempfile
from types import ModuleType
from typing import Any
import warnings

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.base import (
    EngineError,
    EngineOptions,
    fitted,
    installed_version,
    no_calibration,
)
from eunet_ros.model.engines.cache import default_folder, engine_key, EngineCache
from eunet_ros.model.engines.device import check_gpu, DeviceEngine, free_reserve, on_orin
import numpy as np
import torch
from torch import nn

# Of what is computed in floating point.
DTYPES = {'float16': torch.float16, 'float32': torch.float32, 'int8': torch.float16}
_OLDEST = (2, 8)              # release of Torch-TensorRT
_SHARED_WORKSPACE = 1 << 30   # bytes, where the system needs the same memory


def _release(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r'\d+', text)[:2]))


def _how_to_install() -> str:
    if on_orin():
        return ('install the one that NVIDIA builds for your JetPack, see docs/engines.md: the '
                'one of the package index is for servers and replaces your PyTorch.')
    release = _release(torch.__version__)
    if release < _OLDEST:
        return 'install PyTorch {}.{} or later first.'.format(*_OLDEST)
    return "install the release for your PyTorch: pip install 'torch-tensorrt=={}.{}.*'.".format(
        *release)


def _runtime() -> ModuleType:
    """Return TensorRT, or TensorRT-RTX where Torch-TensorRT was built on that."""
    for name in ('tensorrt', 'tensorrt_rtx'):
        try:
            return importlib.import_module(name)
        except Exception as error:  # see check_available
            failure = error
    raise EngineError(f'The engine tensorrt needs the TensorRT library ({one_line(failure)}); '
                      + ('install it with: sudo apt install nvidia-jetpack.' if on_orin()
                         else _how_to_install()))


class _FirstError(logging.Handler):
    """A context manager that keeps the first error logged by Torch-TensorRT or TensorRT."""

    reason = ''
    _LOGS = ('torch_tensorrt', 'torch_tensorrt [TensorRT Conversion Context]')

    def emit(self, record: logging.LogRecord) -> None:
        raised = str(record.exc_info[1]) if record.exc_info else ''
        self.reason = self.reason or raised or record.getMessage()

    def __enter__(self) -> _FirstError:
        logs = map(logging.getLogger, self._LOGS)
        self._before = [(log, log.level, log.propagate) for log in logs]
        for log, _, _ in self._before:
            log.addHandler(self)
            log.setLevel(logging.ERROR)
            log.propagate = False  # the exception contains the error
        return self

    def __exit__(self, *error: object) -> None:
        for log, level, propagate in self._before:
            log.removeHandler(self)
            log.setLevel(level)
            log.propagate = propagate


def _modelopt() -> Any:
    """Return NVIDIA's Model Optimizer, which simulates TensorRT's rounding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about its parts for language models
            from modelopt.torch import quantization
    except (ImportError, OSError) as error:
        # Some of its versions need the other two without saying so.
        raise EngineError(
            f'int8 for TensorRT needs the ModelOpt library ({one_line(error)}); install it with: '
            'pip install nvidia-modelopt requests huggingface_hub.') from error
    return quantization


def export_mode() -> AbstractContextManager[None]:
    _modelopt()
    from modelopt.torch.quantization.utils import export_torch_mode
    return export_torch_mode()


def quantised(network: nn.Module, images: Sequence[np.ndarray],
              size: tuple[int, int]) -> nn.Module:
    """Return the network with its dense convolutions in simulated int8; raises EngineError."""
    quantization = _modelopt()
    device = next(network.parameters()).device
    # Limited by memory bandwidth: int8 would not make them faster.
    depthwise = {name for name, layer in network.named_modules()
                 if isinstance(layer, nn.Conv2d) and layer.groups > 1}

    def show(model: nn.Module) -> None:
        for image in images:
            model(torch.from_numpy(fitted(image, size)).to(device))
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            network = quantization.quantize(network, quantization.INT8_DEFAULT_CFG, show)
            quantization.disable_quantizer(
                network, lambda name: name.rpartition('.')[0] in depthwise)
    except Exception as error:  # of many types
        raise EngineError(
            f'ModelOpt could not quantise the network: {one_line(error)}.') from error
    return network


def build(checkpoint: Checkpoint, size: tuple[int, int], precision: str,
          calibration: Sequence[np.ndarray] = ()) -> bytes:
    """Build the engine for this GPU, in seconds to minutes; raises EngineError."""
    import torch_tensorrt
    network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std).cuda()
    int8 = precision == 'int8'
    if int8:
        network = quantised(network, calibration, size)
    network = network.to(DTYPES[precision])
    example = torch.zeros((1, *size, 3), dtype=torch.uint8).cuda()
    free_reserve()  # TensorRT does not ask PyTorch for memory
    shared = torch.cuda.get_device_properties(0).is_integrated
    with (_FirstError(logging.ERROR) as logged,
          tempfile.TemporaryDirectory(prefix='eunet_ros_') as folder):
        try:
            with (torch.inference_mode(False), torch.no_grad(),
                  export_mode() if int8 else nullcontext()):
                exported = torch.export.export(network, (example,))
                converted = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine
                return bytes(converted(
                    exported, arg_inputs=(example,), require_full_compilation=True,
                    min_block_size=1, disable_tf32=True,
                    workspace_size=_SHARED_WORKSPACE if shared else 0,  # 0: all there is
                    # The default is one file that all users can write.
                    timing_cache_path=str(Path(folder) / 'timing.bin'),
                    # Until 2.10 required for the engine to have the types of the graph.
                    use_explicit_typing=True))
        except Exception as error:  # until 2.11 always an UnboundLocalError
            reason = logged.reason or str(error) or type(error).__name__
            first = reason.strip().partition('\n')[0]  # the rest is the whole graph
            raise EngineError('Torch-TensorRT could not build the engine: '
                              f'{one_line(first)}.') from error


def _type_of(trt: ModuleType, kind: Any) -> torch.dtype:
    """Return PyTorch's name of a TensorRT type; raises EngineError for an unexpected one."""
    kinds = {trt.DataType.HALF: torch.float16, trt.DataType.FLOAT: torch.float32,
             trt.DataType.INT32: torch.int32}
    if kind not in kinds:
        raise EngineError(f'The TensorRT engine gives {kind}, expected a type of logits; delete '
                          f'the kept engines in {default_folder()}.')
    return kinds[kind]


class TensorrtEngine(DeviceEngine):
    """TensorRT, by default in half precision; int8 is quantised with images to calibrate by."""

    name = 'tensorrt'
    libraries = ('torch', 'torch-tensorrt', 'torch-tensorrt-rtx', 'tensorrt')
    precisions = ('float16', 'float32', 'int8')

    @classmethod
    def check_available(cls) -> None:
        check_gpu(cls.name)
        try:
            with redirect_stdout(io.StringIO()):  # it also prints its error
                found = importlib.import_module('torch_tensorrt').__version__
        except Exception as error:  # a plain Exception from 2.9 on if TensorRT is missing
            raise EngineError(
                f'The engine tensorrt needs the Torch-TensorRT library ({one_line(error)}); '
                f'{_how_to_install()}') from error
        if _release(found) < _OLDEST:
            raise EngineError('The engine tensorrt needs Torch-TensorRT {}.{} or later, '
                              'found {}; {}'.format(*_OLDEST, found, _how_to_install()))
        _runtime()

    def build(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        trt, gpu = _runtime(), torch.cuda.get_device_properties(0)
        key = engine_key(
            checkpoint, engine=self.name, size=str(options.input_size), precision=self.precision,
            gpu=torch.cuda.get_device_name(), capability=str(torch.cuda.get_device_capability()),
            # Jetsons of one family share the two above.
            multiprocessors=str(gpu.multi_processor_count),
            memory_gib=str(round(gpu.total_memory / 2 ** 30)),
            tensorrt=f'{trt.__name__} {trt.__version__}', torch=torch.__version__,
            torch_tensorrt=(installed_version('torch-tensorrt')
                            or installed_version('torch-tensorrt-rtx')))
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
        for anew in (calibrated, True):  # a refused engine is built again
            self._engine = self._runtime.deserialize_cuda_engine(
                cache.get(self.name, key, make, anew))
            if self._engine is not None:
                break
        else:
            raise EngineError('TensorRT refuses the engine that it has just built.')
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError('TensorRT could not prepare the engine; most often the GPU has not '
                              'enough free memory. Close what else uses it.')
        self._outputs: dict[str, torch.Tensor] = {}
        for k in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(k)
            if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
                self._input = name
                continue
            self._outputs[name] = torch.empty(
                tuple(self._engine.get_tensor_shape(name)), device=self.device,
                dtype=_type_of(trt, self._engine.get_tensor_dtype(name)))
            self._context.set_tensor_address(name, self._outputs[name].data_ptr())
        logits = [t for t in self._outputs.values() if t.is_floating_point()]
        if not logits:
            raise EngineError('The TensorRT engine gives no logits; delete the kept engines in '
                              f'{default_folder()}.')
        self._logits = logits[0]

    def network(self, image: torch.Tensor) -> torch.Tensor:
        self._context.set_tensor_address(self._input, image.data_ptr())
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise EngineError('TensorRT failed on the network; see its log.')
        return self._logits

    def close(self) -> None:
        self._context = self._engine = self._logits = None
        self._outputs.clear()
        super().close()
