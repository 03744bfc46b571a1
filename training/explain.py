# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What ended a run, in a sentence."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import errno
from pathlib import Path
import re
import threading

from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.run_folder import LAST
import torch

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def quiet_threads() -> Iterator[None]:
    """Let a thread end silently on an error of the disk, which the main thread raises too."""
    def hook(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, OSError):
            before(args)

    before, threading.excepthook = threading.excepthook, hook
    try:
        yield
    finally:
        threading.excepthook = before


def explain(error: BaseException, config: TrainConfig, folder: Path,
            step: int) -> ValueError | None:
    """Return the error with a sentence for what ended the loop, None for unknown errors."""
    saved = (f'python training/train.py --resume {folder} goes on from what was saved last'
             if (folder / LAST).exists() else 'nothing had been saved yet')
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
        return ValueError('Another process of this run has ended, its own message says why: '
                          f'{saved}.')
    if re.search(r'DataLoader worker .*(exited unexpectedly|killed by signal)', str(error)):
        return ValueError('A process that loads data was killed, most likely for want of memory: '
                          f'lower workers; {saved}.')
    return None
