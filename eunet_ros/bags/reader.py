# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Recorded drives (rosbag2, sqlite3 or mcap) of any distribution; needs rosbags, not ROS.

Every error is a BagError of one sentence.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eunet_ros.bags.limits import limit_chunks
from eunet_ros.bags.messages import CAMERA_INFO, COMPRESSED_IMAGE, deserialise, IMAGE, typestore

GROUND_TRUTH = '/ground_truth/mask'
_COMPRESSED = '/compressed'
# Not a camera: what the node itself publishes, ground truth, and depth.
_OTHERS = ('/ground_truth/', '/eunet/')
_IMAGES = (IMAGE, COMPRESSED_IMAGE)


class BagError(ValueError):
    """A bag that cannot be used: missing, damaged, empty, or without what was asked for."""


class Topic(NamedTuple):
    """A topic of a bag; msgtype: such as sensor_msgs/msg/Image, count: of its messages."""

    name: str
    msgtype: str
    count: int

    @property
    def base(self) -> str:
        """Return the name without image_transport's /compressed."""
        return self.name.removesuffix(_COMPRESSED)


class Bag:
    """
    An open rosbag2: a folder, or a single .mcap or .db3 file.

    Raises BagError. Use it in a `with` block; one iteration at a time.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._reader = _open(self.path)
        topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            # rosbags hands on what stands in the file, whatever it is.
            if not (isinstance(connection.topic, str) and isinstance(connection.msgtype, str)
                    and isinstance(connection.msgcount, int)):
                self.close()
                raise BagError(f'{self.path} describes a topic with {connection.topic!r} of type '
                               f'{connection.msgtype!r}, expected names: copy it again, or repair '
                               'it with ros2 bag reindex.')
            count = connection.msgcount + getattr(topics.get(connection.topic), 'count', 0)
            topics[connection.topic] = Topic(connection.topic, connection.msgtype, count)
        self.topics: Mapping[str, Topic] = topics
        if not any(topic.count for topic in topics.values()):
            self.close()
            raise BagError(f'{self.path} holds no messages: record it again.')

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        reader, self._reader = self._reader, None
        if reader:
            reader.close()

    def raw(self, topic: Topic, start: int | None = None,
            stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """
        Yield (time of recording in ns, CDR bytes) of a topic's messages, in order.

        start, stop: only of these times, stop excluded [ns].
        """
        for _, time, data in self.raw_of([topic.name], start, stop):
            yield time, data

    def raw_of(self, names: Collection[str], start: int | None = None,
               stop: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of recording in ns, CDR bytes) of several topics, in order."""
        connections = [c for c in self._reader.connections if c.topic in names]
        if not connections:
            return
        try:
            for connection, time, data in self._reader.messages(connections, start, stop):
                yield connection.topic, time, bytes(data)
        except GeneratorExit:
            raise
        except Exception as error:  # whatever rosbags meets in a damaged file
            topic = f'topic {", ".join(names)}' if len(names) == 1 else 'some topic'
            raise BagError(f'{self.path} is damaged on {topic} ({_words(error)}): copy '
                           'it again, or repair it with ros2 bag reindex.') from error

    def definition(self, name: str) -> tuple[str, str]:
        """Return the text that defines a topic's type and the type's hash, '' for unknown ones."""
        found = next(c for c in self._reader.connections if c.topic == name)
        return found.msgdef.data, found.digest

    def messages(self, topic: Topic) -> Iterator[tuple[int, Any]]:
        """Yield (time of recording in ns, message) of a topic, in order."""
        for time, data in self.raw(topic):
            try:
                yield time, deserialise(data, topic.msgtype)
            except ValueError as error:
                raise BagError(f'{self.path}, topic {topic.name}: {error}') from error


def find_image_topic(topics: Iterable[Topic], wanted: str = '') -> Topic:
    """
    Return the camera's topic: the one named, or the only one that is no ground truth.

    wanted: '' or a name; of a camera that was recorded compressed the plain name does too. Of
    one camera recorded both ways the raw images are taken. Raises BagError naming what is there.
    """
    topics = {topic.name: topic for topic in topics}
    cameras = [t for t in topics.values() if t.msgtype in _IMAGES and t.count
               and not t.name.startswith(_OTHERS) and 'depth' not in t.name.lower()]
    choice = ', '.join(t.name for t in cameras) or 'none'
    if wanted:
        found = topics.get(wanted)
        if found is None or not found.count:
            found = topics.get(wanted + _COMPRESSED)
        if found is None or not found.count:
            raise BagError(f'The bag has no images on {wanted}; image topics in it: {choice}.')
        if found.msgtype not in _IMAGES:
            raise BagError(f'Topic {found.name} has type {found.msgtype}, expected Image or '
                           f'CompressedImage of sensor_msgs; image topics in the bag: {choice}.')
        return found
    if not cameras:
        raise BagError('The bag has no image topic, expected sensor_msgs Image or '
                       f'CompressedImage; topics in it: {", ".join(topics) or "none"}.')
    if len({camera.base for camera in cameras}) > 1:
        raise BagError(f'The bag has several image topics, name one of them: {choice}.')
    return min(cameras, key=lambda t: t.msgtype != IMAGE)


def find_camera_info(topics: Iterable[Topic], image: Topic) -> Topic | None:
    """Return the camera_info topic in the image's namespace, None where there is none."""
    name = f'{image.base.rpartition("/")[0]}/camera_info'
    return next((t for t in topics
                 if t.name == name and t.msgtype == CAMERA_INFO and t.count), None)


def find_ground_truth(topics: Iterable[Topic]) -> Topic | None:
    """
    Return the topic of the true masks, None where there is none.

    It is /ground_truth/mask (Image, mono8) or /ground_truth/mask/compressed (CompressedImage,
    PNG). Raises BagError where it has another type.
    """
    names = {GROUND_TRUTH: IMAGE, GROUND_TRUTH + _COMPRESSED: COMPRESSED_IMAGE}
    for topic in topics:
        if topic.name in names and topic.count:
            if topic.msgtype != names[topic.name]:
                raise BagError(f'Topic {topic.name} has type {topic.msgtype}, expected '
                               f'{names[topic.name]}: record the ground truth as that.')
            return topic
    return None


def _open(path: Path) -> Any:
    try:
        typestore()
        from rosbags.rosbag2 import Reader
    except ImportError as error:
        raise BagError(str(error)) from error
    if not path.exists():
        raise BagError(f'There is no bag at {path}: give a rosbag2 folder, .mcap or .db3 file.')
    if path.suffix == '.bag' and path.is_file():
        raise BagError(f'{path} is a bag of ROS 1: convert it with rosbags-convert.')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        inside = sorted(p.name for p in path.iterdir() if p.suffix in ('.mcap', '.db3'))
        hint = (f'give {path / inside[0]}, or run ros2 bag reindex' if inside
                else 'give the folder that ros2 bag record made')
        raise BagError(f'{path} is not a rosbag2, it has no metadata.yaml: {hint}.')
    if path.is_file() and path.suffix not in ('.mcap', '.db3'):
        raise BagError(f'{path} is not a rosbag2: give its folder, a .mcap or a .db3 file.')
    limit_chunks()
    try:
        # Not AnyReader: it refuses a whole bag where one foreign type's definition is odd.
        reader = Reader(path)
        reader.open()
    except Exception as error:  # a damaged file makes rosbags raise nearly anything
        cure = ('write it again with zstd or without compression, with ros2 bag convert'
                if 'ompression' in str(error)
                else 'copy it again, or repair it with ros2 bag reindex')
        raise BagError(f'{path} cannot be read as a rosbag2 ({_words(error)}): {cure}.') from error
    return reader


def _words(error: Exception) -> str:
    """Return an error of a library as part of a sentence, on one line."""
    text = ' '.join(str(error).split()).rstrip('.')
    return (text[:200] or type(error).__name__)
