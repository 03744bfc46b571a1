# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cache of built engines: only the first start of a node has to build."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
import hashlib
import json
import os
from pathlib import Path
import stat
from typing import TYPE_CHECKING

from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eunet_ros.model.checkpoint import Checkpoint

_MAGIC = b'eunet_ros engine 1\n'
_CODE = ('blocks.py', 'deploy.py', 'eunet.py', 'engines')  # a change of these requires a rebuild
_LONGEST_BUILD_S = 900.0
Say = Callable[[str], None]


def default_folder() -> Path:
    """Return the folder of the user's caches: $XDG_CACHE_HOME or ~/.cache, then eunet_ros."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(base) if os.path.isabs(base) else Path.home() / '.cache') / 'eunet_ros'


def engine_key(checkpoint: Checkpoint, **more: str) -> dict[str, str]:
    """Return the key of an engine: weights, architecture, our code, and `more`."""
    weights = hashlib.sha256()
    for name, tensor in sorted(checkpoint.network.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    code, here = hashlib.sha256(), Path(__file__).resolve().parents[1]
    for path in sorted(path for part in _CODE for path in (
            (here / part).glob('*.py') if (here / part).is_dir() else [here / part])):
        code.update(path.read_bytes())
    return {'weights': weights.hexdigest(), 'code': code.hexdigest(),
            'architecture': json.dumps(checkpoint.network.variant.to_dict(), sort_keys=True),
            'normalisation': json.dumps([checkpoint.mean, checkpoint.std]), **more}


def _is_trusted(status: os.stat_result) -> bool:
    """Return whether only this user, or root, can have written a file or folder."""
    return (status.st_uid in (os.geteuid(), 0)
            and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


class EngineCache:
    """Engines in a folder, by default the user's cache; say: receives warnings."""

    def __init__(self, folder: Path | None = None, say: Say = lambda text: None) -> None:
        self._folder, self._say = folder, say

    def get(self, name: str, key: Mapping[str, str], build: Callable[[], bytes],
            anew: bool = False) -> bytes:
        """Return the engine of `key`; one process builds it if it is missing, or if `anew`."""
        text = json.dumps(dict(key), sort_keys=True)
        path = self._place(f'{name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.engine')
        if path is None:
            return build()
        with self._locked(path):
            content = None if anew else self._read(path, text)
            if content is None:
                content = build()
                self._write(path, text, content)
            return content

    def _place(self, name: str) -> Path | None:
        try:
            folder = self._folder or default_folder()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.stat().st_uid == os.geteuid():
                folder.chmod(0o700)
            if not _is_trusted(folder.stat()):
                raise PermissionError(f'{folder} belongs to another user, or others can write to '
                                      'it')
        except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
            self._say(f'Built engines cannot be kept ({one_line(error)}): this one is built at '
                      'every start.')
            return None
        return folder / name

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        from filelock import FileLock, Timeout
        lock = FileLock(path.with_suffix('.lock'))
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._say('Another process is building this engine; waiting for it.')
                lock.acquire(timeout=_LONGEST_BUILD_S)
        except Timeout:  # it hangs, or the folder cannot hold a lock
            self._say(f'The other process has not finished after {_LONGEST_BUILD_S:.0f} s; the '
                      'engine is built here.')
        except OSError:  # a read-only folder: its engines can still be used
            pass
        try:
            yield
        finally:
            lock.release()  # does nothing where it is not held

    def _read(self, path: Path, key: str) -> bytes | None:
        try:
            with open(path, 'rb') as file:
                if not _is_trusted(os.fstat(file.fileno())):
                    self._say(f'{path} could have been written by another user; it is built '
                              'again.')
                    return None
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(f'The kept engine cannot be read ({one_line(error)}); it is built again.')
            return None
        header, _, content = data.removeprefix(_MAGIC).partition(b'\n')
        try:
            found = json.loads(header) if data.startswith(_MAGIC) else {}
        except ValueError:
            found = {}
        if not isinstance(found, dict) or found.get('key') != key:
            self._say(f'{path} does not match its name; it is built again.')
        elif found.get('sha256') != hashlib.sha256(content).hexdigest():
            self._say(f'{path} is damaged; it is built again.')
        else:
            return content
        return None

    def _write(self, path: Path, key: str, content: bytes) -> None:
        header = json.dumps({'key': key, 'sha256': hashlib.sha256(content).hexdigest()})
        try:
            with written_beside(path) as beside:
                beside.touch(0o600)
                beside.write_bytes(_MAGIC + header.encode() + b'\n' + content)
        except OSError as error:
            self._say(f'The built engine cannot be kept ({one_line(error)}): it is built again '
                      'at the next start.')
