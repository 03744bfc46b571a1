# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of a rosbag2; topics are read from them, as metadata.yaml may have other topics."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path, PurePath
import shutil
import tempfile
from typing import Any, NamedTuple

from eunet_ros.bags.messages import typestore
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import visible

_SUFFIXES = ('.mcap', '.db3')
_ZSTD = b'\x28\xb5\x2f\xfd'      # CDR starts with a 0 byte
_MOST_NAMED = 3
_METADATA = 'metadata.yaml'
_MAX_CHUNK = 2 ** 30         # bytes of an mcap's unpacked chunk; recorders write some MB


class BagError(ValueError):
    """A bag that cannot be used: missing, damaged, empty, or without what was asked for."""


class _Described(NamedTuple):
    """A topic in metadata.yaml."""

    msgtypes: frozenset[str] = frozenset()
    count: int = 0
    digest: str = ''
    profiles: tuple[Any, ...] = ()


class Storage:
    """The open files of a bag; warning: how metadata.yaml differs. Raises BagError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._files: list[Any] = []
        self.connections: list[Any] = []
        self.warning = ''
        files, info, renamed = _files_of(path)
        try:
            for file in files:
                self._files.append(self._opened(file))
            self.connections = [c for f in self._files for c in f.connections if _is_ros(c)]
            if info is not None:
                self._compare(_described(info), [renamed] if renamed else [])
        except BaseException:
            self.close()
            raise

    def _opened(self, file: Path) -> Any:
        if file.suffix == '.zstd':
            file = self._unpacked(file)
        try:
            reader = _plugin(file)(file)
            reader.open()
        except Exception as error:  # rosbags raises many types for a damaged file
            raise BagError(f'{file if self._path.is_dir() else self._path} cannot be read as a '
                           f'rosbag2 ({words_of(error)}): {cure_of(file, error)}.') from error
        self._stack.callback(reader.close)
        return reader

    def _unpacked(self, file: Path) -> Path:
        """Return an unpacked copy of a file."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            with _zstd().open(file, 'rb') as packed, open(folder / file.stem, 'wb') as out:
                shutil.copyfileobj(packed, out)
        except Exception as error:  # the library's own error is an Exception
            raise BagError(f'{file} cannot be unpacked ({words_of(error)}): copy it again.'
                           ) from error
        return folder / file.stem

    def messages(self, names: Collection[str], start: int | None,
                 stop: int | None) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of recording [ns], CDR bytes); raises any error of rosbags."""
        for file in self._files:
            chosen = [c for c in file.connections if c.topic in names and _is_ros(c)]
            if chosen:
                for connection, time, packed in file.messages(chosen, start, stop):
                    data = bytes(packed)
                    if data[:4] == _ZSTD:  # compressed on its own
                        data = _zstd().ZstdDecompressor().decompress(data, _MAX_CHUNK)
                    yield connection.topic, time, data

    def close(self) -> None:
        with suppress(Exception):  # rosbags' close asserts that it was open
            self._stack.close()

    def cure(self, error: Exception) -> str:
        """Return what to do about an error in a file."""
        return cure_of(self._files[0].path if self._files else self._path, error)

    def _compare(self, info: dict[str, _Described], differences: list[str]) -> None:
        """Set the warning, and take hashes of types from metadata.yaml where files have none."""
        for name in sorted({*info, *(c.topic for c in self.connections)}, key=str):
            mine = [c for c in self.connections if c.topic == name]
            its = info.get(name, _Described())
            foreign = any(c.topic == name for f in self._files for c in f.connections)
            if not mine and (not its.count or foreign):
                continue
            first = [c for c in self._files[0].connections if c.topic == name]
            profiles = sorted(repr(q) for c in first for q in c.ext.offered_qos_profiles)
            wrong = [what for what, differs in (
                ('type', its.msgtypes != {c.msgtype for c in mine}),
                ('number of messages', its.count != sum(c.msgcount for c in mine)),
                ('hash', its.digest and any(c.digest not in ('', its.digest) for c in mine)),
                ('QoS', first and sorted(map(repr, its.profiles)) != profiles)) if differs]
            differences += [f'{", ".join(wrong)} of {name}'] if wrong else []
        # rosbags returns no hash for an mcap.
        self.connections = [c._replace(digest=info[c.topic].digest)
                            if not c.digest and c.topic in info else c for c in self.connections]
        if differences:
            more = len(differences) - _MOST_NAMED
            self.warning = (
                f'{self._path / _METADATA} and the files differ '
                f'({"; ".join(differences[:_MOST_NAMED])}{f"; {more} more" if more > 0 else ""}): '
                'the files are used.')


def _files_of(path: Path) -> tuple[list[Path], Any, str]:
    """Return the files of a bag in order, metadata.yaml, and a difference in file names or ''."""
    try:
        typestore()
    except ImportError as error:
        raise BagError(str(error)) from error
    if not path.exists():
        raise BagError(f'There is no bag at {path}: give a rosbag2 folder, .mcap or .db3 file.')
    if path.suffix == '.bag' and path.is_file():
        raise BagError(f'{path} is a bag of ROS 1: convert it with rosbags-convert.')
    if not path.is_dir():
        if path.suffix not in _SUFFIXES:
            raise BagError(f'{path} is not a rosbag2: give its folder, a .mcap or a .db3 file.')
        return [path], None, ''
    there = [p for p in visible(path) if {*p.suffixes} & {*_SUFFIXES} and p.is_file()]
    alone = f'give {there[0]} itself' if len(there) == 1 else 'give one of its files itself'
    if not (path / _METADATA).is_file():
        hint = (f'give {there[0]}, or run ros2 bag reindex' if there
                else 'give the folder that ros2 bag record made')
        raise BagError(f'{path} is not a rosbag2, it has no {_METADATA}: {hint}.')
    cannot = f'{path} cannot be read as a rosbag2'
    try:
        from ruamel.yaml import YAML  # that of rosbags is fast enough for hundreds of topics
        text = (path / _METADATA).read_text()
        info = YAML(typ='safe').load(text)['rosbag2_bagfile_information']
        listed = [path / PurePath(name).name for name in info['relative_file_paths']]
        packed = [str(info.get(f'compression_{k}') or '') for k in ('mode', 'format')]
    except Exception as error:  # also of the YAML library
        cure = f'{alone}, or write {_METADATA} again with ros2 bag reindex' if there else (
            'copy it again')
        raise BagError(f'{cannot} ({_METADATA}: {words_of(error)}): {cure}.') from error
    if packed[0].lower() not in ('', 'none') and packed[1] not in ('zstd', ''):
        raise BagError(f'{cannot} (Compression format {packed[1]!r} is not supported): write it '
                       'again with zstd or without compression, with ros2 bag convert.')
    missing = [p.name for p in listed if not p.is_file()]
    if missing and len(missing) == len(listed) and there:
        return there, info, f'it lists {missing[0]}'
    if missing or not listed:
        found = ', '.join(p.name for p in there) or 'none'
        raise BagError(f'{cannot} ({_METADATA} lists {", ".join(missing) or "no file"}, the '
                       f'folder holds {found}): copy it again.')
    return listed, info, ''


def _described(info: Any) -> dict[str, _Described]:
    """Return the topics in metadata.yaml; rows that cannot be read are left out."""
    from rosbags.rosbag2.metadata import parse_qos
    topics: dict[str, _Described] = {}
    rows = info.get('topics_with_message_count')
    for row in rows if isinstance(rows, list) else []:
        try:
            meta, count = row['topic_metadata'], row['message_count']
            name, msgtype = str(meta['name']), str(meta['type'])
            digest = str(meta.get('type_description_hash') or '')
        except (TypeError, KeyError, AttributeError):
            continue
        profiles = []
        with suppress(Exception):  # nested YAML of any tool
            profiles = parse_qos(meta.get('offered_qos_profiles') or [])
        before = topics.get(name, _Described())
        topics[name] = _Described(
            before.msgtypes | {msgtype}, before.count + (count if type(count) is int else 0),
            digest, (*before.profiles, *profiles))
    return topics


def _is_ros(connection: Any) -> bool:
    """Return whether a channel has ROS messages; an mcap may also have others."""
    return connection.ext.serialization_format == 'cdr'


def _zstd() -> Any:
    from rosbags.rosbag2 import storage_mcap
    return storage_mcap.zstd  # the standard library's from Python 3.14 on


def _plugin(file: Path) -> Any:
    """Return the class that reads a file of this suffix; metadata.yaml may name another."""
    _take_foreign_channels()
    _limit_chunks()
    from rosbags.rosbag2.storage_mcap import McapReader
    from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
    if file.suffix not in _SUFFIXES:
        raise ValueError('expected a .mcap or .db3 file')
    return McapReader if file.suffix == '.mcap' else Sqlite3Reader


@cache
def _take_foreign_channels() -> None:
    """Make rosbags skip schemas in an mcap that are not of ROS, such as protobuf's."""
    from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
    from rosbags.rosbag2 import storage_mcap
    of_ros, read_bytes, of_qos = (
        storage_mcap.get_msgdef, storage_mcap.read_bytes, storage_mcap.get_qos)

    def get_msgdef(schema: Any) -> Any:
        try:
            return of_ros(schema)
        except KeyError:
            return MessageDefinition(MessageDefinitionFormat.NONE, '')

    def get_qos(metadata: bytes) -> Any:
        try:
            return of_qos(metadata)
        except Exception:  # of another recorder; not needed here
            return []
    storage_mcap.get_msgdef, storage_mcap.get_qos = get_msgdef, get_qos
    storage_mcap.read_string = lambda bio: read_bytes(bio).decode('utf-8', 'replace')


def _bounded(make: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    """Return a decompressor that stops one byte after the size in the chunk's header."""
    def unpack(data: bytes, size: int) -> bytes:
        if size > _MAX_CHUNK:
            raise ValueError(f'a chunk promises {size} bytes, expected up to {_MAX_CHUNK}')
        return make().decompress(data, max_length=size + 1)
    return unpack


@cache
def _limit_chunks() -> None:
    """Make rosbags unpack the chunks of an mcap only to the size in their headers."""
    try:
        from lz4.frame import LZ4FrameDecompressor
        from rosbags.rosbag2 import storage_mcap
        table, zstd = storage_mcap.DECOMPRESSORS, storage_mcap.zstd
    except (ImportError, AttributeError):  # another release of rosbags
        return
    table.update(zstd=_bounded(zstd.ZstdDecompressor), lz4=_bounded(LZ4FrameDecompressor))


def cure_of(path: Path, error: Exception) -> str:
    """Return what to do about a file that cannot be read; ros2 bag reindex cannot repair one."""
    text = str(error)
    if 'Profile' in text:
        return (f"the header names the profile {_profile(path)!r}, expected 'ros2': record it "
                'with ros2 bag record, or let the tool that wrote it write ROS 2')
    if 'ompression' in text:
        return 'write it again with zstd or without compression, with ros2 bag convert'
    if 'File magic' in text or 'seems to be empty' in text or 'not a database' in text:
        return 'it is no recording or its beginning is damaged, copy it again'
    if path.suffix == '.mcap':
        return 'copy it again, or save what is whole with mcap recover (of the mcap tool)'
    return 'copy it again, or save what is whole with the .recover of the sqlite3 tool'


def _profile(path: Path) -> str:
    """Return the profile in the header of an mcap: text with its length, after 17 bytes."""
    with suppress(OSError), open(path, 'rb') as file:
        start = file.read(200)
        return start[21:21 + int.from_bytes(start[17:21], 'little')].decode('utf-8', 'replace')
    return ''


def words_of(error: Exception) -> str:
    """Return an error of a library as part of a sentence, on one short line."""
    return one_line(error)[:200]
