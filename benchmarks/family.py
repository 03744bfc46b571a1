# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Width and stem of the family: latency and cost of a training step; with --minutes accuracy, too.

    python benchmarks/family.py
    python benchmarks/family.py --networks 24/4 40/4 16/2 --minutes 15

A network is written as width/stem: 24/4 has 24 channels at a quarter of the input's resolution.
All are trained for as long, from random weights, and scored on the scenes of the benchmark.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
from time import perf_counter
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _contest import (  # noqa: E402
    Contender,
    multiply_adds,
    run_contest,
    score_columns,
    SCORE_HEAD,
)
from _machine import machine_lines  # noqa: E402
from eunet_ros.model.checkpoint import Checkpoint  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.engines import AUTO, EngineError  # noqa: E402
from eunet_ros.model.eunet import EUnet, Variant  # noqa: E402
from eunet_ros.model.segmenter import Segmenter  # noqa: E402
from eunet_ros.training.config import TrainConfig  # noqa: E402
from eunet_ros.training.run_folder import new_folder  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

NETWORKS = ('24/4', '32/4', '40/4', '48/4', '64/4', '16/2', '24/2', '32/2')
_CROPS = (8, 3, 256, 384)  # what a step of training sees


def parse(text: str) -> Variant:
    """Return the variant that 'width/stem' stands for; raises ValueError."""
    try:
        width, stem = map(int, text.split('/'))
        return Variant(width, stem, 'sigmoid')
    except ValueError as error:
        raise ValueError(f'Expected a network as width/stem, such as 24/4, found {text!r}'
                         f' ({error}).') from error


def latency(network: EUnet, size: tuple[int, int], runs: int) -> np.ndarray:
    """Return the times of whole images through the fastest engine [ms]."""
    segmenter = Segmenter(Checkpoint(network, 'eunet_s', cone_classes(), size), AUTO)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    segmenter.warm_up(*size)
    times = []
    for _ in range(runs):
        start = perf_counter()
        segmenter.engine.segment(image)
        times.append(perf_counter() - start)
    segmenter.close()
    return np.array(times) * 1e3


def training_step(network: EUnet, runs: int) -> float:
    """Return the median time of forward and backward of 8 crops [ms], on the CPU."""
    network = network.train().to(memory_format=torch.channels_last)
    x = torch.randn(_CROPS).to(memory_format=torch.channels_last)
    times = []
    for _ in range(runs + 1):
        start = perf_counter()
        network(x).square().mean().backward()
        times.append(perf_counter() - start)
    return float(np.median(times[1:]) * 1e3)


def _line(row: dict[str, Any], latencies: dict[str, float]) -> str:
    return (f'{row["name"]:<10}{latencies[row["name"]]:>9.1f}{row["steps"]:>7}'
            f'{score_columns(row)}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, train where asked for, and print; returns the exit code."""
    parser = argparse.ArgumentParser(description='Accuracy and latency by width and stem.')
    parser.add_argument('--networks', nargs='+', default=list(NETWORKS), metavar='WIDTH/STEM')
    parser.add_argument('--height', type=int, default=384, help="of the network's input")
    parser.add_argument('--width', type=int, default=640, help="of the network's input")
    parser.add_argument('--runs', type=int, default=100, help='images of each')
    parser.add_argument('--minutes', type=float, default=0.0, help='of training, each; 0: none')
    parser.add_argument('--images', type=int, default=3000, help='scenes to train on')
    parser.add_argument('--scenes', type=int, default=300, help='of the benchmark, to score on')
    parser.add_argument('--cache', default='runs/cache', help='folder of the rendered scenes')
    parser.add_argument('--output', type=Path, default=Path('runs/family'))
    o = parser.parse_args(arguments)
    classes = len(cone_classes().names)
    try:
        if o.runs < 1 or o.minutes < 0 or o.scenes < 1:
            raise ValueError(f'--runs and --scenes must be at least 1 and --minutes not negative, '
                             f'found {o.runs}, {o.scenes} and {o.minutes}.')
        variants = {text: parse(text) for text in o.networks}
        print(f'Input {o.height}x{o.width}, random weights.\n{machine_lines()}\n')
        print(f'{"network":<10}{"parameters":>12}{"GMAC":>7}{"p50 ms":>9}{"p90 ms":>9}'
              f'{"p99 ms":>9}{"step of training, ms":>22}')
        medians = {}
        for text, variant in variants.items():
            torch.manual_seed(0)
            network = EUnet(classes, variant).eval()
            p50, p90, p99 = np.percentile(latency(network, (o.height, o.width), o.runs),
                                          (50, 90, 99))
            medians[text] = p50
            gmac = multiply_adds(network, (o.height, o.width))
            print(f'{text:<10}{sum(p.numel() for p in network.parameters()):>12,}{gmac:>7.2f}'
                  f'{p50:>9.1f}{p90:>9.1f}{p99:>9.1f}{training_step(network, 5):>22.0f}',
                  flush=True)
        if not o.minutes:
            return 0
        config = TrainConfig(
            images=o.images, validate_every=100_000, augment=False, lr=7e-4, warm_up=0.1,
            cone_weight=1.0, color_weight=0.5, cache=o.cache)
        folder = new_folder(o.output)
    except (ValueError, EngineError, OSError) as error:
        print(f'family: {error}', file=sys.stderr)
        return 1
    print(f'\n{o.minutes:g} minutes of training each on {o.images} scenes 384x640, scored on '
          f'{o.scenes} benchmark scenes.\n{"network":<10}{"p50 ms":>9}{"steps":>7}{SCORE_HEAD}')
    contenders = [Contender(text, lambda variant=variant: EUnet(classes, variant))
                  for text, variant in variants.items()]
    return run_contest('family', contenders, config, o.minutes, o.scenes, folder,
                       lambda row: _line(row, medians))


if __name__ == '__main__':
    sys.exit(main())
