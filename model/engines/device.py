# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What engines on a GPU share: the path from the bytes of an image to those of its mask.

Memory is allocated once for each image size; the whole chain is one CUDA graph. The failover may
build another engine in a thread: each has its own stream, and captures are serialised, because a
capture forbids synchronising the device.
"""
from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
import threading
from time import perf_counter

from eunet_ros.model import processing
from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.engines.base import (
    DeviceLostError,
    Engine,
    EngineError,
    EngineOptions,
    LogitsSegmentation,
    NoHardwareError,
    NotFiniteError,
    stage_ms,
)
import numpy as np
import torch
from torch.nn import functional

_PLANS = 4     # sizes of image that are kept ready
_WARM_UP = 3   # runs before a CUDA graph is captured
_CAPTURING = threading.Lock()
_DEVICE_TREE = Path('/proc/device-tree/compatible')


def on_orin() -> bool:
    """Return whether this is a Jetson Orin, for which NVIDIA builds libraries of its own."""
    try:
        return b'nvidia,tegra234' in _DEVICE_TREE.read_bytes()
    except OSError:
        return False


def free_reserve() -> None:
    """Return the GPU memory that PyTorch has reserved, for use by others."""
    with _CAPTURING:
        torch.cuda.empty_cache()


def check_gpu(name: str) -> None:
    """Raise EngineError with what is missing if PyTorch cannot use an NVIDIA GPU."""
    if torch.cuda.is_available():
        return
    if not (Path('/dev/nvidiactl').exists() or Path('/dev/nvhost-gpu').exists() or on_orin()):
        raise NoHardwareError(f'The engine {name} needs an NVIDIA GPU and this machine has none; '
                              'choose another engine.')
    raise EngineError(
        f'The engine {name} needs a PyTorch that can use the GPU of this machine, and PyTorch '
        f'{torch.__version__} cannot; install '
        + ('the one that NVIDIA builds for your JetPack, see docs/engines.md.' if on_orin()
           else 'the one that fits the driver.'))


def _out_of_memory(error: BaseException | None) -> bool:
    """Return whether memory was missing, also as the cause of another error."""
    while error is not None:
        if (isinstance(error, torch.cuda.OutOfMemoryError)
                or any(words in str(error) for words in ('out of memory', 'ALLOC_FAILED'))):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_lost() -> bool:
    """Return whether the GPU fails any call of this process, as after an invalid access."""
    try:
        torch.cuda.current_stream().synchronize()
    except RuntimeError:
        return True
    return False


def device_labels(logits: torch.Tensor, plan: processing.Fit,
                  thresholds: tuple[float, float] = (0, 0)) -> torch.Tensor:
    """Return `processing.labels` of logits (1, C, H, W), computed on their device."""
    h, w = plan.scaled
    logits = logits[..., :h, :w].float()
    if (h, w) != plan.image:
        logits = functional.interpolate(logits, plan.image, mode='bilinear', align_corners=False)
    background, cones = ((0.0, logits[0]) if logits.shape[1] == 1
                         else (logits[0, 0], logits[0, 1:]))
    best, ids = cones.max(0)
    over = best - background
    mask = (ids + 1).to(torch.uint8) * (over > thresholds[0])
    if any(thresholds):
        weak, sure = (part.to(torch.uint8) for part in (over < 0, over >= thresholds[1]))
        mask |= (weak * processing.WEAK + sure * processing.SURE) * (mask > 0)
    return mask


@dataclass
class _Plan:
    """Buffers and graph for one size of image."""

    fit: processing.Fit
    mask: torch.Tensor    # (h, w) uint8, in the computer's memory
    finite: torch.Tensor  # bool, there as well
    logits: torch.Tensor | None = None
    graph: torch.cuda.CUDAGraph | None = None


class DeviceSegmentation(LogitsSegmentation):
    """A Segmentation with its logits (1, C, H, W) on the device."""

    def host_logits(self) -> np.ndarray:
        return self.logits[0].float().cpu().numpy()


class DeviceEngine(Engine):
    """Base of engines on a GPU."""

    device, on_gpu = 'cuda', True

    @classmethod
    def versions(cls) -> str:
        gpu = torch.cuda.get_device_properties(0)
        return (f'{super().versions()}; {gpu.name}, compute capability {gpu.major}.{gpu.minor}, '
                f'{gpu.total_memory / 2 ** 30:.1f} GiB')

    @abstractmethod
    def network(self, image: torch.Tensor) -> torch.Tensor:
        """Map (1, H, W, 3) uint8 BGR to logits (1, C, H, W), both on the device."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        self.precision = self.choose_precision(options.precision)
        self.input_size = options.input_size
        self._thresholds = checkpoint.thresholds
        self._plan = lru_cache(_PLANS)(self._make_plan)  # by size of the image
        try:
            if self.device == 'cuda':
                self._stream = torch.cuda.Stream()
                # Shared by all plans, which never run at the same time.
                self._pool = torch.cuda.graph_pool_handle()
            self.build(checkpoint, options)
            shape = (1, *options.input_size, 3)
            self._host = self._pinned(shape, torch.uint8)
            self._image = torch.zeros(shape, dtype=torch.uint8, device=self.device)
            self._pixels = self._host[0].numpy()
        except Exception as error:  # an unexpected library: `auto` continues
            raise self._failed(error) from error
        # An engine that fails at its first image is skipped as well.
        self.segment(np.zeros((*options.input_size, 3), np.uint8))

    @abstractmethod
    def build(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        """Make what `network` needs; raises RuntimeError, or EngineError with a sentence."""

    def _failed(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        if _out_of_memory(error):
            with suppress(RuntimeError):
                free_reserve()
            return EngineError(f'The GPU has not enough free memory for the engine {self.name}; '
                               'close what else uses it, or choose a smaller network or input.')
        if self.device == 'cuda' and _is_lost():
            return DeviceLostError(
                f'The engine {self.name} failed ({one_line(error)}), and the GPU cannot be used '
                'any more in this process; start it again.')
        return EngineError(f'The engine {self.name} failed: {one_line(error)}.')

    def _pinned(self, shape: tuple[int, ...], kind: torch.dtype) -> torch.Tensor:
        return torch.zeros(shape, dtype=kind, pin_memory=self.device == 'cuda')

    def _chain(self, plan: _Plan) -> None:
        self._image.copy_(self._host, non_blocking=True)
        plan.logits = self.network(self._image)
        plan.mask.copy_(device_labels(plan.logits, plan.fit, self._thresholds), non_blocking=True)
        plan.finite.copy_(torch.isfinite(plan.logits).all(), non_blocking=True)

    def _make_plan(self, size: tuple[int, int]) -> _Plan:
        plan = _Plan(processing.fit(size, self.input_size), self._pinned(size, torch.uint8),
                     self._pinned((), torch.bool))
        if self.device == 'cuda':
            self._capture(plan)
        return plan

    def _capture(self, plan: _Plan) -> None:
        self._stream.wait_stream(torch.cuda.current_stream())
        # In the same thread: per-thread setup of libraries is illegal during a capture.
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                self._chain(plan)
        self._stream.synchronize()
        plan.graph = torch.cuda.CUDAGraph()
        with _CAPTURING, torch.cuda.graph(plan.graph, pool=self._pool, stream=self._stream,
                                          capture_error_mode='thread_local'):
            self._chain(plan)

    @torch.inference_mode()
    def segment(self, image: np.ndarray) -> DeviceSegmentation:
        try:
            plan = self._plan(image.shape[:2])
            start = perf_counter()
            processing.to_network(image, plan.fit, self._pixels)
            ready = perf_counter()
            if plan.graph is None:
                self._chain(plan)
            else:
                with torch.cuda.stream(self._stream):
                    plan.graph.replay()
                self._stream.synchronize()
            done = perf_counter()
        except RuntimeError as error:
            raise self._failed(error) from error
        if not bool(plan.finite):
            raise NotFiniteError
        mask = plan.mask.numpy().copy()
        return DeviceSegmentation(mask, stage_ms(start, ready, done, perf_counter()),
                                  plan.logits, plan.fit, self._thresholds[0])

    def close(self) -> None:
        self._plan.cache_clear()
        if self.device == 'cuda':
            free_reserve()
