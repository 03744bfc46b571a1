# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Exact rewrites of a trained EUnet for inference: the same function, with less work.

- Space-to-depth and the 1×1 convolution after it are one convolution of 2×2 with stride 2.
- Batch normalisation after a convolution is part of it; where it follows a concatenation or an
  attention it stays, as one scale and shift.
- A bias before a 1×1 convolution is part of that one's bias.
- Linear layers after the stem's depthwise convolution, and between the last transposed convolution
  and the head, are multiplied in advance where it saves work. Folding is in float64.
- What product gates of upblocks compute is made 64 times smaller, and larger again in the next
  normalisation: without it they exceed float16. In float16 logits end at ±25600.
"""
from __future__ import annotations

import copy

from eunet_ros.model.blocks import ConvBlock, Downblock, LKA, LSKA, SeparableConv2d, Upblock
from eunet_ros.model.eunet import EUnet
import torch
from torch import nn
from torch.nn import functional

_SHRINK = 1 / 64  # a power of two: exact
_LARGEST = 400.0  # of shrunk logits


def _conv(like: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | None,
          **changes: object) -> nn.Conv2d:
    """Return a convolution with these weights and the stride, padding, … of `like`."""
    settings = {'stride': like.stride, 'padding': like.padding, 'dilation': like.dilation,
                'groups': like.groups, **changes}
    conv = nn.Conv2d(weight.shape[1] * settings['groups'], weight.shape[0], weight.shape[2:],
                     bias=bias is not None, **settings)
    conv.weight.data = weight.detach().to(torch.float32, copy=True)
    if bias is not None:
        conv.bias.data = bias.detach().to(torch.float32, copy=True)
    return conv


def _scale_and_shift(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    return scale, norm.bias.double() - norm.running_mean.double() * scale


class Hardswish(nn.Module):
    """Hardswish as x · hardsigmoid(x): Torch-TensorRT converts nn.Hardswish to seven layers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * functional.hardsigmoid(x)


class Affine(nn.Module):
    """
    A batch normalisation that cannot be folded, as one scale and shift.

    shrink: factor that is in the first half of the channels.
    """

    def __init__(self, norm: nn.BatchNorm2d, shrink: float = 1.0) -> None:
        super().__init__()
        scale, shift = (v.float().view(1, -1, 1, 1) for v in _scale_and_shift(norm))
        scale[:, :norm.num_features // 2] /= shrink
        self.register_buffer('scale', scale)
        self.register_buffer('shift', shift)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.shift


def _folded(like: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor | float, norm: nn.Module,
            **changes: object) -> list[nn.Module]:
    """Return a convolution with the normalisation after it: one layer where that is possible."""
    if not isinstance(norm, nn.BatchNorm2d):
        bias = bias if isinstance(bias, torch.Tensor) else None
        return [_conv(like, weight, bias, **changes), copy.deepcopy(norm)]
    scale, shift = _scale_and_shift(norm)
    return [_conv(like, weight * scale.view(-1, 1, 1, 1), bias * scale + shift, **changes)]


def _separable(layer: SeparableConv2d, norm: nn.Module) -> list[nn.Module]:
    weight = layer.pointwise.weight.double()
    bias = weight[..., 0, 0] @ layer.depthwise.bias.double()
    return [_conv(layer.depthwise, layer.depthwise.weight, None),
            *_folded(layer.pointwise, weight, bias, norm)]


def _block(block: ConvBlock) -> nn.Sequential:
    """Return a block without its first normalisation."""
    _, _, one, norm_one, _, two, norm_two, _ = block
    return nn.Sequential(Hardswish(), *_separable(one, norm_one), Hardswish(),
                         *_separable(two, norm_two), Hardswish())


def _attention(attention: LKA | LSKA, shrink: float = 1.0) -> LKA | LSKA:
    new = copy.deepcopy(attention)
    parent, name = (new.dilated, '1') if isinstance(new, LSKA) else (new, 'dilated')
    last, weight = getattr(parent, name), shrink * new.pointwise.weight.double()
    new.pointwise = _conv(new.pointwise, weight, weight[..., 0, 0] @ last.bias.double())
    setattr(parent, name, _conv(last, last.weight, None))
    return new


def _down(block: Downblock, stem: torch.Tensor | None = None) -> nn.Sequential:
    """Return a downblock with its normalisation folded; stem: (w, 3r²) weights to multiply in."""
    out = block.conv.out_channels
    weight = block.conv.weight.double().view(out, -1, 2, 2)  # as pixel_unshuffle orders channels
    if stem is not None:
        weight = torch.einsum('owyx,wc->ocyx', weight, stem)
    return nn.Sequential(*_folded(block.conv, weight, 0.0, block.block[0], stride=2),
                         _block(block.block), _attention(block.attention))


def _up(block: Upblock, shrink: float, shrunk: bool = True,
        head: torch.Tensor | None = None) -> nn.Sequential:
    """
    Return an upblock.

    shrink: factor of its output. shrunk: so is the first half of its input. head: (classes·r², w)
    weights of the head to multiply in.
    """
    up, norm = copy.deepcopy(block.up), block.block[0]
    if head is not None:
        weight = torch.einsum('iwyx,cw->icyx', block.up.weight.double(), head)
        up = nn.ConvTranspose2d(weight.shape[0], weight.shape[1], 2, stride=2)
        up.weight.data = weight.float()
        up.bias.data = (head @ block.up.bias.double()).float()
    up.bias.data *= shrink
    return nn.Sequential(
        Affine(norm, shrink if shrunk else 1.0) if isinstance(norm, nn.BatchNorm2d)
        else copy.deepcopy(norm),
        _block(block.block), _attention(block.attention, shrink), up)


class DeployedEUnet(nn.Module):
    """An EUnet for inference: normalised RGB (N, 3, H, W) to logits (N, num_classes, H, W)."""

    def __init__(self, network: EUnet) -> None:
        super().__init__()
        self.variant, self.num_classes = network.variant, network.num_classes
        width, stem = network.variant.width, network.variant.stem
        pointwise = network.stem.pointwise.weight.double()[..., 0, 0]  # (w, 3r²)
        head = network.head.weight.double()[..., 0, 0]                 # (classes·r², 2w)
        from_up, from_stem = head[:, :width], head[:, width:]
        merge_stem, self.merged_head = 3 * stem * stem < width, len(head) < width
        self.stem = (copy.deepcopy(network.stem.depthwise) if merge_stem
                     else copy.deepcopy(network.stem))
        self.down1 = _down(network.down1, pointwise if merge_stem else None)
        self.down2, self.down3 = _down(network.down2), _down(network.down3)
        product = network.variant.gate == 'product' and network.variant.norm == 'batch'
        self.shrink = _SHRINK if product else 1.0
        self.up3, self.up2 = _up(network.up3, self.shrink, False), _up(network.up2, self.shrink)
        self.up1 = _up(network.up1, self.shrink, head=from_up if self.merged_head else None)
        if merge_stem:
            from_stem = from_stem @ pointwise
        weight = (from_stem if self.merged_head
                  else torch.cat((from_up / self.shrink, from_stem), 1))
        self.head = _conv(network.head, weight[..., None, None], network.head.bias)
        self.eval().requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised RGB (N, 3, H, W) to logits (N, num_classes, H, W)."""
        r = self.variant.stem
        if r > 1:
            x = functional.pixel_unshuffle(x, r)      # (N, 3r², H/r, W/r)
        return self.from_stem_input(x)

    def from_stem_input(self, x: torch.Tensor) -> torch.Tensor:
        """Map what the stem reads, (N, 3r², H/r, W/r), to logits (N, num_classes, H, W)."""
        r = self.variant.stem
        x0 = self.stem(x)                             # (N, w or 3r², H/r,  W/r)
        x1 = self.down1(x0)                           # (N, 2w, H/2r, W/2r)
        x2 = self.down2(x1)                           # (N, 4w, H/4r, W/4r)
        x = self.up3(self.down3(x2))                  # (N, 4w, H/4r, W/4r)
        x = self.up2(torch.cat((x, x2), 1))           # (N, 2w, H/2r, W/2r)
        x = self.up1(torch.cat((x, x1), 1))           # (N, w or classes·r², H/r,  W/r)
        if self.merged_head:
            if self.shrink != 1.0:
                if x.dtype == torch.float16:
                    x = x.clamp(-_LARGEST, _LARGEST)
                x = x / self.shrink
            x = x + self.head(x0)
        else:
            x = self.head(torch.cat((x, x0), 1))
        return functional.pixel_shuffle(x, r) if r > 1 else x


class DeployedImageNetwork(nn.Module):
    """
    `DeployedEUnet` with normalisation: uint8 BGR (N, H, W, 3) to logits (N, C, H, W).

    The mean is subtracted from the image, as zero padding requires; the scale is in the stem's
    weights. channels_first: whether the network reads NCHW memory.
    """

    def __init__(self, network: EUnet, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.channels_first = False
        self.network = DeployedEUnet(network)
        self.register_buffer('mean', 255 * torch.tensor(mean[::-1], dtype=torch.float64).float())
        r = network.variant.stem
        # Channel k of the stem's input, ordered (row, column, BGR), was at from_place[k].
        from_place = torch.arange(3 * r * r).view(3, r, r).flip(0).permute(1, 2, 0).flatten()
        scale = 1 / (255 * torch.tensor(std, dtype=torch.float64))
        stem = self.network.stem
        depthwise = getattr(stem, 'depthwise', stem)
        weight = depthwise.weight * scale.repeat_interleave(r * r).view(-1, 1, 1, 1)
        depthwise.weight.data = weight[from_place].float()
        depthwise.bias.data = depthwise.bias[from_place]
        readers = ((stem.pointwise,) if hasattr(stem, 'pointwise')
                   else (self.network.down1[0], self.network.head))
        for reader in readers:
            # The head may read what comes from below first; the stem's channels are the last.
            kept = reader.weight.shape[1] - len(from_place)
            order = torch.cat((torch.arange(kept), kept + from_place))
            reader.weight.data = reader.weight[:, order]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        r = self.network.variant.stem
        # Cast before permuting: Torch-TensorRT cannot permute uint8.
        x = image.to(self.mean.dtype) - self.mean                         # (N, H, W, 3)
        if r > 1:
            n, h, w, _ = x.shape
            x = x.view(n, h // r, r, w // r, r, 3).permute(0, 1, 3, 2, 4, 5)
            x = x.reshape(n, h // r, w // r, 3 * r * r)                   # (N, H/r, W/r, 3r²)
        x = x.permute(0, 3, 1, 2)                                         # NHWC memory
        return self.network.from_stem_input(x.contiguous() if self.channels_first else x)


def deploy(network: EUnet) -> DeployedEUnet:
    """Return a copy of a network that computes the same logits with less work."""
    with torch.inference_mode(False), torch.no_grad():
        return DeployedEUnet(network)


def deploy_image(network: EUnet, mean: tuple[float, ...],
                 std: tuple[float, ...]) -> DeployedImageNetwork:
    """Return `deploy` of a network with its normalisation: uint8 BGR (N, H, W, 3) to logits."""
    with torch.inference_mode(False), torch.no_grad():
        return DeployedImageNetwork(network, mean, std).eval().requires_grad_(False)
