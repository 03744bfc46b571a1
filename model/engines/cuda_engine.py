# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch on an NVIDIA GPU, for those who have no TensorRT."""
from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.deploy import deploy_image, DeployedImageNetwork
from eunet_ros.model.engines.base import EngineOptions
from eunet_ros.model.engines.device import check_gpu, DeviceEngine
import torch

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
_TRIES = 10  # of each memory format


class CudaEngine(DeviceEngine):
    """PyTorch with the network rewritten, all in one CUDA graph, by default in float16."""

    name = 'cuda'
    precisions = ('float16', 'bfloat16', 'float32')

    @classmethod
    def check_available(cls) -> None:
        check_gpu(cls.name)

    def build(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        network = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std)
        network = network.to(self.device, DTYPES[self.precision])
        example = torch.zeros((1, *options.input_size, 3), dtype=torch.uint8, device=self.device)
        times = {}
        for layout in (torch.contiguous_format, torch.channels_last):
            self._lay_out(network, layout)
            times[layout] = _seconds(self.network, example)
        self._lay_out(network, min(times, key=times.get))

    def _lay_out(self, network: DeployedImageNetwork, layout: torch.memory_format) -> None:
        self._network = network.to(memory_format=layout)
        network.channels_first = layout is torch.contiguous_format

    def network(self, image: torch.Tensor) -> torch.Tensor:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            return self._network(image)

    def close(self) -> None:
        self._network = None
        super().close()


@torch.inference_mode()
def _seconds(network: Callable[[torch.Tensor], torch.Tensor], example: torch.Tensor) -> float:
    """Return the duration of some runs on a warm device, 0 without a GPU."""
    if not example.is_cuda:
        return 0.0
    for _ in range(2):  # the first is to warm up
        start = perf_counter()
        for _ in range(_TRIES):
            network(example)
        torch.cuda.current_stream().synchronize()
    return perf_counter() - start
