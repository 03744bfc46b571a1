# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of recorded drives as serialised bytes (CDR) and as objects; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
import struct
from typing import Any

import numpy as np

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
MARKERS = 'visualization_msgs/msg/MarkerArray'
ANNOTATIONS = 'foxglove_msgs/msg/ImageAnnotations'
# From foxglove_msgs, without fields that later releases append; rosbags does not have them.
_FOXGLOVE = {
    'Color': 'float64 r\nfloat64 g\nfloat64 b\nfloat64 a',
    'Point2': 'float64 x\nfloat64 y',
    'CircleAnnotation': 'builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\n'
                        'float64 diameter\nfloat64 thickness\nfoxglove_msgs/Color fill_color\n'
                        'foxglove_msgs/Color outline_color',
    'PointsAnnotation': 'builtin_interfaces/Time timestamp\nuint8 type\n'
                        'foxglove_msgs/Point2[] points\nfoxglove_msgs/Color outline_color\n'
                        'foxglove_msgs/Color[] outline_colors\nfoxglove_msgs/Color fill_color\n'
                        'float64 thickness',
    'TextAnnotation': 'builtin_interfaces/Time timestamp\nfoxglove_msgs/Point2 position\n'
                      'string text\nfloat64 font_size\nfoxglove_msgs/Color text_color\n'
                      'foxglove_msgs/Color background_color',
    'ImageAnnotations': 'foxglove_msgs/CircleAnnotation[] circles\n'
                        'foxglove_msgs/PointsAnnotation[] points\n'
                        'foxglove_msgs/TextAnnotation[] texts'}
NS = 1_000_000_000
_STAMP_AT = 4  # bytes: sec and nanosec follow the CDR encapsulation


@cache
def typestore() -> Any:
    """Return the message definitions; raises ImportError where rosbags is not installed."""
    try:
        from rosbags.typesys import get_types_from_msg, get_typestore, Stores
    except ImportError as error:
        raise ImportError(
            f'Bags are read with the Python package rosbags, which is missing ({error}): '
            'pip install rosbags.') from error
    store = get_typestore(Stores.ROS2_HUMBLE)   # messages used here equal those of Foxy to Kilted
    for name, text in _FOXGLOVE.items():
        store.register(get_types_from_msg(text, f'foxglove_msgs/msg/{name}'))
    return store


def serialise(msg: Any) -> bytes:
    """Return the CDR bytes of a message made by this module or by `deserialise`."""
    return bytes(typestore().serialize_cdr(msg, msg.__msgtype__))


def deserialise(raw: bytes, msgtype: str) -> Any:
    """Return the message of CDR bytes; its arrays are views. Raises ValueError if damaged."""
    try:
        return typestore().deserialize_cdr(raw, msgtype)
    except Exception as error:  # rosbags raises its own errors and those of struct and NumPy
        raise ValueError(f'Expected a {msgtype}, found {len(raw)} bytes that are none ({error}): '
                         'the recording is damaged.') from error


def stamp_of(raw: bytes) -> int:
    """Return the header's stamp of a serialised message [ns]; raises ValueError if too short."""
    sec, nanosec = _order_of(raw).unpack_from(raw, _STAMP_AT)
    return sec * NS + nanosec


def with_stamp(raw: bytes, stamp: int) -> bytes:
    """Return a copy of a serialised message with another header stamp (ns); see `stamp_of`."""
    out = bytearray(raw)
    _order_of(raw).pack_into(out, _STAMP_AT, stamp // NS, stamp % NS)
    return bytes(out)


def _order_of(raw: bytes) -> struct.Struct:
    if len(raw) < _STAMP_AT + 8:
        raise ValueError(f'Expected a message with a header, found {len(raw)} bytes: the '
                         'recording is damaged.')
    return struct.Struct('<iI' if raw[1] & 1 else '>iI')


def header(stamp: int, frame_id: str) -> Any:
    """Return a std_msgs/Header; stamp in nanoseconds."""
    types = typestore().types
    time = types['builtin_interfaces/msg/Time'](stamp // NS, stamp % NS)
    return types['std_msgs/msg/Header'](time, frame_id)


def compressed_image(stamp: int, frame_id: str, name: str, data: bytes) -> Any:
    """Return a CompressedImage of encoded bytes; name: its format field."""
    return typestore().types[COMPRESSED_IMAGE](
        header(stamp, frame_id), name, np.frombuffer(data, np.uint8))


def mono_image(stamp: int, frame_id: str, mask: np.ndarray) -> Any:
    """Return a mono8 Image of (H, W) uint8 class ids."""
    height, width = mask.shape
    return typestore().types[IMAGE](
        header(stamp, frame_id), height, width, 'mono8', 0, width,
        np.ascontiguousarray(mask).reshape(-1))


def _zero(kind: Any, description: Any) -> Any:
    """Return the default of a field from its description by rosbags."""
    if kind.name == 'NAME':
        return message_class(description)()
    if kind.name == 'BASE':
        name = description[0]
        return '' if 'string' in name else np.dtype(name).type().item()
    (inner, described), count = description
    count = 0 if kind.name == 'SEQUENCE' else count
    if inner.name == 'BASE' and 'string' not in described[0]:
        return np.zeros(count, described[0])
    return [_zero(inner, described) for _ in range(count)]


@cache
def message_class(name: str) -> Callable[..., Any]:
    """Return a function that makes messages of a type: fields by keyword, defaults of rclpy."""
    made, (_, fields) = typestore().types[name], typestore().fielddefs[name]
    defaults = {'w': 1.0} if name == 'geometry_msgs/msg/Quaternion' else {}

    def make(**values: Any) -> Any:
        for field, description in fields:
            if field not in values:
                values[field] = defaults.get(field, _zero(*description))
        return made(**values)
    make.__msgtype__ = name   # marks a message of rosbags, see `cones.messages.point_cloud`
    return make
