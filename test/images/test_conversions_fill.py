# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Message classes of rclpy and of rosbags, filled and read back."""

import array
from types import SimpleNamespace

from eunet_ros.images.conversions import (
    compressed_to_bgr,
    ConversionError,
    fill_compressed,
    scale_camera_info,
)
import numpy as np
import pytest

MASK = np.array([[0, 1, 5], [255, 2, 0]], np.uint8)
BGR = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


def make_plain(name, stamp):
    roi = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    header = SimpleNamespace(stamp=stamp, frame_id='cam')
    return SimpleNamespace(header=header, roi=roi, d=array.array('d'), k=[0.0] * 9, r=[0.0] * 9,
                           p=[0.0] * 12, binning_x=0, binning_y=0, height=0, width=0,
                           distortion_model='', data=array.array('B'))


def make_rclpy(name, stamp):
    messages = pytest.importorskip('sensor_msgs.msg')
    msg = getattr(messages, name)()
    msg.header.frame_id, msg.header.stamp.sec = 'cam', stamp
    return msg


def make_rosbags(name, stamp):
    typesys = pytest.importorskip('rosbags.typesys')
    types = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE).types
    header = types['std_msgs/msg/Header'](
        types['builtin_interfaces/msg/Time'](stamp, 0), 'cam')
    empty, roi = np.empty(0, np.uint8), types['sensor_msgs/msg/RegionOfInterest']
    fields = {
        'Image': (header, 0, 0, '', 0, 0, empty),
        'CompressedImage': (header, '', empty),
        'CameraInfo': (header, 0, 0, '', np.empty(0), np.zeros(9), np.zeros(9), np.zeros(12), 0, 0,
                       roi(0, 0, 0, 0, False)),
    }[name]
    return types[f'sensor_msgs/msg/{name}'](*fields)


def serialised(make, msg, name):
    """Pass a message through its own library, which is stricter than Python."""
    if make is make_rclpy:
        serialization = pytest.importorskip('rclpy.serialization')
        return serialization.deserialize_message(
            serialization.serialize_message(msg), type(msg))
    if make is make_rosbags:
        typesys = pytest.importorskip('rosbags.typesys')
        store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        kind = f'sensor_msgs/msg/{name}'
        return store.deserialize_cdr(store.serialize_cdr(msg, kind), kind)
    return msg


every_class = pytest.mark.parametrize('make', [make_plain, make_rclpy, make_rosbags])


def test_a_jpeg_that_rclpy_sends():
    flat = np.full((16, 24, 3), (10, 120, 240), np.uint8)
    header = make_rclpy('CompressedImage', 8).header
    msg = fill_compressed(make_rclpy('CompressedImage', 3), flat, 90, header)
    assert msg.format == 'bgr8; jpeg compressed bgr8'
    assert msg.header is header and isinstance(msg.data, array.array)
    picture = compressed_to_bgr(serialised(make_rclpy, msg, 'CompressedImage'))
    np.testing.assert_allclose(picture.astype(int), flat, atol=3)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    sizes = [len(fill_compressed(SimpleNamespace(), noise, q).data) for q in (10, 50, 95)]
    assert sizes == sorted(set(sizes))


K = [700.0, 0.5, 640.0, 0.0, 710.0, 360.0, 0.0, 0.0, 1.0]
P = [690.0, 0.0, 630.0, -70.0, 0.0, 695.0, 350.0, -35.0, 0.0, 0.0, 1.0, 0.25]
R = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def camera(make, **changes):
    msg = make('CameraInfo', 5)
    msg.height, msg.width, msg.distortion_model = 720, 1280, 'plumb_bob'
    kind = np.array if make is make_rosbags else lambda v: array.array('d', v)
    msg.d = kind([0.1, -0.2, 0.0, 0.0, 0.3])
    msg.k, msg.r, msg.p = np.array(K), np.array(R), np.array(P)
    for name, value in changes.items():
        setattr(msg.roi if hasattr(msg.roi, name) and name not in ('height', 'width') else msg,
                name, value)
    return msg


@every_class
def test_camera_info_of_the_same_size_is_a_copy(make):
    source = camera(make)
    copy = make('CameraInfo', 0)
    assert scale_camera_info(source, copy, 720, 1280) is copy
    copy = serialised(make, copy, 'CameraInfo')
    assert (copy.height, copy.width, copy.distortion_model) == (720, 1280, 'plumb_bob')
    assert (copy.header.frame_id, copy.header.stamp) == ('cam', source.header.stamp)
    for name, expected in (('k', K), ('r', R), ('p', P), ('d', [0.1, -0.2, 0.0, 0.0, 0.3])):
        np.testing.assert_array_equal(getattr(copy, name), expected)


@every_class
def test_camera_info_is_scaled_by_rows(make):
    out = scale_camera_info(camera(make), make('CameraInfo', 0), 180, 640)
    out = serialised(make, out, 'CameraInfo')
    assert (out.height, out.width) == (180, 640)
    np.testing.assert_allclose(out.k, [350, 0.25, 320, 0, 177.5, 90, 0, 0, 1])
    np.testing.assert_allclose(out.p, [345, 0, 315, -35, 0, 173.75, 87.5, -8.75, 0, 0, 1, 0.25])
    np.testing.assert_array_equal(out.r, R)


@every_class
def test_region_and_binning_are_worked_in_and_reset(make):
    # 800x400 of the 1280x720 pixels from (100, 40) on, read out 2x2: an image of 400x200.
    source = camera(make, binning_x=2, binning_y=2, x_offset=100, y_offset=40)
    source.roi.width, source.roi.height, source.roi.do_rectify = 800, 400, True
    used = camera(make, binning_x=4, x_offset=7)  # what it holds already is overwritten
    used.roi.do_rectify = True
    out = scale_camera_info(source, used, 200, 400)
    np.testing.assert_allclose(out.k, [350, 0.25, 270, 0, 355, 160, 0, 0, 1])
    np.testing.assert_allclose(out.p, [345, 0, 265, -35, 0, 347.5, 155, -17.5, 0, 0, 1, 0.25])
    roi = out.roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height, roi.do_rectify) == (0, 0, 0, 0, 0)
    assert (out.binning_x, out.binning_y) == (0, 0)
    half = scale_camera_info(source, make('CameraInfo', 0), 100, 200)
    np.testing.assert_allclose(half.k, [175, 0.125, 135, 0, 177.5, 80, 0, 0, 1])
    np.testing.assert_array_equal(source.k, K)


def test_distortion_has_the_type_that_each_library_takes():
    for make, kind in ((make_plain, array.array), (make_rosbags, np.ndarray)):
        out = scale_camera_info(camera(make_plain), make('CameraInfo', 0), 720, 1280)
        assert isinstance(out.d, kind)
        assert list(out.d) == [0.1, -0.2, 0.0, 0.0, 0.3]


def test_uncalibrated_camera_stays_uncalibrated():
    source = camera(make_plain, x_offset=10)
    source.k, source.p = [0.0] * 9, [0.0] * 12
    out = scale_camera_info(source, make_plain('CameraInfo', 0), 360, 640)
    assert not out.k.any()
    assert not out.p.any()


@pytest.mark.parametrize(('size', 'height', 'width'), [
    ((0, 0), 720, 1280), ((720, 0), 720, 1280), ((720, 1280), 0, 1280), ((720, 1280), 720, -1)])
def test_camera_info_without_a_size(size, height, width):
    source = camera(make_plain)
    source.height, source.width = size
    with pytest.raises(ConversionError, match=f'found {size[1]}x{size[0]}'):
        scale_camera_info(source, make_plain('CameraInfo', 0), height, width)
