# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The files of a rosbag2 and what stands in them; metadata.yaml only says which they are.

rosbags' own reader of folders takes topics from metadata.yaml, and finds no message of those that
the file describes otherwise: tools and people edit the one without the other.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path, PurePath
import shutil
import tempfile
from typing import Any, NamedTuple

from eunet_ros.bags.messages import typestore
from eunet_ros.model.common.files import visible

_PLUGINS = {'.mcap': 'mcap', '.db3': 'sqlite3'}
_ZSTD = b'\x28\xb5\x2f\xfd'      # of CDR the first byte is 0
_MOST_TOLD = 3
_METADATA = 'metadata.yaml'
_MAX_CHUNK = 2 ** 30         # bytes of an mcap's chunk, unpacked; recorders write some MB


class BagError(ValueError):
    """A bag that cannot be used: missing, damaged, empty, or without what was asked for."""


class _Described(NamedTuple):
    """What metadata.yaml says of a topic."""

    msgtypes: set[str]
    count: int
    digest: str
    profiles: list[Any]


class Storage:
    """The open files of a bag; warning: what metadata.yaml says otherwise. Raises BagError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._files: list[Any] = []
        self.connections: list[Any] = []
        self.warning = ''
        files, told, renamed = _files_of(path)
        try:
            for file in files:
                self._files.append(self._opened(file))
            self.connections = [c for f in self._files for c in f.connections if _is_ros(c)]
            if told is not None:
                self._compare(_described(told), [renamed] if renamed else [])
        except BaseException:
            self.close()
            raise

    def _opened(self, file: Path) -> Any:
        if file.suffix == '.zstd':
            file = self._unpacked(file)
        try:
            reader = _plugin(file)(file)
            reader.open()
        except Exception as error:  # a damaged file makes rosbags raise nearly anything
            raise BagError(f'{file if self._path.is_dir() else self._path} cannot be read as a '
                           f'rosbag2 ({words_of(error)}): {cure_of(file, error)}.') from error
        self._stack.callback(reader.close)
        return reader

    def _unpacked(self, file: Path) -> Path:
        """Return the copy of a file that was compressed as a whole."""
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
        """Yield (topic, time of recording in ns, CDR bytes); raises what rosbags does."""
        for file in self._files:
            chosen = [c for c in file.connections if c.topic in names and _is_ros(c)]
            if chosen:
                for connection, time, data in file.messages(chosen, start, stop):
                    yield connection.topic, time, _plain(data)

    def close(self) -> None:
        with suppress(Exception):  # rosbags' close asserts that it was open
            self._stack.close()

    def cure(self, error: Exception) -> str:
        """Return what to do about an error in a file."""
        plugin = type(self._files[0]).__name__ if self._files else ''
        return cure_of(self._path, error, 'mcap' if 'Mcap' in plugin else 'sqlite3')

    def _compare(self, told: dict[str, _Described], differences: list[str]) -> None:
        """Note what metadata.yaml says otherwise, and take from it what only it knows."""
        for name in sorted({*told, *(c.topic for c in self.connections)}, key=str):
            mine = [c for c in self.connections if c.topic == name]
            its = told.get(name, _Described(set(), 0, '', []))
            if not mine and (not its.count or self._is_foreign(name)):
                continue
            wrong = []
            if its.msgtypes != {c.msgtype for c in mine}:
                wrong.append('type')
            if its.count != sum(c.msgcount for c in mine):
                wrong.append('number of messages')
            if its.digest and any(c.digest not in ('', its.digest) for c in mine):
                wrong.append('hash')
            first = [c for c in self._files[0].connections if c.topic == name]
            if first and sorted(map(repr, its.profiles)) != sorted(
                    repr(q) for c in first for q in c.ext.offered_qos_profiles):
                wrong.append('QoS')
            differences += [f'{", ".join(wrong)} of {name}'] if wrong else []
        # Of an mcap, rosbags hands on no hash.
        self.connections = [c._replace(digest=told[c.topic].digest)
                            if not c.digest and c.topic in told else c for c in self.connections]
        if differences:
            more = len(differences) - _MOST_TOLD
            self.warning = (
                f'{self._path / _METADATA} and the files differ '
                f'({"; ".join(differences[:_MOST_TOLD])}{f"; {more} more" if more > 0 else ""}): '
                'what stands in the files is read.')

    def _is_foreign(self, name: str) -> bool:
        return any(c.topic == name for f in self._files for c in f.connections)


def _files_of(path: Path) -> tuple[list[Path], Any, str]:
    """Return the files of a bag in order, what metadata.yaml says, how it calls others."""
    try:
        typestore()
    except ImportError as error:
        raise BagError(str(error)) from error
    if not path.exists():
        raise BagError(f'There is no bag at {path}: give a rosbag2 folder, .mcap or .db3 file.')
    if path.suffix == '.bag' and path.is_file():
        raise BagError(f'{path} is a bag of ROS 1: convert it with rosbags-convert.')
    if not path.is_dir():
        if path.suffix not in _PLUGINS:
            raise BagError(f'{path} is not a rosbag2: give its folder, a .mcap or a .db3 file.')
        return [path], None, ''
    there = [p for p in visible(path) if {*p.suffixes} & {*_PLUGINS} and p.is_file()]
    alone = f'give {there[0]} itself' if len(there) == 1 else 'give one of its files itself'
    if not (path / _METADATA).is_file():
        hint = (f'give {there[0]}, or run ros2 bag reindex' if there
                else 'give the folder that ros2 bag record made')
        raise BagError(f'{path} is not a rosbag2, it has no {_METADATA}: {hint}.')
    try:
        told = _yaml((path / _METADATA).read_text())['rosbag2_bagfile_information']
        listed = [path / PurePath(name).name for name in told['relative_file_paths']]
        packed = [str(told.get(f'compression_{k}') or '') for k in ('mode', 'format')]
    except Exception as error:  # of the library, too
        cure = f'{alone}, or write {_METADATA} again with ros2 bag reindex' if there else (
            'copy it again')
        raise BagError(f'{path} cannot be read as a rosbag2 ({_METADATA}: {words_of(error)}): '
                       f'{cure}.') from error
    if packed[0].lower() not in ('', 'none') and packed[1] not in ('zstd', ''):
        raise BagError(f'{path} cannot be read as a rosbag2 (Compression format {packed[1]!r} is '
                       'not supported): write it again with zstd or without compression, with '
                       'ros2 bag convert.')
    missing = [p.name for p in listed if not p.is_file()]
    if missing and len(missing) == len(listed) and there:
        return there, told, f'it lists {missing[0]}'
    if missing or not listed:
        raise BagError(f'{path} cannot be read as a rosbag2 ({_METADATA} lists '
                       f'{", ".join(missing) or "no file"}, the folder holds '
                       f'{", ".join(p.name for p in there) or "none"}): copy it again.')
    return listed, told, ''


def _yaml(text: str) -> Any:
    from ruamel.yaml import YAML  # rosbags' own, much faster: hundreds of topics are a megabyte
    return YAML(typ='safe').load(text)


def _described(told: Any) -> dict[str, _Described]:
    """Return the topics that metadata.yaml describes; what makes no sense is left out."""
    from rosbags.rosbag2.metadata import parse_qos
    topics: dict[str, _Described] = {}
    rows = told.get('topics_with_message_count')
    for row in rows if isinstance(rows, list) else []:
        try:
            meta, count = row['topic_metadata'], row['message_count']
            name, msgtype = str(meta['name']), str(meta['type'])
            digest = str(meta.get('type_description_hash') or '')
        except (TypeError, KeyError, AttributeError):
            continue
        try:
            profiles = parse_qos(meta.get('offered_qos_profiles') or [])
        except Exception:  # YAML in YAML, of anyone
            profiles = []
        before = topics.get(name, _Described(set(), 0, '', []))
        topics[name] = _Described(
            before.msgtypes | {msgtype}, before.count + (count if type(count) is int else 0),
            digest, before.profiles + profiles)
    return topics


def _is_ros(connection: Any) -> bool:
    """Return whether a channel is of ROS messages; others may stand beside them in an mcap."""
    return connection.ext.serialization_format == 'cdr'


def _plain(data: Any) -> bytes:
    """Return a message, unpacked where it was compressed on its own."""
    data = bytes(data)
    if data[:4] != _ZSTD:
        return data
    return _zstd().ZstdDecompressor().decompress(data, _MAX_CHUNK)


def _zstd() -> Any:
    from rosbags.rosbag2 import storage_mcap
    return storage_mcap.zstd  # the standard library's from Python 3.14 on


def _plugin(file: Path) -> Any:
    """Return the class that reads a file, by its suffix: metadata.yaml may name another."""
    _take_foreign_channels()
    _limit_chunks()
    from rosbags.rosbag2.storage_mcap import McapReader
    from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader
    if file.suffix not in _PLUGINS:
        raise ValueError('expected a .mcap or .db3 file')
    return {'mcap': McapReader, 'sqlite3': Sqlite3Reader}[_PLUGINS[file.suffix]]


@lru_cache(maxsize=1)
def _take_foreign_channels() -> None:
    """Make rosbags pass over schemas in an mcap that are not of ROS, such as protobuf's."""
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
        except Exception:  # another recorder's, which nothing here depends on
            return []
    storage_mcap.get_msgdef, storage_mcap.get_qos = get_msgdef, get_qos
    storage_mcap.read_string = lambda bio: read_bytes(bio).decode('utf-8', 'replace')


def _bounded(make: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    """Return a decompressor that stops one byte after what the chunk's header promises."""
    def unpack(data: bytes, size: int) -> bytes:
        if size > _MAX_CHUNK:
            raise ValueError(f'a chunk promises {size} bytes, expected up to {_MAX_CHUNK}')
        return make().decompress(data, max_length=size + 1)
    return unpack


@lru_cache(maxsize=1)
def _limit_chunks() -> None:
    """Make rosbags unpack the chunks of an mcap no further than their headers say."""
    try:
        from lz4.frame import LZ4FrameDecompressor
        from rosbags.rosbag2 import storage_mcap
        table, zstd = storage_mcap.DECOMPRESSORS, storage_mcap.zstd
    except (ImportError, AttributeError):  # another release of rosbags
        return
    table.update(zstd=_bounded(zstd.ZstdDecompressor), lz4=_bounded(LZ4FrameDecompressor))


def cure_of(path: Path, error: Exception, plugin: str = '') -> str:
    """Return what to do about a file that cannot be read; ros2 bag reindex mends none."""
    text = str(error)
    if 'Profile' in text:
        return (f"the header names the profile {_profile(path)!r}, expected 'ros2': record it "
                'with ros2 bag record, or let the tool that wrote it write ROS 2')
    if 'ompression' in text:
        return 'write it again with zstd or without compression, with ros2 bag convert'
    if 'File magic' in text or 'seems to be empty' in text or 'not a database' in text:
        return 'it is no recording or its beginning is damaged, copy it again'
    if (plugin or _PLUGINS.get(path.suffix)) == 'mcap':
        return 'copy it again, or save what is whole with mcap recover (of the mcap tool)'
    return 'copy it again, or save what is whole with the .recover of the sqlite3 tool'


def _profile(path: Path) -> str:
    """Return the profile in the header of an mcap: text with its length, after 17 bytes."""
    with suppress(OSError), open(path, 'rb') as file:
        start = file.read(200)
        return start[21:21 + int.from_bytes(start[17:21], 'little')].decode('utf-8', 'replace')
    return ''


def words_of(error: Exception) -> str:
    """Return an error of a library as part of a sentence, on one line."""
    text = ' '.join(str(error).split()).rstrip('.')
    return (text[:200] or type(error).__name__)
