# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Turn a run, finished or interrupted, into weights that the node loads.

    python training/export.py runs/fsoco --output my_weights.safetensors
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.checkpoint import save_checkpoint
from eunet_ros.model.common.command import add_weight_defaults, check_new_file, run_command
from eunet_ros.training.run_folder import run_checkpoint


def export(folder: Path, output: Path | None = None, half: bool = True,
           input_size: tuple[int, int] | None = None,
           strip_size: tuple[int, int] | None = None,
           thresholds: tuple[float, float] | None = None) -> Path:
    """Write the best weights of a run, by default into it; returns the path; raises ValueError."""
    checkpoint = run_checkpoint(folder).with_defaults(input_size, strip_size, thresholds)
    path = output or folder / f'{checkpoint.variant}.safetensors'
    save_checkpoint(path, checkpoint, half)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Write the best weights of a run for the node.')
    parser.add_argument('run', type=Path, help='folder that training/train.py made')
    parser.add_argument('--output', type=Path, help='default: <variant>.safetensors in the run')
    parser.add_argument('--float32', action='store_true', help='keep float32: twice the size')
    add_weight_defaults(parser, "the run's own")
    o = parser.parse_args(arguments)

    def work() -> None:
        if o.output:
            check_new_file(o.output)
        path = export(o.run, o.output, not o.float32, o.input_size, o.strip_size, o.thresholds)
        print(f'Weights: {path}')
    return run_command('export', work)


if __name__ == '__main__':
    sys.exit(main())
