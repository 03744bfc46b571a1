# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start and end of the package's processes; ROS is imported late, after signals are handled."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
import os
from pathlib import Path
import re
import sys
from typing import Any, NoReturn

from eunet_ros.ros.interrupts import interrupt


def complain(text: str) -> None:
    """Print to stderr, which may be a file on a full disk."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def logging_arguments() -> list[str]:
    """Return arguments that disable the log file if it cannot be written: ROS would not start."""
    import tempfile
    folder = os.environ.get('ROS_LOG_DIR') or os.path.join(
        os.environ.get('ROS_HOME') or '~/.ros', 'log')
    home = os.environ.get('HOME')
    if folder.startswith('~') and not home:
        why = f'The log folder {folder} has no place: neither HOME nor ROS_LOG_DIR is set'
    else:
        folder = (home or '') + folder[1:] if folder.startswith('~') else folder
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return []
        except OSError as error:
            why = f'The log folder {folder} cannot be written ({error.strerror})'
    complain(f'{why}: no log file is kept.')
    return ['--ros-args', '--disable-external-lib-logs']


def own_arguments(args: Sequence[str]) -> list[str]:
    """Return the arguments of a program that are not between --ros-args and --."""
    own, ros = [], False
    for arg in args[1:]:
        if arg == '--ros-args' or (ros and arg == '--'):
            ros = arg == '--ros-args'
        elif not ros:
            own.append(arg)
    return own


def check_arguments(args: Sequence[str], name: str, description: str,
                    parameters: Mapping[str, str]) -> None:
    """Exit for arguments that are not of ROS, or with a help text at --help."""
    import argparse
    lines = [f'  {key}: {text}' for key, text in parameters.items()]
    argparse.ArgumentParser(
        name, usage=f'ros2 run eunet_ros {name} [--ros-args -p NAME:=VALUE -r FROM:=TO '
        '--params-file FILE …]', description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='\n'.join(['parameters:', *lines])).parse_args(own_arguments(args))


def parameter_files(args: Sequence[str]) -> list[str]:
    return [path for flag, path in pairwise(args) if flag == '--params-file']


def warn_of_unused_files(node: Any, args: Sequence[str]) -> None:
    """Log a warning for each parameter file on a command line without values for a node."""
    from eunet_ros.ros.parameter_file import read_parameter_file, unused
    for path in parameter_files(_expanded(args)):
        with suppress(ValueError, OSError):   # rclpy could read it
            warning = unused(Path(path), node.get_fully_qualified_name(),
                             read_parameter_file(Path(path)))
            if warning:
                node.get_logger().warning(warning)


def _expanded(args: Iterable[str]) -> list[str]:
    """Return arguments with ~ expanded in the paths of parameter files."""
    given = list(args)
    return [os.path.expanduser(arg) if before == '--params-file' else arg
            for before, arg in zip(['', *given], given)]


def initialise(args: Iterable[str], **options: Any) -> None:
    """Initialise rclpy after the DDS profile; raises ValueError for wrong arguments."""
    from eunet_ros.ros.dds_profile import apply_profile
    import rclpy
    interrupt.made = True
    obstacle = apply_profile()
    if obstacle:
        complain(obstacle)
    given = [*_expanded(args), *logging_arguments()]
    for path in parameter_files(given):
        if not os.path.isfile(path):
            raise ValueError(f'There is no parameter file {path}: give the path of a YAML file '
                             'behind --params-file.')
    if os.path.expanduser('~') == '~':   # no home: some libraries fail at their import
        os.environ['HOME'] = '/'
    try:
        rclpy.init(args=given, **options)
    except Exception as error:  # its type depends on the distribution
        raise ValueError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """Return the error of rclpy.init about arguments without its source locations."""
    words = re.sub(r', at \S+:\d+', '', str(error)).removeprefix('failed to initialize rcl: ')
    if type(error).__name__ == 'UnknownROSArgsError':
        words = f'found unknown ones, {words}'
    elif 'parse' not in words:
        return words
    return (f'The arguments behind --ros-args cannot be read ({words.rstrip(".")}): write '
            '-p NAME:=VALUE, -r FROM:=TO, --params-file FILE or --log-level LEVEL.')


def shut_down() -> None:
    """Free what destroyed nodes left behind, then shut rclpy down if it is up."""
    import gc

    import rclpy

    # Reference cycles of lifecycle services keep the DDS participant, whose threads would still
    # run at the end of the interpreter.
    gc.collect()
    rclpy.try_shutdown()


def only_note_signals() -> None:
    """Stop raising at signals, before spinning and freeing; rclpy ends spinning by itself."""
    interrupt.only_noted = True


def interrupted() -> bool:
    """Return whether a signal has arrived; later failures are then no faults."""
    return interrupt.came


def run(main: Callable[[], int] | str) -> NoReturn:
    """Run `main`, a function or the name of its module, flush output and exit with its code."""
    interrupt.install()
    try:
        code = import_module(main).main() if isinstance(main, str) else main()
    except KeyboardInterrupt:  # before or after main could catch it
        code = 0
    except SystemExit as error:  # argparse: --help or a wrong argument
        code = error.code or 0
        if not isinstance(code, int):  # a message, as in Python
            complain(str(code))
            code = 1
    except Exception:
        if not interrupted():   # else rclpy was shut down meanwhile
            raise
        code = 0
    only_note_signals()
    if 'logging' in sys.modules:
        sys.modules['logging'].shutdown()
    with suppress(OSError):  # the reader has gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # a thread of Fast DDS may crash in C++ destructors (eProsima/Fast-DDS#6114)
