# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Find rendered scenes in which weights detect a cone where none is, to train on: hard examples.

    python training/tools/mine.py --weights eunet_s --images 6000 --output runs/hard.npy
    python training/train.py … --weights eunet_s --hard-images runs/hard.npy

Half of the scenes are as in training, half have no cone and many things in the colours of cones.
Keeps the region around the largest false cone (model/common/metrics) of each scene, with its
truth. Shrivastava et al., "Online Hard Example Mining", arXiv:1604.03540.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
import sys

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import cv2
from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.model.common.command import add_size, check_new_file, make_parser, run_command
from eunet_ros.model.common.files import written_beside
from eunet_ros.model.common.metrics.false_cones import find_false_cones
from eunet_ros.model.segmenter import Segmenter
from eunet_ros.training.data.parallel import parallel_map
from eunet_ros.training.data.readers.rendered import VALIDATION_SEED
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.renderer.profiles import HARD, TRAIN
import numpy as np
from rich.progress import track

_Task = tuple[str, str, int, tuple[int, int], tuple[int, int]]


def largest_false_cone(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int] | None:
    """Return the middle (v, u) [px] of the largest false cone in masks (h, w), or None."""
    found = find_false_cones(truth, predicted)
    if not len(found.pixels):
        return None
    v, u = found.middle[found.pixels.argmax()]
    return round(v), round(u)


@lru_cache(maxsize=1)
def _segmenter(weights: str, engine: str) -> Segmenter:
    return Segmenter(weights, engine, num_threads=1)


def _mine(task: _Task) -> np.ndarray | None:
    """Return (h, w, 4) uint8, BGR and class ids, around the largest false cone of a scene."""
    weights, engine, seed, (height, width), crop = task
    cv2.setNumThreads(1)
    scene = render_scene(seed, height, width, (TRAIN, HARD)[seed // 2 % 2])
    middle = largest_false_cone(scene.mask, _segmenter(weights, engine)(scene.image))
    if middle is None:
        return None
    v, u = (min(max(m - c // 2, 0), s - c) for m, c, s in zip(middle, crop, (height, width)))
    part = np.s_[v:v + crop[0], u:u + crop[1]]
    return np.dstack((scene.image[part], scene.mask[part]))


def mine(weights: str, first_seed: int, count: int, size: tuple[int, int],
         crop: tuple[int, int], output: Path, engine: str = 'auto') -> int:
    """Write the hard parts of scenes as (N, h, w, 4) uint8; returns N; raises ValueError."""
    load_checkpoint(weights)
    sizes = size, tuple(round(1.5 * side) for side in size)
    tasks = [(weights, engine, seed, sizes[seed % 2], crop)
             for seed in range(first_seed, first_seed + count)]
    found = [part for part in track(parallel_map(_mine, tasks), 'Mining', total=count,
                                    disable=not sys.stdout.isatty()) if part is not None]
    if not found:
        raise ValueError(f'None of {count} scenes has a false cone: give more --images.')
    with written_beside(output) as beside, open(beside, 'wb') as file:
        np.save(file, np.stack(found))
    return len(found)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser('Find rendered scenes in which weights see a cone where none is.')
    parser.add_argument('--weights', required=True, help='path or name')
    parser.add_argument('--engine', default='auto', help='engine that runs the weights')
    parser.add_argument('--images', type=int, default=6000, help='scenes to look at')
    parser.add_argument('--first-image', type=int, default=600_000, help='seed of the first')
    add_size(parser, '--size', 'of every other scene; the others are 1.5 times as large [px]',
             (384, 640))
    add_size(parser, '--crop', 'region to keep around a false cone [px]', (320, 480))
    parser.add_argument('--output', type=Path, required=True, help='file to write: .npy')
    o = parser.parse_args(arguments)

    def work() -> None:
        if o.images < 1 or min(o.crop) < 32 or o.crop[0] > o.size[0] or o.crop[1] > o.size[1]:
            raise ValueError('Expected one image or more and a --crop of 32 px or more that fits '
                             f'into --size, found {o.images} images, crop {o.crop}, size '
                             f'{o.size}.')
        if not 0 <= o.first_image <= VALIDATION_SEED - o.images:
            raise ValueError(f'--first-image must be from 0 to {VALIDATION_SEED - o.images:,}, '
                             f'found {o.first_image}: beyond are the scenes to validate on.')
        o.output.parent.mkdir(parents=True, exist_ok=True)
        check_new_file(o.output)
        count = mine(o.weights, o.first_image, o.images, tuple(o.size), tuple(o.crop), o.output,
                     o.engine)
        print(f'{o.output}: a false cone in {count} of {o.images} scenes')
    return run_command('mine', work)


if __name__ == '__main__':
    sys.exit(main())
