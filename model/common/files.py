# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files: atomic writing, natural order, safe YAML."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import json
import os
from pathlib import Path
import re
import shutil
from typing import Any

from eunet_ros.model.common.errors import one_line
import numpy as np
import yaml

MAX_YAML_BYTES = 2 ** 20  # of a file that a person writes
_MAX_DEPTH = 20

# Files of operating systems whose names do not begin with a dot.
_COMPANIONS = {'__macosx', 'thumbs.db', 'desktop.ini', '$recycle.bin', 'system volume information'}


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden (.DS_Store) or a system's (Thumbs.db)."""
    return name.startswith('.') or name.lower() in _COMPANIONS


def in_order(name: str) -> tuple[Any, ...]:
    """Return a key to sort names by as people count: frame2.png before frame10.png."""
    parts = re.split(r'(\d+)', name.lower())
    return tuple((int(p), p) if i % 2 else p for i, p in enumerate(parts)), name


def visible(folder: Path, everything_below: bool = False) -> list[Path]:
    """Return a folder's entries, or all below it, in natural order, without hidden ones."""
    found = folder.rglob('*') if everything_below else folder.iterdir()
    return sorted((p for p in found if not any(map(is_hidden, p.relative_to(folder).parts))),
                  key=lambda p: in_order(str(p.relative_to(folder))))


def user_path(text: str) -> Path:
    """Return the path of a command line or parameter, with ~ for the user's home."""
    return Path(os.path.expanduser(text))


def say_where(error: OSError, path: Path) -> None:
    """Add the file name to an OSError without one, such as that of a full disk."""
    if error.errno is not None and error.filename is None:
        error.filename = str(path)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a path to write to that is renamed to `path` at the end, or removed after an error."""
    beside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield beside
        with suppress(IsADirectoryError), open(beside, 'rb') as file:
            os.fsync(file.fileno())  # else a power cut may leave the new name with no content
        os.replace(beside, path)
    except OSError as error:
        say_where(error, path)
        raise
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        else:
            beside.unlink(missing_ok=True)


def refuse_existing(folder: Path) -> None:
    """Raise ValueError if there is a file or folder of that name."""
    if os.path.lexists(folder):
        raise ValueError(f'{folder} exists: remove it first, or choose another folder.')


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """As `written_beside`, a new folder; raises ValueError if `folder` exists."""
    refuse_existing(folder)
    with written_beside(folder) as beside:
        beside.mkdir(parents=True)
        yield beside


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """Write a JSON file beside its place and rename it; raises OSError, ValueError for NaN."""
    with written_beside(path) as beside:
        beside.write_text(json.dumps(content, indent=indent, allow_nan=False) + '\n',
                          encoding='utf-8')


def rounded(value: Any, digits: int) -> Any:
    """Return a copy with plain, rounded numbers for JSON; None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(k): rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return round(float(value), digits) if np.isfinite(value) else None
    return value


class PlainLoader(yaml.SafeLoader):
    """Rejects aliases and deep nesting: a few lines could need gigabytes or hours."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.depth >= _MAX_DEPTH:
            raise yaml.YAMLError(f'it is nested more than {_MAX_DEPTH} deep')
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases (*name) are not supported; write the value out')
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_yaml(path: Path, loader: type[PlainLoader] = PlainLoader) -> Any:
    """Return plain values of a YAML file; raises OSError, or ValueError with a clause."""
    with open(path, 'rb') as file:
        data = file.read(MAX_YAML_BYTES + 1)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f'it has more than {MAX_YAML_BYTES} bytes')
    try:
        return yaml.load(data.decode('utf-8'), loader)  # a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError,
            RecursionError) as error:
        # PyYAML passes on errors of int, datetime and hash.
        raise ValueError(one_line(error)) from error
