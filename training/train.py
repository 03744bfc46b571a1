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
from typing import Any
import warnings

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.training.config import parse_command_line, TrainConfig
from eunet_ros.training.run_folder import (
    BEST,
    CONFIG,
    describe,
    LAST,
    new_folder,
    read_run_config,
    RUN,
    SPLIT,
    write_json,
)

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


def _prepare(config: TrainConfig, sets: Any) -> Path:
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
    from eunet_ros.training.callbacks import StopAtNan
    from lightning.pytorch.callbacks import (
        EarlyStopping,
        EMAWeightAveraging,
        ModelCheckpoint,
        TQDMProgressBar,
    )
    # At the epoch's end, when the run can be taken up exactly; StopAtNan comes before them.
    callbacks = [StopAtNan(), wait, TQDMProgressBar(refresh_rate=10)]
    if config.ema:
        callbacks.append(EMAWeightAveraging(decay=config.ema))
    if config.patience:
        callbacks.append(EarlyStopping('miou', mode='max', patience=config.patience))
    for name, monitor in ((BEST, 'miou'), (LAST, None)):
        callbacks.append(ModelCheckpoint(
            folder, Path(name).stem, monitor=monitor, mode='max', save_top_k=1,
            save_on_train_epoch_end=True, enable_version_counter=False))
    return callbacks


def train(config: TrainConfig) -> Path:
    """
    Run a training, or take one up again; returns the path of the weights it wrote.

    Raises ValueError, in a sentence, where the configuration, the data or the weights are unusable
    or the loss is not finite; OSError where the folder cannot be written.
    """
    from eunet_ros.training.callbacks import DataWait
    from eunet_ros.training.curves import plot_curves
    from eunet_ros.training.data.crops import count_pixels, CropDataset, EpochSampler
    from eunet_ros.training.data.sets import open_sets
    from eunet_ros.training.export import export
    from eunet_ros.training.losses import class_weights
    from eunet_ros.training.task import SegmentationTask
    from lightning.pytorch import seed_everything, Trainer
    from lightning.pytorch.loggers import CSVLogger
    import torch
    from torch.utils.data import DataLoader

    folder = Path(config.resume) if config.resume else None
    if folder:
        config = read_run_config(folder)
        if not (folder / LAST).is_file():
            raise ValueError(f'{folder} holds no {LAST}: the run was interrupted before it had '
                             'saved anything, start it anew.')
    if config.weights:
        load_checkpoint(config.weights, config.variant)  # unusable ones are told of now
    sets = open_sets(config)
    classes = sets.classes
    pixels = count_pixels(sets.train, len(classes.names), binary=config.binary)
    if not sum(pixels[1:]):
        raise ValueError('No cone is in any image that was looked at of the training part: the '
                         'network could only learn to see none; check the data.')
    seed_everything(config.seed, verbose=False)
    if config.threads:
        torch.set_num_threads(config.threads)
    task = SegmentationTask(
        config, classes, class_weights(pixels, config.cone_weight, config.class_balance))
    resumed = folder is not None
    folder = folder or _prepare(config, sets)
    crop, epoch = (config.crop_height, config.crop_width), config.epoch_steps * config.batch
    loader = DataLoader(
        CropDataset(sets.train, crop, epoch * config.epochs, config.cone_crops, config.seed,
                    config.binary, config.augment),
        config.batch, sampler=EpochSampler(epoch),
        num_workers=config.workers, persistent_workers=config.workers > 0,
        multiprocessing_context='spawn' if config.workers else None)
    validation = DataLoader(CropDataset(sets.validation, crop, len(sets.validation), 1.0, 1,
                                        config.binary, augment=False), config.batch)
    _quieten()
    wait = DataWait()
    trainer = Trainer(
        max_epochs=config.epochs, default_root_dir=folder,  # max_steps would spoil resuming
        callbacks=_callbacks(config, folder, wait), accelerator='auto', devices=1,
        logger=CSVLogger(folder, new_folder(folder / 'logs').name, version='',
                         flush_logs_every_n_steps=_LOG_EVERY),
        precision=config.precision, gradient_clip_val=config.gradient_clip or None,
        num_sanity_val_steps=0, enable_model_summary=False,
        log_every_n_steps=max(1, min(_LOG_EVERY, config.epoch_steps // 2)))
    print(f'Training {config.variant} on {trainer.strategy.root_device} in {folder}')
    trainer.fit(task, loader, validation, ckpt_path=folder / LAST if resumed else None,
                weights_only=True if resumed else None)
    if trainer.interrupted:
        raise ValueError(f'Interrupted at step {trainer.global_step}: python training/train.py '
                         f'--resume {folder} goes on from what was saved last.')
    plot_curves(folder)
    if wait.share is not None:
        print(f'Waiting for data: {wait.share:.1%} of the time of the steps.')
    return export(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train from the command line; returns the exit code."""
    try:
        config = parse_command_line(arguments)
        print(f'Weights: {train(config)}')
    except (ValueError, OSError) as error:
        print(f'train: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
