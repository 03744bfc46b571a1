# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message to everything that can be published of it; without ROS."""
import gc
from types import SimpleNamespace
import weakref

from eunet_ros.images.conversions import image_to_bgr
from eunet_ros.model import load_checkpoint, Segmenter
from eunet_ros.node.pipeline import FramePipeline
from eunet_ros.parameters import NodeParameters
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest


@pytest.fixture(scope='module')
def segmenter():
    return Segmenter(load_checkpoint('eunet_n'), 'torch', (96, 160))


@pytest.fixture(scope='module')
def image():
    return render_scene(5, 192, 320).image


def message(image):
    return SimpleNamespace(height=image.shape[0], width=image.shape[1], encoding='bgr8',
                           step=3 * image.shape[1], is_bigendian=0, data=image.tobytes())


def test_the_whole_image_is_the_default(segmenter, image):
    products = FramePipeline(segmenter, 0.5).run(message(image))
    assert np.array_equal(products.mask, segmenter(image))


@pytest.mark.parametrize('region', [(0.25, 1.0), (0.0, 0.5), (0.4, 0.8)])
def test_a_region_is_what_its_rows_alone_give(segmenter, image, region):
    products = FramePipeline(segmenter, 0.5, region=region).run(message(image))
    rows = slice(*(round(share * 192) for share in region))
    assert products.mask.shape == products.confidence.shape == (192, 320)
    assert products.overlay.shape == products.color_mask.shape == (192, 320, 3)
    expected = segmenter.segment(image[rows])
    assert np.array_equal(products.mask[rows], expected.mask)
    assert np.array_equal(products.confidence[rows], expected.confidence())
    outside = np.delete(np.arange(192), rows)
    assert not products.mask[outside].any()
    assert (products.confidence[outside] == 255).all()


@pytest.fixture(scope='module')
def segmenter_with_strip():
    return Segmenter(load_checkpoint('eunet_n'), 'torch', (96, 160), strip_size=(32, 320))


def test_the_strip_follows_the_horizon_and_shows_on_the_overlay(segmenter_with_strip, image):
    pipeline = FramePipeline(segmenter_with_strip, 0.5, region=(0.25, 1.0),
                             horizon=lambda size, msg: 0.5 * size[0])
    products = pipeline.run(message(image))
    assert products.strip_rows.start < 96 < products.strip_rows.stop
    assert len(range(*products.strip_rows.indices(192))) == 32
    plain = FramePipeline(segmenter_with_strip, 0.5).run(message(image))
    changed = np.flatnonzero((products.overlay != image).any(axis=(1, 2)) & ~products.mask.any(1))
    edges = {products.strip_rows.start, products.strip_rows.stop - 1}
    assert set(changed) <= edges and all((products.overlay[v] != image[v]).any() for v in edges)
    assert plain.strip_rows is None or plain.strip_rows != products.strip_rows


def test_the_middle_of_the_strip_counts_where_no_horizon_is_known(segmenter_with_strip, image):
    pipeline = FramePipeline(segmenter_with_strip, 0.5, region=(0.25, 1.0),
                             horizon=lambda size, msg: None, strip_center=0.5)
    assert pipeline.run(message(image)).strip_rows == slice(80, 112)
    pipeline.strip_center = 0.1  # above the region
    assert pipeline.run(message(image)).strip_rows == slice(48, 80)
    pipeline.horizon = lambda size, msg: 150.0
    assert pipeline.run(message(image)).strip_rows.start > 112


@pytest.mark.parametrize('encoding', ['mono8', 'bayer_rggb8', 'bgra8', 'yuv422_yuy2'])
def test_a_strip_of_any_encoding_is_that_of_the_picture(segmenter_with_strip, image, encoding):
    channels = {'bgra8': 4, 'yuv422_yuy2': 2}.get(encoding, 1)
    data = np.random.default_rng(0).integers(0, 256, (192, 320, channels), np.uint8)
    msg = SimpleNamespace(height=192, width=320, encoding=encoding, step=channels * 320,
                          is_bigendian=0, data=data.tobytes())
    products = FramePipeline(segmenter_with_strip, 0.5, horizon=lambda size, msg: 96.0).run(msg)
    expected = segmenter_with_strip.segment(np.ascontiguousarray(image_to_bgr(msg)), 96.0)
    assert products.strip_rows == expected.rows
    assert np.array_equal(products.mask, expected.mask)
    assert np.array_equal(products.confidence, expected.confidence())


def test_classes_that_are_not_kept_are_background_in_a_region_too(segmenter, image):
    keep = np.zeros(256, np.uint8)
    keep[2] = 2
    mask = FramePipeline(segmenter, 0.5, keep, (0.2, 1.0)).run(message(image)).mask
    assert set(np.unique(mask)) <= {0, 2}


def test_what_came_of_an_image_is_freed_with_it(segmenter, image):
    products = FramePipeline(segmenter, 0.5).run(message(image))
    assert all(getattr(products, name) is not None for name in (
        'cone_confidence', 'confidence', 'overlay', 'color_mask'))
    alive = weakref.ref(products.mask)
    gc.disable()  # which may be minutes away, and a hundred megabytes
    try:
        del products
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize('height', [1, 2, 3])
def test_a_region_of_a_tiny_image_has_a_row(segmenter, height):
    image = np.zeros((height, 8, 3), np.uint8)
    assert FramePipeline(segmenter, 0.5, region=(0.99, 1.0)).run(message(image)).mask.shape == (
        height, 8)


def test_a_region_upside_down_is_refused():
    with pytest.raises(ValueError, match=r'roi_bottom must be above roi_top .* 0\.2 and 0\.6'):
        NodeParameters(roi_top=0.6, roi_bottom=0.2)
