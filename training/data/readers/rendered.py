# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes on disk, memory-mapped."""
from __future__ import annotations

from functools import lru_cache
import hashlib
from pathlib import Path

import cv2
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import written_beside
from eunet_ros.training.data.parallel import cache_lock, parallel_map
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.renderer.profiles import Profile, TRAIN
import numpy as np
from rich.progress import track

VALIDATION_SEED = 1_000_000_000  # first seed of validation images; training counts from 0
TEST_SEED = 1_500_000_000
SCENES_AT_ONCE = 64  # that a process keeps where they are rendered on the fly


def _fingerprint(profile: Profile) -> str:
    # Not by pictures alone: rare things may be in none of these few.
    digest = hashlib.sha256(b'' if profile is TRAIN else repr(profile).encode())
    for seed in range(2_000_000_000, 2_000_000_006):
        scene = render_scene(seed, 192, 320, profile)
        digest.update(scene.image.tobytes() + scene.mask.tobytes())
    return digest.hexdigest()[:12]


@lru_cache(maxsize=1)
def renderer_fingerprint() -> str:
    """Return a hash that is equal for two versions that draw the same pictures."""
    return _fingerprint(TRAIN)


def _render(task: tuple[int, int, int, Profile]) -> np.ndarray:
    cv2.setNumThreads(1)
    scene = render_scene(*task)
    return np.dstack((scene.image, scene.mask))


@lru_cache(SCENES_AT_ONCE)
def _render_to_train(seed: int, height: int, width: int) -> np.ndarray:
    return _render((seed, height, width, TRAIN))


def _render_into(path: Path, tasks: list[tuple[int, int, int, Profile]]) -> None:
    # Not through a memory map, which crashes on a full disk.
    with written_beside(path) as beside, open(beside, 'wb') as file:
        np.lib.format.write_array_header_1_0(file, {
            'descr': '|u1', 'fortran_order': False, 'shape': (len(tasks), *tasks[0][1:3], 4)})
        for pixels in track(parallel_map(_render, tasks), 'Rendering', total=len(tasks)):
            file.write(pixels.tobytes())


def rendered_set(folder: Path, first_seed: int, count: int, height: int, width: int,
                 profile: Profile = TRAIN) -> np.ndarray:
    """Return scenes as a read-only (n, H, W, 4) uint8 memory map, cached in `folder`."""
    drawn = renderer_fingerprint() if profile is TRAIN else _fingerprint(profile)
    path = folder / f'{drawn}_{first_seed}_{count}_{height}x{width}.npy'
    if not path.exists():
        with cache_lock(folder):
            if not path.exists():
                _render_into(path, [(first_seed + i, height, width, profile)
                                    for i in range(count)])
    return np.load(path, mmap_mode='r')


def hard_images(path: Path) -> np.ndarray:
    """Return the file of training/tools/mine.py, (count, H, W, 4) uint8; raises ValueError."""
    try:
        images = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f'Cannot read the hard examples in {path}: {one_line(error)}; '
                         'training/tools/mine.py makes them.') from error
    dtype, shape = (getattr(images, name, None) for name in ('dtype', 'shape'))
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 4 or not shape[0]:
        raise ValueError(f'Expected hard examples in {path}, (count, height, width, 4) of uint8, '
                         f'found {dtype} of shape {shape}; training/tools/mine.py makes them.')
    return images


class RenderedScenes:
    """As `rendered_set`, but rendered on access, without files; the latest scenes are cached."""

    def __init__(self, first_seed: int, count: int, height: int, width: int) -> None:
        self.first_seed, self.shape = first_seed, (count, height, width, 4)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        return _render_to_train(self.first_seed + index, *self.shape[1:3])
