# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones as messages of the classes that `make` returns for a name: rclpy's or rosbags'."""
from __future__ import annotations

import array
from collections.abc import Callable, Collection, Sequence
import math
from typing import Any

from eunet_ros.cones.attitude import Attitude
from eunet_ros.cones.detection import Cones
from eunet_ros.cones.ground import Ground, levelled, Located
from eunet_ros.cones.tracking import Tracks
from eunet_ros.model.common.classes import ClassTable
import numpy as np

Make = Callable[[str], Any]
KNOCKED_OVER, CUT, BY_HEIGHT, KEPT = 1, 2, 4, 8  # bits of the field flags
_FIELDS = (('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('confidence', '<f4'), ('u', '<f4'),
           ('v', '<f4'), ('variance', '<f4'), ('variance_across', '<f4'), ('id', '<u4'),
           ('age', '<u2'), ('class_id', 'u1'), ('flags', 'u1'))
POINT = np.dtype(list(_FIELDS))
_KINDS = {'<f4': 7, '<u4': 6, '<u2': 4, 'u1': 2}  # sensor_msgs/PointField
_ARROW, _ADD, _DELETE = 0, 0, 2                  # visualization_msgs/Marker
_LINE_LOOP = 2                                   # foxglove_msgs/PointsAnnotation
_LINE_PX, _FONT_PX = 1.5, 12.0                   # of annotations, in pixels of the image
_NAMESPACE = 'cones'


def along_and_across(located: Located) -> tuple[np.ndarray, np.ndarray]:
    """Return the variances (n,) [m²] along the line of sight from base_link, and across it."""
    bearing = np.arctan2(located.xyz[:, 1], located.xyz[:, 0])
    c, s, p = np.cos(bearing), np.sin(bearing), located.covariance
    along = c * c * p[:, 0, 0] + 2 * c * s * p[:, 0, 1] + s * s * p[:, 1, 1]
    return along, p[:, 0, 0] + p[:, 1, 1] - along


def points(located: Located, tracks: Tracks | None = None) -> np.ndarray:
    """Return cones as an array of POINT, one row each, nearest first."""
    cones, out = located.cones, np.zeros(len(located.cones), POINT)
    out['x'], out['y'], out['z'] = located.xyz.T
    out['confidence'], out['class_id'] = cones.confidence, cones.class_id
    out['u'], out['v'] = cones.base.T
    out['variance'], out['variance_across'] = along_and_across(located)
    out['flags'] = (KNOCKED_OVER * cones.knocked_over + CUT * cones.cut
                    + BY_HEIGHT * located.by_height)
    if tracks is not None:
        out['id'], out['age'] = tracks.number, tracks.age
        out['flags'] |= (KEPT * ~tracks.found).astype(np.uint8)
    return out


def header_of(make: Make, stamp: Any, frame_id: str) -> Any:
    return make('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)


def point_cloud(make: Make, header: Any, rows: np.ndarray) -> Any:
    """Return a sensor_msgs/PointCloud2 of `points`."""
    kind, field = make('sensor_msgs/msg/PointCloud2'), make('sensor_msgs/msg/PointField')
    data = rows.tobytes()
    # rosbags requires NumPy arrays; rclpy checks everything but array.array slowly.
    data = (np.frombuffer(data, np.uint8) if hasattr(kind, '__msgtype__')
            else array.array('B', data))
    return kind(
        header=header, height=1, width=len(rows), is_bigendian=False, point_step=POINT.itemsize,
        row_step=POINT.itemsize * len(rows), data=data, is_dense=True,
        fields=[field(name=name, offset=POINT.fields[name][1], datatype=_KINDS[code], count=1)
                for name, code in _FIELDS])


def read_points(cloud: Any, motion: Any = None, to: Any = None) -> np.ndarray:
    """Return the rows of a `point_cloud`; motion (Odometry): moves positions to the time `to`."""
    rows = np.frombuffer(bytes(cloud.data), POINT)
    if motion is None:
        return rows
    begin, twist = cloud.header.stamp, motion.twist.twist
    return moved(rows, (twist.linear.x, twist.linear.y), twist.angular.z,
                 to.sec - begin.sec + 1e-9 * (to.nanosec - begin.nanosec))


def moved(rows: np.ndarray, velocity: tuple[float, float], yaw_rate: float,
          seconds: float) -> np.ndarray:
    """Return POINT rows after driving on; velocity: x, y [m/s]; yaw_rate: left [rad/s]."""
    turn, out = yaw_rate * seconds, rows.copy()
    # The exact path: an arc (the exponential of a planar twist), straight on for no turn.
    along = np.sinc(turn / math.pi)                              # sin(turn) / turn
    aside = 0.5 * turn * np.sinc(0.5 * turn / math.pi) ** 2      # (1 - cos(turn)) / turn
    vx, vy = velocity
    x = rows['x'] - seconds * (along * vx - aside * vy)
    y = rows['y'] - seconds * (aside * vx + along * vy)
    out['x'] = math.cos(turn) * x + math.sin(turn) * y
    out['y'] = math.cos(turn) * y - math.sin(turn) * x
    return out


def attitude(make: Make, header: Any, found: Attitude) -> Any:
    """Return a sensor_msgs/Imu (REP 145) of base_link against level ground; its yaw is 0."""
    vector, quaternion = make('geometry_msgs/msg/Vector3'), make('geometry_msgs/msg/Quaternion')
    cp, sp = math.cos(found.pitch / 2), math.sin(found.pitch / 2)
    cr, sr = math.cos(found.roll / 2), math.sin(found.roll / 2)
    spread = np.zeros((3, 3))
    spread[:2, :2] = found.covariance[::-1, ::-1]     # about x and y: roll, pitch
    spread[2, 2] = math.pi ** 2
    missing = np.array([-1.0] + [0.0] * 8)
    none = vector(x=0.0, y=0.0, z=0.0)
    return make('sensor_msgs/msg/Imu')(
        header=header, orientation=quaternion(x=cp * sr, y=sp * cr, z=-sp * sr, w=cp * cr),
        orientation_covariance=spread.reshape(9), angular_velocity=none,
        angular_velocity_covariance=missing, linear_acceleration=none,
        linear_acceleration_covariance=missing)


def level_transform(make: Make, header: Any, child: str, found: Attitude, ground: Ground) -> Any:
    """Return a tf2_msgs/TFMessage from the level frame `child` to base_link, of the header."""
    level = levelled(found.pitch, found.roll)
    x, y, z = (ground.pose.origin - level.T @ ground.pose.origin).tolist()
    turn = attitude(make, header, found).orientation
    turn.x, turn.y, turn.z = -turn.x, -turn.y, -turn.z
    vector, transform = make('geometry_msgs/msg/Vector3'), make('geometry_msgs/msg/Transform')
    stamped = make('geometry_msgs/msg/TransformStamped')(
        header=header, child_frame_id=child,
        transform=transform(translation=vector(x=x, y=y, z=z), rotation=turn))
    return make('tf2_msgs/msg/TFMessage')(transforms=[stamped])


def _palette(color: Callable[..., Any], classes: ClassTable, cones: Cones) -> dict[int, Any]:
    """Return a message of the colour of each class id that cones have."""
    ids = np.unique(cones.class_id)
    return {k: color(r=r / 255, g=g / 255, b=b / 255, a=1.0)
            for k, (b, g, r) in zip(ids.tolist(), classes.table_bgr[ids].tolist())}


def markers(make: Make, header: Any, located: Located, tracks: Tracks | None,
            classes: ClassTable, lifetime_s: float,
            shown: Collection[int] = ()) -> tuple[Any, set[int]]:
    """Return a MarkerArray of cones and its ids; shown: earlier ids, deleted if gone."""
    marker, point = make('visualization_msgs/msg/Marker'), make('geometry_msgs/msg/Point')
    vector, color = make('geometry_msgs/msg/Vector3'), make('std_msgs/msg/ColorRGBA')
    duration = make('builtin_interfaces/msg/Duration')
    life = duration(sec=int(lifetime_s), nanosec=int(lifetime_s % 1 * 1e9))
    ids = (np.arange(len(located.cones)) if tracks is None
           else tracks.number & 0x7FFFFFFF).tolist()
    heights, plates = classes.sizes_of(located.cones.class_id)
    palette = _palette(color, classes, located.cones)
    found = [marker(  # an arrow without a shaft is a cone
        header=header, ns=_NAMESPACE, id=number, type=_ARROW, action=_ADD,
        points=[point(x=x, y=y, z=z), point(x=x, y=y, z=z + height)],
        scale=vector(x=0.3 * plate, y=plate, z=height), color=palette[kind], lifetime=life)
        for number, (x, y, z), height, plate, kind in zip(
            ids, located.xyz.tolist(), heights.tolist(), plates.tolist(),
            located.cones.class_id.tolist())]
    found += [marker(header=header, ns=_NAMESPACE, id=number, action=_DELETE)
              for number in sorted(set(shown) - set(ids))]
    return make('visualization_msgs/msg/MarkerArray')(markers=found), set(ids)


def detections(make: Make, header: Any, cones: Cones, tracks: Tracks | None = None) -> Any:
    """Return a vision_msgs/Detection2DArray, boxes in pixels; class ids as in LabelInfo."""
    names = ('Detection2D', 'ObjectHypothesisWithPose', 'ObjectHypothesis', 'BoundingBox2D',
             'Pose2D', 'Point2D')
    detection, posed, hypothesis, box, pose, point = (make(f'vision_msgs/msg/{n}') for n in names)
    found = []
    for k, ((u0, v0, u1, v1), kind, score) in enumerate(zip(
            cones.box.tolist(), cones.class_id.tolist(), cones.confidence.tolist())):
        centre = pose(position=point(x=0.5 * (u0 + u1 - 1), y=0.5 * (v0 + v1 - 1)), theta=0.0)
        found.append(detection(
            header=header, id='' if tracks is None else str(tracks.number[k]),
            bbox=box(center=centre, size_x=float(u1 - u0), size_y=float(v1 - v0)),
            results=[posed(hypothesis=hypothesis(class_id=str(kind), score=score))]))
    return make('vision_msgs/msg/Detection2DArray')(header=header, detections=found)


def annotations(make: Make, header: Any, cones: Cones, distances: Sequence[float | None],
                classes: ClassTable) -> Any:
    """Return a foxglove_msgs/ImageAnnotations of labelled boxes; distances: [m] or None."""
    names = ('PointsAnnotation', 'TextAnnotation', 'Point2', 'Color')
    outline, text, point, color = (make(f'foxglove_msgs/msg/{name}') for name in names)
    palette, black = _palette(color, classes, cones), color(r=0.0, g=0.0, b=0.0, a=0.6)
    boxes, labels = [], []
    for (u0, v0, u1, v1), kind, distance in zip(
            cones.box.astype(float).tolist(), cones.class_id.tolist(), distances):
        boxes.append(outline(
            timestamp=header.stamp, type=_LINE_LOOP, outline_color=palette[kind],
            thickness=_LINE_PX,
            points=[point(x=x, y=y) for x, y in ((u0, v0), (u1, v0), (u1, v1), (u0, v1))]))
        name = classes.names[kind] if kind < len(classes.names) else f'class {kind}'
        labels.append(text(
            timestamp=header.stamp, position=point(x=u0, y=v0 - _LINE_PX), font_size=_FONT_PX,
            text=name if distance is None else f'{name} {distance:.1f} m',
            text_color=palette[kind], background_color=black))
    return make('foxglove_msgs/msg/ImageAnnotations')(points=boxes, texts=labels)


def label_info(make: Make, header: Any, names: Sequence[str]) -> Any:
    """Return a vision_msgs/LabelInfo: the name of each class id."""
    label = make('vision_msgs/msg/VisionClass')
    return make('vision_msgs/msg/LabelInfo')(
        header=header, threshold=0.0,
        class_map=[label(class_id=k, class_name=name) for k, name in enumerate(names)])
