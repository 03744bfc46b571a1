# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running weights over labelled images, and what is kept of it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.metrics.pixels import confusion_matrix, dice
from eunet_ros.training.data.sets import Labelled
from eunet_ros.training.image_set_scores import ImageSetScores
import numpy as np
import torch
from torchmetrics.classification import BinaryPrecisionRecallCurve

_THRESHOLDS = 101
_WORST_WIDTH = 720  # pixels of a picture that is kept


@dataclass(frozen=True)
class Bad:
    """A picture that the network got wrong: its Dice, reduced image, truth and mask."""

    dice: float
    name: str
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray


class Evaluation:
    """Scores of a network over images, its precision-recall curve, and its `worst` images."""

    def __init__(self, classes: ClassTable, worst: int = 20) -> None:
        self.scores = ImageSetScores(classes)
        self.curve = BinaryPrecisionRecallCurve(_THRESHOLDS, ignore_index=-1, validate_args=False)
        self.worst: list[Bad] = []  # the worst first
        self._most = worst

    def add(self, segmenter: Segmenter, item: Labelled) -> None:
        result = segmenter.segment(item.image)
        self.scores.update(result.mask, item.mask, item.instances)
        truth = np.where(item.mask == IGNORE_ID, -1, item.mask > 0)
        self.curve.update(torch.from_numpy(result.cone_probability()).reshape(-1),
                          torch.from_numpy(truth.astype(np.int64)).reshape(-1))
        self._keep(item, result.mask)

    def _keep(self, item: Labelled, mask: np.ndarray) -> None:
        counts = confusion_matrix(item.mask, mask, len(self.scores.classes.names))
        score = float(np.nan_to_num(dice(counts), nan=1.0))  # no cone and none found: perfect
        if len(self.worst) == self._most and score >= self.worst[-1].dice:
            return
        scale = min(1.0, _WORST_WIDTH / mask.shape[1])
        size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
        bad = Bad(score, item.name, cv2.resize(item.image, size, interpolation=cv2.INTER_AREA),
                  *(cv2.resize(m, size, interpolation=cv2.INTER_NEAREST)
                    for m in (item.mask, mask)))
        self.worst = sorted([*self.worst, bad], key=lambda bad: bad.dice)[:self._most]

    def precision_recall(self) -> dict[str, Any]:
        """Return lists of threshold, precision and recall of cone or not."""
        precision, recall, thresholds = self.curve.compute()
        return {'threshold': thresholds.tolist(), 'precision': precision[:-1].tolist(),
                'recall': recall[:-1].tolist()}
