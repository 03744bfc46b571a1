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

from eunet_ros.model.common.errors import one_line
import yaml

MAX_YAML_BYTES = 2 ** 20  # of a file that a person writes
_MAX_DEPTH = 20


def user_path(text: str) -> Path:
    """Return the path of a command line or parameter, with ~ for the user's home."""
    return Path(os.path.expanduser(text))


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


class PlainLoader(yaml.SafeLoader):
    """Without aliases, of which a few lines make a gigabyte, and not deep: PyYAML takes hours."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        try:
            return self._compose_plain(parent, index)
        finally:
            self.depth -= 1

    def _compose_plain(self, parent: Any, index: Any) -> Any:
        if self.depth > _MAX_DEPTH:
            raise yaml.YAMLError(f'it is nested more than {_MAX_DEPTH} deep')
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases (*name) are not supported; write the value out')
        return super().compose_node(parent, index)


def read_yaml(path: Path, loader: type[PlainLoader] = PlainLoader) -> Any:
    """
    Return what a YAML file holds: numbers, text, lists and mappings, no other objects.

    loader: what makes values of a file's words.

    Raises ValueError with a clause where it is too large, not YAML or not text, OSError where it
    cannot be read.
    """
    with open(path, 'rb') as file:
        data = file.read(MAX_YAML_BYTES + 1)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f'it has more than {MAX_YAML_BYTES} bytes')
    try:
        return yaml.load(data.decode('utf-8'), loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError,
            RecursionError) as error:
        # PyYAML lets errors of int, datetime and hash through.
        raise ValueError(one_line(error)) from error
