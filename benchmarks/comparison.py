# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train EUnet, networks that others would use, and EUnets without a part: alike, for as long.

    python benchmarks/comparison.py --minutes 15
    python benchmarks/comparison.py --variant eunet --minutes 60 --precision bf16-mixed    # a GPU

All see the same rendered scenes; none starts from trained weights. They are scored on the scenes
of the benchmark, whose textures, backdrops and cameras no training uses.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
import sys

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _baseline_networks import (  # noqa: E402
    FastSCNN,
    PlainUNet,
    without_attention,
    without_spd,
)
from _contest import benchmark_scenes, compete, Contender, multiply_adds  # noqa: E402
from _machine import machine_lines  # noqa: E402
from eunet_ros.model.classes import cone_classes  # noqa: E402
from eunet_ros.model.eunet import build_model, VARIANTS  # noqa: E402
from eunet_ros.model.files import write_json  # noqa: E402
from eunet_ros.training.config import PRECISIONS, TrainConfig  # noqa: E402
from eunet_ros.training.run_folder import new_folder  # noqa: E402
from torch import nn  # noqa: E402

CLASSES = len(cone_classes().names)


def equal_unet(variant: str, size: tuple[int, int]) -> nn.Module:
    """Return the plain U-Net whose multiply-adds are nearest to a variant's."""
    budget = multiply_adds(build_model(variant, CLASSES), size)
    widths = range(2, 65)
    costs = [multiply_adds(PlainUNet(CLASSES, 2), size)]
    while costs[-1] < budget:
        costs.append(multiply_adds(PlainUNet(CLASSES, widths[len(costs)]), size))
    nearest = min(range(len(costs)), key=lambda k: abs(costs[k] - budget))
    return PlainUNet(CLASSES, widths[nearest])


def contenders(variant: str, size: tuple[int, int]) -> dict[str, Callable[[], Contender]]:
    """Return what makes each contender, by its name."""
    return {
        variant: lambda: Contender(variant),
        'plain U-Net': lambda: Contender('plain U-Net', equal_unet(variant, size)),
        'Fast-SCNN': lambda: Contender('Fast-SCNN', FastSCNN(CLASSES)),
        'without LKA': lambda: Contender('without LKA', without_attention(CLASSES, variant)),
        'without SPD': lambda: Contender('without SPD', without_spd(CLASSES, variant)),
        'LSKA': lambda: Contender('LSKA', attention='lska'),
        'product gate': lambda: Contender('product gate', gate='product'),
        'group norm': lambda: Contender('group norm', norm='group'),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score and print; returns the exit code."""
    names = list(contenders('eunet_n', (0, 0)))[1:]
    parser = argparse.ArgumentParser(description='Compare networks trained alike.')
    parser.add_argument('--variant', default='eunet_n', choices=list(VARIANTS))
    parser.add_argument('--against', nargs='*', choices=names, default=names,
                        help='what to compare it with')
    parser.add_argument('--minutes', type=float, default=15.0, help='of training, each')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--scenes', type=int, default=300, help='of the benchmark, to score on')
    parser.add_argument('--precision', default='32-true', choices=PRECISIONS)
    parser.add_argument('--cache', default='runs/cache', help='folder of the rendered scenes')
    parser.add_argument('--output', type=Path, default=Path('runs/comparison'))
    o = parser.parse_args(arguments)
    try:
        if not o.minutes > 0:
            raise ValueError(f'--minutes must be above 0, found {o.minutes}.')
        config = TrainConfig(
            variant=o.variant, images=o.images, validate_every=100_000, augment=False, lr=7e-4,
            warm_up=0.1, cone_weight=1.0, color_weight=0.5, precision=o.precision, cache=o.cache)
        folder = new_folder(o.output)
    except (ValueError, OSError) as error:
        print(f'comparison: {error}', file=sys.stderr)
        return 1
    size = (config.height, config.width)
    print(f'{o.minutes:g} minutes each on {o.images} scenes {size[0]}x{size[1]}, scored on '
          f'{o.scenes} benchmark scenes.\n{machine_lines()}\n')
    print(f'{"":<14}{"parameters":>11}{"GMAC":>7}{"steps":>7}{"Dice":>7}{"mIoU":>7}'
          f'{"10-19 px":>10}{"20-39 px":>10}{"false":>7}')
    made = contenders(o.variant, size)
    entries = [made[name]() for name in (o.variant, *o.against)]
    rows = []
    for row in compete(entries, config, o.minutes, benchmark_scenes(o.scenes, size), folder):
        rows.append(row)
        write_json(folder / 'rows.json', rows)
        recall = row['recall']
        print(f'{row["name"]:<14}{row["parameters"]:>11,}{row["gmac"]:>7.2f}{row["steps"]:>7}'
              f'{row["dice"]:>7.3f}{row["miou"]:>7.3f}{recall["10-19"]:>10.3f}'
              f'{recall["20-39"]:>10.3f}{row["false_cones"]:>7.2f}', flush=True)
    print(f'Weights and rows.json: {folder}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
