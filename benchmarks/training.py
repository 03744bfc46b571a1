# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how many images a second a training step does, beside a plain float32 eager loop.

    python benchmarks/training.py                                  # on a GPU where there is one
    python benchmarks/training.py --variants eunet_n --batch 4 --steps 8
    python benchmarks/training.py --weights eunet_n --precision 32-true --batch 8 --size 256 384

Both do the same work on the same batch of rendered scenes: normalise, forward, loss, backward,
clip, Lion. Ours is the real loop, Lightning's, with mixed precision, channels_last, EMA and what
else a run does. Each runs in a process of its own, from random weights or from trained ones, whose
gradients are so small that they cost a CPU more.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
import logging
import multiprocessing
from pathlib import Path
import sys
import tempfile
from time import perf_counter
from typing import Any
import warnings

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
from eunet_ros.model.checkpoint import (  # noqa: E402
    DEFAULT_MEAN,
    DEFAULT_STD,
    load_checkpoint,
)
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.eunet import build_model, VARIANTS  # noqa: E402
from eunet_ros.training.callbacks import EmaWeights  # noqa: E402
from eunet_ros.training.config import TrainConfig  # noqa: E402
from eunet_ros.training.loop import cpu_settings  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402
from eunet_ros.training.task import SegmentationTask  # noqa: E402
from lightning.pytorch import Callback, Trainer  # noqa: E402
from lion_pytorch import Lion  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

WARM_UP = 5  # steps

_Batch = tuple[torch.Tensor, torch.Tensor]


class _OneBatch(Dataset):
    """The same batch, in memory, as often as there are steps."""

    def __init__(self, batch: _Batch, steps: int) -> None:
        self.batch, self.steps = batch, steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> _Batch:
        return self.batch


def _synchronised() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return perf_counter()


class _Clock(Callback):

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.marks.append(_synchronised())


def ours(config: TrainConfig, batch: _Batch, steps: int) -> list[float]:
    """Return the seconds of steps of the package's own loop."""
    logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
    warnings.filterwarnings('ignore')
    clock = _Clock()
    with cpu_settings(), tempfile.TemporaryDirectory() as folder:
        task = SegmentationTask(config, cone_classes(), torch.ones(6))
        Trainer(max_epochs=1, default_root_dir=folder, logger=False, enable_checkpointing=False,
                enable_progress_bar=False, enable_model_summary=False, devices=1,
                precision=config.precision, gradient_clip_val=config.gradient_clip,
                callbacks=[EmaWeights(config.ema), clock]).fit(
            task, DataLoader(_OneBatch(batch, WARM_UP + steps), batch_size=None))
    return [b - a for a, b in pairwise(clock.marks[WARM_UP - 1:])]


def _soft_dice(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    share, cone = 1 - logits.softmax(1)[:, 0], target > 0
    return 1 - 2 * (share * cone).sum() / (share.sum() + cone.sum())


def plain(config: TrainConfig, batch: _Batch, steps: int) -> list[float]:
    """Return the seconds of steps of a loop as one writes it first: float32, eager, NCHW."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    network = (load_checkpoint(config.weights).network if config.weights
               else build_model(config.variant, 6)).to(device).train()
    optimizer = Lion(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1)
                 for v in (DEFAULT_MEAN, DEFAULT_STD))
    weight, marks = torch.ones(6, device=device), []
    for _ in range(WARM_UP + steps):
        images, target = (part.to(device) for part in batch)
        optimizer.zero_grad()
        logits = network((images.float() / 255 - mean) / std)
        (functional.cross_entropy(logits, target, weight) + _soft_dice(logits, target)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
        optimizer.step()
        marks.append(_synchronised())
    return [b - a for a, b in pairwise(marks[WARM_UP - 1:])]


def in_its_own(way: Callable[[TrainConfig, _Batch, int], list[float]], config: TrainConfig,
               batch: _Batch, steps: int) -> list[float]:
    """Measure in a process of its own: how a thread computes is settled when it is started."""
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool:
        return pool.submit(way, config, batch, steps).result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description='Images a second of a training step.')
    parser.add_argument('--variants', nargs='+', choices=list(VARIANTS),
                        default=['eunet', 'eunet_n'])
    parser.add_argument('--weights', nargs='+', default=[], help='paths or names to start from, '
                        'in place of the variants with random ones')
    parser.add_argument('--size', nargs=2, type=int, default=[384, 640], metavar=('H', 'W'))
    parser.add_argument('--batch', type=int, default=16)
    parser.add_argument('--steps', type=int, default=30, help='measured ones')
    parser.add_argument('--precision', default='bf16-mixed')
    o = parser.parse_args(arguments)
    try:
        common = replace(TrainConfig(), precision=o.precision, height=o.size[0], width=o.size[1],
                         crop_height=o.size[0], crop_width=o.size[1])
        configs = [replace(common, weights=name, variant=load_checkpoint(name).variant)
                   for name in o.weights] or [replace(common, variant=v) for v in o.variants]
    except ValueError as error:
        print(f'training: {error}', file=sys.stderr)
        return 1
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    print(f'On {kind}, {o.batch} images of {o.size[0]}x{o.size[1]} (height x width) in a step.')
    print(f'{machine_lines()}\n')
    print(f'{"":<30}{"p50 ms":>9}{"p90 ms":>9}{"p99 ms":>9}{"images/s":>10}{"speed-up":>10}')
    scenes = [render_scene(seed, *o.size) for seed in range(o.batch)]
    batch = (torch.from_numpy(np.stack([s.image[..., ::-1] for s in scenes])).permute(0, 3, 1, 2),
             torch.from_numpy(np.stack([s.mask for s in scenes])).long())
    for config in configs:
        base = 0.0
        for name, way in (('plain float32 eager', plain), (f'train.py {o.precision}', ours)):
            seconds = in_its_own(way, config, batch, o.steps)
            p50, p90, p99 = np.percentile(seconds, [50, 90, 99]) * 1e3
            base = base or p50
            print(f'{config.variant + " " + name:<30}{p50:>9.1f}{p90:>9.1f}{p99:>9.1f}'
                  f'{o.batch * 1e3 / p50:>10.1f}{base / p50:>9.1f}x')
    return 0


if __name__ == '__main__':
    sys.exit(main())
