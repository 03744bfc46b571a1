# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Losses on logits (N, C, H, W) and ground-truth ids (N, H, W)."""
from __future__ import annotations

from collections.abc import Sequence

from eunet_ros.model.common.classes import IGNORE_ID
import torch
from torch.nn import functional


def with_background(logits: torch.Tensor) -> torch.Tensor:
    """Add the background's logit, zero, to a binary network's: (N, 1, H, W) to (N, 2, H, W)."""
    return torch.cat((torch.zeros_like(logits), logits), 1) if logits.shape[1] == 1 else logits


def class_weights(pixels: Sequence[int], cone_weight: float, balance: float) -> torch.Tensor:
    """Return the weight of each class: of cones (mean pixels / pixels) ** balance, at most 10."""
    cones = torch.tensor(pixels[1:], dtype=torch.float32).clamp(min=1)
    rarity = (cones.mean() / cones).pow(balance).clamp(max=10)
    return torch.cat((torch.ones(1), cone_weight * rarity))


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor,
                      dice_weight: float, color_weight: float,
                      miss_weight: float = 0.5) -> torch.Tensor:
    """Cross-entropy with `weight` (C,), plus weighted soft Dice and cross-entropy among cones."""
    log_shares = logits.log_softmax(1)
    known = target != IGNORE_ID
    total = functional.nll_loss(log_shares, target, weight, ignore_index=IGNORE_ID,
                                reduction='sum')
    # Not its own mean, which is 0 / 0 where all is ignored, as in a crop of padding.
    loss = total / (weight[target.where(known, 0)] * known).sum().clamp(min=1e-6)
    if dice_weight:
        loss = loss + dice_weight * soft_dice(log_shares, target, miss_weight)
    if color_weight:
        loss = loss + color_weight * cone_cross_entropy(logits, target)
    return loss


def cone_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy among the cone classes alone, averaged over the pixels of cones."""
    cone = (target > 0) & (target != IGNORE_ID)
    total = functional.cross_entropy(logits.permute(0, 2, 3, 1)[cone][:, 1:], target[cone] - 1,
                                     reduction='sum')
    return total / cone.sum().clamp(min=1)


def soft_dice(log_shares: torch.Tensor, target: torch.Tensor, miss_weight: float = 0.5,
              smooth: float = 50.0) -> torch.Tensor:
    """
    One minus the soft Dice of cone or not (Milletari et al., V-Net, 2016) of log-softmax.

    miss_weight: cost of a missed pixel (Tversky, Salehi et al., arXiv:1706.05721). smooth: pixels
    added to both sides of the fraction, for batches without cones.
    """
    known = target != IGNORE_ID
    cone = (1 - log_shares[:, 0].exp()) * known
    truth = ((target > 0) & known).to(cone.dtype)
    overlap = (cone * truth).sum()
    missed, false = truth.sum() - overlap, cone.sum() - overlap
    cost = 2 * (miss_weight * missed + (1 - miss_weight) * false)
    return 1 - (2 * overlap + smooth) / (2 * overlap + cost + smooth)
