# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a failure leaves what was there."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
from typing import Any


def say_where(error: OSError, path: Path) -> None:
    """Name the file in an error of the system that does not, such as that of a full disk."""
    if error.errno is not None and error.filename is None:
        error.filename = str(path)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """
    Yield a path beside `path` to write to; at the end it is renamed to `path`.

    Where the body raises, an older file of that name is untouched and nothing is left beside it.
    """
    beside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield beside
        with open(beside, 'rb') as file:
            os.fsync(file.fileno())  # else a power cut may leave the new name with no content
        os.replace(beside, path)
    except OSError as error:
        say_where(error, path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """
    Write a JSON file beside its place and rename it.

    Raises OSError, or ValueError for numbers that are not finite, which JSON does not have.
    """
    with written_beside(path) as beside:
        beside.write_text(json.dumps(content, indent=indent, allow_nan=False) + '\n',
                          encoding='utf-8')
