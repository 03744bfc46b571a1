# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training several contenders alike, on rendered scenes, and scoring them on scenes of others."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import logging
from pathlib import Path
import sys
import time
from typing import Any
import warnings

from eunet_ros.model.checkpoint import Checkpoint, save_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.files import write_json
from eunet_ros.training.callbacks import EmaWeights
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.crops import count_pixels
from eunet_ros.training.data.readers.rendered import rendered_set, TEST_SEED, VALIDATION_SEED
from eunet_ros.training.data.sets import TrainingSets
from eunet_ros.training.image_set_scores import ImageSetScores
from eunet_ros.training.loop import cpu_settings, make_loaders
from eunet_ros.training.losses import class_weights
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.renderer.profiles import Profile, TRAIN
from eunet_ros.training.task import SegmentationTask
from lightning.pytorch import Callback, LightningModule, seed_everything, Trainer
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

_TRIED, _WARM_UP = 60, 20  # steps to measure how many fit into the time


@dataclass(frozen=True)
class Contender:
    """Something to train: a network of its own, or scenes of their own, or another setting."""

    name: str
    network: Callable[[], nn.Module] | None = None  # what makes it; None: the configuration's
    profile: Profile = TRAIN
    gate: str = ''
    attention: str = ''
    norm: str = ''


def multiply_adds(network: nn.Module, size: tuple[int, int]) -> float:
    """Return the multiply-adds, in thousand millions, of one image (height, width)."""
    network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, *size))
    return counter.get_total_flops() / 2e9


class _Clock(Callback):
    """Notes when each step ended [s]."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any,
                           batch: Any, batch_idx: int) -> None:
        if module.device.type == 'cuda':
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def _train(config: TrainConfig, contender: Contender, sets: TrainingSets, weight: torch.Tensor,
           *callbacks: Callback) -> SegmentationTask:
    seed_everything(config.seed, verbose=False)
    task = SegmentationTask(config, sets.classes, weight)
    if contender.network is not None:
        task.network = contender.network().train().to(memory_format=torch.channels_last)
    trainer = Trainer(
        max_epochs=config.epochs, accelerator='auto', devices=1, logger=False,
        callbacks=[*callbacks, *([EmaWeights(config.ema)] if config.ema else [])],
        gradient_clip_val=config.gradient_clip, enable_checkpointing=False,
        enable_model_summary=False, enable_progress_bar=False, num_sanity_val_steps=0,
        limit_val_batches=0, precision=config.precision)
    trainer.fit(task, make_loaders(config, sets, 0)[0])
    return task.eval()


def _steps_in(minutes: float, config: TrainConfig, contender: Contender, sets: TrainingSets,
              weight: torch.Tensor) -> int:
    """Return how many steps of a contender take so long, by trying a few."""
    few, clock = replace(config, steps=_TRIED, validate_every=_TRIED), _Clock()
    _train(few, contender, sets, weight, clock)
    ends = clock.ends[_WARM_UP:]
    return max(_TRIED, int(60 * minutes * (len(ends) - 1) / (ends[-1] - ends[0])))


def benchmark_scenes(count: int, size: tuple[int, int]) -> list[Any]:
    """Return scenes from settings that training does not use."""
    return [render_scene(TEST_SEED + k, *size, 'benchmark') for k in range(count)]


def _masks(task: SegmentationTask, scenes: list[Any]) -> Iterator[np.ndarray]:
    with torch.inference_mode():
        for scene in scenes:
            image = torch.from_numpy(scene.image[..., ::-1].transpose(2, 0, 1).copy())
            logits = task(image[None].to(task.device))
            yield logits.argmax(1)[0].to(torch.uint8).cpu().numpy()


def compete(contenders: list[Contender], config: TrainConfig, minutes: float,
            scenes: list[Any], output: Path) -> Iterator[dict[str, Any]]:
    """
    Train each contender for `minutes`, or for the configuration's steps where that is 0.

    Yields a row for each: its size, its steps and its scores on `scenes`. Weights of the
    configuration's network are kept in `output`.
    """
    logging.getLogger('lightning.pytorch').setLevel(logging.ERROR)
    warnings.filterwarnings('ignore')
    size, classes = (config.height, config.width), cone_classes()
    for contender in contenders:
        sets = TrainingSets(
            *(rendered_set(Path(config.cache), first, count, *size, contender.profile)
              for first, count in ((0, config.images), (VALIDATION_SEED, 2))), classes, {})
        weight = class_weights(count_pixels(sets.train, len(classes.names)), config.cone_weight,
                               config.class_balance)
        own = replace(config, **{name: getattr(contender, name) for name in
                                 ('gate', 'attention', 'norm')})
        if minutes:
            own = replace(own, steps=_steps_in(minutes, own, contender, sets, weight))
        start = time.perf_counter()
        task = _train(own, contender, sets, weight)
        taken = time.perf_counter() - start
        scores = ImageSetScores(classes)
        for scene, mask in zip(scenes, _masks(task, scenes)):
            scores.update(mask, scene.mask, scene.instances)
        if contender.network is None:
            save_checkpoint(output / f'{contender.name.replace(" ", "_")}.safetensors',
                            Checkpoint(task.network.cpu(), own.variant, classes, size,
                                       training={'contest': contender.name, 'steps': own.steps}))
        report = scores.to_report()
        yield {'name': contender.name,
               'parameters': sum(p.numel() for p in task.network.parameters()),
               'gmac': multiply_adds(task.network.cpu(), size), 'steps': own.steps,
               'seconds': taken, 'dice': report['dice'], 'miou': report['miou'],
               'recall': {k: v['recall'] for k, v in report['recall_by_height'].items()},
               'false_cones': report['false_cones_per_image']}


SCORE_HEAD = f'{"Dice":>7}{"mIoU":>7}{"10-19 px":>10}{"20-39 px":>10}{"false":>7}'


def score_columns(row: dict[str, Any]) -> str:
    """Return the scores of a row below SCORE_HEAD: '-' where nothing was there to score."""
    columns = ((row['dice'], '>7.3f'), (row['miou'], '>7.3f'), (row['recall']['10-19'], '>10.3f'),
               (row['recall']['20-39'], '>10.3f'), (row['false_cones'], '>7.2f'))
    return ''.join('-'.rjust(int(how[1:how.index('.')])) if value is None else f'{value:{how}}'
                   for value, how in columns)


def run_contest(program: str, contenders: list[Contender], config: TrainConfig, minutes: float,
                scenes: int, folder: Path, line: Callable[[dict[str, Any]], str]) -> int:
    """
    Train and score contenders for a program, print `line` of each row; returns its exit code.

    scenes: of the benchmark. rows.json in `folder` is written after each contender.
    """
    rows = []
    try:
        shown = benchmark_scenes(scenes, (config.height, config.width))
        with cpu_settings():  # as in train.py
            for row in compete(contenders, config, minutes, shown, folder):
                rows.append(row)
                write_json(folder / 'rows.json', rows)
                print(line(row), flush=True)
    except (ValueError, OSError) as error:
        print(f'{program}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{program}: interrupted; rows.json in {folder} has what was done.',
              file=sys.stderr)
        return 130
    print(f'Weights and rows.json: {folder}')
    return 0
