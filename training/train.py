# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Train a network on FSOCO or on rendered scenes.

    python training/train.py --config config/training/fsoco.yaml --data /path/to/fsoco
    python training/train.py --config config/training/synthetic.yaml
    python training/train.py --resume runs/fsoco

Leaves a folder (see `run_folder`) with weights for the node, <variant>.safetensors.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
import errno
from importlib import metadata
import logging
import os
from pathlib import Path
import platform
import re
import signal
import sys
import threading
from typing import Any, TYPE_CHECKING
import warnings

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import load_checkpoint, NO_THRESHOLDS
from eunet_ros.model.common.command import run_command
from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training import run_folder
from eunet_ros.training.config import parse_command_line, TrainConfig
import torch

if TYPE_CHECKING:  # slow imports
    from eunet_ros.model.eunet import EUnet
    from eunet_ros.training.data.sets import TrainingSets

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def _prepare(config: TrainConfig, sets: TrainingSets, network: EUnet) -> Path:
    folder = run_folder.new_folder(Path(config.output))
    write_json(folder / run_folder.CONFIG, asdict(config))
    started = load_checkpoint(config.weights) if config.weights else None
    # Weights that keep their input size keep their strip.
    strip = (started.strip_size if started and started.input_size == (config.height, config.width)
             else None)
    thresholds = started.thresholds if started and not config.new_head else NO_THRESHOLDS
    versions = {'python': platform.python_version()}
    for name in ('torch', 'lightning', 'torchmetrics', 'lion-pytorch', 'kornia', 'numpy'):
        with suppress(metadata.PackageNotFoundError):  # Kornia is needed only where it is used
            versions[name] = metadata.version(name)
    write_json(folder / run_folder.RUN, {
        'training': run_folder.describe(config, sets.description, started and started.training),
        'strip_size': strip, 'thresholds': thresholds, 'architecture': network.variant.to_dict(),
        'classes': sets.classes.to_list(), 'versions': versions})
    if sets.split:
        sets.split.save(folder / run_folder.SPLIT)
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


def _has_bfloat16() -> bool:
    return (torch.backends.mkldnn.is_available()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported())  # as torch.compile asks it


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Let a thread end silently on an error of the disk, which the main thread raises too."""
    before = threading.excepthook
    threading.excepthook = lambda args: isinstance(args.exc_value, OSError) or before(args)
    try:
        yield
    finally:
        threading.excepthook = before


def explain(error: BaseException, config: TrainConfig, folder: Path,
            step: int) -> ValueError | None:
    """Return an error that explains the end of the loop, None for unknown errors."""
    saved = (f'python training/train.py --resume {folder} continues from the last checkpoint'
             if (folder / run_folder.LAST).exists() else 'nothing had been saved yet')
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return ValueError(f'Interrupted at step {step}: {saved}.')
    if isinstance(error, OSError) and error.errno in _DISK:
        return ValueError(f'Cannot write at step {step} ({error.strerror}): {saved}.')
    if isinstance(error, DataError):
        # A process that loads sends its traceback as text; the sentence is its last line.
        return DataError(str(error).strip().splitlines()[-1].rpartition('DataError: ')[2])
    if isinstance(error, torch.OutOfMemoryError):
        return ValueError(
            f'The memory of the GPU does not hold {config.batch} crops of {config.crop_height}x'
            f'{config.crop_width}: lower batch or the crop, or set precision to 16-mixed.')
    if re.search(r'Connection (closed|reset) by peer|remote process exited', str(error)):
        return ValueError(f'Another process of this run ended, see its message: {saved}.')
    if re.search(r'DataLoader worker .*(exited unexpectedly|killed by signal)', str(error)):
        return ValueError('A process that loads data was killed, most likely because memory ran '
                          f'out: lower workers; {saved}.')
    return None


def train(config: TrainConfig) -> Path | None:
    """Run or resume a training; returns its weights, None in other processes."""
    from eunet_ros.training.curves import plot_curves
    from eunet_ros.training.data.formats import open_sets
    from eunet_ros.training.export import export
    from eunet_ros.training.loop import make_loaders, make_trainer, world
    from eunet_ros.training.task import load_start, SegmentationTask
    from lightning.pytorch import seed_everything
    from lightning.pytorch.utilities import rank_zero_only
    folder, done = Path(config.resume) if config.resume else None, 0
    if folder:
        config, done = run_folder.read_interrupted(folder)
    load_start(config)  # reports unusable weights now
    world(config)
    sets = open_sets(config)
    weight = _weigh(config, sets)
    seed_everything(config.seed, verbose=False)
    if config.threads:
        os.environ['OMP_NUM_THREADS'] = str(config.threads)  # also for child processes
        torch.set_num_threads(config.threads)
    task = SegmentationTask(config, sets.classes, weight)
    resume = folder / run_folder.LAST if folder else None
    loaders = make_loaders(config, sets, done)
    first = rank_zero_only.rank == 0  # only this process writes files
    folder = folder or (_prepare(config, sets, task.network) if first else Path(config.output))
    logging.getLogger('lightning.pytorch').setLevel(logging.WARNING)
    for message in ('Checkpoint directory .* exists', r'.isinstance\(treespec'):
        warnings.filterwarnings('ignore', message)
    trainer = make_trainer(config, folder, first)
    if first:
        kind, count = trainer.strategy.root_device.type, trainer.world_size
        devices = kind if count == 1 else f'{count} processes ({kind})'
        print(f'Training {config.variant} on {devices} in {folder}')
        if kind == 'cpu' and config.precision == 'bf16-mixed' and not _has_bfloat16():
            print('This CPU has no bfloat16 instructions: a step takes many times longer than '
                  'with --precision 32-true.')
        for sentence in sets.left_out:
            print(sentence)
    try:
        with quiet_threads():
            trainer.fit(task, *loaders, ckpt_path=resume, weights_only=True if resume else None)
    except (SystemExit, KeyboardInterrupt, RuntimeError, OSError, DataError) as error:
        if not first:  # the folder of the first process
            folder = Path(trainer.checkpoint_callback.dirpath)
        elif trainer.strategy.launcher:  # otherwise they would wait for this process
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
    path = export(folder)  # the most important output first
    plot_curves(folder)
    if loaders[0].total:
        print(f'Waiting for data: {loaders[0].waited / loaders[0].total:.1%} of the time of the '
              'steps.')
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    def work() -> None:
        config = parse_command_line(arguments)
        from eunet_ros.training.loop import cpu_settings
        with cpu_settings():
            path = train(config)
        if path:
            print(f'Weights: {path}')
    return run_command('train', work, 'before anything was trained')


if __name__ == '__main__':
    sys.exit(main())
