# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Write a rosbag2 (mcap) of serialised messages; needs rosbags, not ROS."""
from __future__ import annotations

import heapq
from pathlib import Path
from typing import Any

from eunet_ros.bags.messages import typestore

# The newest format that Humble to Kilted read: Humble cannot parse the QoS of version 9.
_VERSION = 8
_NO_HASH = f'RIHS01_{"0" * 64}'  # bags from before Iron have none
_FOREVER = 9_223_372_036, 854_775_807  # rmw's infinite duration


class BagWriter:
    """Writes messages sorted by time to a new rosbag2, in a `with` block. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
        self._writer = Writer(folder, version=_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        # Without custom data rosbags writes null where rosbag2 expects a map.
        self._writer.set_custom_data('made_by', 'eunet_ros')
        self.topics: dict[str, Any] = {}   # connections of rosbags by name
        self._waiting: list[tuple[int, int, str, bytes]] = []
        self._count = 0

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, exc_type: type | None, *rest: Any) -> None:
        if exc_type is None:
            self.flush()
        self._writer.__exit__(exc_type, *rest)

    def add_topic(self, name: str, msgtype: str, definition: tuple[str, str] = ('', '')) -> None:
        """Add a topic; definition: text and hash of its type. Raises KeyError if it is unknown."""
        text, digest = definition
        if msgtype in typestore().types:
            known = {'typestore': typestore()}
        elif text:
            known = {'msgdef': text, 'rihs01': digest or _NO_HASH}
        else:
            raise KeyError(msgtype)
        self.topics[name] = self._writer.add_connection(
            name, msgtype, **known, offered_qos_profiles=[_reliable_qos()])

    def write(self, name: str, time: int, raw: bytes) -> None:
        """Queue a serialised message of an added topic; time: of its arrival [ns]."""
        heapq.heappush(self._waiting, (time, self._count, name, raw))
        self._count += 1

    def flush(self, before: int | None = None) -> None:
        """Write the queue, or only messages older than `before` [ns] if no older ones follow."""
        while self._waiting and (before is None or self._waiting[0][0] < before):
            time, _, name, raw = heapq.heappop(self._waiting)
            self._writer.write(self.topics[name], time, raw)


def _reliable_qos() -> Any:
    from rosbags import interfaces
    forever = interfaces.QosTime(*_FOREVER)
    return interfaces.Qos(
        interfaces.QosHistory.KEEP_LAST, 10, interfaces.QosReliability.RELIABLE,
        interfaces.QosDurability.VOLATILE, forever, forever, interfaces.QosLiveliness.AUTOMATIC,
        forever, False)
