# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small image messages for tests."""
import array
from types import SimpleNamespace

import cv2
from eunet_ros.model import processing
import numpy as np


def image(encoding, height, width, step, data, bigendian=0):
    return SimpleNamespace(
        header='h', encoding=encoding, height=height, width=width, step=step, data=data,
        is_bigendian=bigendian)


def padded(pixels, pad, encoding, bigendian=0):
    """Make an image of a (H, W[, C]) array with pad bytes of rubbish after each row."""
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)  # (H, bytes)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xEE)
    height, width = pixels.shape[:2]
    return image(encoding, height, width, rows.shape[1], array.array('B', rows.tobytes()),
                 bigendian)


def compressed(data, name='jpeg'):
    return SimpleNamespace(header='h', format=name, data=data)


def ramp(*shape):
    """Make a smooth picture, which JPEG and demosaicing keep."""
    y, x = np.mgrid[:shape[0], :shape[1]]
    planes = [40 + 3 * x + y, 90 + 2 * y, 200 - 2 * x - y]
    return np.stack(planes, -1).astype(np.uint8)  # (H, W, 3)


def encode(extension, picture, *options):
    return cv2.imencode(extension, picture, list(options))[1].tobytes()


def mosaic_of(picture, pattern):
    """Keep of each pixel the colour that a Bayer pattern has there."""
    out = np.empty(picture.shape[:2], picture.dtype)
    for letter, (y, x) in zip(pattern, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        out[y::2, x::2] = picture[y::2, x::2, 'bgr'.index(letter)]
    return out


def yuv_to_bgr(y, u, v):
    """Convert by the definition of BT.601 with limited range."""
    luma, cb, cr = 255 / 219 * (y - 16), 255 / 112 * (u - 128), 255 / 112 * (v - 128)
    green = luma - 0.886 * 0.114 / 0.587 * cb - 0.701 * 0.299 / 0.587 * cr
    return np.clip([luma + 0.886 * cb, green, luma + 0.701 * cr], 0, 255)


def labels_plain(logits, plan):
    """Interpolate all logits (C, H, W), return the classes (h, w): the reference of `labels`."""
    h, w = plan.scaled
    full = processing._interpolate(processing.with_background(logits)[:, :h, :w], plan.rows,
                                   plan.cols)
    return full.argmax(0).astype(np.uint8)
