# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how fast training gets its images: index, decode once, read, cut crops; on one core.

    python benchmarks/training_data.py

Some scenes are rendered and written in FSOCO's format, and the files linked under many names: as
many images as FSOCO has, without an hour of rendering.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import json
import os
from pathlib import Path
import sys
import tempfile
from time import perf_counter

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
import cv2  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.common.label_writer import write_project  # noqa: E402
from eunet_ros.training.data.crops import CropDataset  # noqa: E402
from eunet_ros.training.data.decoded import decoded_set, scale_pair  # noqa: E402
from eunet_ros.training.data.readers.fsoco import (  # noqa: E402
    BORDER,
    FsocoProject,
    load_sample,
)
from eunet_ros.training.data.render_fsoco import items  # noqa: E402
from eunet_ros.training.data.splits import make_split  # noqa: E402
import numpy as np  # noqa: E402

SIZE = (288, 512)


def make_project(root: Path, images: int, drawn: int) -> None:
    """Write `drawn` scenes of 1920x1080, and links of them up to `images`."""
    write_project(root, items(drawn, 0, 1080, 1920, sources=drawn), 'team')
    names = sorted(p.name for p in (root / 'team' / 'img').iterdir())
    for i in range(images - drawn):
        name = names[i % drawn]
        for folder, end in (('img', ''), ('ann', '.json')):
            os.link(root / 'team' / folder / (name + end),
                    root / 'team' / folder / f'link{i % 20:02d}_{i:05d}_{name}{end}')


def row(name: str, run: Callable[[int], object], count: int) -> None:
    """Time run(0), run(1) … and print the line of the table."""
    times = []
    for i in range(count):
        start = perf_counter()
        run(i)
        times.append(perf_counter() - start)
    p50, p90, p99 = np.percentile(times, [50, 90, 99]) * 1e3
    print(f'{name:<52}{p50:>8.2f}{p90:>8.2f}{p99:>8.2f}{count / sum(times):>10.0f}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description='How fast training gets its images.')
    parser.add_argument('--images', type=int, default=1500)
    parser.add_argument('--drawn', type=int, default=30, help='of them rendered, the rest links')
    o = parser.parse_args(arguments)
    print(machine_lines())
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / 'fsoco'
        make_project(root, o.images, o.drawn)
        start = perf_counter()
        project = FsocoProject(root)
        split = make_split(project.samples)
        seconds = perf_counter() - start
        objects = sum(len(json.loads(s.annotation.read_text())['objects'])
                      for s in project.samples)
        print(f'\nIndex and split of {len(project.samples)} images of 1920x1080 with {objects} '
              f'masks in {len({s.source for s in project.samples})} sources: {seconds:.2f} s '
              f'(train {len(split.train)}, val {len(split.val)}, test {len(split.test)})')
        start = perf_counter()
        pixels = decoded_set(Path(folder) / 'cache', project.samples, cone_classes(), SIZE, BORDER)
        seconds = perf_counter() - start
        print(f'Decoding into the cache, once, on {os.cpu_count()} cores: {seconds:.1f} s, '
              f'{len(pixels) / seconds:.0f} images/s')
        start = perf_counter()
        decoded_set(Path(folder) / 'cache', project.samples, cone_classes(), SIZE, BORDER)
        print(f'Opening the cache again, every file checked: {perf_counter() - start:.2f} s\n')
        print(f'{"one core":<52}{"p50 ms":>8}{"p90 ms":>8}{"p99 ms":>8}{"images/s":>10}')

        def decode(i: int) -> object:
            image, mask, _ = load_sample(project.samples[i], cone_classes(), BORDER)
            return scale_pair(image, mask, SIZE)
        row('decode PNG and masks each time, as without a cache', decode,
            min(40, len(pixels)))
        order = np.random.default_rng(0).permutation(len(pixels))
        row(f'cached image of {SIZE[1]}x{SIZE[0]}', lambda i: np.array(pixels[order[i]]),
            len(pixels))
        for augment in (False, True):
            crops = CropDataset(pixels, (256, 384), len(pixels), 0.7, 0, augment=augment)
            row(f'crop of 384x256{", zoomed, flipped, colours varied" if augment else ""}',
                crops.__getitem__, len(pixels))
    return 0


if __name__ == '__main__':
    sys.exit(main())
