# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encodings of sensor_msgs/image_encodings.hpp, their memory layout, and PNGs of class ids."""
from __future__ import annotations

from difflib import get_close_matches
import re
from typing import NamedTuple
import zlib

import cv2
from eunet_ros.model.common.image_header import MAX_SIDE, PNG
import numpy as np

_PNG_GREY, _PNG_PALETTE = 0, 3   # colour types of ISO/IEC 15948


class ConversionError(ValueError):
    """What a message holds is not what its fields say, or is not supported."""


class Layout(NamedTuple):
    """The memory layout of interleaved pixels."""

    channels: int
    code: int | None   # cv2.cvtColor to BGR; None for BGR
    itemsize: int = 1  # bytes
    multiple: int = 1  # of the width, and of the height of a Bayer pattern


class Planes(NamedTuple):
    """A plane of luma, followed by chroma of a fixed share of its bytes."""

    code: int | None  # cv2.cvtColor to BGR; None: no code of OpenCV reads it
    chroma: float     # bytes of chroma for each byte of luma
    padding: float    # padding of the last row of chroma, as a share of that of luma


# OpenCV names a Bayer pattern by its second row's second and third pixel: rggb is its BG.
# Humble's OpenCV 4.5 lacks COLOR_BayerRGGB2BGR.
_BAYER = {'rggb': cv2.COLOR_BayerBG2BGR, 'bggr': cv2.COLOR_BayerRG2BGR,
          'gbrg': cv2.COLOR_BayerGR2BGR, 'grbg': cv2.COLOR_BayerGB2BGR}
_UYVY = Layout(2, cv2.COLOR_YUV2BGR_UYVY, multiple=2)
_YUYV = Layout(2, cv2.COLOR_YUV2BGR_YUY2, multiple=2)
LAYOUTS = {
    'bgr8': Layout(3, None), '8UC3': Layout(3, None),
    'rgb8': Layout(3, cv2.COLOR_RGB2BGR),
    'mono8': Layout(1, cv2.COLOR_GRAY2BGR), '8UC1': Layout(1, cv2.COLOR_GRAY2BGR),
    'bgra8': Layout(4, cv2.COLOR_BGRA2BGR), '8UC4': Layout(4, cv2.COLOR_BGRA2BGR),
    'rgba8': Layout(4, cv2.COLOR_RGBA2BGR),
    **{f'bayer_{name}8': Layout(1, code, multiple=2) for name, code in _BAYER.items()},
    'uyvy': _UYVY, 'yuv422': _UYVY, 'yuyv': _YUYV, 'yuv422_yuy2': _YUYV, 'yuy2': _YUYV,
    'mono16': Layout(1, cv2.COLOR_GRAY2BGR, 2),
    'bgr16': Layout(3, None, 2), 'rgb16': Layout(3, cv2.COLOR_RGB2BGR, 2),
    'bgra16': Layout(4, cv2.COLOR_BGRA2BGR, 2), 'rgba16': Layout(4, cv2.COLOR_RGBA2BGR, 2),
    **{f'bayer_{name}16': Layout(1, code, 2, 2) for name, code in _BAYER.items()},
}
_I420 = Planes(cv2.COLOR_YUV2BGR_I420, 0.5, 0.5)  # 'yuv420' is depthai-ros' name of it
PLANES = {
    'nv12': Planes(cv2.COLOR_YUV2BGR_NV12, 0.5, 1), 'nv21': Planes(cv2.COLOR_YUV2BGR_NV21, 0.5, 1),
    'nv24': Planes(None, 2, 2), 'i420': _I420, 'yuv420': _I420,
}
SUPPORTED_ENCODINGS = (*LAYOUTS, *PLANES)
_BY_LOWER = {name.lower(): name for name in SUPPORTED_ENCODINGS}
_OF_OPENCV = re.compile(r'(8|16|32|64)[usf]c\d*')


def known_name(encoding: str) -> str:
    """Return an encoding's name as it stands here, whatever its capitals; else as it is."""
    return _BY_LOWER.get(encoding.strip(' \t\r\n\0').lower(), encoding)


def no_picture(encoding: str) -> bool:
    """Return whether an encoding is of numbers, such as depths (16UC1, 32FC1), not of colours."""
    return encoding not in LAYOUTS and bool(_OF_OPENCV.fullmatch(encoding.strip().lower()))


def suggestion(encoding: str) -> str:
    """Return ', did you mean X?' for an unknown encoding; '' where none is near."""
    if no_picture(encoding):  # of 16UC1, which is depth, 8UC1 is near by its letters alone
        return ''
    name = encoding.strip().lower().replace('gray', 'mono').replace('grey', 'mono')
    near = get_close_matches(name, _BY_LOWER, 1)
    return f', did you mean {_BY_LOWER[near[0]]}?' if near else ''


def check_size(height: int, width: int, encoding: str) -> None:
    """Raise ConversionError for a size that no image has, or none of that encoding."""
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise ConversionError(
            f'expected an image of 1 to {MAX_SIDE} pixels a side, found {width}x{height}: check '
            'width and height in the camera driver')
    bayer = encoding.startswith('bayer_')
    both = bayer or (encoding in PLANES and PLANES[encoding].chroma < 1)
    # OpenCV makes a Bayer pattern that is two pixels wide or high black.
    if ((width % 2 and (both or LAYOUTS.get(encoding, LAYOUTS['bgr8']).multiple == 2))
            or (both and height % 2) or (bayer and min(height, width) < 4)):
        wanted = 'an even width and height' if both else 'an even width'
        raise ConversionError(
            f'expected {wanted}{" of at least 4" if bayer else ""} for encoding {encoding}, found '
            f'{width}x{height}: check width and height in the camera driver')


def planes_to_bgr(flat: np.ndarray, height: int, width: int, step: int,
                  encoding: str) -> np.ndarray:
    """Return (H, W, 3) uint8 BGR of luma and chroma planes; raises ConversionError."""
    check_size(height, width, encoding)
    planes, stride = PLANES[encoding], step
    rows = 1 + planes.chroma
    if flat.size == stride * height and stride % rows == 0:  # all bytes by the height: depthai-ros
        stride = int(stride / rows)
    if stride < width or (planes is _I420 and stride % 2):
        raise ConversionError(
            f'expected a step of at least {width} bytes ({width} pixels of {encoding}), found '
            f'{step}: check step and encoding in the camera driver')
    most = int(stride * height * rows)
    if not most - (stride - width) * planes.padding <= flat.size <= most:
        raise ConversionError(
            f'expected {most} bytes of data ({height} rows of {stride} bytes, and their colours), '
            f'found {flat.size}: check step, height and data in the camera driver')
    luma = np.ndarray((height, width), np.uint8, flat, strides=(stride, 1))
    if planes.code is None:  # each pixel has its own colour: as two pixels of UYVY
        u, v = np.moveaxis(np.ndarray((height, width, 2), np.uint8, flat[stride * height:],
                                      strides=(2 * stride, 2, 1)), 2, 0)
        twice = np.stack([u, luma, v, luma], -1).reshape(height, 2 * width, 2)
        return np.ascontiguousarray(cv2.cvtColor(twice, cv2.COLOR_YUV2BGR_UYVY)[:, ::2])
    if planes is _I420:
        chroma = np.ndarray((height, width // 2), np.uint8, flat[stride * height:],
                            strides=(stride // 2, 1))
        pixels = np.concatenate([luma, chroma.reshape(height // 2, width)])
    else:
        pixels = np.ndarray((height * 3 // 2, width), np.uint8, flat, strides=(stride, 1))
    return cv2.cvtColor(pixels, planes.code)


def as_stored(flat: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a PNG that decodes to its stored numbers, and their divisor; flat: (n,) uint8."""
    # OpenCV makes palettes colours and stretches grey of 1, 2 or 4 bits to 0 to 255.
    data = flat.tobytes() if flat[:8].tobytes() == PNG and flat.size > 33 else b''
    if not data or data[12:16] != b'IHDR':
        return flat, 1
    depth, kind = data[24:26]
    if kind not in (_PNG_GREY, _PNG_PALETTE) or depth not in (1, 2, 4, 8):
        return flat, 1
    head = data[12:25] + bytes([_PNG_GREY]) + data[26:29]
    parts = [data[:12], head, zlib.crc32(head).to_bytes(4, 'big')]
    at = 33
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], 'big')
        if data[at + 4:at + 8] in (b'IDAT', b'IEND'):  # without the palette and its chunks
            parts.append(data[at:end])
        at = end
    return np.frombuffer(b''.join(parts), np.uint8), 255 // (2 ** depth - 1)
