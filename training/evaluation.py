# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running weights over labelled images, and what is kept of it."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import heapq
from typing import Any

import cv2
from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.cone_annotations import paint_instances, read_annotation
from eunet_ros.model.common.metrics.pixels import confusion_matrix, dice
from eunet_ros.training.data.fsoco import load_samples, LoadReport, Sample
from eunet_ros.training.image_set_scores import ImageSetScores
from eunet_ros.training.renderer import render_scene
import numpy as np
import torch
from torchmetrics.classification import BinaryPrecisionRecallCurve

_THRESHOLDS = 101
_WORST_WIDTH = 720  # pixels of a picture that is kept


@dataclass(frozen=True)
class Labelled:
    """
    An image with its truth.

    image: (h, w, 3) uint8 BGR. mask: (h, w) uint8 class ids. instances: (h, w) integers, 0 none,
    one number per cone.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    instances: np.ndarray


def project_images(samples: Iterable[Sample], classes: ClassTable, border: int, on_error: str,
                   report: LoadReport) -> Iterator[Labelled]:
    """Yield a project's images at their own size; see `fsoco.load_samples` for the options."""
    for sample, image, mask in load_samples(samples, classes, border, on_error, report):
        annotation = read_annotation(sample.annotation, classes)
        yield Labelled(sample.name, image, mask, paint_instances(annotation, border))


def rendered_images(first_seed: int, count: int, size: tuple[int, int], profile: str,
                    classes: ClassTable) -> Iterator[Labelled]:
    """Yield rendered scenes of a profile; with two classes every cone is the second."""
    for seed in range(first_seed, first_seed + count):
        scene = render_scene(seed, *size, profile)
        mask = scene.mask if len(classes.names) > 2 else (scene.mask > 0).view(np.uint8)
        yield Labelled(f'seed {seed}', scene.image, mask, scene.instances)


@dataclass(frozen=True)
class Bad:
    """A picture that the network got wrong: its Dice, reduced image, truth and mask."""

    dice: float
    name: str
    image: np.ndarray
    truth: np.ndarray
    mask: np.ndarray


class Evaluation:
    """
    Scores of one network over images, its curve of precision and recall, its worst images.

    worst: how many of these are kept, reduced to 720 pixels of width.
    """

    def __init__(self, classes: ClassTable, worst: int = 20) -> None:
        self.scores = ImageSetScores(classes)
        self.curve = BinaryPrecisionRecallCurve(_THRESHOLDS, ignore_index=-1, validate_args=False)
        self._worst: list[tuple[float, int, Bad]] = []  # a heap, the least bad first
        self._most, self._count = worst, 0

    def add(self, segmenter: Segmenter, item: Labelled) -> None:
        """Segment an image and count it."""
        result = segmenter.segment(item.image)
        self.scores.update(result.mask, item.mask, item.instances)
        truth = np.where(item.mask == IGNORE_ID, -1, item.mask > 0)
        self.curve.update(torch.from_numpy(result.cone_probability()).reshape(-1),
                          torch.from_numpy(truth.astype(np.int64)).reshape(-1))
        self._keep(item, result.mask)

    def _keep(self, item: Labelled, mask: np.ndarray) -> None:
        counts = confusion_matrix(item.mask, mask, len(self.scores.classes.names))
        score = float(np.nan_to_num(dice(counts), nan=1.0))  # no cone and none found: perfect
        if len(self._worst) == self._most and -score <= self._worst[0][0]:
            return
        scale = min(1.0, _WORST_WIDTH / mask.shape[1])
        size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
        bad = Bad(score, item.name, cv2.resize(item.image, size, interpolation=cv2.INTER_AREA),
                  *(cv2.resize(m, size, interpolation=cv2.INTER_NEAREST)
                    for m in (item.mask, mask)))
        self._count += 1
        # The count decides between equal ones, before arrays would be compared.
        heapq.heappush(self._worst, (-score, self._count, bad))
        if len(self._worst) > self._most:
            heapq.heappop(self._worst)

    @property
    def worst(self) -> list[Bad]:
        """Return the worst images, the worst first."""
        return [entry[2] for entry in sorted(self._worst, reverse=True)]

    def precision_recall(self) -> dict[str, Any]:
        """Return lists of threshold, precision and recall of cone or not."""
        precision, recall, thresholds = self.curve.compute()
        return {'threshold': thresholds.tolist(), 'precision': precision[:-1].tolist(),
                'recall': recall[:-1].tolist()}
