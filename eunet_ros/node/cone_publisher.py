# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics about cones, computed only if someone subscribes."""
from __future__ import annotations

import math
from typing import Any

from eunet_ros.cones import messages as cone_messages
from eunet_ros.cones.attitude import AngularRates
from eunet_ros.cones.ground import Pose, pose_of_transform
from eunet_ros.cones.locator import ConeLocator, Seen, Withheld
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.errors import one_line
from eunet_ros.node.pipeline import Products
from eunet_ros.parameters import ConeParameters
from eunet_ros.ros.message_classes import message_class
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time

TF = '/tf'
_GROUND_TOPICS = frozenset({'cones', 'cone_markers', 'attitude', TF})
CONE_TOPICS = _GROUND_TOPICS | {'annotations', 'detections'}
LABELS = 'label_info'


def _nanoseconds(stamp: Any) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


class TransformSource:
    """Poses of cameras from tf2; raises Withheld where tf2_ros is missing. buffer: for tests."""

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
        unregister = getattr(getattr(self, '_listener', None), 'unregister', None)
        if unregister:
            unregister()

    def pose(self, frame: str, base_frame: str) -> Pose:
        """Return the newest pose of a camera's optical frame in base_frame; raises Withheld."""
        try:
            transform = self._buffer.lookup_transform(base_frame, frame, Time()).transform
        except Exception as error:  # tf2 raises several of its own
            raise Withheld(f'there is no transform from {frame!r} to {base_frame!r} '
                           f'({one_line(error)}); publish the one of the camera') from error
        t, q = transform.translation, transform.rotation
        try:
            return pose_of_transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
        except ValueError as error:
            raise Withheld(f'{error} from {frame!r} to {base_frame!r}') from error


class ConePublisher:
    """Finds, localizes and publishes cones for subscribers; used from the worker's thread."""

    def __init__(self, node: Any, classes: ClassTable, p: ConeParameters) -> None:
        self._classes = classes
        self._locator = ConeLocator(classes)
        self._transforms: TransformSource | None = None
        self._no_tf = ''
        if p.mounting == 'tf':
            try:
                self._transforms = TransformSource(node)
            except Withheld as error:
                self._no_tf = str(error)
        self._shown: set[int] = set()
        self._seen: Seen | None = None
        self._node, self._rates, self._imu = node, None, None
        if p.attitude == 'imu':
            self._rates = AngularRates()
            self._imu = node.create_subscription(
                message_class('sensor_msgs/msg/Imu'), p.imu_topic, self._on_imu,
                QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT))

    def _on_imu(self, msg: Any) -> None:
        self._rates.add(_nanoseconds(msg.header.stamp), msg.angular_velocity.y,
                        msg.angular_velocity.x)

    def close(self) -> None:
        if self._imu:
            self._node.destroy_subscription(self._imu)
        if self._transforms:
            self._transforms.close()

    @property
    def reason(self) -> str:
        """Return why subscribers get no positions, '' if they do or nobody subscribes."""
        return self._seen.reason if self._seen else ''

    def rows(self) -> dict[str, str]:
        """Return rows of the diagnostics message, none without subscribers."""
        seen = self._seen
        if seen is None:
            return {}
        rows = {'cones': str(len(seen.cones)),
                'cones with a position': str(len(seen.located.cones) if seen.located else 0),
                'positions withheld': seen.reason}
        if seen.attitude:
            a = seen.attitude
            for k, name in enumerate(('pitch', 'roll')):
                rows[f'{name} of the car [deg]'] = (
                    f'{math.degrees(getattr(a, name)):+.2f} ± '
                    f'{math.degrees(math.sqrt(a.covariance[k, k])):.2f}')
            rows['covariance of pitch and roll [rad²]'] = f'{a.covariance[0, 1]:.1e}'
            rows['mean pitch of 3 s [deg]'] = f'{math.degrees(a.mean_pitch):+.2f}'
            rows['cones that tell the attitude'] = str(a.cones)
        return rows

    def moved(self, p: ConeParameters) -> str:
        """Return a sentence if the camera's mounting has moved, else ''."""
        attitude = self._seen.attitude if self._seen else None
        if attitude is None or not abs(attitude.mean_pitch) > p.attitude_warn:
            return ''
        return (f'the camera pitches by {math.degrees(attitude.mean_pitch):+.1f}° against its '
                f'mounting, the mean of 3 s, limit {math.degrees(p.attitude_warn):.1f}°: fasten '
                'it and calibrate the mounting again, or set attitude_warn')

    def label_info(self, stamp: Any) -> Any:
        header = cone_messages.header_of(message_class, stamp, '')
        return cone_messages.label_info(message_class, header, self._classes.names)

    def find(self, topics: set[str], header: Any, products: Products, info: Any,
             p: ConeParameters, for_overlay: bool) -> Seen | None:
        """Return the cones of an image, with positions if needed; None if nobody needs them."""
        seen = None
        try:
            size = products.mask.shape
            given, stamp = (size, info, lambda: self._pose(header, p), p), header.stamp
            positions = topics & _GROUND_TOPICS or (
                (for_overlay or 'annotations' in topics) and self._locator.known_ground(*given))
            if topics or positions:
                seen = self._locator.find(
                    products.mask, products.cone_confidence if topics else None,
                    _nanoseconds(stamp), p)
                if positions:
                    seen = self._locator.place(seen, *given, _nanoseconds(stamp), self._rates)
        finally:
            self._seen = seen
        return seen

    def horizon(self, size: tuple[int, int], header: Any, info: Any,
                p: ConeParameters) -> float | None:
        """Return the row of the horizon, see `ConeLocator`; header, size (h, w): of the image."""
        return self._locator.horizon(size, info, lambda: self._pose(header, p), p)

    def message(self, topic: str, header: Any, seen: Seen, p: ConeParameters) -> Any:
        """Return the message of one of CONE_TOPICS, None if it lacks positions."""
        if topic == 'detections':
            return cone_messages.detections(message_class, header, seen.cones, seen.tracks)
        if topic == 'annotations':
            return cone_messages.annotations(
                message_class, header, seen.cones, seen.distances, self._classes)
        if seen.located is None:
            return None
        body = cone_messages.header_of(message_class, header.stamp, p.base_frame)
        if topic in ('attitude', TF):
            if seen.attitude is None:
                return None
            if topic == 'attitude':
                return cone_messages.attitude(message_class, body, seen.attitude)
            return cone_messages.level_transform(message_class, body, p.attitude_frame,
                                                 seen.attitude, seen.ground)
        header = body if seen.attitude is None or not p.attitude_frame else (
            cone_messages.header_of(message_class, header.stamp, p.attitude_frame))
        if topic == 'cones':
            return cone_messages.point_cloud(
                message_class, header, cone_messages.points(seen.located, seen.located_tracks))
        array, self._shown = cone_messages.markers(
            message_class, header, seen.located, seen.located_tracks, self._classes,
            p.marker_lifetime, self._shown)
        return array

    def _pose(self, header: Any, p: ConeParameters) -> Pose | None:
        if p.mounting != 'tf':
            return None
        if self._transforms is None:
            raise Withheld(self._no_tf)
        return self._transforms.pose(header.frame_id, p.base_frame)
