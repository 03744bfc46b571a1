# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hysteresis thresholds: which pieces of a mask are cones, and their outline."""
from dataclasses import replace

from eunet_ros.model import load_checkpoint, save_checkpoint, Segmenter
from eunet_ros.model.checkpoint import CheckpointError
from eunet_ros.model.pieces import settle
from eunet_ros.model.processing import SURE, WEAK
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest


def test_a_piece_counts_where_one_pixel_is_sure():
    mask = np.zeros((40, 60), np.uint8)
    mask[2:8, 2:6] = 1            # no pixel is sure
    mask[2:8, 12:16] = 2 | WEAK   # one is
    mask[4, 13] = 2 | SURE
    mask[20:30, 2:12] = 3 | SURE  # touches the next at a corner
    mask[30, 12] = 4 | WEAK
    settle(mask)
    assert not mask[:10, :10].any()
    assert (mask[2:8, 12:16] == 2).all()
    assert (mask[20:30, 2:12] == 3).all() and mask[30, 12] == 4
    assert set(np.unique(mask)) == {0, 2, 3, 4}
    settle(empty := np.zeros_like(mask))
    assert not empty.any()


@pytest.mark.parametrize(('rows', 'rim', 'outlined'), [(30, 2, True), (10, 2, False),
                                                       (30, 9, False)])
def test_a_large_piece_loses_a_thin_weak_rim(rows, rim, outlined):
    mask = np.zeros((60, 60), np.uint8)
    mask[5:5 + rows, 5:35] = 1 | WEAK
    mask[5:5 + rows, 5 + rim:35 - rim] = 1 | SURE
    whole = mask > 0
    settle(mask)
    expected = np.zeros_like(whole)
    expected[5:5 + rows, 5 + rim:35 - rim] = True
    np.testing.assert_array_equal(mask > 0, expected if outlined else whole)


@pytest.mark.parametrize('strip', [None, (32, 320)])
@pytest.mark.parametrize('engine', ['torch', 'openvino'])
def test_a_lower_threshold_adds_pixels_and_a_higher_one_takes_pieces(engine, strip):
    shipped = replace(load_checkpoint('eunet_n'), input_size=(96, 160), strip_size=strip)
    image = render_scene(8, 192, 320).image
    plain, more, fewer, same = (
        Segmenter(replace(shipped, thresholds=t), engine).segment(image)
        for t in ((0, 0), (-2, 0), (0, 3), (-1e-9, 0)))
    assert plain.mask.max() < SURE > more.mask.max() and fewer.mask.max() < SURE
    assert (more.mask > 0).sum() > (plain.mask > 0).sum() > (fewer.mask > 0).sum() > 0
    np.testing.assert_array_equal(same.mask, plain.mask)
    for found in (plain, more):  # of the class in the mask, not of the likeliest
        at = found.mask > 0
        np.testing.assert_array_equal(found.confidence(cones_only=True)[at],
                                      found.confidence()[at])
    assert more.confidence()[(more.mask > 0) & (plain.mask == 0)].mean() < 128


def test_the_thresholds_are_the_weights_own(tmp_path):
    path = tmp_path / 'weights.safetensors'
    shipped = load_checkpoint('eunet_n')
    save_checkpoint(path, replace(shipped, thresholds=(-1.5, 2.5)))
    assert load_checkpoint(path).thresholds == (-1.5, 2.5)
    for wrong in ((1.0, 2.0), (-1.0, -0.5), (float('nan'), 1.0), (-1.0, float('inf'))):
        with pytest.raises(CheckpointError, match='thresholds'):
            replace(shipped, thresholds=wrong)


def test_thresholds_need_bits_beside_the_classes():
    from eunet_ros.model.checkpoint import random_checkpoint
    from eunet_ros.model.common.classes import ClassTable
    names = tuple(f'class_{k}' for k in range(65))
    many = random_checkpoint('eunet_n', ClassTable(names, ((0, 0, 0),) * 65), (64, 64))
    with pytest.raises(CheckpointError, match='at most 64 classes, found 65'):
        replace(many, thresholds=(-1.0, 2.0))
