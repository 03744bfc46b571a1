# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics about cones: what is computed for whom, and why positions are withheld."""
from __future__ import annotations

from time import perf_counter
from typing import Any

from eunet_ros.cones import messages as cone_messages
from eunet_ros.cones.drawing import draw_cones
from eunet_ros.cones.ground import Pose, pose_of_transform
from eunet_ros.cones.locator import cone_sizes, ConeLocator, large_ids, Seen, Withheld
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.node.pipeline import Products
from eunet_ros.parameters import NodeParameters
from eunet_ros.ros.message_classes import message_class
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from visualization_msgs.msg import MarkerArray

POSITIONS = ('cones', 'cone_markers')   # topics that need the camera's calibration and mounting
LABELS = 'label_info'                   # sent once, to whoever comes


def cone_outputs() -> dict[str, Any]:
    """Return the topics, without ~/, and their types; two of them only with vision_msgs."""
    outputs = {'cones': PointCloud2, 'cone_markers': MarkerArray}
    try:
        outputs['detections'] = message_class('vision_msgs/msg/Detection2DArray')
        outputs[LABELS] = message_class('vision_msgs/msg/LabelInfo')
    except (ImportError, AttributeError):  # an old one has no LabelInfo
        pass
    return outputs


def output_qos(name: str, qos: QoSProfile) -> QoSProfile:
    """Return the QoS of an output: labels wait for who comes late."""
    return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL) if (
        name == LABELS) else qos


class TransformSource:
    """
    Poses of cameras from tf2; `buffer`: for tests.

    Raises Withheld where tf2_ros is not installed.
    """

    def __init__(self, node: Any, buffer: Any = None) -> None:
        self._buffer = buffer
        if buffer is None:
            try:
                from tf2_ros import Buffer, TransformListener
            except ImportError as error:
                raise Withheld(f'mounting is tf, but tf2_ros is not installed ({error}); install '
                               'it, or set mounting to parameters') from error
            self._buffer = Buffer()
            self._listener = TransformListener(self._buffer, node)

    def close(self) -> None:
        """Unsubscribe from /tf."""
        unregister = getattr(getattr(self, '_listener', None), 'unregister', None)
        if unregister:
            unregister()

    def pose(self, frame: str, base_frame: str) -> Pose:
        """Return the newest pose of a camera's optical frame in base_frame; raises Withheld."""
        try:
            transform = self._buffer.lookup_transform(base_frame, frame, Time()).transform
        except Exception as error:  # tf2 raises several of its own
            raise Withheld(f'there is no transform from {frame!r} to {base_frame!r} '
                           f'({" ".join(str(error).split())}); publish the one of the camera'
                           ) from error
        t, q = transform.translation, transform.rotation
        try:
            return pose_of_transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        except ValueError as error:
            raise Withheld(f'{error} from {frame!r} to {base_frame!r}') from error


class ConePublisher:
    """Finds, places and publishes cones for those who listen; used from the worker's thread."""

    def __init__(self, node: Any, classes: ClassTable, p: NodeParameters) -> None:
        self._classes = classes
        self._large = large_ids(classes.names)
        self._locator = ConeLocator(self._large)
        self._transforms: TransformSource | None = None
        self._no_tf = ''
        if p.mounting == 'tf':
            try:
                self._transforms = TransformSource(node)
            except Withheld as error:
                self._no_tf = str(error)
        self._shown: set[int] = set()
        self._seen: Seen | None = None

    def close(self) -> None:
        """Free what it holds."""
        if self._transforms:
            self._transforms.close()

    @property
    def reason(self) -> str:
        """Return why those who listen get no positions, '' where they do or none listens."""
        seen = self._seen
        return seen.reason if seen else ''

    def rows(self) -> dict[str, str]:
        """Return rows of the diagnostics message, none while nobody listens."""
        seen = self._seen
        if seen is None:
            return {}
        return {'cones': str(len(seen.cones)),
                'cones with a position': str(len(seen.located.cones) if seen.located else 0),
                'positions withheld': seen.reason}

    def labels(self, outputs: dict[str, Any], stamp: Any) -> None:
        """Publish the names of the classes."""
        if LABELS in outputs:
            header = cone_messages.header_of(message_class, stamp, '')
            outputs[LABELS].publish(
                cone_messages.label_info(message_class, header, self._classes.names))

    def publish(self, outputs: dict[str, Any], watched: set[str], header: Any, products: Products,
                info: Any, p: NodeParameters) -> None:
        """
        Publish the cones of an image, and draw them into the overlay.

        header: of the image; info: its CameraInfo, None where none has come.
        """
        topics = watched & {*POSITIONS, 'detections'}
        if not topics and products.overlay is None:
            self._seen = None
            return
        began = perf_counter()
        if not topics and self._why_not(header, products, info, p):
            self._seen = None  # boxes on an overlay need positions, and nobody asked for more
            return
        stamp = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
        confidence = products.cone_confidence() if topics and products.cone_confidence else None
        seen = self._locator.find(products.mask, confidence, stamp, p)
        if topics != {'detections'} or products.overlay is not None:
            try:
                seen = self._locator.place(seen, products.mask.shape, info,
                                           self._pose(header.frame_id, p), p)
            except Withheld as error:
                seen = Seen(seen.cones, seen.tracks, reason=str(error))
        self._seen = seen
        if 'detections' in topics:
            outputs['detections'].publish(cone_messages.detections(
                message_class, header, seen.cones, seen.tracks))
        if seen.located is not None:
            self._publish_positions(outputs, topics, header.stamp, seen, p)
            if products.overlay is not None:
                draw_cones(products.overlay, seen.located, self._classes.table_bgr)
        products.stage_ms['cones'] = (perf_counter() - began) * 1e3

    def _publish_positions(self, outputs: dict[str, Any], topics: set[str], stamp: Any,
                           seen: Seen, p: NodeParameters) -> None:
        header = cone_messages.header_of(message_class, stamp, p.base_frame)
        if 'cones' in topics:
            outputs['cones'].publish(cone_messages.point_cloud(
                message_class, header, cone_messages.points(seen.located, seen.located_tracks)))
        if 'cone_markers' in topics:
            array, self._shown = cone_messages.markers(
                message_class, header, seen.located, seen.located_tracks, self._classes.colors,
                cone_sizes(p, self._large), p.marker_lifetime, self._shown)
            outputs['cone_markers'].publish(array)

    def _pose(self, frame: str, p: NodeParameters) -> Pose | None:
        if p.mounting != 'tf':
            return None
        if self._transforms is None:
            raise Withheld(self._no_tf)
        return self._transforms.pose(frame, p.base_frame)

    def _why_not(self, header: Any, products: Products, info: Any, p: NodeParameters) -> str:
        try:
            self._locator.ground(products.mask.shape, info, self._pose(header.frame_id, p), p)
        except Withheld as error:
            return str(error)
        return ''
