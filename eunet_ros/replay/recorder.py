# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Record the node's masks to FOLDER/masks.bin, and log events as JSON: ready, mask, diagnostics.

    python -m eunet_ros.replay.recorder FOLDER --log -
"""
from __future__ import annotations

import argparse
from functools import partial
import json
from pathlib import Path
import sys
import time
from typing import Any, TextIO

from diagnostic_msgs.msg import DiagnosticArray
from eunet_ros.bags.mask_store import MASKS_FILE, MaskWriter
from eunet_ros.bags.messages import deserialise, IMAGE
from eunet_ros.bags.writer import BagWriter
from eunet_ros.images.conversions import ConversionError, image_to_mask
from eunet_ros.model.common.files import user_path
from eunet_ros.ros import process
from eunet_ros.ros.message_classes import message_class
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image

_SPIN_S = 0.1
_DEPTH = 100  # masks that may wait while the disk is slow
_LOOK_S = 0.3  # between two looks for new topics
_PICTURES = ('overlay', 'overlay/compressed', 'color_mask', 'confidence', 'transition_event')
PUBLISHED = 'published'


class Published:
    """Records a node's other topics, but not its pictures, into FOLDER/published."""

    def __init__(self, node: Node, folder: Path, space: str, mask_topic: str) -> None:
        self._node, self._space = node, f'{space.rstrip("/")}/'
        self._done = {mask_topic, *(self._space + name for name in _PICTURES)}
        self._writer = BagWriter(folder / PUBLISHED)
        self._writer.__enter__()
        self._looked = 0.0

    def look(self) -> None:
        """Subscribe to new topics; to be called repeatedly."""
        if time.monotonic() - self._looked < _LOOK_S:
            return
        self._looked = time.monotonic()
        for name, kinds in self._node.get_topic_names_and_types():
            if name in self._done or not name.startswith(self._space):
                continue
            self._done.add(name)
            try:
                message = message_class(kinds[0])
                self._writer.add_topic(name, kinds[0])
            except (ImportError, AttributeError, KeyError):
                self._node.get_logger().warning(f'{name} is not recorded: {kinds[0]} is unknown.')
                continue
            qos = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
            self._node.create_subscription(
                message, name, partial(self._on_message, name), qos, raw=True)

    def _on_message(self, name: str, raw: bytes) -> None:
        now = time.time_ns()
        self._writer.write(name, now, bytes(raw))
        self._writer.flush(before=now)

    def close(self) -> None:
        """Finish the bag; if nothing was recorded, no bag is left."""
        self._writer.__exit__(None, None, None)


class Recorder(Node):
    """Stores masks as they arrive and reports events to `log`."""

    def __init__(self, masks: MaskWriter, mask_topic: str, diagnostics_topic: str,
                 log: TextIO | None) -> None:
        super().__init__('eunet_recorder')
        self.count, self.last = 0, time.monotonic()
        self._masks, self._log = masks, log
        qos = QoSProfile(depth=_DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        # raw: as bytes, to avoid a copy into a message.
        self.create_subscription(Image, mask_topic, self._on_mask, qos, raw=True)
        self.create_subscription(DiagnosticArray, diagnostics_topic, self._on_diagnostics, 10)
        self.event('ready')

    def event(self, kind: str, /, **values: Any) -> None:
        if self._log:
            print(json.dumps({'event': kind, **values}), file=self._log, flush=True)

    def _on_mask(self, raw: bytes) -> None:
        arrival = time.time_ns()
        try:
            msg = deserialise(raw, IMAGE)
            mask = image_to_mask(msg)
        except (ConversionError, ValueError) as error:
            self.get_logger().error(f'Mask left out: {error}', throttle_duration_sec=5.0)
            return
        stamp = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
        self._masks.append(stamp, arrival, mask)
        self.count, self.last = self.count + 1, time.monotonic()
        self.event('mask', stamp=stamp, arrival=arrival)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            self.event('diagnostics', name=status.name, level=status.level[0],
                       message=status.message, values={v.key: v.value for v in status.values})


def _arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser('eunet_ros.replay.recorder', description='Record masks.')
    parser.add_argument('folder', type=user_path,
                        help='where masks.bin is written; made if missing')
    parser.add_argument('--mask-topic', default='/eunet/mask')
    parser.add_argument('--diagnostics-topic', default='/diagnostics')
    parser.add_argument('--all-of', metavar='NODE', default='',
                        help='also record the other topics of this node, such as /eunet, into '
                             'the bag FOLDER/published')
    parser.add_argument('--count', type=int, default=0, help='stop after so many masks')
    parser.add_argument('--idle', type=float, default=0.0, metavar='S',
                        help='stop after so many seconds without a mask')
    parser.add_argument('--log', choices=('-',), help='- writes JSON lines of events to stdout')
    return parser.parse_args(args)


def main(args: list[str] | None = None) -> int:
    """Record until interrupted, --count or --idle; returns the exit code."""
    o = _arguments(args)
    masks = recorder = published = None
    try:
        o.folder.mkdir(parents=True, exist_ok=True)
        masks = MaskWriter(o.folder / MASKS_FILE)
        process.initialise(sys.argv[:1], signal_handler_options=SignalHandlerOptions.NO)
        recorder = Recorder(masks, o.mask_topic, o.diagnostics_topic,
                            sys.stdout if o.log else None)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        if o.all_of:
            published = Published(recorder, o.folder, o.all_of, o.mask_topic)
        process.only_note_signals()
        # The timeout is short, so that a signal is noticed soon.
        while not process.interrupted() and not (o.count and recorder.count >= o.count):
            if o.idle and time.monotonic() - recorder.last > o.idle:
                break
            executor.spin_once(timeout_sec=_SPIN_S)
            if published:
                published.look()
    except KeyboardInterrupt:
        pass
    except (ImportError, OSError, ValueError) as error:
        print(f'recorder: {error}', file=sys.stderr)
        return 1
    finally:
        process.only_note_signals()
        if masks:
            masks.close()
        if published:
            published.close()
        if recorder:
            recorder.destroy_node()
        process.shut_down()
    return 0


if __name__ == '__main__':
    process.run(main)
