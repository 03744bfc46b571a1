# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random crops of images in memory-mapped sets, the same for the same seed wherever they run."""
from __future__ import annotations

from collections.abc import Iterator
import copyreg
import math
from mmap import mmap
from typing import Any

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.training.augmentation.on_crops import (
    maybe_flipped,
    photometric,
    rotation_degrees,
    warped,
    zoom_factor,
)
from eunet_ros.training.data.readers.rendered import SCENES_AT_ONCE
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler


def count_pixels(scenes: np.ndarray, classes: int, sample: int = 300,
                 binary: bool = False) -> list[int]:
    """Return the pixels of each class, or cone or not, in a sample of scenes (n, H, W, 4)."""
    step = max(1, len(scenes) // sample)
    ids = (cv2.extractChannel(scenes[i], 3).reshape(-1) for i in range(0, len(scenes), step))
    counts = sum(np.bincount(i, minlength=256) for i in ids)
    if binary:
        return [int(counts[0]), int(counts[1:IGNORE_ID].sum())]
    return counts[:classes].tolist()


def _reduce(array: np.memmap) -> tuple[Any, ...]:
    """Let a memory map travel to another process as its file, not as its content."""
    if isinstance(array.base, mmap):  # a whole file, not a part of one
        return np.memmap, (array.filename, array.dtype, 'r', array.offset, array.shape)
    return array.__reduce__()


copyreg.pickle(np.memmap, _reduce)


class CropDataset(Dataset):
    """
    Random crops of scenes (n, H, W, 4): item i is the same for the same seed.

    Yields image (3, h, w) uint8 RGB and mask (h, w) int64. cone_crops: share of crops near a cone.
    per_scene: crops of SCENES_AT_ONCE scenes before the next.
    """

    def __init__(self, scenes: np.ndarray, crop: tuple[int, int], length: int, cone_crops: float,
                 seed: int, binary: bool = False, augment: bool = True,
                 per_scene: int = 1) -> None:
        self.scenes, self.crop, self.length = scenes, crop, length
        self.cone_crops, self.seed = cone_crops, seed
        self.binary, self.augment, self.per_scene = binary, augment, per_scene
        self._order = np.random.default_rng(seed).permutation(len(scenes))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        block, place = divmod(index, SCENES_AT_ONCE * self.per_scene)
        number = block * SCENES_AT_ONCE + place % SCENES_AT_ONCE
        scene = self.scenes[self._order[number % len(self._order)]]
        zoom = zoom_factor(rng) if self.augment else 1.0
        source_h, source_w = (min(scene.shape[i], round(self.crop[i] / zoom)) for i in (0, 1))
        y, x = (int(rng.integers(0, scene.shape[i] - s + 1))
                for i, s in enumerate((source_h, source_w)))
        if rng.random() < self.cone_crops:
            truth = cv2.extractChannel(scene, 3)
            ids = np.flatnonzero(np.bincount(truth.reshape(-1), minlength=256)[1:IGNORE_ID]) + 1
            if len(ids):  # a class first: rare ones are seen as often as common ones
                ys, xs = np.nonzero(truth == rng.choice(ids))
                k = int(rng.integers(len(ys)))
                y = int(np.clip(ys[k] - rng.integers(source_h), 0, scene.shape[0] - source_h))
                x = int(np.clip(xs[k] - rng.integers(source_w), 0, scene.shape[1] - source_w))
        part = scene[y:y + source_h, x:x + source_w]
        # OpenCV separates channels five times faster than NumPy copies them.
        image, mask = cv2.cvtColor(part, cv2.COLOR_BGRA2RGB), cv2.extractChannel(part, 3)
        degrees = rotation_degrees(rng) if self.augment else 0.0
        if degrees or mask.shape != self.crop:
            image, mask = warped(image, mask, self.crop, degrees)
        if self.augment:
            image, mask = maybe_flipped(image, mask, rng)
            image = photometric(image, rng)
        if self.binary:
            mask[(mask > 0) & (mask != IGNORE_ID)] = 1
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(mask).long()


def _place() -> tuple[int, int]:
    """Return the rank of this process and the number of processes."""
    group = torch.distributed
    running = group.is_available() and group.is_initialized()
    return (group.get_rank(), group.get_world_size()) if running else (0, 1)


class EpochSampler(Sampler[int]):
    """Numbers the items of an epoch; each process takes its share of every batch."""

    def __init__(self, items: int, batch: int = 1, processes: int = 1) -> None:
        self.items, self.batch, self.epoch, self.processes = items, batch, 0, processes

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.items // self.processes

    def __iter__(self) -> Iterator[int]:
        rank, world = _place()
        share = self.batch // world
        for start in range(self.epoch * self.items, (self.epoch + 1) * self.items, self.batch):
            yield from range(start + rank * share, start + (rank + 1) * share)


class ShareSampler(Sampler[int]):
    """Numbers every n-th item for one of n processes: each is seen once, by one of them."""

    def __init__(self, items: int, processes: int) -> None:
        self.items, self.processes = items, processes

    def __len__(self) -> int:
        return math.ceil(self.items / self.processes)

    def __iter__(self) -> Iterator[int]:
        rank, world = _place()
        return iter(range(rank, self.items, world))
