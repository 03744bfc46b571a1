# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a network on FSOCO or on rendered scenes.

    python training/train.py --config config/training/fsoco.yaml --data /path/to/fsoco
    python training/train.py --config config/training/synthetic.yaml
    python training/train.py --resume runs/fsoco

Leaves a folder (see `run_folder`) with the weights that the node loads, <variant>.safetensors.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
import logging
import os
from pathlib import Path
import platform
import signal
import sys
from typing import Any, TYPE_CHECKING
import warnings

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.model.common.command import run_command
from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import parse_command_line, TrainConfig
from eunet_ros.training.run_folder import (
    CONFIG,
    describe,
    LAST,
    new_folder,
    read_interrupted,
    RUN,
    SPLIT,
)

if TYPE_CHECKING:  # that imports what takes long
    from eunet_ros.model.eunet import EUnet
    from eunet_ros.training.data.sets import TrainingSets


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version
    versions = {'python': platform.python_version()}
    for name in ('torch', 'lightning', 'torchmetrics', 'lion-pytorch', 'kornia', 'numpy'):
        with suppress(PackageNotFoundError):  # Kornia is needed only where it is used
            versions[name] = version(name)
    return versions


def _prepare(config: TrainConfig, sets: TrainingSets, network: EUnet) -> Path:
    folder = new_folder(Path(config.output))
    write_json(folder / CONFIG, asdict(config))
    started = load_checkpoint(config.weights) if config.weights else None
    # Weights that go on to be used at the same input go on with the same strip.
    strip = (started.strip_size if started and started.input_size == (config.height, config.width)
             else None)
    write_json(folder / RUN, {'training': describe(config, sets.description,
                                                   started and started.training),
                              'strip_size': strip,
                              'architecture': network.variant.to_dict(),
                              'classes': sets.classes.to_list(), 'versions': _versions()})
    if sets.split:
        sets.split.save(folder / SPLIT)
    return folder


def _weigh(config: TrainConfig, sets: TrainingSets) -> Any:
    """Return the weight of each class; raises ValueError where a part shows no cone."""
    from eunet_ros.training.data.crops import count_pixels
    from eunet_ros.training.losses import class_weights
    classes = len(sets.classes.names)
    pixels = count_pixels(sets.train, classes, binary=config.binary)
    held_out = count_pixels(sets.validation, classes, len(sets.validation), config.binary)
    for part, counts in (('training', pixels), ('validation', held_out)):
        if not sum(counts[1:]):
            raise ValueError(f'No cone pixels in the sampled {part} images: check the labels and '
                             'the split.')
    return class_weights(pixels, config.cone_weight, config.class_balance)


def train(config: TrainConfig) -> Path | None:
    """Run or resume a training; returns its weights, None in other processes."""
    from eunet_ros.training.loop import flushed_denormals
    with flushed_denormals():
        return _train(config)


def _train(config: TrainConfig) -> Path | None:
    from eunet_ros.training.curves import plot_curves
    from eunet_ros.training.data.formats import open_sets
    from eunet_ros.training.explain import explain, quiet_threads
    from eunet_ros.training.export import export
    from eunet_ros.training.loop import make_loaders, make_trainer, world
    from eunet_ros.training.task import load_start, SegmentationTask
    from lightning.pytorch import seed_everything
    from lightning.pytorch.utilities import rank_zero_only
    import torch

    folder, done = Path(config.resume) if config.resume else None, 0
    if folder:
        config, done = read_interrupted(folder)
    load_start(config)  # unusable weights are told of now
    world(config)
    sets = open_sets(config)
    weight = _weigh(config, sets)
    seed_everything(config.seed, verbose=False)
    if config.threads:
        os.environ['OMP_NUM_THREADS'] = str(config.threads)  # of processes that are started, too
        torch.set_num_threads(config.threads)
    task = SegmentationTask(config, sets.classes, weight)
    resume = folder / LAST if folder else None
    loaders = make_loaders(config, sets, done)
    first = rank_zero_only.rank == 0  # of several processes this one writes
    folder = folder or (_prepare(config, sets, task.network) if first else Path(config.output))
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    for message in ('Checkpoint directory .* exists', r'.isinstance\(treespec'):
        warnings.filterwarnings('ignore', message)
    trainer = make_trainer(config, folder, first)
    if first:
        kind, count = trainer.strategy.root_device.type, trainer.world_size
        devices = kind if count == 1 else f'{count} processes ({kind})'
        print(f'Training {config.variant} on {devices} in {folder}')
        for sentence in sets.left_out:
            print(sentence)
    try:
        with quiet_threads():
            trainer.fit(task, *loaders, ckpt_path=resume, weights_only=True if resume else None)
    except (SystemExit, KeyboardInterrupt, RuntimeError, OSError, DataError) as error:
        if not first:  # the first's folder, which the checkpoints know
            folder = Path(trainer.checkpoint_callback.dirpath)
        elif trainer.strategy.launcher:  # else they would wait for this one, on their GPUs
            trainer.strategy.launcher.kill(signal.SIGKILL)
        told = explain(error, config, folder, trainer.global_step)
        if told is None:
            raise
        raise told from error
    if not first:
        return None
    if trainer.current_epoch < config.epochs:
        print(f'Stopped after {trainer.current_epoch} of {config.epochs} epochs: {config.patience}'
              ' validations without a better one.')
    path = export(folder)  # before what is only nice to have
    plot_curves(folder)
    if loaders[0].total:
        print(f'Waiting for data: {loaders[0].waited / loaders[0].total:.1%} of the time of the '
              'steps.')
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    def work() -> None:
        path = train(parse_command_line(arguments))
        if path:
            print(f'Weights: {path}')
    return run_command('train', work, 'before anything was trained')


if __name__ == '__main__':
    sys.exit(main())
