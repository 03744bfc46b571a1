# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests of whole training runs share: a small run, on the command line or in a process."""
from pathlib import Path
import subprocess
import sys

from eunet_ros.model.common.resources import share_file

SMALL = {
    'config': share_file('config/training/synthetic.yaml'), 'height': 64, 'width': 96,
    'crop-height': 32, 'crop-width': 64, 'batch': 2, 'workers': 0, 'threads': 1, 'ema': 0.8,
    'lr': 1e-3, 'warm-up': 0.1, 'accelerator': 'cpu', 'tensorboard': 'false'}


def command(cache, output, **options):
    """Return the words of a small run's command line."""
    options = {**SMALL, **{k.replace('_', '-'): v for k, v in options.items()},
               'cache': cache, 'output': output}
    return [word for k, v in options.items() for word in (f'--{k}', str(v))]


def start(cache, run, before=(), **options):
    """Start a run in a process group of its own; before: the words that start Python."""
    from eunet_ros.training import train
    script = Path(train.__file__)
    return subprocess.Popen(
        [*(before or [sys.executable]), str(script), *command(cache, run, **options)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
