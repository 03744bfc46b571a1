# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the topic of a camera's images by name and by published type."""
from __future__ import annotations

import re
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

RAW, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_SUFFIX = '/compressed'
_MOST_NAMED = 3


class ImageTopic(NamedTuple):
    """A topic and the type of its messages, RAW or COMPRESSED."""

    name: str
    kind: str


def named_compressed(topic: str) -> bool:
    """Return whether the name of a topic stands for compressed images (/image_compressed)."""
    return re.search(r'(?<![a-z])compressed', topic.rpartition('/')[2]) is not None


def compressed_topic(topic: str) -> str:
    """Return the topic of compressed images: as given, or that of image_transport."""
    return topic if named_compressed(topic) else topic + _SUFFIX


def published(node: Node, topic: ImageTopic) -> bool:
    """Return whether someone publishes this type on this topic."""
    return any(e.topic_type == topic.kind for e in node.get_publishers_info_by_topic(topic.name))


class CameraTopic:
    """
    The topic that a node subscribes to for images.

    Its names are `image`, and `image/compressed` with image_transport, each of which may be
    remapped. Any name may carry compressed images: the published type decides, before that the
    name.
    """

    def __init__(self, node: Node, image_transport: str) -> None:
        self._node = node
        base = self._base = node.resolve_topic_name('image')
        own = node.resolve_topic_name('image/compressed')
        if own == node.resolve_topic_name('image/compressed', only_expand=True):
            own = compressed_topic(base)   # not remapped itself
        own = own.removesuffix(_SUFFIX) if own.endswith(_SUFFIX * 2) else own
        as_it_is, raw = ImageTopic(base, COMPRESSED), image_transport == 'raw'
        self._choices = [ImageTopic(base, RAW) if raw else ImageTopic(own, COMPRESSED), as_it_is]
        self.topic = as_it_is if named_compressed(base) else self._choices[0]

    def look(self) -> bool:
        """Choose by the topics published now; returns whether the choice has changed."""
        if published(self._node, self.topic):
            return False
        found = next((c for c in self._choices if published(self._node, c)), self.topic)
        changed, self.topic = found != self.topic, found
        return changed

    def trouble(self, qos: QoSProfile) -> str:
        """Return a sentence about why no image can arrive, '' if a camera is connected."""
        name, kind = self.topic
        offered = self._node.get_publishers_info_by_topic(name)
        fitting = [e for e in offered if e.topic_type == kind]
        if fitting:
            asked = qos.reliability == ReliabilityPolicy.RELIABLE
            if asked and all(e.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
                             for e in fitting):
                return f'{name} is published best effort: set image_reliability:=best_effort'
            return ''
        if offered:
            return f'{name} has {offered[0].topic_type}, expected {kind}: choose another topic'
        below = compressed_topic(self._base)
        other = ImageTopic(below, COMPRESSED) if kind == RAW else ImageTopic(self._base, RAW)
        if published(self._node, other):
            return (f'no camera publishes {name}, but one publishes {other.name}: set '
                    f'image_transport:={"compressed" if kind == RAW else "raw"}')
        others = self._others()
        return f'no camera publishes {name}' + (
            f'; images are on {", ".join(others)}: set image_topic' if others else
            ': start it, or set image_topic')

    def _others(self) -> list[str]:
        """Return the names of other topics with images, none of the node's own."""
        own = f'{self._node.get_fully_qualified_name()}/'
        return [name for name, kinds in sorted(self._node.get_topic_names_and_types())
                if {RAW, COMPRESSED} & set(kinds) and not name.startswith(own)
                and self._node.count_publishers(name)][:_MOST_NAMED]


def advice_to_subscribers(node: Node, topic: ImageTopic) -> str:
    """Return a clause where someone subscribes beside a published topic, '' for nothing."""
    def wanted(name: str, kind: str) -> Any:
        return any(e.topic_type == kind for e in node.get_subscriptions_info_by_topic(name))
    base = topic.name.removesuffix(_SUFFIX)
    if topic.kind == COMPRESSED and wanted(base, RAW):
        return f'a node subscribes to {base}: start it with image_transport:=compressed'
    if topic.kind == RAW and wanted(compressed_topic(base), COMPRESSED):
        return (f'a node subscribes to {compressed_topic(base)}: start it with '
                'image_transport:=raw')
    return ''
