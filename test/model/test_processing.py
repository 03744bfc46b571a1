# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the image to the network's input and from logits to a mask, against plain definitions."""
from eunet_ros.model import processing
from eunet_ros.model.processing import (
    confidence,
    Fit,
    fit,
    labels,
    PADDING_BGR,
    to_network,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from image_making import labels_plain
import numpy as np
import pytest
import torch
import torch.nn.functional as F

# Image and network sizes: shrunk, enlarged, equal, halved, portrait, odd, single pixels, strips.
SIZES = [((72, 128), (40, 64)), ((24, 32), (48, 64)), ((48, 64), (48, 64)), ((96, 128), (48, 64)),
         ((128, 60), (48, 64)), ((61, 97), (48, 64)), ((1, 1), (16, 24)), ((1, 90), (16, 24)),
         ((90, 1), (16, 24)), ((3, 2), (16, 24)), ((200, 311), (8, 8)), ((16, 24), (8, 16))]


def blobs(rng, classes, height, width, count, size=3):
    """Return logits (classes, height, width) of background with blobs of other classes."""
    logits = rng.normal(0, 1, (classes, height, width)).astype(np.float32)
    binary = classes == 1
    logits[0] += -8 if binary else 8
    for _ in range(count):
        y, x, c = rng.integers(height), rng.integers(width), rng.integers(1 - binary, classes)
        h, w = rng.integers(1, size + 1, 2)
        logits[c, y:y + h, x:x + w] += rng.uniform(6, 20)
    return logits


def interpolated(logits, plan):
    """Return all logits at the image's size, float64, by PyTorch; one logit gets a zero before."""
    h, w = plan.scaled
    x = torch.from_numpy(logits[None, :, :h, :w].astype(np.float64))
    x = F.interpolate(x, size=plan.image, mode='bilinear', align_corners=False)[0].numpy()
    return np.concatenate((np.zeros_like(x), x)) if len(x) == 1 else x


def assert_labels(mask, logits, plan):
    """Assert that each pixel has the largest interpolated logit, up to ties in float32."""
    full = interpolated(logits, plan)
    assert mask.shape == plan.image
    assert mask.dtype == np.uint8
    assert mask.max() < len(full)
    chosen = np.take_along_axis(full, mask[None].astype(int), 0)[0]
    assert (full.max(0) - chosen <= 1e-4 * max(1, np.abs(full).max())).all()
    clear = np.sort(full, 0)[-1] - np.sort(full, 0)[-2] > 1e-3
    np.testing.assert_array_equal(mask[clear], full.argmax(0)[clear])
    assert clear.mean() > 0.5 or clear.size < 4


@pytest.mark.parametrize(('image', 'network'), SIZES)
@pytest.mark.parametrize('count', [0, 2, 25, 400])
@pytest.mark.parametrize('classes', [1, 2, 6])
def test_labels(image, network, count, classes):
    logits = blobs(np.random.default_rng(count), classes, *network, count)
    plan = Fit(image, network)
    assert_labels(labels_plain(logits, plan), logits, plan)
    assert_labels(labels(logits, plan), logits, plan)


@pytest.mark.parametrize(('image', 'network'), SIZES)
@pytest.mark.parametrize('count', [2, 25, 400])
@pytest.mark.parametrize('classes', [1, 6])
def test_labels_with_thresholds(image, network, count, classes):
    low, high = -2.0, 3.0
    logits = blobs(np.random.default_rng(count), classes, *network, count)
    plan = Fit(image, network)
    full = interpolated(logits, plan)
    over, chosen = full[1:].max(0) - full[0], full[1:].argmax(0) + 1
    expected = np.where(over > low, chosen + processing.WEAK * (over < 0)
                        + processing.SURE * (over >= high), 0)
    clear = np.abs(over[..., None] - (low, 0, high)).min(-1) > 1e-3
    if classes > 1:
        clear &= np.diff(np.sort(full[1:], 0)[-2:], axis=0)[0] > 1e-3
    np.testing.assert_array_equal(labels(logits, plan, (low, high))[clear], expected[clear])
    assert clear.mean() > 0.5 or clear.size < 4


def test_both_ways_are_taken(monkeypatch):
    # Otherwise the test above would compare one way only.
    rng, plan, ways = np.random.default_rng(0), Fit((144, 256), (72, 128)), []
    plain_resize, plain_interpolate = processing.cv2.resize, processing._interpolate

    def resize(*arguments, **options):
        ways.append('whole')
        return plain_resize(*arguments, **options)

    def interpolate(*arguments):
        ways.append('box')
        return plain_interpolate(*arguments)
    monkeypatch.setattr(processing.cv2, 'resize', resize)
    monkeypatch.setattr(processing, '_interpolate', interpolate)
    taken = {}
    for name, logits in {
            'few': blobs(rng, 6, 72, 128, 4), 'area': blobs(rng, 6, 72, 128, 2, 100),
            'none': blobs(rng, 6, 72, 128, 0)}.items():
        ways.clear()
        labels(logits, plan)
        taken[name] = set(ways)
    assert taken == {'few': {'box'}, 'area': {'whole'}, 'none': set()}


def test_many_blobs():
    # More than 96 separate blobs on little of the area.
    logits = np.zeros((2, 160, 256), np.float32)
    logits[0] = 5
    logits[1, 4::16, 4::16] = 20
    assert (logits[1] > logits[0]).sum() == 160
    for image in ((320, 512), (90, 144)):
        plan = Fit(image, (160, 256))
        assert_labels(labels(logits, plan), logits, plan)


@pytest.mark.parametrize('image', [(30, 40), (61, 83), (7, 9), (16, 24)])
def test_everything_covered_and_nothing(image):
    plan = Fit(image, (16, 24))
    for c in range(6):
        logits = np.zeros((6, 16, 24), np.float32)
        logits[c] = 1
        assert (labels(logits, plan) == c).all()
        assert (labels_plain(logits, plan) == c).all()
    assert not labels(np.full((1, 16, 24), -1, np.float32), plan).any()
    assert (labels(np.ones((1, 16, 24), np.float32), plan) == 1).all()


def test_ties_are_the_smaller_id():
    plan = Fit((8, 8), (8, 8))
    logits = np.zeros((4, 8, 8), np.float32)
    assert not labels(logits, plan).any()
    logits[2:, 3, 3] = 1
    for function in (labels, labels_plain):
        assert function(logits, plan)[3, 3] == 2
        assert function(logits, plan).sum() == 2


def test_padding_has_no_say():
    # A network sees cones in the padding: none of them reaches the image.
    plan = Fit((32, 32), (16, 24))
    logits = np.zeros((2, 16, 24), np.float32)
    logits[0] = 1
    logits[1, :, 16:] = 99
    assert plan.scaled == (16, 16)
    assert not labels(logits, plan).any()
    assert not labels_plain(logits, plan).any()


def test_a_blob_stays_where_it_is():
    logits = np.zeros((2, 20, 30), np.float32)
    logits[0] = 1
    logits[1, 5:10, 20:24] = 9
    mask = labels(logits, Fit((80, 120), (20, 30)))
    rows, cols = np.nonzero(mask)
    assert abs(rows.mean() + 0.5 - 4 * 7.5) < 0.01
    assert abs(cols.mean() + 0.5 - 4 * 22) < 0.01
    assert mask[22:38, 82:94].all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_labels_on_any_size(data):
    side = st.integers(1, 70)
    image, network = data.draw(st.tuples(side, side)), data.draw(st.tuples(side, side))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    logits = blobs(rng, data.draw(st.sampled_from([1, 2, 3, 6])), *network,
                   data.draw(st.integers(0, 12)), data.draw(st.integers(1, 9)))
    plan = Fit(image, network)
    assert_labels(labels_plain(logits, plan), logits, plan)
    assert_labels(labels(logits, plan), logits, plan)


# Fit

@pytest.mark.parametrize(('image', 'network', 'scaled'), [
    ((720, 1280), (384, 640), (360, 640)), ((1080, 1920), (384, 640), (360, 640)),
    ((480, 640), (384, 640), (384, 512)), ((1280, 720), (384, 640), (384, 216)),
    ((384, 640), (384, 640), (384, 640)), ((192, 320), (384, 640), (384, 640)),
    ((1, 1), (384, 640), (384, 384)), ((1, 10_000), (384, 640), (1, 640)),
    ((10_000, 1), (384, 640), (384, 1)), ((2, 30_000), (8, 8), (1, 8)),
    ((10_000, 10_000), (8, 16), (8, 8)),
])
def test_scaled_size(image, network, scaled):
    assert Fit(image, network).scaled == scaled


@settings(max_examples=200, deadline=None)
@given(*[st.integers(1, 5000)] * 2, *[st.integers(1, 1000)] * 2)
def test_aspect_ratio_is_kept(h, w, net_h, net_w):
    scaled_h, scaled_w = Fit((h, w), (net_h, net_w)).scaled
    assert 1 <= scaled_h <= net_h
    assert 1 <= scaled_w <= net_w
    assert scaled_h == net_h or scaled_w == net_w  # as large as fits
    scale = min(net_h / h, net_w / w)
    assert abs(scaled_h - h * scale) <= 0.5 + 1e-9 or scaled_h == 1
    assert abs(scaled_w - w * scale) <= 0.5 + 1e-9 or scaled_w == 1


def test_fit_is_cached():
    assert fit((10, 20), (8, 8)) is fit((10, 20), (8, 8))
    assert fit((10, 20), (8, 8)) == Fit((10, 20), (8, 8))


# To the network

def network_input(image, network):
    out = np.full((*network, 3), 77, np.uint8)  # what an earlier image left
    plan = Fit(image.shape[:2], network)
    to_network(image, plan, out)
    return out, plan.scaled


@pytest.mark.parametrize(('image', 'network'), SIZES)
def test_padding(image, network):
    rng = np.random.default_rng(0)
    out, (h, w) = network_input(rng.integers(0, 255, (*image, 3), np.uint8), network)
    assert (out[h:] == PADDING_BGR).all()
    assert (out[:, w:] == PADDING_BGR).all()


def test_padding_is_near_zero_once_normalised():
    from eunet_ros.model.checkpoint import DEFAULT_MEAN, DEFAULT_STD
    rgb = np.array(PADDING_BGR[::-1]) / 255
    assert np.abs((rgb - DEFAULT_MEAN) / DEFAULT_STD).max() < 0.01


@pytest.mark.parametrize(('image', 'network'), SIZES)
def test_constant_image_stays_constant(image, network):
    out, (h, w) = network_input(np.full((*image, 3), (10, 20, 30), np.uint8), network)
    assert (out[:h, :w] == (10, 20, 30)).all()


def test_same_size_is_copied_exactly():
    image = np.random.default_rng(0).integers(0, 255, (16, 20, 3), np.uint8)
    out, scaled = network_input(image, (16, 24))
    assert scaled == (16, 20)
    np.testing.assert_array_equal(out[:, :20], image)


@pytest.mark.parametrize('factor', [2, 3, 4])
def test_shrinking_averages(factor):
    image = np.random.default_rng(0).integers(0, 255, (8 * factor, 12 * factor, 3), np.uint8)
    out, scaled = network_input(image, (8, 16))
    assert scaled == (8, 12)
    mean = image.reshape(8, factor, 12, factor, 3).mean((1, 3))
    np.testing.assert_allclose(out[:8, :12], mean, atol=0.75)  # OpenCV rounds


def test_a_strip_is_averaged_too():
    # One row: only the width shrinks. Interpolation would see the two white pixels of each eight.
    image = np.zeros((1, 256, 3), np.uint8)
    image[:, 3::8] = image[:, 4::8] = 255
    out, scaled = network_input(image, (8, 32))
    assert scaled == (1, 32)
    np.testing.assert_allclose(out[0], 255 / 4, atol=1)


def test_enlarging_interpolates():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), np.uint8)
    out, scaled = network_input(image, (16, 24))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    want = F.interpolate(x, size=scaled, mode='bilinear', align_corners=False)[0]
    h, w = scaled
    np.testing.assert_allclose(out[:h, :w], want.permute(1, 2, 0).numpy(), atol=1)


@pytest.mark.parametrize('view', [
    lambda i: i[::2, ::2], lambda i: i[:, ::-1], lambda i: i[::-1], lambda i: i[5:, 3:-2],
    lambda i: i.transpose(1, 0, 2), lambda i: i[..., ::-1], lambda i: np.asfortranarray(i)])
@pytest.mark.parametrize('network', [(16, 24), (40, 48), (80, 96)])
def test_views_are_images_too(view, network):
    image = view(np.random.default_rng(0).integers(0, 255, (40, 48, 3), np.uint8))
    np.testing.assert_array_equal(
        network_input(image, network)[0], network_input(np.ascontiguousarray(image), network)[0])


def test_the_image_is_not_changed():
    image = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    image.flags.writeable = False  # as a view of a message is
    network_input(image, (16, 24))
    network_input(image, (8, 16))


# Confidence

def softmax_of_best(logits):
    x = torch.from_numpy(processing.with_background(logits)).double()
    return x.softmax(0).max(0).values.numpy()


@pytest.mark.parametrize('classes', [1, 2, 6])
def test_confidence(classes):
    logits = np.random.default_rng(0).normal(0, 3, (classes, 16, 24)).astype(np.float32)
    got = confidence(logits, Fit((16, 24), (16, 24)))
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, 255 * softmax_of_best(logits), atol=0.51)


@pytest.mark.parametrize(('image', 'network'), SIZES)
def test_confidence_at_other_sizes(image, network):
    plan = Fit(image, network)
    h, w = plan.scaled
    logits = np.random.default_rng(0).normal(0, 3, (6, *network)).astype(np.float32)
    got = confidence(logits, plan)
    best = torch.from_numpy(softmax_of_best(logits[:, :h, :w]))[None, None] * 255
    want = F.interpolate(best, size=image, mode='bilinear', align_corners=False)[0, 0]
    assert got.shape == image
    np.testing.assert_allclose(got, want.numpy(), atol=1.6)  # rounded twice


@pytest.mark.parametrize('scale', [1e4, 1e30])
def test_confidence_of_huge_logits(scale):
    logits = np.zeros((3, 8, 8), np.float32)
    logits[1] = scale
    plan = Fit((8, 8), (8, 8))
    assert (confidence(logits, plan) == 255).all()
    assert (confidence(-logits[1:2], plan) == 255).all()  # certainly background
    assert (confidence(np.zeros((1, 8, 8), np.float32), plan) == 128).all()


def test_with_background():
    one = np.ones((1, 2, 3), np.float32)
    both = processing.with_background(one)
    assert both.dtype == np.float32
    assert both[:, 0, 0].tolist() == [0, 1]
    two = np.ones((2, 2, 3), np.float32)
    assert processing.with_background(two) is two


def test_a_blob_in_the_hole_of_another():
    logits = np.zeros((3, 48, 64), np.float32)
    logits[0] = 5
    logits[1, 10:30, 10:30] = 20
    logits[1, 13:27, 13:27] = 0
    logits[2, 19:21, 19:21] = 20
    plan = Fit((96, 128), (48, 64))
    mask = labels(logits, plan)
    assert set(np.unique(mask)) == {0, 1, 2}
    assert_labels(mask, logits, plan)
