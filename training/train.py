# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a network on rendered scenes.

    python training/train.py --config config/training/synthetic.yaml

Leaves a folder with the configuration, logs, Lightning's checkpoints to resume from, and the
weights that the node loads, <variant>.safetensors.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
import sys
from typing import Any

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eunet_ros.model.classes import cone_classes
from eunet_ros.training.config import parse_command_line, TrainConfig


def new_folder(path: Path) -> Path:
    """Make the folder, or path_2, path_3 … where it exists: no run is overwritten."""
    candidate, number = path, 1
    while True:
        try:
            candidate.mkdir(parents=True)
            return candidate
        except FileExistsError:
            number += 1
            candidate = path.with_name(f'{path.name}_{number}')


def describe(config: TrainConfig, renderer: str) -> dict[str, Any]:
    """Return what a checkpoint says of its training; no folders of this machine."""
    fields = {k: v for k, v in asdict(config).items() if k not in ('output', 'cache', 'weights')}
    described = {'data': 'rendered scenes only, no real image', 'renderer': renderer,
                 'config': fields}
    if config.weights:
        described['started from'] = load_checkpoint(config.weights).training
    return described


def train(config: TrainConfig) -> Path:
    """Run one training; returns the path of the weights it wrote."""
    from eunet_ros.training.data.rendered import (
        count_pixels,
        CropDataset,
        rendered_set,
        renderer_fingerprint,
        VALIDATION_SEED,
    )
    from eunet_ros.training.losses import class_weights
    from eunet_ros.training.task import SegmentationTask
    from lightning.pytorch import seed_everything, Trainer
    from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger
    import torch
    from torch.utils.data import DataLoader

    size, crop = (config.height, config.width), (config.crop_height, config.crop_width)
    scenes = rendered_set(Path(config.cache), 0, config.images, *size)
    held_out = rendered_set(Path(config.cache), VALIDATION_SEED, config.validation_images, *size)
    folder = new_folder(Path(config.output))
    (folder / 'config.json').write_text(json.dumps(asdict(config), indent=1))
    seed_everything(config.seed, verbose=False)
    if config.threads:
        torch.set_num_threads(config.threads)
    classes = cone_classes()
    pixels = count_pixels(scenes, len(classes.names))
    task = SegmentationTask(
        config, classes, class_weights(pixels, config.cone_weight, config.class_balance))
    loader = DataLoader(
        CropDataset(scenes, crop, config.steps * config.batch, config.cone_crops, config.seed),
        config.batch, num_workers=config.workers, drop_last=True,
        multiprocessing_context='spawn' if config.workers else None)
    validation = DataLoader(CropDataset(held_out, crop, len(held_out), 1.0, 1), config.batch)
    callbacks = [ModelCheckpoint(folder, 'last', every_n_train_steps=config.validate_every,
                                 save_top_k=1, enable_version_counter=False)]
    if config.ema:
        callbacks.append(EMAWeightAveraging(decay=config.ema))
    trainer = Trainer(
        max_steps=config.steps, callbacks=callbacks, default_root_dir=folder,
        logger=CSVLogger(folder, 'logs', version=''), accelerator='auto', devices=1,
        precision=config.precision,
        gradient_clip_val=config.gradient_clip or None, val_check_interval=config.validate_every,
        check_val_every_n_epoch=None, num_sanity_val_steps=0, enable_model_summary=False,
        log_every_n_steps=50)
    trainer.fit(task, loader, validation)
    scores = {k: round(float(v), 4) for k, v in trainer.callback_metrics.items() if k != 'loss'}
    checkpoint = Checkpoint(
        task.network.cpu().float().eval(), config.variant, classes, size,
        training=describe(config, renderer_fingerprint()),
        scores={'rendered validation crops': scores})
    path = folder / f'{config.variant}.safetensors'
    save_checkpoint(path, checkpoint, half=True)
    return path


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
