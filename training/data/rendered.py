# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes on disk, memory-mapped."""
from __future__ import annotations

from functools import lru_cache
import hashlib
from pathlib import Path

import cv2
from eunet_ros.model.files import written_beside
from eunet_ros.training.data import synthetic
from eunet_ros.training.data.parallel import parallel_map
import numpy as np
from rich.progress import track

VALIDATION_SEED = 1_000_000_000  # first seed of validation images; training counts from 0
TEST_SEED = 1_500_000_000


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
        with written_beside(path) as beside:
            out = np.lib.format.open_memmap(beside, 'w+', np.uint8, (count, height, width, 4))
            tasks = [(first_seed + i, height, width) for i in range(count)]
            rows = parallel_map(_render, tasks)
            for i, pixels in enumerate(track(rows, 'Rendering', total=count)):
                out[i] = pixels
            out.flush()
    return np.load(path, mmap_mode='r')
