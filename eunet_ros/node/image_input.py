# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions to a camera, and why no image comes."""
from __future__ import annotations

from collections.abc import Callable
import os
from typing import Any

from eunet_ros.node.outputs import image_qos
from eunet_ros.parameters import NodeParameters
from eunet_ros.ros import raw_images
from eunet_ros.ros.camera_topic import CameraTopic, COMPRESSED
from eunet_ros.ros.dds_profile import advice, MAX_IMAGE_BYTES, uses_fast_dds
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

_LOOK_S = 0.5                   # period of the search for cameras
_USUAL_BYTES = 1280 * 720 * 3   # of a raw image of unknown size
_CARRIED_BYTES = 500_000        # by Fast DDS with its default settings


class ImageInput:
    """Subscribes to images, as bytes for `read`, and camera_info; in the executor's thread."""

    def __init__(self, node: Node, p: NodeParameters, on_image: Callable[[bytes], None],
                 on_info: Callable[[CameraInfo], None]) -> None:
        self._node, self._on_image, self._on_info = node, on_image, on_info
        self._qos = image_qos(p.image_reliability, p.image_depth)
        self._camera = CameraTopic(node, p.image_transport)
        self._info: CameraInfo | None = None
        self._bytes = 0          # of the newest image
        self._arrived = False    # whether an image has arrived since the last look
        self.trouble = ''        # a clause about why no image can arrive
        self.read: Callable[[bytes], Any] = raw_images.read_image
        self._camera.look()
        self._images: Any = None
        self._infos = node.create_subscription(
            CameraInfo, 'camera_info', self._take_info, image_qos('best_effort', 1))
        self._subscribe()
        self._timer = node.create_timer(
            _LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def topic(self) -> str:
        return self._camera.topic.name

    @property
    def transport(self) -> str:
        """Return whether images come raw or compressed."""
        return 'compressed' if self._camera.topic.kind == COMPRESSED else 'raw'

    def close(self) -> None:
        self._node.destroy_timer(self._timer)
        for subscription in (self._images, self._infos):
            self._node.destroy_subscription(subscription)

    def loss(self) -> str:
        """Return a clause about images that DDS loses in transport, '' for none."""
        size, info = self._bytes, self._info
        if not size and self.transport == 'raw':
            size = info.width * info.height * 3 if info and info.width else _USUAL_BYTES
        images = f'{self.transport} {size / 1e6:.1f} MB images'
        if not uses_fast_dds(os.environ) or size <= _CARRIED_BYTES:
            return ''
        if size > MAX_IMAGE_BYTES:
            return (f'{images} are lost: the DDS profile carries {MAX_IMAGE_BYTES / 1e6:.0f} MB; '
                    'set image_reliability:=reliable or image_transport:=compressed')
        return advice(images)

    def _subscribe(self) -> None:
        compressed = self.transport == 'compressed'
        self.read = raw_images.read_compressed if compressed else raw_images.read_image
        # raw: bytes, to avoid three copies of an image.
        self._images = self._node.create_subscription(
            CompressedImage if compressed else Image, self.topic, self._take_image, self._qos,
            raw=True)
        log = self._node.get_logger()
        log.info(f'Segmenting {self.topic} ({self.transport}).')
        log.debug(f'Subscribed to {self.topic}, {self._qos.reliability.name}, depth '
                  f'{self._qos.depth}, and to {self._infos.topic_name}.')

    def _take_image(self, raw: bytes) -> None:
        self._arrived, self._bytes, self.trouble = True, len(raw), ''
        self._on_image(raw)

    def _take_info(self, msg: CameraInfo) -> None:
        self._info = msg
        self._on_info(msg)

    def _look(self) -> None:
        """If no image arrives, look for a camera on another topic, or for the reason."""
        if self._arrived:
            self._arrived = False
            return
        if self._camera.look():
            self._node.destroy_subscription(self._images)
            self._subscribe()
        trouble = self._camera.trouble(self._qos)
        if trouble != self.trouble:
            self.trouble = trouble
            self._node.get_logger().debug(trouble or f'A camera publishes {self.topic}.')
