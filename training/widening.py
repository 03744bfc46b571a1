# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A wider network that starts where a narrower one ended.

After Net2Net (Chen, Goodfellow and Shlens, 2016, arXiv:1511.05641), but new channels have random
weights that nothing reads yet: at first both networks compute the same. Of another stem, a network
starts with what the narrow one computes of the image magnified, about: a pixel takes the mean of
those that it was. Of another gate, it starts with gates that are constant.
"""
from __future__ import annotations

from dataclasses import replace

from eunet_ros.model.blocks import LKA
from eunet_ros.model.eunet import EUnet
import torch
from torch import nn

# Blocks whose input is two tensors, joined along the channels: half of the channels of each.
_JOINED = ('up2', 'up1', 'head')


def _places(narrow: int, wide: int, joined: bool) -> torch.Tensor:
    """Return the indices of `narrow` channels among `wide` ones."""
    if not joined or narrow == wide:
        return torch.arange(narrow)
    half = torch.arange(narrow // 2)
    return torch.cat((half, wide // 2 + half))


def widen(narrow: EUnet, wide: EUnet) -> None:
    """Give `wide` the weights of `narrow`; raises ValueError."""
    here, there = narrow.variant, wide.variant
    if (replace(there, width=here.width, stem=here.stem, gate=here.gate) != here
            or here.width >= there.width or here.stem < there.stem
            or (here.gate != there.gate and here.attention != 'lka')
            or narrow.num_classes != wide.num_classes or here.norm != 'batch'):
        raise ValueError(
            f'Expected weights of a narrower network with the same or a coarser stem that is '
            f'otherwise the same ({there.to_dict()}, {wide.num_classes} logits) and has batch '
            f'normalisation, found {here.to_dict()}, {narrow.num_classes} logits: choose another '
            'variant, or start without widen.')
    source = dict(narrow.named_modules())
    with torch.no_grad():
        for name, layer in wide.named_modules():
            joined = name.partition('.')[0] in _JOINED
            old = source[name]
            if here.gate != there.gate and '.attention' in name:
                if isinstance(layer, LKA):
                    _constant_gate(layer)
            elif here.stem != there.stem and name.startswith(('stem', 'head')):
                pass  # below
            elif isinstance(layer, nn.BatchNorm2d):
                at = _places(old.num_features, layer.num_features, joined)
                for ours, theirs in zip((layer.weight, layer.bias, layer.running_mean,
                                         layer.running_var),
                                        (old.weight, old.bias, old.running_mean,
                                         old.running_var)):
                    ours[at] = theirs
                layer.num_batches_tracked.copy_(old.num_batches_tracked)
            elif isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                # The last layers of blocks with joined inputs have plain outputs.
                leads_out = name == 'head' or isinstance(layer, nn.ConvTranspose2d)
                _widen_convolution(old, layer, joined, joined and not leads_out)
        if here.stem != there.stem:
            _refine(narrow, wide)


def _constant_gate(layer: LKA) -> None:
    """Let the attention be about 0.5, a sigmoid's mean, at first."""
    nn.init.orthogonal_(layer.pointwise.weight)
    layer.dilated.weight.mul_(0.3)
    layer.dilated.bias.copy_(0.5 * layer.pointwise.weight[:, :, 0, 0].sum(0))


def _refine(narrow: EUnet, wide: EUnet) -> None:
    """Sum the stem's kernels over what is one pixel now, and average the head's."""
    r, w = wide.variant.stem, narrow.variant.width
    q = narrow.variant.stem // r
    stem = narrow.stem.pointwise.weight[:, :, 0, 0] * narrow.stem.depthwise.weight.sum((1, 2, 3))
    nn.init.dirac_(wide.stem.depthwise.weight, groups=3 * r * r)
    wide.stem.depthwise.bias.zero_()
    wide.stem.pointwise.weight[:w, :, 0, 0] = stem.view(w, 3, r, q, r, q).sum((3, 5)).flatten(1)
    into = _places(2 * w, 2 * wide.variant.width, True)

    def mean(of: torch.Tensor) -> torch.Tensor:
        return of.view(-1, r, q, r, q, *of.shape[1:]).mean((2, 4)).flatten(0, 2)
    wide.head.weight.zero_()[:, into] = mean(narrow.head.weight)
    wide.head.bias.copy_(mean(narrow.head.bias))


def _widen_convolution(old: nn.Conv2d | nn.ConvTranspose2d,
                       new: nn.Conv2d | nn.ConvTranspose2d, joined_in: bool,
                       joined_out: bool) -> None:
    transposed = isinstance(new, nn.ConvTranspose2d)
    out = _places(old.out_channels, new.out_channels, joined_out)
    into = _places(old.in_channels, new.in_channels, joined_in)
    if old.groups > 1:
        new.weight[out] = old.weight
    else:
        ours, theirs = ((w.transpose(0, 1) if transposed else w) for w in (new.weight, old.weight))
        ours[out] = 0
        ours[out[:, None], into] = theirs
    if old.bias is not None:
        new.bias[out] = old.bias
