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
from dataclasses import asdict
import logging
from pathlib import Path
import platform
import sys
from typing import Any, TYPE_CHECKING
import warnings

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.model.files import write_json
from eunet_ros.training.config import parse_command_line, TrainConfig
from eunet_ros.training.data.supervisely import DataError
from eunet_ros.training.run_folder import (
    BEST,
    CONFIG,
    describe,
    LAST,
    new_folder,
    read_interrupted,
    RUN,
    SPLIT,
)

if TYPE_CHECKING:  # that imports what takes long
    from eunet_ros.training.data.sets import TrainingSets

_LOG_EVERY = 50  # steps


def _quieten() -> None:
    """Leave out what Lightning says of itself; errors and warnings of the run remain."""
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    for message in ('Checkpoint directory .* exists', r'.isinstance\(treespec'):
        warnings.filterwarnings('ignore', message)


def _versions() -> dict[str, str]:
    from importlib.metadata import version
    names = ('torch', 'lightning', 'torchmetrics', 'lion-pytorch', 'numpy')
    return {'python': platform.python_version(), **{name: version(name) for name in names}}


def _prepare(config: TrainConfig, sets: TrainingSets) -> Path:
    """Make the folder of a new run and write what it is made of."""
    folder = new_folder(Path(config.output))
    write_json(folder / CONFIG, asdict(config))
    started = load_checkpoint(config.weights).training if config.weights else None
    write_json(folder / RUN, {'training': describe(config, sets.description, started),
                              'classes': sets.classes.to_list(), 'versions': _versions()})
    if sets.split:
        sets.split.save(folder / SPLIT)
    return folder


def _callbacks(config: TrainConfig, folder: Path, wait: Any) -> list[Any]:
    from eunet_ros.training.callbacks import EmaWeights, RunCheckpoint, StopAtNan
    from lightning.pytorch.callbacks import EarlyStopping, TQDMProgressBar
    # At the epoch's end, when the run can be taken up exactly; StopAtNan comes before them.
    callbacks = [StopAtNan(), wait, TQDMProgressBar(refresh_rate=10)]
    if config.ema:
        callbacks.append(EmaWeights(config.ema))
    if config.patience:
        callbacks.append(EarlyStopping('miou', mode='max', patience=config.patience))
    for name, monitor in ((BEST, 'miou'), (LAST, None)):
        callbacks.append(RunCheckpoint(
            folder, Path(name).stem, monitor=monitor, mode='max', save_top_k=1,
            save_on_train_epoch_end=True, enable_version_counter=False))
    return callbacks


def _loaders(config: TrainConfig, sets: TrainingSets, done: int) -> tuple[Any, Any]:
    """Return what feeds training, from step `done` on, and validation."""
    from eunet_ros.training.data.crops import CropDataset, EpochSampler
    from torch.utils.data import DataLoader
    crop, epoch = (config.crop_height, config.crop_width), config.epoch_steps * config.batch
    sampler = EpochSampler(epoch)
    # Before workers read ahead: Lightning tells the sampler only afterwards.
    sampler.set_epoch(done // config.epoch_steps)
    crops = CropDataset(sets.train, crop, epoch * config.epochs, config.cone_crops, config.seed,
                        config.binary, config.augment)
    training = DataLoader(crops, config.batch, sampler=sampler, num_workers=config.workers,
                          persistent_workers=config.workers > 0,
                          multiprocessing_context='spawn' if config.workers else None)
    return training, DataLoader(
        CropDataset(sets.validation, crop, len(sets.validation), 1.0, 1, config.binary,
                    augment=False), config.batch)


def _trainer(config: TrainConfig, folder: Path, wait: Any) -> Any:
    from eunet_ros.training.callbacks import BesideCheckpointIO
    from lightning.pytorch import Trainer
    from lightning.pytorch.loggers import CSVLogger
    return Trainer(
        max_epochs=config.epochs, default_root_dir=folder,  # max_steps would spoil resuming
        callbacks=_callbacks(config, folder, wait), accelerator='auto', devices=1,
        logger=CSVLogger(folder, new_folder(folder / 'logs').name, version='',
                         flush_logs_every_n_steps=_LOG_EVERY),
        log_every_n_steps=max(1, min(_LOG_EVERY, config.epoch_steps // 2)),
        plugins=BesideCheckpointIO(), precision=config.precision,
        gradient_clip_val=config.gradient_clip or None, num_sanity_val_steps=0,
        enable_model_summary=False)


def _weigh(config: TrainConfig, sets: TrainingSets) -> Any:
    """Return the weight of each class; raises ValueError where a part shows no cone."""
    from eunet_ros.training.data.crops import count_pixels
    from eunet_ros.training.losses import class_weights
    classes = len(sets.classes.names)
    pixels = count_pixels(sets.train, classes, binary=config.binary)
    held_out = count_pixels(sets.validation, classes, len(sets.validation), config.binary)
    for part, counts in (('training', pixels), ('validation', held_out)):
        if not sum(counts[1:]):
            raise ValueError(f'No cone is in any image that was looked at of the {part} part: '
                             'the network could not learn, or not be chosen; check the data.')
    return class_weights(pixels, config.cone_weight, config.class_balance)


def train(config: TrainConfig) -> Path:
    """
    Run a training, or take one up again; returns the path of the weights it wrote.

    Raises ValueError, in a sentence, where the configuration, the data or the weights are unusable
    or the loss is not finite; OSError where the folder cannot be written.
    """
    from eunet_ros.training.callbacks import DataWait
    from eunet_ros.training.curves import plot_curves
    from eunet_ros.training.data.sets import open_sets
    from eunet_ros.training.explain import explain
    from eunet_ros.training.export import export
    from eunet_ros.training.task import SegmentationTask
    from lightning.pytorch import seed_everything
    import torch

    folder, done = Path(config.resume) if config.resume else None, 0
    if folder:
        config, done = read_interrupted(folder)
    if config.weights:
        load_checkpoint(config.weights, config.variant)  # unusable ones are told of now
    sets = open_sets(config)
    weight = _weigh(config, sets)
    seed_everything(config.seed, verbose=False)
    if config.threads:
        torch.set_num_threads(config.threads)
    task = SegmentationTask(config, sets.classes, weight)
    resume = folder / LAST if folder else None
    folder = folder or _prepare(config, sets)
    _quieten()
    wait = DataWait()
    trainer = _trainer(config, folder, wait)
    print(f'Training {config.variant} on {trainer.strategy.root_device} in {folder}')
    try:
        trainer.fit(task, *_loaders(config, sets, done), ckpt_path=resume,
                    weights_only=True if resume else None)
    except (SystemExit, KeyboardInterrupt, RuntimeError, DataError) as error:
        told = explain(error, config, folder, trainer.global_step)
        if told is None:
            raise
        raise told from error
    if trainer.current_epoch < config.epochs:
        print(f'Stopped after {trainer.current_epoch} of {config.epochs} epochs: {config.patience}'
              ' validations without a better one.')
    path = export(folder)  # before what is only nice to have
    plot_curves(folder)
    if wait.share is not None:
        print(f'Waiting for data: {wait.share:.1%} of the time of the steps.')
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Train from the command line; returns the exit code."""
    try:
        config = parse_command_line(arguments)
        print(f'Weights: {train(config)}')
    except (ValueError, OSError) as error:
        print(f'train: {error}', file=sys.stderr)
        return 1
    except ImportError as error:
        print(f'train: A Python package is missing ({error}): docs/training.md says what to '
              'install.', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('train: interrupted before anything was trained.', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
