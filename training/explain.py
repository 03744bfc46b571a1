# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ended a run, in a sentence."""
from __future__ import annotations

from pathlib import Path

from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.supervisely import DataError
from eunet_ros.training.run_folder import LAST
import torch


def explain(error: BaseException, config: TrainConfig, folder: Path,
            step: int) -> ValueError | None:
    """Return what to raise instead of what came out of the loop; None for unknown errors."""
    saved = (f'python training/train.py --resume {folder} goes on from what was saved last'
             if (folder / LAST).exists() else 'nothing had been saved yet')
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return ValueError(f'Interrupted at step {step}: {saved}.')
    if isinstance(error, DataError):
        # A process that loads sends its traceback as text; the sentence is its last line.
        return DataError(str(error).strip().splitlines()[-1].rpartition('DataError: ')[2])
    if isinstance(error, torch.OutOfMemoryError):
        return ValueError(
            f'The memory of the GPU does not hold {config.batch} crops of {config.crop_height}x'
            f'{config.crop_width}: lower batch or the crop, or set precision to 16-mixed.')
    if 'DataLoader worker' in str(error):
        return ValueError('A process that loads data was killed, most likely for want of memory: '
                          f'lower workers; {saved}.')
    return None
