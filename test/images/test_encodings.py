# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an image's encoding and a CompressedImage's format say is honoured or refused."""
import cv2
from eunet_ros.images.conversions import (
    compressed_to_bgr,
    ConversionError,
    image_to_bgr,
    image_to_mask,
)
from image_making import compressed, encode, image, mosaic_of, padded, ramp, yuv_to_bgr
import numpy as np
import pytest

BGR = ramp(2, 3)
RAMP = ramp(24, 32)
GREY = RAMP[..., 0]
JPEG = encode('.jpg', RAMP, cv2.IMWRITE_JPEG_QUALITY, 95)


@pytest.mark.parametrize(('encoding', 'planes'), [
    ('nv12', 'uv'), ('nv21', 'vu'), ('i420', 'u v'), ('yuv420', 'u v'), ('nv24', 'uv')])
@pytest.mark.parametrize(('pad', 'cut'), [(0, False), (4, False), (4, True)])
def test_yuv_in_planes(encoding, planes, pad, cut):
    values = {'u': np.array([[90, 128, 200], [128, 90, 60]], np.uint8),
              'v': np.array([[200, 128, 90], [60, 128, 128]], np.uint8)}
    luma = np.arange(60, 180, 5, dtype=np.uint8).reshape(4, 6)
    full = {k: v.repeat(2, 0).repeat(2, 1) for k, v in values.items()}
    if encoding == 'nv24':
        values = full
    rows = [np.pad(luma, ((0, 0), (0, pad)))]
    width = values['u'].shape[1] * (2 if ' ' not in planes else 1)
    stride = (6 + pad) * width // 6  # of chroma
    for group in planes.split():
        plane = np.stack([values[k] for k in group], -1).reshape(-1, width)
        rows.append(np.pad(plane, ((0, 0), (0, stride - width)), constant_values=0xEE))
    data = b''.join(r.tobytes() for r in rows)
    data = data[:len(data) - (stride - width) * cut]
    got = image_to_bgr(image(encoding, 4, 6, 6 + pad, data))
    np.testing.assert_allclose(got, np.moveaxis(yuv_to_bgr(
        luma.astype(float), full['u'].astype(float), full['v'].astype(float)), 0, -1), atol=2)
    if not cut:  # as depthai-ros counts: all bytes over the height
        again = image_to_bgr(image(encoding, 4, 6, len(data) // 4, data))
        np.testing.assert_array_equal(again, got)


@pytest.mark.parametrize('name', ['RGB8', 'rgb8 ', ' Rgb8\0'])
def test_capitals_and_spaces_in_an_encoding_are_forgiven(name):
    stored = np.ascontiguousarray(BGR[..., ::-1])
    np.testing.assert_array_equal(image_to_bgr(padded(stored, 0, name)), BGR)
    np.testing.assert_array_equal(image_to_mask(padded(GREY, 1, 'MONO8')), GREY)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(('name', 'extension', 'tolerance'), [
    ('bayer_{}8; jpeg compressed ', '.jpg', 25), ('bayer_{}8; png compressed ', '.png', 1),
    ('BAYER_{}8; png compressed bayer_{}8', '.png', 1), ('bayer_{}8', '.png', 1),
    ('bayer_{}16; png compressed ', '.png', 1)])
def test_a_compressed_bayer_pattern_is_made_colours(name, extension, tolerance, pattern):
    pixels = mosaic_of(RAMP, pattern)
    if '16' in name:
        pixels = pixels.astype(np.uint16) * 257
    data = encode(extension, pixels, *[cv2.IMWRITE_JPEG_QUALITY, 95] * (extension == '.jpg'))
    picture = compressed_to_bgr(compressed(data, name.replace('{}', pattern)))
    assert picture.dtype == np.uint8
    difference = np.abs(picture.astype(int) - RAMP)[1:-1, 1:-1]
    assert difference.max() <= tolerance and difference.mean() < tolerance / 3


@pytest.mark.parametrize('name', [
    'bayer_rggb8; jpeg compressed bgr8', 'uyvy; jpeg compressed bgr8',
    'yuv422; jpeg compressed yuv422', '8UC3; jpeg compressed ', 'nv21; jpeg compressed bgr8'])
def test_what_the_publisher_made_colours_is_taken_so(name):
    np.testing.assert_allclose(compressed_to_bgr(compressed(JPEG, name)).astype(int), RAMP,
                               atol=12)


@pytest.mark.parametrize(('name', 'data', 'words'), [
    ('16UC1; png compressed ', encode('.png', GREY.astype(np.uint16)), 'colour topic'),
    ('32FC1; tiff compressed ', b'II*\0' + bytes(20), 'colour topic'),
    ('bgr8; tiff compressed ', b'II*\0' + bytes(20), 'JPEG, PNG or WebP'),
    ('bayer_rggb8; jpeg compressed mono8', encode('.jpg', GREY), 'grey.*png'),
    ('bayer_rggb16; jpeg compressed ', encode('.jpg', GREY), '16 bits.*png'),
    ('mono16; jpeg compressed ', encode('.jpg', GREY), '16 bits.*png'),
    ('bayer_rggb8; png compressed ', encode('.png', GREY[:23]), 'even width and height'),
    ('nv12; jpeg compressed mono8', encode('.jpg', GREY), 'in colour.*bgr8'),
    ('yuv422; png compressed ', encode('.png', GREY), 'in colour.*bgr8'),
])
def test_formats_that_are_no_picture_are_refused(name, data, words):
    with pytest.raises(ConversionError, match=words):
        compressed_to_bgr(compressed(data, name))
