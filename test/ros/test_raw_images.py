# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images are read out of the bytes that come over DDS, as rclpy would read them."""
from eunet_ros.images.conversions import ConversionError, image_to_bgr
from eunet_ros.ros.raw_images import image_bytes, read_compressed, read_image, read_stamp
from image_making import fill_image
import numpy as np
import pytest

serialization = pytest.importorskip('rclpy.serialization', reason='needs rclpy')
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8)


def image(frame_id='camera', encoding='bgr8'):
    msg = Image(height=3, width=5, step=15, encoding=encoding, is_bigendian=1)
    msg.header.stamp.sec, msg.header.stamp.nanosec = -7, 999_999_999
    msg.header.frame_id = frame_id
    msg.data = PIXELS.tobytes()
    return msg


def serialised(msg):
    return bytes(serialization.serialize_message(msg))


# Every length modulo four: what follows is aligned.
@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'vorn/kamera_ä'])
@pytest.mark.parametrize('encoding', ['bgr8', 'mono8', '8UC1', 'bayer_rggb8', ''])
def test_an_image_is_what_was_sent(frame_id, encoding):
    raw = serialised(image(frame_id, encoding))
    found = read_image(raw)
    assert found.header == (-7, 999_999_999, frame_id)
    assert found[1:-1] == (3, 5, encoding, 1, 15)
    np.testing.assert_array_equal(found.data, PIXELS.ravel())
    assert np.shares_memory(found.data, np.frombuffer(raw, np.uint8)), 'copied'
    assert read_stamp(raw) == -7_000_000_000 + 999_999_999
    if encoding == 'bgr8':
        np.testing.assert_array_equal(image_to_bgr(found), PIXELS)


@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'vorn/kamera_ä'])
@pytest.mark.parametrize('encoding, pixels', [
    ('bgr8', PIXELS), ('rgb8', PIXELS[:, ::-1]), ('mono8', PIXELS[..., 1])])
def test_an_image_goes_out_as_rclpy_sends_it(frame_id, encoding, pixels):
    msg = fill_image(Image(header=image(frame_id).header), pixels, encoding)
    raw = image_bytes(msg.header, pixels, encoding)
    assert serialization.deserialize_message(raw, Image) == msg
    assert len(raw) == len(serialised(msg))  # what it pads with is anything


@pytest.mark.parametrize('form', ['', 'jpeg', 'png', 'rgb8; jpeg compressed bgr8'])
def test_a_compressed_image_is_what_was_sent(form):
    msg = CompressedImage(format=form, data=b'\xff\xd8\xff')
    msg.header.stamp.sec, msg.header.frame_id = 12, 'camera'
    found = read_compressed(serialised(msg))
    assert found.header == (12, 0, 'camera')
    assert found.format == form
    assert found.data.tobytes() == b'\xff\xd8\xff'


def test_the_other_byte_order():
    rosbags = pytest.importorskip('rosbags.typesys')
    store = rosbags.get_typestore(rosbags.Stores.ROS2_HUMBLE)
    kinds = store.types
    header = kinds['std_msgs/msg/Header'](kinds['builtin_interfaces/msg/Time'](1, 2), 'abc')
    msg = kinds['sensor_msgs/msg/Image'](header, 3, 5, 'bgr8', 0, 15, PIXELS.ravel())
    raw = bytes(store.serialize_cdr(msg, 'sensor_msgs/msg/Image', little_endian=False))
    assert raw[1] == 0
    found = read_image(raw)
    assert found[:-1] == ((1, 2, 'abc'), 3, 5, 'bgr8', 0, 15)
    np.testing.assert_array_equal(found.data, PIXELS.ravel())


@pytest.mark.parametrize('msg, read', [
    (image(), read_image), (CompressedImage(format='jpeg', data=b'abc'), read_compressed)])
def test_one_cut_short_is_told(msg, read):
    raw = serialised(msg)
    for size in range(len(raw)):
        with pytest.raises(ConversionError, match=r'image message of \d+ bytes or'):
            read(raw[:size])
    assert read_stamp(raw[:11]) == 0


def test_lengths_that_lie_are_told():
    raw = serialised(image())
    at = raw.index(PIXELS.tobytes()) - 4
    with pytest.raises(ConversionError, match='bytes or more'):
        read_image(raw[:at] + b'\xff\xff\xff\xff' + raw[at + 4:])


def test_another_encoding_of_the_fields_is_told():
    with pytest.raises(ConversionError, match=r"plain CDR.*'0007'"):
        read_image(b'\0\7' + serialised(image())[2:])
