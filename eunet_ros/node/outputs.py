# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's outputs: topics, QoS and publishing; a failed output affects no other."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from eunet_ros.cones.drawing import draw_cones, draw_horizon
from eunet_ros.images.conversions import fill_compressed, scale_camera_info
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.node.cone_publisher import CONE_TOPICS, ConePublisher, LABELS, TF
from eunet_ros.node.pipeline import Products
from eunet_ros.parameters import NodeParameters
from eunet_ros.ros.message_classes import message_class
from eunet_ros.ros.raw_images import image_bytes
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage

_DEADLINE = 2.5   # of ~/status, in periods


def qos_from_parameters(p: NodeParameters) -> QoSProfile:
    """Return the QoS that output_reliability and output_depth ask for."""
    return image_qos(p.output_reliability, p.output_depth)


def image_qos(reliability: str, depth: int) -> QoSProfile:
    """Return a QoS of the newest `depth` messages; reliability: best_effort or reliable."""
    return QoSProfile(depth=depth, reliability=getattr(ReliabilityPolicy, reliability.upper()))


def latched(p: NodeParameters | None = None) -> QoSProfile:
    """Return the QoS of a message that later subscribers receive as well."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def status_qos(p: NodeParameters) -> QoSProfile:
    """Return the QoS of ~/status: latched, with a deadline that reports a silent node."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL,
                      deadline=Duration(seconds=_DEADLINE * p.status_period))


@dataclass(frozen=True)
class Output:
    """A topic that the node publishes."""

    name: str          # below ~/, or absolute
    kind: str          # message type
    qos: Callable[[NodeParameters], QoSProfile]
    lazy: bool = True  # computed only while someone subscribes

    @property
    def topic(self) -> str:
        return self.name if self.name.startswith('/') else f'~/{self.name}'


OUTPUTS = {output.name: output for output in (
    Output('mask', 'sensor_msgs/msg/Image', qos_from_parameters),
    Output('overlay', 'sensor_msgs/msg/Image', qos_from_parameters),
    Output('overlay/compressed', 'sensor_msgs/msg/CompressedImage', qos_from_parameters),
    Output('color_mask', 'sensor_msgs/msg/Image', qos_from_parameters),
    Output('confidence', 'sensor_msgs/msg/Image', qos_from_parameters),
    Output('camera_info', 'sensor_msgs/msg/CameraInfo', qos_from_parameters),
    Output('cones', 'sensor_msgs/msg/PointCloud2', qos_from_parameters),
    Output('cone_markers', 'visualization_msgs/msg/MarkerArray', qos_from_parameters),
    Output('attitude', 'sensor_msgs/msg/Imu', qos_from_parameters),
    # As tf2_ros broadcasts.
    Output(TF, 'tf2_msgs/msg/TFMessage', lambda p: QoSProfile(depth=100)),
    Output('detections', 'vision_msgs/msg/Detection2DArray', qos_from_parameters),
    Output('annotations', 'foxglove_msgs/msg/ImageAnnotations', qos_from_parameters),
    Output(LABELS, 'vision_msgs/msg/LabelInfo', latched, lazy=False),
    Output('status', 'diagnostic_msgs/msg/DiagnosticStatus', status_qos, lazy=False),
    # As diagnostic_updater publishes.
    Output('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray',
           lambda p: QoSProfile(depth=10), lazy=False),
)}
_OPTIONAL = ('foxglove_msgs', 'tf2_msgs', 'vision_msgs')     # packages without which the node runs
_OVERLAYS = {'overlay', 'overlay/compressed'}


def create(node: Any, name: str, p: NodeParameters, managed: bool = True) -> Any:
    """Return a publisher of OUTPUTS; ImportError, AttributeError where its message is missing."""
    output = OUTPUTS[name]
    make = node.create_lifecycle_publisher if managed else node.create_publisher
    return make(message_class(output.kind), output.topic, output.qos(p))


class ImageOutputs:
    """Publishes what belongs to an image; on_failure: gets an output's name and exception."""

    def __init__(self, node: Any, classes: ClassTable, p: NodeParameters,
                 on_failure: Callable[[str, Exception], None]) -> None:
        self._node, self._classes, self._on_failure = node, classes, on_failure
        self.publishers: dict[str, Any] = {}
        for name, output in OUTPUTS.items():
            if (not output.lazy and name != LABELS) or (name == TF and not p.attitude_frame):
                continue
            try:
                self.publishers[name] = create(node, name, p)
            except (ImportError, AttributeError):
                if not output.kind.startswith(_OPTIONAL):
                    raise
        self.cones = ConePublisher(node, classes, p.cones)

    def close(self) -> None:
        for publisher in self.publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self.cones.close()

    def subscribed(self) -> set[str]:
        """Return the names of the lazy outputs that someone subscribes to."""
        return {name for name, publisher in self.publishers.items()
                if OUTPUTS[name].lazy and publisher.get_subscription_count()}

    def publish_labels(self) -> None:
        """Publish the names of the classes, where vision_msgs is installed."""
        if LABELS in self.publishers:
            stamp = self._node.get_clock().now().to_msg()
            self.publishers[LABELS].publish(self.cones.label_info(stamp))

    def publish_mask(self, header: Any, products: Products) -> None:
        self.publishers['mask'].publish(image_bytes(header, products.mask, 'mono8'))

    def publish_others(self, header: Any, products: Products, subscribed: set[str],
                       info: CameraInfo | None, p: NodeParameters) -> dict[str, float]:
        """Publish `subscribed` but the mask, with the newest camera_info; returns ms by stage."""
        out, stage_ms = self.publishers, {}
        overlay, topics, seen = bool(subscribed & _OVERLAYS), subscribed & CONE_TOPICS, None
        with self._alone('cones', stage_ms, 'cones'):
            seen = self.cones.find(topics, header, products, info, p.cones, overlay)
        for name in sorted(topics) if seen else ():
            with self._alone(name, stage_ms, 'cones'):
                message = self.cones.message(name, header, seen, p.cones)
                if message is not None:
                    out[name].publish(message)
        if seen is None:
            del stage_ms['cones']
        if 'camera_info' in subscribed and info:
            with self._alone('camera_info', stage_ms, 'draw'):
                scaled = scale_camera_info(info, CameraInfo(), *products.mask.shape)
                scaled.header = header
                out['camera_info'].publish(scaled)
        if overlay and seen and seen.located is not None:
            with self._alone('overlay', stage_ms, 'draw'):
                draw_cones(products.overlay, seen.located, self._classes.table_bgr)
                if seen.attitude:
                    draw_horizon(products.overlay, seen.ground)
        for name, encoding in (('overlay', 'bgr8'), ('color_mask', 'rgb8'),
                               ('confidence', 'mono8')):
            if name in subscribed:
                with self._alone(name, stage_ms, 'draw'):
                    out[name].publish(image_bytes(header, getattr(products, name), encoding))
        if 'overlay/compressed' in subscribed:
            with self._alone('overlay/compressed', stage_ms, 'draw'):
                out['overlay/compressed'].publish(fill_compressed(
                    CompressedImage(), products.overlay, p.jpeg_quality, header=header))
        return stage_ms

    @contextmanager
    def _alone(self, name: str, stage_ms: dict[str, float], stage: str) -> Iterator[None]:
        """Isolate a failure of one output, and add its time to a stage."""
        began = perf_counter()
        try:
            yield
        except Exception as error:
            self._on_failure(name, error)
        stage_ms[stage] = stage_ms.get(stage, 0.0) + (perf_counter() - began) * 1e3
