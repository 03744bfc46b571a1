# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours of a mask and the overlay on the camera image."""

from eunet_ros.images.blending import blend_overlay, colorize
from eunet_ros.model.common.classes import ClassTable
import numpy as np
import pytest

COLORS = ((0, 0, 0), (10, 20, 30), (255, 128, 0))  # RGB
TABLE = ClassTable(('background', 'a', 'b'), COLORS).table_bgr


def test_colorize():
    picture = colorize(np.array([[0, 1], [2, 255]], np.uint8), TABLE[:, ::-1].copy())
    np.testing.assert_array_equal(picture, [[COLORS[0], COLORS[1]], [COLORS[2], (255,) * 3]])


def blended(bgr, mask, table, opacity):
    """Blend as the definition has it."""
    full = (1 - opacity) * bgr.astype(float) + opacity * table[mask]
    return np.where(mask[..., None] > 0, np.rint(full), bgr)


@pytest.mark.parametrize('share', [0.0, 0.002, 0.02, 0.3, 1.0])  # both ways and none
@pytest.mark.parametrize('size', [(48, 64), (70, 33), (5, 2), (1, 1), (37, 4)])
@pytest.mark.parametrize('opacity', [0.0, 0.4, 1.0])
def test_blend(size, share, opacity):
    rng = np.random.default_rng(0)
    bgr = rng.integers(0, 256, (*size, 3), np.uint8)
    mask = np.where(rng.random(size) < share, rng.integers(1, 5, size), 0).astype(np.uint8)
    before = bgr.copy()
    got = blend_overlay(bgr, mask, TABLE, opacity)
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), blended(bgr, mask, TABLE, opacity), atol=1)
    np.testing.assert_array_equal(got[mask == 0], before[mask == 0])
    np.testing.assert_array_equal(bgr, before)
    assert not np.shares_memory(got, bgr)


def test_blend_by_hand():
    bgr = np.full((1, 16, 3), 100, np.uint8)
    mask = np.zeros((1, 16), np.uint8)
    mask[0, 3], mask[0, 9] = 2, 255
    got = blend_overlay(bgr, mask, TABLE, 0.5)
    assert got[0, 3].tolist() == [50, 114, 178]  # of (0, 128, 255) in BGR; halves to even
    assert got[0, 9].tolist() == [178, 178, 178]
    assert got[0, 2].tolist() == [100, 100, 100]


def test_both_ways_agree():
    rng = np.random.default_rng(1)
    bgr = rng.integers(0, 256, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:24, 8:16] = 1  # few: run by run
    sparse = blend_overlay(bgr, mask, TABLE, 0.37)
    more = mask.copy()
    more[32:] = 2  # many: strip by strip
    np.testing.assert_array_equal(blend_overlay(bgr, more, TABLE, 0.37)[:32], sparse[:32])


def test_padded_and_read_only_input():
    rows = np.arange(4 * 40, dtype=np.uint8)
    bgr = np.ndarray((4, 8, 3), np.uint8, rows, strides=(40, 3, 1))
    mask = np.ndarray((4, 8), np.uint8, np.ones(4 * 9, np.uint8), strides=(9, 1))
    bgr.flags.writeable = mask.flags.writeable = False
    got = blend_overlay(bgr, mask, TABLE, 0.5)
    np.testing.assert_allclose(got.astype(int), blended(bgr, mask, TABLE, 0.5), atol=1)
    assert got.flags.writeable
    np.testing.assert_array_equal(colorize(mask, TABLE)[0, 0], COLORS[1][::-1])


BGR = np.zeros((2, 3, 3), np.uint8)
MASK = np.zeros((2, 3), np.uint8)


@pytest.mark.parametrize(('bgr', 'mask', 'table', 'opacity', 'words'), [
    (BGR, MASK[:1], TABLE, 0.5, r'shape \(1, 3, 3\).*found uint8 of shape \(2, 3, 3\)'),
    (BGR[..., 0], MASK, TABLE, 0.5, r'found uint8 of shape \(2, 3\)'),
    (BGR.astype(float), MASK, TABLE, 0.5, 'found float64'),
    (BGR, MASK.astype(int), TABLE, 0.5, 'class mask, found int64'),
    (BGR, BGR, TABLE, 0.5, r'class mask, found uint8 of shape \(2, 3, 3\)'),
    (BGR[:0], MASK[:0], TABLE, 0.5, r'shape \(0, 3\)'),
    (BGR, MASK, np.zeros((6, 3), np.uint8), 0.5, r'\(256, 3\) uint8 colour table'),
    (BGR, MASK, TABLE, 1.1, 'found 1.1'),
    (BGR, MASK, TABLE, -0.1, 'found -0.1'),
    (BGR, MASK, TABLE, float('nan'), 'found nan'),
])
def test_wrong_input(bgr, mask, table, opacity, words):
    with pytest.raises(ValueError, match=words):
        blend_overlay(bgr, mask, table, opacity)
