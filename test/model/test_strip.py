# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The strip along the horizon: where it is put, and how its mask is merged."""
from types import SimpleNamespace

from eunet_ros.model import Segmenter, strip
from eunet_ros.model.checkpoint import random_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.segmenter import NO_STRIP
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

SIZE, STRIP = (64, 96), (32, 192)


def mask_of(*boxes, size=(100, 200)):
    """Draw boxes of (u0, v0, u1, v1, class)."""
    mask = np.zeros(size, np.uint8)
    for u0, v0, u1, v1, kind in boxes:
        mask[v0:v1, u0:u1] = kind
    return mask


def merged_of(whole, part, rows=slice(40, 80)):
    return strip.merge(whole, strip.Pieces.of(whole), part, rows)


@pytest.mark.parametrize('image, size, rows', [
    ((720, 1280), (288, 1920), 192), ((1080, 1920), (288, 1920), 288),
    ((100, 1920), (288, 1920), 100)])
def test_a_strip_fills_the_width(image, size, rows):
    assert strip.strip_height(image, size) == rows


@pytest.mark.parametrize('top, found', [(10, (10, 40)), (-5, (0, 30)), (90, (70, 100))])
def test_rows_stay_in_the_image(top, found):
    rows = strip.rows_at(top, 30, 100)
    assert (rows.start, rows.stop) == found


@pytest.mark.parametrize('camera', [0.4, 0.7, 1.0, 1.3])
@pytest.mark.parametrize('nearest, farthest', [(4, 12), (4, 25), (8, 40)])
def test_cones_say_where_far_ones_must_be(camera, nearest, farthest):
    """Of a camera at a height [m] that looks along flat ground, focal length 900 px."""
    def rows_of(distance):
        bottom = 300 + 900 * camera / distance
        return round(bottom - 900 * 0.325 / distance), min(round(bottom), 720)
    boxes = [(int(40 * d), rows_of(d)[0], int(40 * d) + 15, rows_of(d)[1], 1)
             for d in np.arange(nearest, farthest + 1, 4)]
    fragments = [(u, 650, u + 5, 656, 1) for u in (1700, 1720)]  # small, and not far
    rows = strip.rows_of_far_cones(
        strip.Pieces.of(mask_of(*boxes, *fragments, size=(720, 1800))), 192)
    for distance in (20, 40):
        top, bottom = rows_of(distance)
        assert rows.start < top and bottom < rows.stop


def test_without_cones_there_is_no_strip():
    assert strip.rows_of_far_cones(strip.Pieces.of(mask_of()), 30) is None
    small = strip.Pieces.of(mask_of((5, 5, 7, 7, 1)))
    assert strip.rows_of_far_cones(small, 30) is None


def test_the_horizon_is_inside():
    rows = strip.rows_below_horizon(50, 30, 100)
    assert rows.start < 50 < rows.stop and rows.stop - 50 > 50 - rows.start


def test_a_strip_has_its_middle_where_it_is_asked_for():
    rows = strip.rows_below_horizon(strip.horizon_of(50, 30), 30, 100)
    assert (rows.start, rows.stop) == (35, 65)


def test_the_strips_cones_count_within_it():
    whole = mask_of((10, 50, 12, 53, 1), (50, 50, 53, 53, 1))
    part = mask_of((10, 10, 13, 14, 2), size=(40, 200))   # one is seen again, one is not
    merged, own = merged_of(whole, part)
    assert np.array_equal(merged, mask_of((10, 50, 13, 54, 2)))
    assert own.all()


def test_a_cone_that_the_edge_cuts_is_whole():
    whole = mask_of((10, 70, 30, 95, 1))
    part = mask_of((11, 31, 29, 40, 1), size=(40, 200))
    merged, own = merged_of(whole, part)
    assert np.array_equal(merged, whole)
    assert not own[30, 10] and own[31, 12] and own[0, 0]


def test_large_cones_of_the_whole_image_stay():
    whole = mask_of((10, 45, 20, 70, 1))
    merged, _ = merged_of(whole, np.zeros((40, 200), np.uint8))
    assert np.array_equal(merged, whole)


@pytest.fixture(scope='module')
def checkpoint():
    return random_checkpoint('eunet_n', cone_classes(), SIZE)


@pytest.fixture(scope='module')
def segmenter(checkpoint):
    return Segmenter(checkpoint, 'torch', strip_size=STRIP)


def picture(height=60, width=180):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def test_with_a_horizon_the_strip_is_what_its_rows_alone_give(segmenter, checkpoint):
    image = picture()
    result = segmenter.segment(image, 30.0)
    rows = strip.rows_below_horizon(30.0, strip.strip_height((60, 180), STRIP), 60)
    whole = Segmenter(checkpoint, 'torch', SIZE).segment(image)
    part = Segmenter(checkpoint, 'torch', STRIP).segment(image[rows])
    expected, own = merged_of(whole.mask, part.mask, rows)
    assert np.array_equal(result.mask, expected) and result.rows == rows
    confidence = whole.confidence()
    confidence[rows] = np.where(own, part.confidence(), confidence[rows])
    assert np.array_equal(result.confidence(), confidence)
    assert result.cone_probability().shape == (60, 180)
    assert {'inference', 'strip', 'merge'} <= set(result.stage_ms)


@pytest.fixture(scope='module')
def without_strip(checkpoint):
    return Segmenter(checkpoint, 'torch', SIZE)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 90), st.integers(1, 260), st.integers(0, 8), st.integers(0, 999))
def test_where_no_cone_says_where_the_strip_is_it_is_left_out(segmenter, height, width, cones,
                                                              seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for v, u in rng.integers(0, (height, width), (cones, 2)) // 5 * 5:
        mask[v:v + 3, u:u + 3] = rng.integers(1, 6)  # too small for a cone each
    whole = SimpleNamespace(mask=mask, stage_ms={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter.engine, 'segment', lambda image: whole)
        assert segmenter.segment(np.zeros((height, width, 3), np.uint8)) is whole


@pytest.mark.parametrize('horizon', [None, 20.0])
def test_a_small_image_has_the_mask_that_it_has_without_a_strip(segmenter, without_strip, horizon):
    image = picture(40, 95)
    result, expected = segmenter.segment(image, horizon), without_strip.segment(image)
    assert not hasattr(result, 'rows') and np.array_equal(result.mask, expected.mask)
    assert np.array_equal(result.confidence(), expected.confidence())


@pytest.mark.parametrize('light', [0, 90, 255])
def test_an_image_without_cones_has_the_mask_that_it_has_without_a_strip(light):
    segmenters = [Segmenter('eunet_n', 'torch', (96, 160), strip_size=size)
                  for size in ((32, 320), NO_STRIP)]
    image = np.full((192, 320, 3), light, np.uint8)
    result, expected = (s.segment(image) for s in segmenters)
    assert not hasattr(result, 'rows') and np.array_equal(result.mask, expected.mask)
    assert np.array_equal(result.confidence(), expected.confidence())


def test_sizes_may_change_and_the_past_does_not_count(checkpoint, segmenter):
    # Landscape, portrait, lower than the strip, one row, larger, too narrow for a strip.
    sizes = [(60, 180), (300, 110), (20, 190), (1, 400), (150, 400), (60, 95), (60, 180)]
    for size in sizes:
        fresh = Segmenter(checkpoint, 'torch', strip_size=STRIP)
        for horizon in (None, 0.4 * size[0], -1e4, 1e4):
            image = picture(*size)
            result, expected = segmenter.segment(image, horizon), fresh.segment(image, horizon)
            assert result.mask.shape == size and np.array_equal(result.mask, expected.mask)
            assert np.array_equal(result.confidence(), expected.confidence())
            if horizon is not None and size[1] >= 96:
                count = strip.strip_height(size, STRIP)
                assert result.rows.stop - result.rows.start == count
                assert horizon != -1e4 or result.rows.start == 0
                assert horizon != 1e4 or result.rows.stop == size[0]


def test_the_weights_own_strip_goes_with_their_own_input(tmp_path):
    from dataclasses import replace

    from eunet_ros.model import load_checkpoint, save_checkpoint
    path = tmp_path / 'weights.safetensors'
    save_checkpoint(path, replace(random_checkpoint('eunet_n', cone_classes(), SIZE),
                                  strip_size=STRIP))
    assert load_checkpoint(path).strip_size == STRIP
    assert Segmenter(path, 'torch').strip_size == STRIP
    assert 'strip 32x192' in Segmenter(path, 'torch').describe()
    assert Segmenter(path, 'torch', strip_size=NO_STRIP).strip_size is None
    assert Segmenter(path, 'torch', (64, 128)).strip_size is None
    with pytest.raises(ValueError, match='33x192'):
        Segmenter(path, 'torch', strip_size=(33, 192))
