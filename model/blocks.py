# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The building blocks of EUnet.

Layouts are NCHW throughout. Sources: SPD-Conv (Sunkara and Luo, 2022, arXiv:2208.03641), depthwise
separable convolution (Howard et al., MobileNets, arXiv:1704.04861), large-kernel attention (Guo et
al., Visual Attention Network, arXiv:2202.09741).
"""
import torch
from torch import nn
from torch.nn import functional

# The LKA gate as published is an unbounded product: on unfamiliar images activations cascade.
GATES = ('product', 'sigmoid')


class SeparableConv2d(nn.Module):
    """Depthwise 3×3 with bias, then pointwise 1×1 without bias."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H, W)."""
        return self.pointwise(self.depthwise(x))


class LKA(nn.Module):
    """
    Large-kernel attention: the input times a gate that sees 23×23 pixels.

    gate 'product' is the published x · a(x); 'sigmoid' is x · σ(a(x)), which cannot amplify.
    """

    def __init__(self, channels: int, gate: str = 'product') -> None:
        super().__init__()
        if gate not in GATES:
            raise ValueError(f'gate must be one of {", ".join(GATES)}, not {gate!r}.')
        self.gate = gate
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.dilated = nn.Conv2d(channels, channels, 7, padding=9, dilation=3, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the same shape."""
        attention = self.pointwise(self.dilated(self.depthwise(x)))
        return x * (torch.sigmoid(attention) if self.gate == 'sigmoid' else attention)


class ConvBlock(nn.Sequential):
    """BN, Hardswish, separable, BN, Hardswish, separable, BN, Hardswish at constant width."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.BatchNorm2d(channels), nn.Hardswish(), SeparableConv2d(channels, channels),
            nn.BatchNorm2d(channels), nn.Hardswish(), SeparableConv2d(channels, channels),
            nn.BatchNorm2d(channels), nn.Hardswish())


class Downblock(nn.Module):
    """SPD-Conv to half the resolution, convolution block, LKA."""

    def __init__(self, in_channels: int, out_channels: int, gate: str = 'product') -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * in_channels, out_channels, 1, bias=False)
        self.block = ConvBlock(out_channels)
        self.attention = LKA(out_channels, gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H/2, W/2); H and W must be even."""
        x = self.conv(functional.pixel_unshuffle(x, 2))  # (N, 4·in, H/2, W/2) -> (N, out, …)
        return self.attention(self.block(x))


class Upblock(nn.Module):
    """Convolution block, LKA, then a 2×2 transposed convolution to twice the resolution."""

    def __init__(self, in_channels: int, out_channels: int, gate: str = 'product') -> None:
        super().__init__()
        self.block = ConvBlock(in_channels)
        self.attention = LKA(in_channels, gate)
        self.up = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, 2H, 2W)."""
        return self.up(self.attention(self.block(x)))
