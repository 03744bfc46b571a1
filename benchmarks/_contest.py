# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training several contenders alike, on rendered scenes, and scoring them on scenes of others."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
import logging
from pathlib import Path
import time
from typing import Any
import warnings

from eunet_ros.model.checkpoint import Checkpoint, save_checkpoint
from eunet_ros.model.classes import cone_classes
from eunet_ros.model.eunet import EUnet
from eunet_ros.training.callbacks import DataWait, EmaWeights
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.crops import count_pixels
from eunet_ros.training.data.rendered import rendered_set, TEST_SEED, VALIDATION_SEED
from eunet_ros.training.data.sets import TrainingSets
from eunet_ros.training.data.synthetic import render_scene
from eunet_ros.training.data.synthetic.profiles import Profile, TRAIN
from eunet_ros.training.loop import make_loaders
from eunet_ros.training.losses import class_weights
from eunet_ros.training.metrics import SegmentationMetrics
from eunet_ros.training.task import SegmentationTask
from lightning.pytorch import seed_everything, Trainer
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

_RATE_STEPS = 25  # to measure how many steps fit into the time


@dataclass(frozen=True)
class Contender:
    """Something to train: a network of its own, or scenes of their own, or another setting."""

    name: str
    network: nn.Module | None = None  # None: the configuration's
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


def _train(config: TrainConfig, contender: Contender, sets: TrainingSets, weight: torch.Tensor,
           ) -> SegmentationTask:
    seed_everything(config.seed, verbose=False)
    task = SegmentationTask(config, sets.classes, weight)
    if contender.network is not None:
        task.network = contender.network.train().to(memory_format=torch.channels_last)
    trainer = Trainer(
        max_epochs=config.epochs, callbacks=[EmaWeights(config.ema)] if config.ema else [],
        accelerator='auto', devices=1, logger=False, gradient_clip_val=config.gradient_clip,
        enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
        num_sanity_val_steps=0, limit_val_batches=0, precision=config.precision)
    trainer.fit(task, make_loaders(config, sets, 0, DataWait())[0])
    return task.eval()


def _steps_in(minutes: float, config: TrainConfig, contender: Contender, sets: TrainingSets,
              weight: torch.Tensor) -> int:
    """Return how many steps of a contender take so long, by trying a few."""
    few = replace(config, steps=_RATE_STEPS, validate_every=_RATE_STEPS, workers=0, ema=0.0)
    state = ({k: v.clone() for k, v in contender.network.state_dict().items()}
             if contender.network is not None else None)
    _train(few, contender, sets, weight)  # warms up
    start = time.perf_counter()
    _train(few, contender, sets, weight)
    rate = _RATE_STEPS / (time.perf_counter() - start)
    if state is not None:
        contender.network.load_state_dict(state)
    return max(_RATE_STEPS, int(60 * minutes * rate))


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

    Yields a row for each: its size, its steps and its scores on `scenes`. Weights of EUnets are
    kept in `output`.
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
        metrics = SegmentationMetrics(classes)
        for scene, mask in zip(scenes, _masks(task, scenes)):
            metrics.update(mask, scene.mask, scene.instances)
        if isinstance(task.network, EUnet):
            save_checkpoint(output / f'{contender.name.replace(" ", "_")}.safetensors',
                            Checkpoint(task.network.cpu(), own.variant, classes, size,
                                       training={'contest': contender.name, 'steps': own.steps}))
        report = metrics.to_report()
        yield {'name': contender.name,
               'parameters': sum(p.numel() for p in task.network.parameters()),
               'gmac': multiply_adds(task.network.cpu(), size), 'steps': own.steps,
               'seconds': taken, 'dice': report['dice'], 'miou': report['miou'],
               'recall': {k: v['recall'] for k, v in report['recall_by_height'].items()},
               'false_cones': report['false_cones_per_image']}
