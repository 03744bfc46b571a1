# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is compiled: the network with its normalisation."""
from __future__ import annotations

from eunet_ros.model.checkpoint import Checkpoint
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
