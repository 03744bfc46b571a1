# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image and CameraInfo messages to arrays and back."""

import array
import subprocess
import sys
from types import SimpleNamespace

import cv2
from eunet_ros.images.conversions import (
    compressed_to_bgr,
    compressed_to_mask,
    ConversionError,
    image_to_bgr,
    image_to_mask,
    SUPPORTED_ENCODINGS,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from image_making import compressed, encode, image, mosaic_of, padded, ramp, yuv_to_bgr
import numpy as np
import pytest

BGR = np.array([[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [0, 128, 255]]], np.uint8)
GREY = np.array([[0, 7, 255], [1, 2, 3]], np.uint8)
ALPHA = np.dstack([BGR, np.full((2, 2), 9, np.uint8)])


@pytest.mark.parametrize('pad', [0, 1, 5])
@pytest.mark.parametrize(('encoding', 'stored', 'expected'), [
    ('bgr8', BGR, BGR),
    ('8UC3', BGR, BGR),
    ('rgb8', BGR[..., ::-1], BGR),
    ('bgra8', ALPHA, BGR),
    ('8UC4', ALPHA, BGR),
    ('rgba8', ALPHA[..., [2, 1, 0, 3]], BGR),
    ('mono8', GREY, np.dstack([GREY] * 3)),
    ('8UC1', GREY, np.dstack([GREY] * 3)),
])
def test_8_bit(encoding, stored, expected, pad):
    picture = image_to_bgr(padded(np.ascontiguousarray(stored), pad, encoding))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, expected)


WIDE = np.array([[0, 127, 128, 129], [257, 1000, 65406, 65535]], np.uint16)  # (2, 4)
WIDE_BGR = np.stack([WIDE, WIDE[::-1], WIDE[:, ::-1]], -1)  # (2, 4, 3)


@pytest.mark.parametrize('pad', [0, 1, 6])
@pytest.mark.parametrize('bigendian', [0, 1])
@pytest.mark.parametrize(('encoding', 'stored', 'expected'), [
    ('mono16', WIDE, np.dstack([WIDE] * 3)),
    ('bgr16', WIDE_BGR, WIDE_BGR),
    ('rgb16', WIDE_BGR[..., ::-1], WIDE_BGR),
    ('bgra16', np.dstack([WIDE_BGR, WIDE]), WIDE_BGR),
    ('rgba16', np.dstack([WIDE_BGR[..., ::-1], WIDE]), WIDE_BGR),
])
def test_16_bit_is_scaled_by_255_65535(encoding, stored, expected, bigendian, pad):
    stored = np.ascontiguousarray(stored, '>u2' if bigendian else '<u2')
    picture = image_to_bgr(padded(stored, pad, encoding, bigendian))
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.rint(expected * (255 / 65535)))


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(('bits', 'pad'), [(8, 0), (8, 3), (16, 0), (16, 3)])
def test_bayer_has_the_right_colours(pattern, bits, pad):
    # ROS: the letters are the pixels of row 0, then of row 1.
    picture = ramp(12, 16)
    mosaic = mosaic_of(picture, pattern)
    if bits == 16:
        mosaic = mosaic.astype('<u2') * 257
    got = image_to_bgr(padded(mosaic, pad, f'bayer_{pattern}{bits}'))
    # A ramp is interpolated exactly but for rounding; OpenCV repeats the outermost pixels.
    np.testing.assert_allclose(got[1:-1, 1:-1].astype(int), picture[1:-1, 1:-1], atol=1)


@pytest.mark.parametrize(('encoding', 'order'), [
    ('uyvy', 'uyvz'), ('yuv422', 'uyvz'),
    ('yuyv', 'yuzv'), ('yuv422_yuy2', 'yuzv'), ('yuy2', 'yuzv')])
@pytest.mark.parametrize('pad', [0, 3])
def test_yuv_422(encoding, order, pad):
    pairs = [{'y': 60, 'z': 180, 'u': 90, 'v': 200}, {'y': 235, 'z': 16, 'u': 128, 'v': 128}]
    stored = np.array([[[p[c] for c in order] for p in pairs]] * 2, np.uint8)  # (2, 2, 4)
    got = image_to_bgr(padded(stored.reshape(2, 4, 2), pad, encoding))
    expected = [yuv_to_bgr(p[c], p['u'], p['v']) for p in pairs for c in 'yz']
    np.testing.assert_allclose(got, np.array([expected] * 2), atol=2)


@pytest.mark.parametrize('kind', [
    bytes, bytearray, memoryview, list, lambda b: array.array('B', b),
    lambda b: np.frombuffer(b, np.uint8)])
def test_data_may_be_any_bytes(kind):
    msg = image('bgr8', 2, 2, 6, kind(BGR.tobytes()))
    np.testing.assert_array_equal(image_to_bgr(msg), BGR)


def test_bgr8_is_a_view_also_with_padding():
    msg = padded(BGR, 4, 'bgr8')
    picture = image_to_bgr(msg)
    assert picture.strides == (10, 3, 1)
    msg.data[0] = 99
    assert picture[0, 0, 0] == 99


def test_last_row_may_lack_its_padding():
    msg = padded(BGR, 4, 'bgr8')
    msg.data = msg.data[:-4]
    np.testing.assert_array_equal(image_to_bgr(msg), BGR)


@pytest.mark.parametrize(('changes', 'words'), [
    ({'width': 0}, 'found 0x2'),
    ({'height': 0}, 'found 2x0'),
    ({'width': 16385}, '16384'),
    ({'height': 2 ** 32 - 1}, 'found 2x4294967295'),
    ({'step': 0}, 'at least 6 bytes.* found 0'),
    ({'step': 5}, 'at least 6 bytes.* found 5'),
    ({'width': 3}, 'at least 9 bytes'),
    ({'step': 7}, 'expected 14 bytes.* found 12'),
    ({'data': bytes(11)}, 'expected 12 bytes.* found 11'),
    ({'data': bytes(13)}, 'expected 12 bytes.* found 13'),
    ({'data': b''}, 'expected 12 bytes.* found 0'),
    ({'data': 'text'}, 'found str'),
    ({'data': [256] * 12}, 'found list'),
    ({'data': np.zeros(12, np.int8)}, 'array of int8'),
    ({'encoding': 'BGR88'}, "'BGR88', did you mean bgr8"),
    ({'encoding': 'gray8'}, 'did you mean mono8'),
    ({'encoding': 'rgb'}, "'rgb', did you mean rgb8"),
    ({'encoding': 'bayer-rggb8'}, 'did you mean bayer_rggb8'),
    ({'encoding': ''}, "''"),
    ({'encoding': '32FC1', 'step': 8, 'data': bytes(16)}, "'32FC1'(?!, did).*bgr8, .*mono16"),
    ({'encoding': '16UC1', 'data': bytes(12)}, "'16UC1'(?!, did)"),
    ({'encoding': 'nv21', 'step': 1}, 'at least 2 bytes.*nv21.*found 1'),
    ({'encoding': 'nv12', 'step': 2}, 'expected 6 bytes.*found 12'),
    ({'encoding': 'nv12', 'width': 3, 'step': 3}, 'even width and height.*found 3x2'),
    ({'encoding': 'i420', 'height': 3, 'step': 4}, 'even width and height.*found 2x3'),
    ({'encoding': 'nv24', 'step': 4, 'data': bytes(19)}, 'expected 24 bytes.*found 19'),
    ({'encoding': 'yuv422', 'width': 1}, 'even width for encoding yuv422, found 1x2'),
    ({'encoding': 'bayer_rggb8'}, 'at least 4 .*found 2x2'),
    ({'encoding': 'bayer_rggb16', 'width': 5, 'height': 4}, 'even width and height.*found 5x4'),
    ({'encoding': 'bayer_bggr8', 'width': 4, 'height': 5}, 'even width and height.*found 4x5'),
])
def test_wrong_images(changes, words):
    msg = image('bgr8', 2, 2, 6, BGR.tobytes())
    vars(msg).update(changes)
    with pytest.raises(ConversionError, match=words):
        image_to_bgr(msg)


def test_other_encodings_go_to_cv_bridge(monkeypatch):
    answer = {'array': BGR}
    bridge = SimpleNamespace(imgmsg_to_cv2=lambda msg, encoding: answer[encoding and 'array'])
    monkeypatch.setitem(sys.modules, 'cv_bridge', SimpleNamespace(CvBridge=lambda: bridge))
    msg = image('xyz9', 2, 2, 2, bytes(6))
    assert image_to_bgr(msg) is BGR
    answer['array'] = GREY
    with pytest.raises(ConversionError, match=r"\(2, 2, 3\).*'xyz9'.*\(2, 3\)"):
        image_to_bgr(msg)
    answer.clear()
    with pytest.raises(ConversionError, match=r"'xyz9', which cv_bridge cannot.*KeyError"):
        image_to_bgr(msg)
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(ConversionError, match=r"'xyz9'.*bgr8.*install ros-<distro>-cv-bridge"):
        image_to_bgr(msg)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_mask_is_a_view(encoding):
    msg = padded(GREY, 2, encoding)
    mask = image_to_mask(msg)
    np.testing.assert_array_equal(mask, GREY)
    msg.data[1] = 4
    assert mask[0, 1] == 4


def test_mask_must_be_one_channel():
    with pytest.raises(ConversionError, match=r"mono8.*found 'bgr8'"):
        image_to_mask(padded(BGR, 0, 'bgr8'))


RAMP = ramp(24, 32)
JPEG = encode('.jpg', RAMP, cv2.IMWRITE_JPEG_QUALITY, 95)
PNG = encode('.png', RAMP)


@pytest.mark.parametrize(('name', 'data', 'tolerance'), [
    ('jpeg', JPEG, 12),
    ('bgr8; jpeg compressed bgr8', JPEG, 12),
    ('rgb8; jpeg compressed bgr8', JPEG, 12),
    ('jpg', encode('.jpg', RAMP, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 12),
    ('jpeg', JPEG + bytes(9), 12),
    ('jpeg', JPEG + b'\x12\x34' * 40, 12),
    ('png', PNG, 0),
    ('rgb8; png compressed bgr8', PNG, 0),
    ('rgb8; png compressed rgb8', encode('.png', RAMP[..., ::-1]), 0),
    ('rgba8; png compressed ', encode('.png', RAMP[..., ::-1]), 0),
    ('png', encode('.png', np.dstack([RAMP, RAMP[..., 0]])), 0),
    ('webp', encode('.webp', RAMP, cv2.IMWRITE_WEBP_QUALITY, 90), 16),
    ('webp', encode('.webp', RAMP, cv2.IMWRITE_WEBP_QUALITY, 101), 0),
    ('', PNG, 0),
])
def test_compressed(name, data, tolerance):
    picture = compressed_to_bgr(compressed(array.array('B', data), name))
    assert picture.dtype == np.uint8
    np.testing.assert_allclose(picture.astype(int), RAMP, atol=tolerance)


def test_compressed_grey_has_three_channels():
    data = encode('.jpg', RAMP[..., 1], cv2.IMWRITE_JPEG_QUALITY, 95)
    picture = compressed_to_bgr(compressed(data, 'mono8; jpeg compressed '))
    np.testing.assert_allclose(picture.astype(int), np.dstack([RAMP[..., 1]] * 3), atol=4)


def test_exif_orientation_is_ignored():
    # APP1 with one tag, 0x0112 = 6: 'rotate by 90 degrees to view'.
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    body = b'Exif\0\0' + tiff
    data = JPEG[:2] + b'\xff\xe1' + (len(body) + 2).to_bytes(2, 'big') + body + JPEG[2:]
    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (32, 24, 3)
    assert compressed_to_bgr(compressed(data)).shape == (24, 32, 3)


def resized(data, mark, skip, form, width, height):
    """Overwrite the size in a header: the skip-th byte after mark on."""
    at = data.index(mark) + skip
    size = b''.join(n.to_bytes(form, 'big') for n in (
        (height, width) if form == 2 else (width, height)))
    return data[:at] + size + data[at + len(size):]


WEBP_BOMB = b'RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0' + b'\xff\xff\x00' * 2
THUMBNAIL = b'\xff\xd8\xff\xe1\0\x06\xff\xd9\xff\xd9' + JPEG[2:-2]  # its own end marker only


@pytest.mark.parametrize(('name', 'data', 'words'), [
    ('jpeg', b'', "found 0 bytes of format 'jpeg'"),
    ('jpeg', b'\0' * 50, "JPEG, PNG or WebP.*starting with '00000000'"),
    ('h264', b'\0\0\0\1' * 9, 'h264'),
    ('16UC1; compressedDepth png', bytes(12) + PNG, 'depth'),
    ('jpeg', JPEG[:3], 'damaged'),
    ('jpeg', JPEG[:200], 'truncated|damaged'),
    ('jpeg', JPEG[:-2], 'truncated'),
    ('jpeg', JPEG[:-40] + bytes(40), 'truncated'),
    ('jpeg', THUMBNAIL, 'truncated'),
    ('jpeg', resized(JPEG, b'\xff\xc0', 5, 2, 16000, 16000), 'found 16000x16000'),
    ('jpeg', resized(JPEG, b'\xff\xc0', 5, 2, 20000, 8), 'found 20000x8'),
    ('jpeg', resized(JPEG, b'\xff\xc0', 5, 2, 32, 0), 'found 32x0'),
    ('jpeg', JPEG.replace(b'\xff\xc0', b'\xff\xe0'), 'damaged'),
    ('jpeg', JPEG.replace(b'\xff\xdb', b'\xff\xe0'), 'decode'),
    ('png', PNG[:20], 'damaged'),
    ('png', PNG[:-1], 'truncated'),
    ('png', PNG[:60], 'truncated'),
    ('png', PNG[:60] + bytes(len(PNG) - 80) + PNG[-20:], 'damage'),
    ('png', resized(PNG, b'IHDR', 4, 4, 50000, 50000), 'found 50000x50000'),
    ('png', resized(PNG, b'IHDR', 4, 4, 9000, 9000), 'found 9000x9000'),
    ('webp', WEBP_BOMB, 'found 65536x65536'),
    ('webp', encode('.webp', RAMP)[:-10], 'truncated'),
    ('webp', b'RIFF\x04\0\0\0WEBP', 'damaged'),
])
def test_wrong_compressed_images(name, data, words):
    with pytest.raises(ConversionError, match=words):
        compressed_to_bgr(compressed(data, name))


def test_what_opencv_raises_is_a_conversion_error(monkeypatch):
    def fail(data, flags):
        raise cv2.error('boom')
    monkeypatch.setattr(cv2, 'imdecode', fail)
    with pytest.raises(ConversionError, match=r'can decode.*boom'):
        compressed_to_bgr(compressed(JPEG))


def test_compressed_mask():
    mask = compressed_to_mask(compressed(encode('.png', GREY), 'mono8; png compressed mono8'))
    np.testing.assert_array_equal(mask, GREY)


@pytest.mark.parametrize(('data', 'words'), [
    (JPEG, 'mask as PNG'),
    (b'', 'mask as PNG'),
    (PNG, r'one 8-bit channel, found uint8 of shape \(24, 32, 3\)'),
    (encode('.png', WIDE), 'one 8-bit channel, found uint16'),
    (PNG[:-3], 'truncated'),
])
def test_wrong_compressed_masks(data, words):
    with pytest.raises(ConversionError, match=words):
        compressed_to_mask(compressed(data))


OFTEN = settings(max_examples=200, deadline=None, database=None)
SMALL = st.integers(-1, 12)


@OFTEN
@given(st.sampled_from([*SUPPORTED_ENCODINGS, '32FC1', 'what']), SMALL, SMALL,
       st.integers(-1, 60), st.binary(max_size=150), st.integers(0, 1))
def test_any_image_gives_a_picture_or_a_conversion_error(
        encoding, height, width, step, data, bigendian):
    try:
        picture = image_to_bgr(image(encoding, height, width, step, data, bigendian))
    except ConversionError:
        return
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@OFTEN
@given(st.sampled_from([b'', JPEG, PNG, encode('.webp', RAMP), PNG[:8], b'\xff\xd8\xff']),
       st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=8),
       st.integers(0, 900), st.binary(max_size=40), st.sampled_from(['', 'jpeg', 'rgb8; png x']))
def test_any_compressed_image_gives_a_picture_or_a_conversion_error(
        data, changes, length, tail, name):
    data = bytearray(data)
    for at, value in changes:
        if at < len(data):
            data[at] = value
    for convert in (compressed_to_bgr, compressed_to_mask):
        try:
            assert convert(compressed(bytes(data[:length]) + tail, name)).dtype == np.uint8
        except ConversionError:
            pass


@pytest.mark.process
def test_no_ros_is_imported():
    code = ('import sys, eunet_ros.images.conversions, eunet_ros.images.blending; '
            'print(sorted({m.split(".")[0] for m in sys.modules} '
            '& {"rclpy", "sensor_msgs", "std_msgs", "cv_bridge", "torch"}))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
