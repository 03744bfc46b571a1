# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image messages to arrays and back, for rclpy's classes and those that rosbags reads."""
from __future__ import annotations

import array
from typing import Any

import cv2
from eunet_ros.images.image_encodings import (
    as_stored,
    check_size,
    ConversionError,
    known_name,
    Layout,
    LAYOUTS,
    no_picture,
    PLANES,
    planes_to_bgr,
    suggestion,
    SUPPORTED_ENCODINGS,
)
from eunet_ros.model.common.image_header import fits, MAX_PIXELS, MAX_SIDE, PNG, read_header
import numpy as np

_MASK_ENCODINGS = ('mono8', '8UC1')


def to_bgr(msg: Any) -> np.ndarray:
    """Return the picture of an Image or a CompressedImage; raises ConversionError."""
    return compressed_to_bgr(msg) if hasattr(msg, 'format') else image_to_bgr(msg)


def to_mask(msg: Any) -> np.ndarray:
    """Return the class ids of an Image or a CompressedImage; raises ConversionError."""
    return compressed_to_mask(msg) if hasattr(msg, 'format') else image_to_mask(msg)


def image_to_bgr(msg: Any) -> np.ndarray:
    """
    Return the picture of a sensor_msgs/Image as (H, W, 3) uint8 BGR; raises ConversionError.

    bgr8 and 8UC3 are a read-only view of the message's memory, with its row stride; other
    encodings give a new array. As in cv_bridge, 16-bit encodings are scaled by 255/65535 and YUV
    is BT.601 with limited range. Encodings beyond SUPPORTED_ENCODINGS need an installed cv_bridge.
    """
    encoding = known_name(msg.encoding)
    if encoding in PLANES:
        return planes_to_bgr(_bytes(msg.data), msg.height, msg.width, msg.step, encoding)
    layout = LAYOUTS.get(encoding)
    if layout is None:
        return _through_cv_bridge(msg)
    pixels = _view(msg, encoding, layout)  # (H, W) or (H, W, C)
    if layout.itemsize == 2:
        # OpenCV refuses unaligned uint16, as with an odd step.
        pixels = np.require(pixels, np.uint16, 'CA')
    if layout.code is not None:
        pixels = cv2.cvtColor(pixels, layout.code)
    if layout.itemsize == 2:  # after demosaicing, as in cv_bridge
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    return pixels


def image_to_mask(msg: Any) -> np.ndarray:
    """Return the ids of a mono8 or 8UC1 Image as an (H, W) uint8 view, or ConversionError."""
    encoding = known_name(msg.encoding)
    if encoding not in _MASK_ENCODINGS:
        raise ConversionError(f'expected a mask of encoding {" or ".join(_MASK_ENCODINGS)}, found '
                              f'{msg.encoding!r}: subscribe to the mask topic')
    return _view(msg, encoding, LAYOUTS[encoding])


def compressed_to_bgr(msg: Any) -> np.ndarray:
    """
    Return the picture of a sensor_msgs/CompressedImage as (H, W, 3) uint8 BGR.

    Takes JPEG, PNG and WebP, recognised by their first bytes, and demosaics a Bayer pattern that
    `format` names. The size is checked before decoding (MAX_SIDE, MAX_PIXELS); an EXIF orientation
    is ignored. Raises ConversionError, also for truncated data, but cannot detect damage inside a
    JPEG.
    """
    # image_transport: '<encoding>; <codec> compressed <encoding stored>'. A colour image that is
    # not stored as bgr has red and blue swapped in the file.
    name, separator, how = msg.format.partition(';')
    source, stored = known_name(name), known_name(how.rpartition('compressed')[2]).strip()
    layout = LAYOUTS.get(source)
    if no_picture(source):
        raise ConversionError(f'expected a picture, found numbers (depths), {msg.format!r}: '
                              "subscribe to the camera's colour topic")
    if layout and layout.itemsize == 2 and 'jpeg' in how and not stored:
        raise ConversionError(f'expected 8 bits in a JPEG, found 16 bits cut off at 255, format '
                              f"{msg.format!r}: set the publisher's format to png")
    if source.startswith('bayer_'):
        return _mosaic_to_bgr(msg, source, stored)
    flat = _bytes(msg.data)
    planar = source in PLANES or (layout is not None and layout.channels == 2)
    if (planar and not stored.startswith('bgr')
            and _decode(flat, msg.format, cv2.IMREAD_UNCHANGED).ndim < 3):
        raise ConversionError(f'expected a picture in colour, found one channel, {msg.format!r}: '
                              'let the publisher convert to bgr8 before it compresses')
    image = _decode(flat, msg.format, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    colour = source.startswith(('bgr', 'rgb')) or (planar and stored.startswith('rgb'))
    if separator and colour and not stored.startswith('bgr'):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return image


def compressed_to_mask(msg: Any) -> np.ndarray:
    """Return the ids of a PNG CompressedImage as (H, W) uint8; raises ConversionError."""
    flat, factor = as_stored(_bytes(msg.data))
    if flat[:8].tobytes() != PNG:
        raise ConversionError(f'expected a class mask as PNG, found format {msg.format!r}: '
                              'compress masks as PNG, because lossy codecs change class ids')
    image = _decode(flat, msg.format, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ConversionError('expected a class mask of one 8-bit channel, found '
                              f'{image.dtype} of shape {image.shape}: write class ids')
    return image if factor == 1 else image // factor


def fill_compressed(msg: Any, bgr: np.ndarray, quality: int, header: Any = None) -> Any:
    """Fill a CompressedImage with a JPEG of (H, W, 3) uint8 BGR; quality: 1 to 100."""
    if header is not None:
        msg.header = header
    msg.format = 'bgr8; jpeg compressed bgr8'
    # The rclpy of Humble checks anything but an array.array element by element, for seconds.
    msg.data = array.array('B', encode_jpeg(bgr, quality))
    return msg


def encode_jpeg(bgr: np.ndarray, quality: int) -> bytes:
    """Return the JPEG of a picture; quality: 1 to 100."""
    return cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def scale_camera_info(msg_in: Any, msg_out: Any, height: int, width: int) -> Any:
    """
    Write the sensor_msgs/CameraInfo of msg_in, scaled to height x width pixels, into msg_out.

    K and P are scaled without the half-pixel term, as in image_proc::ResizeNode, after region of
    interest and binning as in image_geometry, which are reset. D and R stay. Returns msg_out with
    the header of msg_in. Raises ConversionError.
    """
    roi, binning_x, binning_y = msg_in.roi, max(1, msg_in.binning_x), max(1, msg_in.binning_y)
    width_in = (roi.width or msg_in.width) // binning_x
    height_in = (roi.height or msg_in.height) // binning_y
    if min(width_in, height_in, width, height) < 1:
        raise ConversionError(
            f'expected a camera_info with a size, found {msg_in.width}x{msg_in.height} (image '
            f'{width_in}x{height_in} after region and binning, wanted {width}x{height}): publish '
            'the calibrated width and height')
    scale = np.array([[width / width_in / binning_x], [height / height_in / binning_y], [1.0]])
    offset = np.array([roi.x_offset, roi.y_offset, 0.0])
    k = np.array(msg_in.k, np.float64).reshape(3, 3)
    p = np.array(msg_in.p, np.float64).reshape(3, 4)
    k[:, 2] -= offset * k[2, 2]  # an uncalibrated camera's K and P are all zero, and stay so
    p[:, 2] -= offset * p[2, 2]
    d = np.array(msg_in.d, np.float64)
    msg_out.header, msg_out.distortion_model = msg_in.header, msg_in.distortion_model
    msg_out.height, msg_out.width = height, width
    # A sequence field must be a NumPy array in rosbags and must not be one in rclpy.
    msg_out.d = d if isinstance(msg_out.d, np.ndarray) else array.array('d', d.tobytes())
    msg_out.k = (k * scale).reshape(9)
    msg_out.r = np.array(msg_in.r, np.float64)
    msg_out.p = (p * scale).reshape(12)
    msg_out.binning_x = msg_out.binning_y = 0
    for field in ('x_offset', 'y_offset', 'height', 'width'):
        setattr(msg_out.roi, field, 0)
    msg_out.roi.do_rectify = False
    return msg_out


def _bytes(data: Any) -> np.ndarray:
    """Return message data of any kind as flat uint8, without a copy unless it is a list."""
    try:
        if isinstance(data, np.ndarray) and data.dtype != np.uint8:
            raise TypeError(f'array of {data.dtype}')
        if len(data) == 0:
            return np.empty(0, np.uint8)  # np.frombuffer refuses an empty buffer
        return np.frombuffer(bytes(data) if isinstance(data, (list, tuple)) else data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ConversionError(f'expected uint8 bytes, found {type(data).__name__} ({error}): fill '
                              'data with array.array or bytes') from error


def _view(msg: Any, encoding: str, layout: Layout) -> np.ndarray:
    """Return a checked strided view of an Image's pixels: (H, W) or (H, W, C), uint8 or uint16."""
    height, width, step = msg.height, msg.width, msg.step
    check_size(height, width, encoding)
    pixel = layout.channels * layout.itemsize
    if step < width * pixel:
        raise ConversionError(
            f'expected a step of at least {width * pixel} bytes ({width} pixels of {encoding}), '
            f'found {step}: check step and encoding in the camera driver')
    flat = _bytes(msg.data)
    # Some drivers leave out the padding after the last row.
    least, most = step * (height - 1) + width * pixel, step * height
    if not least <= flat.size <= most:
        raise ConversionError(
            f'expected {most} bytes of data (height {height} x step {step}), found {flat.size}: '
            'check step, height and data in the camera driver')
    dtype = f'{">" if msg.is_bigendian else "<"}u{layout.itemsize}'
    shape, strides = (height, width), (step, pixel)
    if layout.channels > 1:
        shape, strides = (*shape, layout.channels), (*strides, layout.itemsize)
    return np.ndarray(shape, dtype, flat, strides=strides)


def _mosaic_to_bgr(msg: Any, encoding: str, stored: str) -> np.ndarray:
    """Decode a compressed Bayer pattern, or the colours that the publisher made of it."""
    image = _decode(_bytes(msg.data), msg.format, cv2.IMREAD_UNCHANGED)
    if image.ndim == 2:
        if stored not in ('', encoding):
            raise ConversionError(
                f'expected colours, found format {msg.format!r}: the publisher made the Bayer '
                'image grey; set its format to png, or publish the debayered image')
        check_size(*image.shape, encoding)
        image = cv2.cvtColor(image, LAYOUTS[encoding].code)
    elif stored.startswith('rgb'):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    elif image.shape[2] == 4:
        image = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    return cv2.convertScaleAbs(image, alpha=255 / 65535) if image.dtype != np.uint8 else image


def _through_cv_bridge(msg: Any) -> np.ndarray:
    """Convert an encoding that is unknown here; any error of cv_bridge is a ConversionError."""
    found = f'{msg.encoding!r}{suggestion(msg.encoding)}'
    known = f'publish one of {", ".join(SUPPORTED_ENCODINGS)}'
    try:
        from cv_bridge import CvBridge
    except Exception as error:
        raise ConversionError(
            f'expected a known image encoding, found {found}: {known}, or install '
            'ros-<distro>-cv-bridge, which is asked for any other') from error
    try:
        image = CvBridge().imgmsg_to_cv2(msg, 'bgr8')
    except Exception as error:
        raise ConversionError(
            f'expected a known image encoding, found {found}, which cv_bridge cannot '
            f'make bgr8 ({type(error).__name__}: {error}): {known}') from error
    if image.dtype != np.uint8 or image.shape != (msg.height, msg.width, 3):
        raise ConversionError(
            f'expected ({msg.height}, {msg.width}, 3) uint8 from cv_bridge for encoding '
            f'{msg.encoding!r}, found {image.dtype} of shape {image.shape}: {known}')
    return image


def _decode(flat: np.ndarray, named: str, flags: int) -> np.ndarray:
    """Decode a CompressedImage's data after its header has been checked; named: its format."""
    if 'compressedDepth' in named:
        raise ConversionError(f'expected a colour image, found format {named!r}: subscribe to '
                              "the camera's colour topic instead of its depth topic")
    header = read_header(flat)
    if header is None:
        raise ConversionError(
            f'expected JPEG, PNG or WebP data, found {flat.size} bytes of format {named!r} '
            f'starting with {flat[:4].tobytes().hex()!r}: set the publisher to jpeg or png')
    size, end = header
    if size is None:
        raise ConversionError(f'expected an image header, found {flat.size} bytes of damaged '
                              f'{named!r} data: check the camera and its cable')
    width, height = size
    if not fits(width, height):
        raise ConversionError(
            f'expected a compressed image of 1 to {MAX_SIDE} pixels a side and at most '
            f'{MAX_PIXELS} in all, found {width}x{height}: check the publisher')
    if not end:
        raise ConversionError(
            f'expected a whole {width}x{height} image, found {flat.size} bytes without its end: '
            'the image is truncated, check the camera, its cable and the network')
    try:
        image = cv2.imdecode(flat[:end], flags)
    except cv2.error as error:
        raise ConversionError(f'expected an image that OpenCV can decode, found damage ({error}): '
                              'check the camera and its cable') from error
    if image is None or image.shape[:2] != (height, width):
        raise ConversionError(
            f'expected an image that OpenCV can decode to {width}x{height}, found damaged data of '
            f'format {named!r}: check the camera and its cable')
    return image
