# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the package's processes end: what they made is freed in order, then they leave at once."""
from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import gc
import logging
import os
import sys
import tempfile
from typing import NoReturn

import rclpy


def complain(text: str) -> None:
    """Say something on stderr, which may be a file on a full disk."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def logging_arguments() -> list[str]:
    """
    Return what rclpy's arguments need where the log's folder cannot be written: no log file.

    ROS would refuse to start: on a full or read-only disk the log is worth less than the node.
    """
    home = os.environ.get('ROS_HOME') or os.path.expanduser('~/.ros')
    folder = os.environ.get('ROS_LOG_DIR') or os.path.join(home, 'log')
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError as error:
        complain(f'The log folder {folder} cannot be written ({error.strerror}): no log file is '
                 'kept.')
        return ['--ros-args', '--disable-external-lib-logs']


def shut_down() -> None:
    """Free what destroyed nodes left behind, then shut rclpy down; harmless when it is down."""
    # rclpy keeps the services of a lifecycle node in reference cycles, and with them its DDS
    # participant, whose threads would still run while the interpreter takes itself apart.
    gc.collect()
    rclpy.try_shutdown()


def run(main: Callable[[], int]) -> NoReturn:
    """
    Run a process's `main` and end with its exit code, once its output is written.

    The destructors of C++ libraries are left out: Fast DDS keeps a thread of its shared memory
    running beside them, and a crash there, as eProsima/Fast-DDS#6114 describes one, would turn a
    clean end into a failed one.
    """
    try:
        code = main()
    except SystemExit as error:  # argparse: --help, or a wrong argument that it has explained
        code = error.code or 0
        if not isinstance(code, int):  # Python's own meaning: words to be said
            complain(str(code))
            code = 1
    logging.shutdown()
    with suppress(OSError):  # whoever read it has gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
