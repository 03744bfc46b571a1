# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the renderer on one core: time of a scene in two sizes, and memory over many of them.

    python benchmarks/renderer.py --scenes 2000
    python benchmarks/renderer.py --size 192 320 --scenes 100000

Times are of the processor (other programs do not count). The first scenes draw the props that all
others use; they warm it up and are not measured.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from time import process_time

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
import cv2  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402
import numpy as np  # noqa: E402

SIZES = ((384, 640), (720, 1280))
WARM_UP = 300
_PAGE_MIB = 4096 / 2**20


def memory_mib() -> float:
    """Return what this process holds of the memory now, in MiB (Linux)."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * _PAGE_MIB


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description='Measure the renderer on one core.')
    parser.add_argument('--scenes', type=int, default=200, help='scenes of each size')
    parser.add_argument('--size', type=int, nargs=2, action='append', metavar=('H', 'W'),
                        help='one of them; may be repeated (default: 384x640 and 720x1280)')
    parser.add_argument('--warm-up', type=int, default=WARM_UP, help='scenes before')
    o = parser.parse_args(arguments)
    if o.scenes < 10 or o.warm_up < 0:
        parser.error(f'--scenes must be at least 10 and --warm-up at least 0, found {o.scenes} '
                     f'and {o.warm_up}')
    sizes = o.size or SIZES
    if min(map(min, sizes)) < 32:
        parser.error(f'--size must be at least 32 32, found {min(sizes)}')
    cv2.setNumThreads(1)
    print(f'{machine_lines()}\n')
    for seed in range(o.warm_up):
        render_scene(seed, *sizes[0])
    for height, width in sizes:
        times, memory = np.empty(o.scenes), np.empty(o.scenes)
        for i in range(o.scenes):
            began = process_time()
            render_scene(o.warm_up + i, height, width)
            times[i], memory[i] = process_time() - began, memory_mib()
        p50, p90, p99 = np.percentile(times, (50, 90, 99)) * 1e3
        tenths = [part.mean() for part in np.array_split(memory, 10)]
        print(f'{height}x{width}: {o.scenes} scenes, p50 {p50:.1f} ms, p90 {p90:.1f} ms, p99 '
              f'{p99:.1f} ms, {1 / times.mean():.1f} scenes a second of one core; memory by '
              f'tenths of the run [MiB]: {" ".join(f"{m:.0f}" for m in tenths)}', flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
