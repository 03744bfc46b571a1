# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lightning's trainer, data loaders and callbacks of a run."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
from time import perf_counter
from typing import Any

from eunet_ros.model.common import heap
from eunet_ros.training import callbacks
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.crops import CropDataset, EpochSampler, ShareSampler
from eunet_ros.training.data.sets import TrainingSets
from eunet_ros.training.run_folder import BEST, LAST, new_folder
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
import torch
from torch.utils.data import DataLoader

_LOG_EVERY = 50  # steps
_STARTING = 5    # batches of an epoch for which processes have to start
_NEVER = 2**31 - 1
_MAPS, _TRIM = 65536, 1 << 17  # glibc's defaults


class TimedLoader(DataLoader):
    """A loader that measures the seconds its batches and the whole steps took."""

    waited = total = 0.0

    def __iter__(self) -> Iterator[Any]:
        end = perf_counter()
        for number, batch in enumerate(super().__iter__()):
            start = perf_counter()
            yield batch
            begin, end = end, perf_counter()
            if number >= _STARTING:
                self.waited += start - begin
                self.total += end - begin


@contextmanager
def cpu_settings() -> Iterator[None]:
    """
    Let a CPU train faster: flush denormals to zero, and keep freed memory for the next step.

    Enter it before any computation: PyTorch's threads keep the setting they started with.
    """
    torch.set_flush_denormal(True)
    # Every step asks for the same blocks. Mapped anew, each of their pages would be a fault.
    heap.set_option(heap.MMAP_MAX, 0)
    heap.set_option(heap.TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        heap.set_option(heap.MMAP_MAX, _MAPS)
        heap.set_option(heap.TRIM_THRESHOLD, _TRIM)


def world(config: TrainConfig) -> tuple[int, int]:
    """Return the devices of this machine and the number of machines; raises ValueError."""
    if 'TORCHELASTIC_RUN_ID' in os.environ:
        devices = int(os.environ['LOCAL_WORLD_SIZE'])
        machines = int(os.environ['WORLD_SIZE']) // devices
    else:
        gpus = torch.cuda.device_count() if config.accelerator != 'cpu' else 0
        devices, machines = config.devices or gpus or 1, 1
        if config.accelerator == 'gpu' and not gpus:
            raise ValueError('accelerator is gpu but PyTorch finds none: install the PyTorch that '
                             'fits the driver, or use --accelerator auto.')
        if gpus and devices > gpus:
            raise ValueError(f'devices is {devices} but this machine has {gpus} GPUs: lower it, '
                             'or use --accelerator cpu.')
    if config.batch % (devices * machines):
        raise ValueError(f'A batch of {config.batch} crops cannot be shared equally by '
                         f'{devices * machines} processes: choose a multiple of that.')
    return devices, machines


def _callbacks(config: TrainConfig, folder: Path) -> list[Callback]:
    chosen = [callbacks.StopAtNan(), callbacks.EndAtSigterm(), TQDMProgressBar(refresh_rate=10),
              callbacks.Panels(folder)]
    if config.ema:
        chosen.append(callbacks.EmaWeights(config.ema))
    if config.patience:
        chosen.append(EarlyStopping('miou', mode='max', patience=config.patience))
    # Saved at the epoch's end, from which a run resumes exactly, and after StopAtNan.
    return chosen + [callbacks.RunCheckpoint(
        folder, Path(name).stem, monitor=monitor, mode='max', save_top_k=1,
        save_on_train_epoch_end=True, enable_version_counter=False)
        for name, monitor in ((BEST, 'miou'), (LAST, None))]


def make_trainer(config: TrainConfig, folder: Path, first: bool) -> Trainer:
    """Return the trainer; first: this is the process that writes logs."""
    devices, machines = world(config)
    loggers: list[Logger] = []
    if first:
        name = new_folder(folder / 'logs').name
        loggers.append(CSVLogger(folder, name, version='', flush_logs_every_n_steps=_LOG_EVERY))
        if config.tensorboard:
            loggers.append(TensorBoardLogger(folder, name, version=''))
    return Trainer(
        max_epochs=config.epochs, default_root_dir=folder,  # max_steps would spoil resuming
        callbacks=_callbacks(config, folder), accelerator=config.accelerator,
        devices=devices, num_nodes=machines,
        strategy='ddp' if devices * machines > 1 else 'auto', use_distributed_sampler=False,
        logger=loggers, log_every_n_steps=max(1, min(_LOG_EVERY, config.epoch_steps // 2)),
        plugins=callbacks.BesideCheckpointIO(), precision=config.precision,
        gradient_clip_val=config.gradient_clip or None, num_sanity_val_steps=0,
        enable_model_summary=False)


def make_loaders(config: TrainConfig, sets: TrainingSets,
                 done: int) -> tuple[TimedLoader, DataLoader]:
    """Return loaders of training, from step `done` on, and validation; raises ValueError."""
    devices, machines = world(config)
    processes = devices * machines
    if len(sets.validation) < processes:
        raise ValueError(f'{processes} processes need as many images to validate on, found '
                         f'{len(sets.validation)}: lower devices, or add images.')
    crop, epoch = (config.crop_height, config.crop_width), config.epoch_steps * config.batch
    sampler = EpochSampler(epoch, config.batch, processes)
    # Before workers read ahead: Lightning sets the epoch of the sampler only afterwards.
    sampler.set_epoch(done // config.epoch_steps)
    crops = CropDataset(sets.train, crop, epoch * config.epochs, config.cone_crops, config.seed,
                        config.binary, config.augment, config.crops_per_scene)
    share = config.batch // processes
    training = TimedLoader(crops, share, sampler=sampler, num_workers=config.workers,
                           persistent_workers=config.workers > 0,
                           pin_memory=config.accelerator != 'cpu' and torch.cuda.is_available(),
                           multiprocessing_context='spawn' if config.workers else None,
                           # A separate one: it must not draw from that of the augmentation.
                           generator=torch.Generator())
    held_out = CropDataset(sets.validation, crop, len(sets.validation), 1.0, 1, config.binary,
                           augment=False)
    return training, DataLoader(held_out, share, sampler=ShareSampler(len(held_out), processes))
