# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Random crops of images in memory-mapped sets, the same for the same seed wherever they run."""
from __future__ import annotations

from collections.abc import Iterator
from functools import partial
import math
from typing import Any

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.training.augmentation.on_crops import maybe_flipped, photometric, zoom_factor
from eunet_ros.training.data.readers.rendered import SCENES_AT_ONCE
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler


def count_pixels(scenes: np.ndarray, classes: int, sample: int = 300,
                 binary: bool = False) -> list[int]:
    """
    Return the pixels of each class id in up to `sample` scenes (count, H, W, 4).

    binary: of cone or not.
    """
    step = max(1, len(scenes) // sample)
    ids = (cv2.extractChannel(scenes[i], 3).reshape(-1)
           for i in range(0, len(scenes), step))
    counts = sum(np.bincount(i, minlength=256) for i in ids)
    if binary:
        return [int(counts[0]), int(counts[1:IGNORE_ID].sum())]
    return counts[:classes].tolist()


class Joined:
    """
    Sets one after the other, as one: item i is (H, W, 4) uint8, whose size differs between sets.

    parts: what CropDataset takes.
    """

    def __init__(self, *parts: np.ndarray) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, index: int) -> np.ndarray:
        for part in self.parts:
            if index < len(part):
                return part[index]
            index -= len(part)
        raise IndexError(index)


def _to_send(scenes: Any) -> Any:
    """Return what another process makes `scenes` of: a memory map travels as its file."""
    if isinstance(scenes, np.memmap) and scenes.filename:
        return partial(np.memmap, scenes.filename, scenes.dtype, 'r', scenes.offset, scenes.shape)
    if isinstance(scenes, Joined):
        return partial(_join, *map(_to_send, scenes.parts))
    return scenes


def _join(*parts: Any) -> Joined:
    return Joined(*map(_received, parts))


def _received(scenes: Any) -> Any:
    return scenes() if isinstance(scenes, partial) else scenes


class CropDataset(Dataset):
    """
    Random crops: item i is the same for the same seed, whatever loads it.

    scenes: (count, H, W, 4) uint8 BGR and ids, or what is indexed like it. Yields image (3, h, w)
    uint8 RGB and mask (h, w) int64. cone_crops: the share of crops that are centred near a pixel
    of a cone. binary: all cones are class 1. augment: zoom, flip and vary light and colour.
    per_scene: how often SCENES_AT_ONCE scenes are cut before the next are.
    """

    def __init__(self, scenes: np.ndarray, crop: tuple[int, int], length: int, cone_crops: float,
                 seed: int, binary: bool = False, augment: bool = True,
                 per_scene: int = 1) -> None:
        self.scenes, self.crop, self.length = scenes, crop, length
        self.cone_crops, self.seed = cone_crops, seed
        self.binary, self.augment, self.per_scene = binary, augment, per_scene
        self._order = np.random.default_rng(seed).permutation(len(scenes))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, 'scenes': _to_send(self.scenes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, scenes=_received(state['scenes']))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        block, place = divmod(index, SCENES_AT_ONCE * self.per_scene)
        number = block * SCENES_AT_ONCE + place % SCENES_AT_ONCE
        scene = self.scenes[self._order[number % len(self._order)]]
        h, w = self.crop
        zoom = zoom_factor(rng) if self.augment else 1.0
        source_h = min(scene.shape[0], round(h / zoom))
        source_w = min(scene.shape[1], round(w / zoom))
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
        # OpenCV takes channels apart five times faster than NumPy copies them.
        image, mask = cv2.cvtColor(part, cv2.COLOR_BGRA2RGB), cv2.extractChannel(part, 3)
        if self.augment:
            image, mask = maybe_flipped(image, mask, rng)
        if image.shape[:2] != (h, w):
            shrinks = source_h > h
            image = cv2.resize(image, (w, h), interpolation=(
                cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
            mask = cv2.resize(mask, (w, h), interpolation=cv2.INTER_NEAREST)
        if self.augment:
            image = photometric(image, rng)
        if self.binary:
            mask[(mask > 0) & (mask != IGNORE_ID)] = 1
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(mask).long()


def _place() -> tuple[int, int]:
    """Return the rank of this process and how many there are."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class EpochSampler(Sampler[int]):
    """
    Numbers the `items` of one epoch, after those of the epochs before it.

    So a run that is resumed goes on with the crops that it would have seen. Of several processes
    each takes its share of every `batch`: together they see the crops that one alone would.
    """

    def __init__(self, items: int, batch: int = 1, processes: int = 1) -> None:
        self.items, self.batch, self.epoch = items, batch, 0
        self.processes = processes

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; Lightning calls it."""
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
