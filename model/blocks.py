# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The building blocks of EUnet; layouts are NCHW.

Sources: SPD-Conv (arXiv:2208.03641), depthwise separable convolution (MobileNets,
arXiv:1704.04861), large-kernel attention (Visual Attention Network, arXiv:2202.09741), large
separable kernel attention (arXiv:2309.01439), group normalisation (arXiv:1803.08494), layer
normalisation over the channels of a pixel (ConvNeXt, arXiv:2201.03545).
"""
import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# Names that `eunet.Variant` checks. The published gate is an unbounded product: activations
# cascade on unfamiliar images.
GATES = ('product', 'sigmoid')
NORMS = ('batch', 'group', 'layer')


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def make_norm(channels: int, norm: str) -> nn.Module:
    """Return a normalisation by name; groups are 32, or as many of that as divide the channels."""
    if norm == 'batch':
        return nn.BatchNorm2d(channels)
    if norm == 'group':
        return nn.GroupNorm(math.gcd(channels, 32), channels)
    return LayerNorm2d(channels)


class SeparableConv2d(nn.Module):
    """Depthwise 3×3 with bias, then pointwise 1×1 without bias."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class _DepthwiseInColumns(torch.autograd.Function):
    """
    Depthwise convolution, stride 1, with oneDNN's fast weight gradient.

    That has at most three columns, and maps of at least as many rows as the kernel.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor,
                bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(bias))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        layout = {'memory_format': torch.channels_last}
        x, weight = (saved.to(grad.dtype) for saved in ctx.saved_tensors)
        grad = grad.contiguous(**layout)
        k, (height, width) = weight.shape[-1], x.shape[-2:]

        def gradient(grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor,
                     padding: tuple[int, int], *mask: bool) -> tuple[torch.Tensor, ...]:
            return torch.ops.aten.convolution_backward(
                grad, x, weight, None, (1, 1), padding, (1, 1), False, (0, 0), len(weight), mask)
        below = max(k - height, 0)
        padded = functional.pad(grad, (0, 0, 0, below)).contiguous(**layout)
        columns = []
        for first in range(0, k, 3):
            part = weight[..., first:first + 3]
            left = min(first - k // 2, width)
            shifted = functional.pad(x, (-left, part.shape[-1] - 1 + left, 0, below))
            columns.append(gradient(padded, shifted.contiguous(**layout), part, (k // 2, 0),
                                    False, True, False)[1])
        return (gradient(grad, x, weight, (k // 2, k // 2), True, False, False)[0],
                torch.cat(columns, -1), grad.sum((0, 2, 3)))


class Depthwise(nn.Conv2d):
    """Depthwise k×k that trains fast on a CPU: dilation as phases, gradients in columns."""

    def __init__(self, channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2 * dilation,
                         dilation=dilation, groups=channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or x.device.type != 'cpu':
            return super().forward(x)
        (n, c, height, width), d = x.shape, self.dilation[0]
        rows, columns = -(-height // d), -(-width // d)
        # In memory as (N, H, W, C): a phase is then moved by whole pixels.
        x = functional.pad(x.permute(0, 2, 3, 1), (0, 0, 0, columns * d - width, 0,
                                                   rows * d - height))
        x = x.reshape(n, rows, d, columns, d, c).permute(0, 2, 4, 1, 3, 5)
        x = _DepthwiseInColumns.apply(x.reshape(n * d * d, rows, columns, c).permute(0, 3, 1, 2),
                                      self.weight, self.bias).permute(0, 2, 3, 1)
        x = x.reshape(n, d, d, rows, columns, c).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(n, rows * d, columns * d, c)[:, :height, :width].permute(0, 3, 1, 2)


class UpConv2d(nn.ConvTranspose2d):
    """Transposed 2×2 of stride 2 that trains fast on a CPU: pointwise, then pixel shuffle."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or x.device.type != 'cpu':
            return super().forward(x)
        # (in, out, 2, 2) -> (out·2·2, in, 1, 1): pixel_shuffle's order of channels.
        weight = self.weight.permute(1, 2, 3, 0).reshape(-1, self.in_channels, 1, 1)
        x = functional.conv2d(x, weight, self.bias.repeat_interleave(4))
        return functional.pixel_shuffle(x, 2)


class LKA(nn.Module):
    """Large-kernel attention over 23×23 pixels: x · a(x), or with gate 'sigmoid' x · σ(a(x))."""

    def __init__(self, channels: int, gate: str = 'product') -> None:
        super().__init__()
        self.gate = gate
        self.depthwise = Depthwise(channels, 5)
        self.dilated = Depthwise(channels, 7, dilation=3)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        attention = self.pointwise(self.dilated(self.depthwise(x)))
        return x * (torch.sigmoid(attention) if self.gate == 'sigmoid' else attention)


class LSKA(nn.Module):
    """LKA whose depthwise kernels are a row and a column each: 24 weights a channel, not 74."""

    def __init__(self, channels: int, gate: str = 'product') -> None:
        super().__init__()
        self.gate = gate

        def depthwise(kernel: tuple[int, int], padding: tuple[int, int],
                      dilation: int = 1) -> nn.Conv2d:
            return nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation,
                             groups=channels)
        self.depthwise = nn.Sequential(depthwise((1, 5), (0, 2)), depthwise((5, 1), (2, 0)))
        self.dilated = nn.Sequential(depthwise((1, 7), (0, 9), 3), depthwise((7, 1), (9, 0), 3))
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    forward = LKA.forward


ATTENTIONS = {'lka': LKA, 'lska': LSKA}


class ConvBlock(nn.Sequential):
    """Norm, Hardswish, separable, norm, Hardswish, separable, norm, Hardswish, width unchanged."""

    def __init__(self, channels: int, norm: str = 'batch') -> None:
        super().__init__(
            make_norm(channels, norm), nn.Hardswish(), SeparableConv2d(channels, channels),
            make_norm(channels, norm), nn.Hardswish(), SeparableConv2d(channels, channels),
            make_norm(channels, norm), nn.Hardswish())


class Downblock(nn.Module):
    """SPD-Conv to half the resolution, convolution block, attention."""

    def __init__(self, in_channels: int, out_channels: int, gate: str = 'product',
                 attention: str = 'lka', norm: str = 'batch') -> None:
        super().__init__()
        self.conv = nn.Conv2d(4 * in_channels, out_channels, 1, bias=False)
        self.block = ConvBlock(out_channels, norm)
        self.attention = ATTENTIONS[attention](out_channels, gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, H/2, W/2); H and W must be even."""
        x = self.conv(functional.pixel_unshuffle(x, 2))  # (N, 4·in, H/2, W/2) -> (N, out, …)
        return self.attention(self.block(x))


class Upblock(nn.Module):
    """Convolution block, attention, then a 2×2 transposed convolution to twice the resolution."""

    def __init__(self, in_channels: int, out_channels: int, gate: str = 'product',
                 attention: str = 'lka', norm: str = 'batch') -> None:
        super().__init__()
        self.block = ConvBlock(in_channels, norm)
        self.attention = ATTENTIONS[attention](in_channels, gate)
        self.up = UpConv2d(in_channels, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, in, H, W) to (N, out, 2H, 2W)."""
        return self.up(self.attention(self.block(x)))
