# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Image messages as CDR bytes, without copies of their pixels; no ROS imports.

rclpy copies an image three times into a message, and as often out of it; raw subscriptions and
publishers use bytes. CDR: DDS-XTypes 1.3, 7.4.1, after four bytes of RTPS 2.5, 10.2.1.2.
"""
from __future__ import annotations

import struct
from typing import Any, NamedTuple

from eunet_ros.images.conversions import ConversionError
import numpy as np

_HEAD = 4                               # bytes of the encapsulation header
_ORDERS = {b'\0\0': '>', b'\0\1': '<'}  # plain CDR, as in all of ROS 2
_CHANNELS = {'mono8': 1, 'bgr8': 3, 'rgb8': 3}


class Stamped(NamedTuple):
    """The fields of a std_msgs/Header."""

    sec: int
    nanosec: int
    frame_id: str


class RawImage(NamedTuple):
    """The fields of a sensor_msgs/Image; data: (n,) uint8, a view of the bytes, read-only."""

    header: Stamped
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: np.ndarray


class RawCompressedImage(NamedTuple):
    """The fields of a sensor_msgs/CompressedImage; data as of RawImage."""

    header: Stamped
    format: str  # noqa: A003 the message calls it so
    data: np.ndarray


class _Reader:
    """Reads consecutive fields of CDR."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, _HEAD
        self._check(_HEAD)
        order = _ORDERS.get(raw[:2])
        if order is None:
            raise ConversionError(
                f'expected an image message in plain CDR, found {len(raw)} bytes that begin with '
                f'{raw[:2].hex()!r}: use another RMW implementation for camera and node')
        self._numbers = {kind: struct.Struct(order + kind) for kind in 'iIB'}

    def number(self, kind: str) -> int:
        """Return the next number, `kind` as in the module struct; numbers are aligned."""
        number = self._numbers[kind]
        at = self._at + (_HEAD - self._at) % number.size
        self._at = at + number.size
        self._check(self._at)
        return number.unpack_from(self._raw, at)[0]

    def text(self) -> str:
        """Return the next string; its length counts the zero at its end."""
        return bytes(self._take(self.number('I'))).rstrip(b'\0').decode('utf-8', 'replace')

    def header(self) -> Stamped:
        return Stamped(self.number('i'), self.number('I'), self.text())

    def data(self) -> np.ndarray:
        """Return the next sequence of uint8."""
        return np.frombuffer(self._take(self.number('I')), np.uint8)

    def _take(self, size: int) -> memoryview:
        begin, self._at = self._at, self._at + size
        self._check(self._at)
        return memoryview(self._raw)[begin:self._at]

    def _check(self, end: int) -> None:
        if end > len(self._raw):
            raise ConversionError(f'expected an image message of {end} bytes or more, found '
                                  f'{len(self._raw)}: check the camera driver and the network')


def read_stamp(raw: bytes) -> int:
    """Return the stamp [ns] of a message that begins with a header, 0 if unreadable."""
    try:
        reader = _Reader(raw)
        return reader.number('i') * 1_000_000_000 + reader.number('I')
    except ConversionError:
        return 0


def read_image(raw: bytes) -> RawImage:
    """Read a sensor_msgs/Image; raises ConversionError."""
    reader = _Reader(raw)
    return RawImage(
        reader.header(), height=reader.number('I'), width=reader.number('I'),
        encoding=reader.text(), is_bigendian=reader.number('B'), step=reader.number('I'),
        data=reader.data())


def read_compressed(raw: bytes) -> RawCompressedImage:
    """Read a sensor_msgs/CompressedImage; raises ConversionError."""
    reader = _Reader(raw)
    return RawCompressedImage(reader.header(), format=reader.text(), data=reader.data())


def image_bytes(header: Any, pixels: np.ndarray, encoding: str) -> bytes:
    """Return a sensor_msgs/Image as bytes; pixels: (H, W) or (H, W, 3) uint8, copied once."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    assert pixels.dtype == np.uint8 and _CHANNELS[encoding] == channels
    height, width = pixels.shape[:2]
    frame_id, name = header.frame_id.encode() + b'\0', encoding.encode() + b'\0'
    fields = struct.pack(
        # Each text has its length before it and a zero behind it; numbers are aligned.
        f'<iI I{len(frame_id)}s{-len(frame_id) % 4}x II I{len(name)}s B{-(len(name) + 1) % 4}x II',
        header.stamp.sec, header.stamp.nanosec, len(frame_id), frame_id, height, width,
        len(name), name, 0, width * channels, pixels.size)
    return b''.join((b'\0\1\0\0', fields, np.ascontiguousarray(pixels).data))
