# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that others would train: a plain U-Net and Fast-SCNN; and EUnets without a part."""
from __future__ import annotations

from eunet_ros.model.eunet import EUnet, get_variant
import torch
from torch import nn
from torch.nn import functional


def _conv(i: int, o: int, kernel: int = 3, stride: int = 1, groups: int = 1,
          active: bool = True) -> nn.Sequential:
    """Return convolution, batch normalisation and, where active, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


class PlainUNet(nn.Module):
    """
    U-Net (Ronneberger et al., arXiv:1505.04597), padded, with batch normalisation, four levels.

    Maps (N, 3, H, W) to logits (N, classes, H, W); H and W are multiples of 16 * stem. stem: 1,
    or 4 to work at a quarter of the resolution, as EUnet's variants do, after two convolutions of
    stride 2; the logits are then enlarged.
    """

    def __init__(self, num_classes: int, width: int, stem: int = 1) -> None:
        super().__init__()
        widths = [width * 2 ** k for k in range(5)]
        first = 3 if stem == 1 else width
        self.stem = nn.Identity() if stem == 1 else nn.Sequential(
            _conv(3, width, stride=2), _conv(width, width, stride=2))
        self.down = nn.ModuleList(self._pair(i, o) for i, o in zip([first, *widths], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.join = nn.ModuleList(self._pair(2 * w, w) for w in widths[-2::-1])
        self.head = nn.Conv2d(width, num_classes, 1)

    @staticmethod
    def _pair(i: int, o: int) -> nn.Sequential:
        return nn.Sequential(_conv(i, o), _conv(o, o))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised RGB to logits of the same size."""
        size, skips = x.shape[2:], []
        x = self.stem(x)
        for k, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if k else x)
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, skips[-2::-1]):
            x = join(torch.cat((skip, up(x)), 1))
        return _enlarged(self.head(x), size)


def _enlarged(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if x.shape[2:] == size:
        return x
    return functional.interpolate(x, size, mode='bilinear', align_corners=False)


class _Bottleneck(nn.Module):
    """Inverted residual of MobileNetV2 (arXiv:1801.04381)."""

    def __init__(self, i: int, o: int, stride: int, expand: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(i, expand * i, 1), _conv(expand * i, expand * i, 3, stride, expand * i),
            _conv(expand * i, o, 1, active=False))
        self.residual = stride == 1 and i == o

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _separable(i: int, o: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_conv(i, i, 3, stride, i), _conv(i, o, 1))


class FastSCNN(nn.Module):
    """
    Fast-SCNN (Poudel et al., arXiv:1902.04502), after its table 1.

    Maps (N, 3, H, W) to logits (N, classes, H, W), computed at an eighth of the resolution; H and
    W are multiples of 32.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.learn_to_downsample = nn.Sequential(
            _conv(3, 32, 3, 2), _separable(32, 48, 2), _separable(48, 64, 2))
        blocks, i = [], 64
        for o, stride in ((64, 2), (96, 2), (128, 1)):
            for k in range(3):
                blocks.append(_Bottleneck(i, o, stride if k == 0 else 1))
                i = o
        self.features = nn.Sequential(*blocks)
        self.pools = nn.ModuleList(_conv(128, 32, 1) for _ in range(4))
        self.pooled = _conv(256, 128, 1)
        self.low = nn.Sequential(_conv(128, 128, 3, groups=128),
                                 nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128))
        self.high = nn.Sequential(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128))
        self.classify = nn.Sequential(_separable(128, 128), _separable(128, 128), nn.Dropout(0.1),
                                      nn.Conv2d(128, num_classes, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised RGB to logits of the same size."""
        high = self.learn_to_downsample(x)
        low = self.features(high)
        parts = [_enlarged(pool(functional.adaptive_avg_pool2d(low, bins)), low.shape[2:])
                 for bins, pool in zip((1, 2, 3, 6), self.pools)]
        low = self.pooled(torch.cat((low, *parts), 1))
        joined = functional.relu(self.high(high) + self.low(_enlarged(low, high.shape[2:])))
        return _enlarged(self.classify(joined), x.shape[2:])


class _Pooled(nn.Module):
    """What SPD-Conv replaced: max pooling, then the 1x1 convolution."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = nn.Conv2d(conv.in_channels // 4, conv.out_channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take (N, 4C, H, W), as space-to-depth gives it: the largest of four is the pooled."""
        n, channels, height, width = x.shape
        return self.conv(x.view(n, channels // 4, 4, height, width).amax(2))


def without_attention(num_classes: int, variant: str) -> EUnet:
    """Return an EUnet whose blocks have no large-kernel attention."""
    network = EUnet(num_classes, get_variant(variant))
    for block in network.children():
        if hasattr(block, 'attention'):
            block.attention = nn.Identity()
    return network


def without_spd(num_classes: int, variant: str) -> EUnet:
    """Return an EUnet that halves by max pooling; its stem, if it has one, stays."""
    network = EUnet(num_classes, get_variant(variant))
    for block in (network.down1, network.down2, network.down3):
        block.conv = _Pooled(block.conv)
    return network
