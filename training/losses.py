# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Soft losses on logits (N, C, H, W) and ground-truth ids (N, H, W)."""
from __future__ import annotations

from eunet_ros.model.classes import IGNORE_ID
import torch
from torch.nn import functional


def cross_entropy(logits: torch.Tensor, target: torch.Tensor, cone_weight: float) -> torch.Tensor:
    """Cross-entropy in which pixels of cones weigh `cone_weight` times those of background."""
    weight = logits.new_full((logits.shape[1],), cone_weight)
    weight[0] = 1.0
    return functional.cross_entropy(logits, target, weight, ignore_index=IGNORE_ID)


def soft_dice(logits: torch.Tensor, target: torch.Tensor, smooth: float = 50.0) -> torch.Tensor:
    """
    One minus the soft Dice of 'cone or not', over the whole batch (Milletari et al., V-Net, 2016).

    smooth: pixels added to both sides of the fraction, so that batches without cones are tame.
    """
    known = target != IGNORE_ID
    cone = (1 - logits.softmax(1)[:, 0]) * known
    truth = ((target > 0) & known).to(cone.dtype)
    overlap = (cone * truth).sum()
    return 1 - (2 * overlap + smooth) / (cone.sum() + truth.sum() + smooth)
