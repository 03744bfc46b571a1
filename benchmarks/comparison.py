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
from collections.abc import Sequence
from pathlib import Path
import sys

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _baseline_networks import (  # noqa: E402
    FastSCNN,
    PlainUNet,
    without_attention,
    without_spd,
)
from _contest import (  # noqa: E402
    Contender,
    multiply_adds,
    run_contest,
    score_columns,
    SCORE_HEAD,
)
from _machine import machine_lines  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.eunet import build_model, get_variant, VARIANTS  # noqa: E402
from eunet_ros.training.config import PRECISIONS, TrainConfig  # noqa: E402
from eunet_ros.training.run_folder import new_folder  # noqa: E402

CLASSES = len(cone_classes().names)


def plain_unet(variant: str, size: tuple[int, int], stem: int) -> PlainUNet:
    """Return the plain U-Net whose multiply-adds are nearest to a variant's."""
    budget = multiply_adds(build_model(variant, CLASSES), size)
    made, costs = [PlainUNet(CLASSES, 2, stem)], []
    while not costs or costs[-1] < budget:
        costs.append(multiply_adds(made[-1], size))
        made.append(PlainUNet(CLASSES, len(made) + 2, stem))
    return made[min(range(len(costs)), key=lambda k: abs(costs[k] - budget))]


def contenders(variant: str, size: tuple[int, int]) -> dict[str, Contender]:
    """Return the contenders by name; what a variant has by itself is none."""
    entries = [
        Contender(variant),
        Contender('U-Net', lambda: plain_unet(variant, size, 1)),
        Contender('U-Net at 1/4', lambda: plain_unet(variant, size, 4)),
        Contender('Fast-SCNN', lambda: FastSCNN(CLASSES)),
        Contender('without LKA', lambda: without_attention(CLASSES, variant)),
        Contender('without SPD', lambda: without_spd(CLASSES, variant)),
        Contender('LSKA', attention='lska'),
        Contender('group norm', norm='group'),
        Contender('product gate', gate='product'),
        Contender('sigmoid gate', gate='sigmoid')]
    own = f'{get_variant(variant).gate} gate'
    return {entry.name: entry for entry in entries if entry.name != own}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score and print; returns the exit code."""
    names = [n for v in VARIANTS for n in contenders(v, (0, 0)) if n not in VARIANTS]
    names = list(dict.fromkeys(names))
    parser = argparse.ArgumentParser(description='Compare networks trained alike.')
    parser.add_argument('--variant', default='eunet_n', choices=list(VARIANTS))
    parser.add_argument('--against', nargs='*', choices=names,
                        help='what to compare it with; without: all')
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
        if o.scenes < 1:
            raise ValueError(f'--scenes must be at least 1, found {o.scenes}.')
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
    print(f'{"":<14}{"parameters":>11}{"GMAC":>7}{"steps":>7}{SCORE_HEAD}')
    made = contenders(o.variant, size)
    chosen = [made[n] for n in (o.variant, *(o.against or list(made)[1:])) if n in made]
    return run_contest(
        'comparison', chosen, config, o.minutes, o.scenes, folder,
        lambda row: (f'{row["name"]:<14}{row["parameters"]:>11,}{row["gmac"]:>7.2f}'
                     f'{row["steps"]:>7}{score_columns(row)}'))


if __name__ == '__main__':
    sys.exit(main())
