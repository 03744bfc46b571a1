# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded drives (rosbag2, sqlite3 or mcap) of any distribution; needs rosbags, not ROS."""
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eunet_ros.bags.messages import CAMERA_INFO, COMPRESSED_IMAGE, deserialise, IMAGE
from eunet_ros.bags.storage import BagError, Storage, words_of
from eunet_ros.images.image_encodings import no_picture

GROUND_TRUTH = '/ground_truth/mask'
_COMPRESSED = '/compressed'
# Topics of no camera: outputs of the node in any namespace, ground truth, depth maps.
_OUTPUTS = ('mask', 'overlay', 'color_mask', 'confidence')
_FOLDERS = ('ground_truth', 'eunet', 'eunet_b')
_MAPS = ('depth', 'confidence', 'disparity')
_IMAGES = (IMAGE, COMPRESSED_IMAGE)


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
    An open rosbag2, a folder or a single .mcap or .db3 file; raises BagError, of one sentence.

    Use it in a `with` block; one iteration at a time.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self._storage = Storage(self.path)
        self.close = self._storage.close
        self.warning = self._storage.warning   # how metadata.yaml differs from the files, or ''
        topics: dict[str, Topic] = {}
        for connection in self._storage.connections:
            # rosbags does not check what it reads.
            if not (isinstance(connection.topic, str) and isinstance(connection.msgtype, str)
                    and isinstance(connection.msgcount, int)):
                self.close()
                raise BagError(f'{self.path} describes a topic with {connection.topic!r} of type '
                               f'{connection.msgtype!r}, expected names: copy it again.')
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

    def raw(self, topic: Topic, start: int | None = None,
            stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (time of recording [ns], CDR bytes) from start to before stop [ns], in order."""
        for _, time, data in self.raw_of([topic.name], start, stop):
            yield time, data

    def raw_of(self, names: Collection[str], start: int | None = None,
               stop: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of recording in ns, CDR bytes) of several topics, in order."""
        try:
            yield from self._storage.messages(names, start, stop)
        except Exception as error:  # rosbags raises many types for a damaged file
            topic = f'topic {", ".join(names)}' if len(names) == 1 else 'some topic'
            raise BagError(f'{self.path} is damaged on {topic} ({words_of(error)}): '
                           f'{self._storage.cure(error)}.') from error

    def definition(self, name: str) -> tuple[str, str]:
        """Return the definition of a topic's type and its hash, '' if unknown."""
        found = next(c for c in self._storage.connections if c.topic == name)
        return found.msgdef.data, found.digest

    def encoding(self, topic: Topic) -> str:
        """Return the encoding in the first message of an image topic."""
        for _, message in self.messages(topic):
            return getattr(message, 'encoding', '') or message.format.partition(';')[0]
        return ''

    def messages(self, topic: Topic) -> Iterator[tuple[int, Any]]:
        """Yield (time of recording in ns, message) of a topic, in order."""
        for time, data in self.raw(topic):
            try:
                yield time, deserialise(data, topic.msgtype)
            except ValueError as error:
                raise BagError(f'{self.path}, topic {topic.name}: {error}') from error


def _may_be_camera(topic: Topic) -> bool:
    *folders, last = topic.base.split('/')
    return (topic.msgtype in _IMAGES and topic.count > 0 and last not in _OUTPUTS
            and not {*folders} & {*_FOLDERS} and not any(m in topic.name.lower() for m in _MAPS))


def find_image_topic(topics: Iterable[Topic], wanted: str = '',
                     encoding_of: Callable[[Topic], str] | None = None) -> Topic:
    """
    Return the camera's topic: the one named, or the only one that is not ground truth.

    wanted: '' or a name, with or without /compressed. Raw images are preferred. encoding_of: rules
    out topics of numbers, such as depths. Raises BagError naming the topics found.
    """
    topics = {topic.name: topic for topic in topics}
    cameras = [t for t in topics.values() if _may_be_camera(t)]
    if not wanted and encoding_of and len({camera.base for camera in cameras}) > 1:
        cameras = [c for c in cameras if not no_picture(encoding_of(c))]
    choice = ', '.join(t.name for t in cameras) or 'none'
    if wanted:
        return named_topic(topics, wanted, 'The bag has no images', choice)
    if not cameras:
        raise BagError('The bag has no image topic, expected sensor_msgs Image or '
                       f'CompressedImage; topics in it: {", ".join(topics) or "none"}.')
    if len({camera.base for camera in cameras}) > 1:
        raise BagError(f'The bag has several image topics, name one of them: {choice}.')
    return min(cameras, key=lambda t: t.msgtype != IMAGE)


def named_topic(topics: Mapping[str, Topic], wanted: str, missing: str, choice: str) -> Topic:
    """Return a topic of images by name, with or without /compressed; raises BagError."""
    found = next((topics[name] for name in (wanted, wanted + _COMPRESSED)
                  if name in topics and topics[name].count), None)
    if found is None:
        raise BagError(f'{missing} on {wanted}; image topics in it: {choice}.')
    if found.msgtype not in _IMAGES:
        raise BagError(f'Topic {found.name} has type {found.msgtype}, expected Image or '
                       f'CompressedImage of sensor_msgs; image topics in the bag: {choice}.')
    return found


def find_camera_info(topics: Iterable[Topic], image: Topic) -> Topic | None:
    """Return the camera_info topic in the image's namespace, None where there is none."""
    name = f'{image.base.rpartition("/")[0]}/camera_info'
    return next((t for t in topics
                 if t.name == name and t.msgtype == CAMERA_INFO and t.count), None)


def find_ground_truth(topics: Iterable[Topic]) -> Topic | None:
    """Return the topic of true masks, raw or as PNG; raises BagError for another type."""
    names = {GROUND_TRUTH: IMAGE, GROUND_TRUTH + _COMPRESSED: COMPRESSED_IMAGE}
    found = next((topic for topic in topics if topic.name in names and topic.count), None)
    if found and found.msgtype != names[found.name]:
        raise BagError(f'Topic {found.name} has type {found.msgtype}, expected '
                       f'{names[found.name]}: record the ground truth as that.')
    return found
