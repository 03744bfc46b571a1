# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Targets that take messages: as fields, as pictures and as they are serialised."""
from contextlib import suppress
import struct
from types import SimpleNamespace

import cv2
from eunet_ros.bags import messages as bag_messages
from eunet_ros.images import conversions
from eunet_ros.images.image_encodings import LAYOUTS
from eunet_ros.ros import raw_images
import numpy as np

_ENCODINGS = (*conversions.SUPPORTED_ENCODINGS, '32FC1', '', 'rgb7', 'bayer_xxxx8')
_FORMATS = ('jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed rgb8', '',
            '16UC1; compressedDepth png', 'bgr8; webp compressed bgr8',
            'bayer_rggb8; png compressed ', 'bayer_gbrg16; png compressed ',
            'nv12; png compressed ')
_HEAD = struct.Struct('<IIIBB')  # height, width, step, encoding, order and kind of data


def image(data: bytes) -> None:
    """Convert an Image whose fields and data do not belong together."""
    if len(data) < _HEAD.size:
        return
    height, width, step, encoding, kind = _HEAD.unpack_from(data)
    rest = data[_HEAD.size:]
    msg = SimpleNamespace(height=height, width=width, step=step, is_bigendian=kind & 1,
                          encoding=_ENCODINGS[encoding % len(_ENCODINGS)],
                          data=np.frombuffer(rest, np.uint8) if kind & 2 else rest)
    for convert, shape in ((conversions.image_to_bgr, (height, width, 3)),
                           (conversions.image_to_mask, (height, width))):
        try:
            found = convert(msg)
        except conversions.ConversionError:
            continue
        assert found.shape == shape and found.dtype == np.uint8, (found.shape, shape)
        int(found.sum())  # every pixel lies in the message's memory


def images() -> list[bytes]:
    found = []
    for name in ('bgr8', 'mono8', 'rgba8', 'bayer_rggb8', 'yuv422', 'mono16', 'bayer_gbrg16'):
        layout = LAYOUTS[name]
        step = 8 * layout.channels * layout.itemsize
        found.append(_HEAD.pack(4, 8, step, _ENCODINGS.index(name), 2) + bytes(range(4 * step)))
    for name, rows in (('nv12', 6), ('i420', 6), ('nv24', 12)):
        found.append(_HEAD.pack(4, 8, 8, _ENCODINGS.index(name), 2) + bytes(range(8 * rows)))
    return found


def compressed(data: bytes) -> None:
    """Decode a CompressedImage of any bytes."""
    if not data:
        return
    msg = SimpleNamespace(format=_FORMATS[data[0] % len(_FORMATS)], data=data[1:])
    for convert in (conversions.compressed_to_bgr, conversions.compressed_to_mask):
        try:
            found = convert(msg)
        except conversions.ConversionError:
            continue
        assert found.dtype == np.uint8 and found.size, found.shape


def pictures() -> list[bytes]:
    image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    return [bytes([i]) + cv2.imencode(end, image if i else image[..., 0])[1].tobytes()
            for i, end in ((0, '.jpg'), (1, '.png'), (0, '.png'), (6, '.webp'))]


def camera_info(data: bytes) -> None:
    """Scale a CameraInfo with sizes, region and binning that do not fit."""
    if len(data) < 32:
        return
    words = struct.unpack_from('<8I', data)
    floats = np.frombuffer(data[32:32 + min(36, (len(data) - 32) // 4 * 4)], np.float32)
    roi = SimpleNamespace(x_offset=words[0], y_offset=words[1], height=words[2], width=words[3],
                          do_rectify=False)
    k = np.zeros(9)
    with np.errstate(all='ignore'):
        k[:floats.size] = floats
    info = SimpleNamespace(
        header=None, roi=roi, height=words[4], width=words[5], binning_x=words[6] % 65536,
        binning_y=words[7] % 65536, distortion_model='', d=[], k=k, r=np.zeros(9),
        p=np.zeros(12))
    out = SimpleNamespace(d=np.zeros(0), roi=SimpleNamespace())
    try:
        with np.errstate(all='ignore'):
            conversions.scale_camera_info(info, out, 48, 64)
    except conversions.ConversionError:
        return
    assert (out.height, out.width, len(out.k), len(out.p)) == (48, 64, 9, 12)


def cdr(data: bytes) -> None:
    """Read serialised messages, as bags hold them and as the node gets them."""
    raw_images.read_stamp(data)
    for read, convert in ((raw_images.read_image, conversions.image_to_bgr),
                          (raw_images.read_compressed, conversions.compressed_to_bgr)):
        with suppress(conversions.ConversionError):
            convert(read(data))
    for kind in (bag_messages.IMAGE, bag_messages.COMPRESSED_IMAGE, bag_messages.CAMERA_INFO):
        try:
            bag_messages.with_stamp(data, bag_messages.stamp_of(data) % 2 ** 31)
            msg = bag_messages.deserialise(data, kind)
            if kind == bag_messages.IMAGE:
                conversions.image_to_bgr(msg)
        except ValueError:
            continue


def serialised() -> list[bytes]:
    from bag_making import image_message, info_message
    return [bag_messages.serialise(m) for m in (
        image_message(0, 10 ** 9, False, (4, 16)), image_message(1, 5, True, (8, 16)),
        info_message(7))]
