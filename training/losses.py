# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses on logits (N, C, …) and ground-truth ids (N, …)."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eunet_ros.model.common.classes import IGNORE_ID
import torch

_SMOOTH = 50.0  # pixels added to both sides of soft Dice's fraction, for batches without cones


def with_background(logits: torch.Tensor) -> torch.Tensor:
    """Add the background's logit, zero, to a binary network's: (N, 1, …) to (N, 2, …)."""
    return torch.cat((torch.zeros_like(logits), logits), 1) if logits.shape[1] == 1 else logits


def class_weights(pixels: Sequence[int], cone_weight: float, balance: float) -> torch.Tensor:
    """Return the weight of each class: of cones (mean pixels / pixels) ** balance, at most 10."""
    cones = torch.tensor(pixels[1:], dtype=torch.float32).clamp(min=1)
    rarity = (cones.mean() / cones).pow(balance).clamp(max=10)
    return torch.cat((torch.ones(1), cone_weight * rarity))


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor,
                      dice_weight: float, color_weight: float,
                      miss_weight: float = 0.5) -> torch.Tensor:
    """
    Cross-entropy with `weight` (C,), plus weighted soft Dice and cross-entropy among cones.

    Soft Dice (Milletari et al., V-Net, 2016) is of cone or not, over all pixels of the batch;
    miss_weight is the cost of a missed pixel in it (Tversky, Salehi et al., arXiv:1706.05721).
    """
    return _SegmentationLoss.apply(logits, target, weight, dice_weight, color_weight, miss_weight)


class _SegmentationLoss(torch.autograd.Function):
    """
    The loss and, in the same pass, its gradient: fewer passes over memory on a CPU.

    With the shares p of a pixel, the gradient of -log p_t is p - e_t, that of the cone's share
    1 - p_0 is p_0 (p - e_0).
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor,
                dice_weight: float, color_weight: float, miss_weight: float) -> torch.Tensor:
        known = target != IGNORE_ID
        ids = target.where(known, 0)
        cone = ids > 0
        shares = logits.log_softmax(1)
        weight = weight[ids] * known
        weight /= weight.sum().clamp(min=1e-6)  # a crop of padding has no known pixel
        loss = -(shares.gather(1, ids[:, None])[:, 0] * weight).sum()
        shares.exp_()
        background = shares[:, 0] * known
        predicted = known.to(shares.dtype) - background
        overlap = (predicted * cone).sum()
        missed, false = cone.sum() - overlap, predicted.sum() - overlap
        part = 2 * overlap + _SMOOTH
        whole = part + 2 * (miss_weight * missed + (1 - miss_weight) * false)
        loss += dice_weight * (1 - part / whole)
        slope = 2 * (1 - miss_weight) * part / whole ** 2  # of a pixel's predicted share
        slope = dice_weight * background * torch.where(cone, slope - 2 / whole, slope)
        gradient = shares.mul_((weight + slope)[:, None])
        gradient[:, 0] -= slope
        gradient.scatter_add_(1, ids[:, None], -weight[:, None])
        if color_weight:
            first, place = cone.flatten(1).nonzero(as_tuple=True)
            count = max(len(first), 1)
            true = ids.flatten(1)[first, place, None] - 1
            colors = logits.flatten(2)[first, 1:, place].log_softmax(1)
            loss -= color_weight / count * colors.gather(1, true).sum()
            colors.exp_().scatter_add_(1, true, torch.full_like(colors, -1.0))
            flat = gradient.view(*gradient.shape[:2], -1)  # never a copy, as flatten may be
            flat[first, 1:, place] += color_weight / count * colors
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return ctx.saved_tensors[0] * scale, None, None, None, None, None
