# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics about cones: what is computed for whom, and why positions are withheld."""
from __future__ import annotations

from typing import Any

from eunet_ros.cones import messages as cone_messages
from eunet_ros.cones.ground import Pose, pose_of_transform
from eunet_ros.cones.locator import ConeLocator, Seen, Withheld
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.node.pipeline import Products
from eunet_ros.parameters import NodeParameters
from eunet_ros.ros.message_classes import message_class
from rclpy.time import Time

CONE_TOPICS = frozenset({'cones', 'cone_markers', 'detections'})
LABELS = 'label_info'


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

    def label_info(self, stamp: Any) -> Any:
        """Return the message with the names of the classes."""
        header = cone_messages.header_of(message_class, stamp, '')
        return cone_messages.label_info(message_class, header, self._classes.names)

    def find(self, topics: set[str], header: Any, products: Products, info: Any,
             p: NodeParameters, for_overlay: bool) -> Seen | None:
        """
        Find the cones of an image and their positions; returns None where nobody needs them.

        topics: of CONE_TOPICS, that someone subscribes to. header: of the image; info: its
        CameraInfo, None where none has come. for_overlay: positions, where known, are drawn.
        """
        seen = None
        try:
            if topics or (for_overlay and self._is_placed(header, products, info, p)):
                stamp = header.stamp.sec * 1_000_000_000 + header.stamp.nanosec
                seen = self._locator.find(
                    products.mask, products.cone_confidence if topics else None, stamp, p)
                if for_overlay or topics != {'detections'}:
                    seen = self._place(seen, header, products, info, p)
        finally:
            self._seen = seen
        return seen

    def horizon(self, size: tuple[int, int], header: Any, info: Any,
                p: NodeParameters) -> float | None:
        """Return the row of the horizon, see `ConeLocator`; header: of the (h, w) image."""
        return self._locator.horizon(size, info, lambda: self._pose(header.frame_id, p), p)

    def message(self, topic: str, header: Any, seen: Seen, p: NodeParameters) -> Any:
        """Return the message of one of CONE_TOPICS, None where positions are missing for it."""
        if topic == 'detections':
            return cone_messages.detections(message_class, header, seen.cones, seen.tracks)
        if seen.located is None:
            return None
        header = cone_messages.header_of(message_class, header.stamp, p.base_frame)
        if topic == 'cones':
            return cone_messages.point_cloud(
                message_class, header, cone_messages.points(seen.located, seen.located_tracks))
        array, self._shown = cone_messages.markers(
            message_class, header, seen.located, seen.located_tracks, self._classes,
            p.marker_lifetime, self._shown)
        return array

    def _place(self, seen: Seen, header: Any, products: Products, info: Any,
               p: NodeParameters) -> Seen:
        try:
            return self._locator.place(seen, products.mask.shape, info,
                                       self._pose(header.frame_id, p), p)
        except Withheld as error:
            return Seen(seen.cones, seen.tracks, reason=str(error))

    def _pose(self, frame: str, p: NodeParameters) -> Pose | None:
        if p.mounting != 'tf':
            return None
        if self._transforms is None:
            raise Withheld(self._no_tf)
        return self._transforms.pose(frame, p.base_frame)

    def _is_placed(self, header: Any, products: Products, info: Any, p: NodeParameters) -> bool:
        try:
            self._locator.ground(products.mask.shape, info, self._pose(header.frame_id, p), p)
        except Withheld:
            return False
        return True
