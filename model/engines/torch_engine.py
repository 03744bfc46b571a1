# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reference engine: PyTorch in float32, on any CPU."""
from __future__ import annotations

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.engines.base import EngineError, EngineOptions, HostEngine
import numpy as np
import torch
from torch import nn


class ImageNetwork(nn.Module):
    """The network with its normalisation: uint8 BGR (N, H, W, 3) to logits (N, C, H, W)."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = checkpoint.network
        # BGR order, 0 to 255.
        mean = torch.tensor(checkpoint.mean[::-1]).mul(255).view(1, 3, 1, 1)
        scale = torch.tensor(checkpoint.std[::-1]).mul(255).reciprocal().view(1, 3, 1, 1)
        self.register_buffer('mean', mean)
        self.register_buffer('scale', scale)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        # Cast before permuting: Torch-TensorRT cannot permute uint8.
        x = image.to(self.mean.dtype).permute(0, 3, 1, 2)
        x = (x - self.mean) * self.scale
        return self.network(x.flip(1))


class TorchEngine(HostEngine):
    """PyTorch eager, float32; every other engine is held to it."""

    name = 'torch'
    precisions = ('float32',)

    @classmethod
    def check_available(cls) -> None:
        """Do nothing: the package cannot be imported without PyTorch."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        super().__init__(checkpoint, options)
        if options.num_threads:
            torch.set_num_threads(options.num_threads)
        self._network = ImageNetwork(checkpoint).eval()

    @torch.inference_mode()
    def infer(self, batch: np.ndarray) -> np.ndarray:
        try:
            return self._network(torch.from_numpy(batch))[0].numpy()
        except RuntimeError as error:
            raise EngineError(f'PyTorch failed on the network: {one_line(error)}.') from error
