# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared by the command lines: arguments, errors and exit codes."""
from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
import sys
from typing import Any

from eunet_ros.model.common.errors import EngineError, one_line, sentence


def make_parser(description: str, command: str | None = None) -> argparse.ArgumentParser:
    """Return a parser whose help names the defaults; command: as it is typed."""
    return argparse.ArgumentParser(command, description=description,
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)


def add_size(parser: argparse.ArgumentParser, option: str, about: str,
             default: tuple[int, int] | None = None) -> None:
    parser.add_argument(option, type=int, nargs=2, default=default, metavar=('H', 'W'), help=about)


def add_weight_defaults(parser: argparse.ArgumentParser, otherwise: str) -> None:
    add_size(parser, '--input-size', "the node's default input, without a strip unless "
             f'--strip-size is given; without this option {otherwise}')
    add_size(parser, '--strip-size', 'the strip that the node adds by default')
    parser.add_argument(
        '--thresholds', type=float, nargs=2, metavar=('LOW', 'HIGH'),
        help="logits of the best cone class over the background's: a pixel above LOW is a cone if "
        f'a pixel connected to it is above HIGH; 0 0: none; without this option {otherwise}')


def check_positive(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise ValueError(f'--{name} must be at least 1, found {getattr(options, name)}.')


def check_ranges(parser: argparse.ArgumentParser, options: argparse.Namespace,
                 **ranges: tuple[float, float]) -> None:
    """End the process where an option's number is not in its range, ends included."""
    for name, (low, high) in ranges.items():
        value = getattr(options, name)
        if not low <= value <= high:
            parser.error(f'--{name} must be from {low:g} to {high:g}, found {value:g}')


def check_new_file(path: Path, option: str = '--output') -> None:
    if path.exists():
        raise ValueError(f'{path} exists: choose another {option}, or remove it first.')
    if not path.absolute().parent.is_dir():
        raise ValueError(f'The folder of {path} does not exist: create it first.')


def run_command(name: str, work: Callable[[], Any], interrupted: str = 'nothing was written',
                install: str = 'docs/training.md says what to install') -> int:
    """Run a command; returns its exit code: 0, 1 for a user error, 130 if interrupted."""
    try:
        work()
    except (ValueError, OSError, EngineError, ImportError) as error:
        missing = f'A Python package is missing ({one_line(error)}): {install}.'
        print(f'{name}: {missing if isinstance(error, ImportError) else sentence(error)}',
              file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'{name}: interrupted, {interrupted}.', file=sys.stderr)
        return 130
    return 0
