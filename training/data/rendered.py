# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes on disk, memory-mapped, and crops of them to train on."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
import hashlib
import multiprocessing
import os
from pathlib import Path

import cv2
from eunet_ros.model.classes import IGNORE_ID
from eunet_ros.training.data import synthetic
import numpy as np
from rich.progress import track
import torch
from torch.utils.data import Dataset

_FEW = 64  # scenes that are rendered before other processes would have started
VALIDATION_SEED = 1_000_000_000  # first seed of validation images; training counts from 0


@lru_cache(maxsize=1)
def renderer_fingerprint() -> str:
    """Hash of a few rendered scenes: equal for two versions that draw the same pictures."""
    digest = hashlib.sha256()
    for seed in range(2_000_000_000, 2_000_000_006):
        scene = synthetic.render_scene(seed, 192, 320)
        digest.update(scene.image.tobytes() + scene.mask.tobytes())
    return digest.hexdigest()[:12]


def _render(task: tuple[int, int, int]) -> np.ndarray:
    cv2.setNumThreads(1)
    seed, height, width = task
    scene = synthetic.render_scene(seed, height, width)
    return np.dstack((scene.image, scene.mask))


def rendered_set(folder: Path, first_seed: int, count: int, height: int, width: int) -> np.ndarray:
    """
    Return `count` scenes as a read-only (count, H, W, 4) uint8 memory map: BGR and class ids.

    They are rendered on first use, on all cores, and kept in `folder`; written beside and renamed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{renderer_fingerprint()}_{first_seed}_{count}_{height}x{width}.npy'
    if not path.exists():
        beside = path.with_suffix(f'.{os.getpid()}.tmp')
        try:
            out = np.lib.format.open_memmap(beside, 'w+', np.uint8, (count, height, width, 4))
            tasks = [(first_seed + i, height, width) for i in range(count)]
            for i, pixels in enumerate(track(_render_all(tasks), 'Rendering', total=count)):
                out[i] = pixels
            out.flush()
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    return np.load(path, mmap_mode='r')


def _render_all(tasks: list[tuple[int, int, int]]) -> Iterator[np.ndarray]:
    if len(tasks) < _FEW:
        yield from map(_render, tasks)
        return
    # Spawned: a fork after PyTorch has started its threads may hang.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(os.cpu_count(), context) as pool:
        yield from pool.map(_render, tasks, chunksize=16)


def count_pixels(scenes: np.ndarray, classes: int, sample: int = 300) -> list[int]:
    """Return the pixels of each class id in up to `sample` scenes (count, H, W, 4)."""
    step = max(1, len(scenes) // sample)
    ids = (np.ascontiguousarray(scene[..., 3]).reshape(-1) for scene in scenes[::step])
    return sum(np.bincount(i, minlength=256) for i in ids)[:classes].tolist()


class CropDataset(Dataset):
    """
    Random crops: item i is the same for the same seed, whatever loads it.

    scenes: (count, H, W, 4) uint8 BGR and ids. Yields image (3, h, w) uint8 RGB and mask (h, w)
    int64. cone_crops: the share of crops that are centred near a pixel of a cone.
    """

    def __init__(self, scenes: np.ndarray, crop: tuple[int, int], length: int, cone_crops: float,
                 seed: int) -> None:
        self.scenes, self.crop, self.length = scenes, crop, length
        self.cone_crops, self.seed = cone_crops, seed
        self._order = np.random.default_rng(seed).permutation(len(scenes))

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = np.random.default_rng((self.seed, index))
        scene = self.scenes[self._order[index % len(self._order)]]
        h, w = self.crop
        zoom = float(np.exp(rng.uniform(np.log(0.75), np.log(1.5))))
        source_h = min(scene.shape[0], round(h / zoom))
        source_w = min(scene.shape[1], round(w / zoom))
        y, x = (int(rng.integers(0, scene.shape[i] - s + 1))
                for i, s in enumerate((source_h, source_w)))
        if rng.random() < self.cone_crops:
            truth = np.ascontiguousarray(scene[..., 3])
            ids = np.flatnonzero(np.bincount(truth.reshape(-1), minlength=256)[1:IGNORE_ID]) + 1
            if len(ids):  # a class first: rare ones are seen as often as common ones
                ys, xs = np.nonzero(truth == rng.choice(ids))
                k = int(rng.integers(len(ys)))
                y = int(np.clip(ys[k] - rng.integers(source_h), 0, scene.shape[0] - source_h))
                x = int(np.clip(xs[k] - rng.integers(source_w), 0, scene.shape[1] - source_w))
        part = scene[y:y + source_h, x:x + source_w]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        image = np.ascontiguousarray(part[..., 2::-1])  # RGB
        mask = np.ascontiguousarray(part[..., 3])
        if image.shape[:2] != (h, w):
            shrinks = source_h > h
            image = cv2.resize(image, (w, h), interpolation=(
                cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
            mask = cv2.resize(mask, (w, h), interpolation=cv2.INTER_NEAREST)
        image = _photometric(image, rng)
        return torch.from_numpy(image.transpose(2, 0, 1).copy()), torch.from_numpy(mask).long()


def _photometric(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast, gamma and white balance through one look-up table a channel."""
    if rng.random() < 0.2:
        return image
    x = np.linspace(0, 1, 256)
    gamma, gain = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15))
    offset = rng.normal(0, 0.03)
    balance = np.exp(rng.normal(0, 0.06, 3))
    tables = np.clip((x ** gamma)[:, None] * gain * balance + offset, 0, 1) * 255
    return cv2.LUT(image, np.rint(tables).astype(np.uint8).reshape(1, 256, 3))
