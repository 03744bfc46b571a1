# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones found in masks: drawn ones, touching ones, broken ones, and those of rendered drives."""
from itertools import combinations
import tracemalloc

import cv2
from eunet_ros.cones.detection import find_cones, number_cones
from eunet_ros.cones.runs import find_runs, MOST_CONES
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.training.renderer import Drive
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

HORIZON, SLOPE = 100, 0.33  # a cone whose base is at row v is SLOPE * (v - HORIZON) high


def draw(mask, u, v, kind=1, size=1.0):
    """Draw an upright cone whose base is at (u, v); returns its box."""
    high = round(size * SLOPE * (v - HORIZON))
    wide = round(0.75 * high)
    plate = max(1, round(0.12 * high))
    body = np.array([(u - 0.4 * wide, v - plate), (u + 0.4 * wide, v - plate),
                     (u + 0.1 * wide, v - high + 1), (u - 0.1 * wide, v - high + 1)])
    cv2.fillConvexPoly(mask, np.rint(body).astype(np.int32), kind)
    cv2.rectangle(mask, (u - wide // 2, v - plate), (u + wide // 2, v), kind, -1)
    return u - wide // 2, v - high + 1, u + wide // 2 + 1, v + 1


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def scene():
    """Return a mask with some cones that stand alone, and their boxes."""
    mask = np.zeros((360, 640), np.uint8)
    return mask, [draw(mask, u, v, kind) for u, v, kind in (
        (60, 180, 1), (160, 220, 2), (500, 160, 2), (580, 300, 1), (120, 330, 3))]


def test_cones_that_stand_alone():
    mask, boxes = scene()
    confidence = np.where(mask == 2, 51, 255).astype(np.uint8)
    cones = find_cones(mask, confidence)
    assert sorted(map(tuple, cones.box.tolist())) == sorted(boxes)
    assert cones.class_id.tolist() == [3, 1, 2, 1, 2]  # from the lowest base up
    np.testing.assert_allclose(cones.confidence, [1, 1, 0.2, 1, 0.2], atol=1e-6)
    np.testing.assert_array_equal(cones.base[:, 1], cones.box[:, 3] - 0.5)
    np.testing.assert_allclose(cones.base[:, 0], [120, 580, 160, 60, 500], atol=0.5)
    np.testing.assert_allclose(cones.tip[:, 0], cones.base[:, 0], atol=1)
    assert cones.pixels.sum() == np.count_nonzero(mask)
    assert not (cones.knocked_over | cones.cut | cones.hidden | cones.topless).any()


@pytest.mark.parametrize('first, second', [
    ((300, 250, 1), (325, 248, 1)),   # side by side
    ((300, 250, 1), (308, 222, 1)),   # one behind the other
    ((300, 250, 1), (290, 215, 2)),   # of another colour
    ((300, 250, 1), (301, 200, 1))])  # the nearer one's tip on the farther one's base
def test_cones_that_touch_are_two(first, second):
    mask, _ = scene()
    before = len(find_cones(mask))
    far = draw(mask, *second)
    near = draw(mask, *first)
    cones = find_cones(mask)
    assert len(cones) == before + 2
    for box, kind in ((near, first[2]), (far, second[2])):
        scores = [overlap(box, found) for found in cones.box.tolist()]
        assert max(scores) > 0.55
        assert cones.class_id[int(np.argmax(scores))] == kind


def test_a_base_that_another_cone_hides_a_part_of_is_still_below_its_tip():
    mask, _ = scene()
    draw(mask, 300, 240)
    draw(mask, 312, 262)  # of the farther base, only the left side shows
    cones = find_cones(mask)
    [behind] = np.flatnonzero(np.abs(cones.base[:, 1] - 240.5) < 2)
    assert abs(cones.base[behind, 0] - 300) <= 2


def shape(picture, kind=1, zoom=1):
    """Return a mask from a drawing: a dot is background, a digit a class, # is `kind`."""
    rows = [line.strip() for line in picture.split()]
    mask = np.array([[0 if c == '.' else kind if c == '#' else int(c) for c in row]
                     for row in rows], np.uint8)
    return mask.repeat(zoom, 0).repeat(zoom, 1)


def stamp(mask, u, v, picture):
    """Put a drawing into a mask, its lower left corner at (u, v)."""
    high, wide = picture.shape
    window = mask[v - high + 1:v + 1, u:u + wide]
    np.copyto(window, picture, where=picture > 0)


def others(mask, box):
    """Return the cones of a mask whose middle is in a box."""
    cones = find_cones(mask)
    middle = 0.5 * (cones.box[:, :2] + cones.box[:, 2:])
    return cones.select(((middle >= box[:2]) & (middle <= box[2:])).all(axis=1))


RAGGED = """
....##......
...####.....
..####......
..######....
..#######...
.#######....
.########...
##########..
.#########..
.####.##.#.."""
TOPLESS = """
.....#######......
...#.########.....
...###########....
..############....
.##############...
.################.
################..
..####......####.."""
LEANING = """
.......###..
......####..
......####..
.....#####..
.....#####..
....######..
...#######..
...#######..
..#########.
.##########.
.###########
..##########"""
MIXED = """
.....11.....
....1121....
....2111....
....1222....
...112221...
...111222...
..1111122...
..11111111..
.1111115511.
.1111115511.
111111111111"""


@pytest.mark.parametrize('picture, zoom', [
    (RAGGED, 1), (RAGGED, 4), (TOPLESS, 1), (TOPLESS, 3), (LEANING, 1), (LEANING, 4), (MIXED, 1),
    (MIXED, 4)])
@pytest.mark.parametrize('v', [170, 230, 330])
def test_a_rough_piece_is_one_cone(picture, zoom, v):
    mask, _ = scene()
    picture = shape(picture, zoom=zoom)
    stamp(mask, 300, v, picture)
    found = others(mask, (295, 100, 375, 345))
    assert found.class_id.tolist() == [1]
    assert found.pixels.tolist() == [np.count_nonzero(picture)]


@pytest.mark.parametrize('size', [0.6, 0.8, 1.25, 1.5])
@pytest.mark.parametrize('v', [180, 240, 300])
def test_a_cone_of_another_height_than_the_scale_expects_is_one(size, v):
    mask, _ = scene()
    box = draw(mask, 330, v, size=size)
    assert others(mask, (250, 0, 400, 360)).box.tolist() == [list(box)]


def leaning_scene(slope):
    """Return a mask in which the horizon leans, and the row of a base for a column and a size."""
    mask = np.zeros((480, 640), np.uint8)
    for u, v in ((60, 60), (160, 130), (260, 90), (420, 60), (500, 110), (580, 40), (350, 150)):
        high = round(SLOPE * v)
        lower = round(HORIZON + v + slope * (u - 320))
        draw(mask, u, HORIZON + v)
        block = mask[HORIZON + v - high:HORIZON + v + 1, u - high:u + high].copy()
        mask[HORIZON + v - high:HORIZON + v + 1, u - high:u + high] = 0
        mask[lower - high:lower + 1, u - high:u + high] |= block
    return mask


@pytest.mark.parametrize('slope', [-0.15, 0.1, 0.15])
def test_a_leaning_horizon_cuts_nothing(slope):
    assert len(find_cones(leaning_scene(slope))) == 7


@pytest.mark.parametrize('seed', range(4))
def test_heights_that_scatter_cut_nothing(seed):
    mask = np.zeros((360, 640), np.uint8)
    sizes = np.random.default_rng(seed).uniform(0.75, 1.3, 8)  # as on uneven ground
    for k, size in enumerate(sizes):
        draw(mask, 45 + 78 * k, 150 + 25 * (k * 5 % 8), size=size)
    assert len(find_cones(mask)) == len(sizes)


def test_two_touching_cones_without_others_are_two():
    mask = np.zeros((360, 640), np.uint8)  # nothing tells how high cones are here
    left, right = draw(mask, 300, 300), draw(mask, 340, 296, kind=2)
    cones = find_cones(mask)
    assert sorted(cones.class_id.tolist()) == [1, 2]
    for box in (left, right):
        assert max(overlap(box, found) for found in cones.box.tolist()) > 0.6


def test_a_stripe_that_was_missed_does_not_make_two():
    mask = np.zeros((360, 640), np.uint8)
    box = draw(mask, 300, 320)
    mask[280:292] = 0
    cones = find_cones(mask)
    assert cones.box.tolist() == [list(box)]


def test_few_pixels_of_another_colour_are_no_cone():
    mask, boxes = scene()
    mask[318:324, 110:118][mask[318:324, 110:118] > 0] = 2
    mask[200:203, 150:160][mask[200:203, 150:160] > 0] = 1
    cones = find_cones(mask)
    assert sorted(map(tuple, cones.box.tolist())) == sorted(boxes)
    assert sorted(cones.class_id.tolist()) == [1, 1, 2, 2, 3]


def test_small_things():
    mask = np.zeros((100, 100), np.uint8)
    mask[50:56, 20:24] = 1   # a far cone of 6 px
    mask[50:52, 60:63] = 1   # a fragment
    mask[70:78, 40:70] = 2   # lies
    mask[90:100, 5:12] = 1   # cut at the bottom
    cones = find_cones(mask)
    assert cones.box.tolist() == [[5, 90, 12, 100], [40, 70, 70, 78], [20, 50, 24, 56]]
    assert cones.knocked_over.tolist() == [False, True, False]
    assert cones.cut.tolist() == cones.hidden.tolist() == [True, False, False]
    assert len(find_cones(mask, min_pixels=25)) == 2
    assert len(find_cones(mask, min_height=7)) == 2


def test_what_was_not_segmented_cuts():
    mask = np.zeros((100, 100), np.uint8)
    mask[40:60, 20:34] = 1
    assert not find_cones(mask).cut.any()
    assert find_cones(mask, region=slice(40, 100)).topless.all()
    assert find_cones(mask, region=slice(0, 60)).hidden.all()


def test_nothing_to_find():
    cones = find_cones(np.zeros((30, 40), np.uint8))
    assert len(cones) == 0 and cones.box.shape == (0, 4) and cones.base.shape == (0, 2)


@pytest.mark.parametrize('mask, confidence, said', [
    (np.zeros((3, 4), np.int32), None, 'int32'), (np.zeros((3, 4, 3), np.uint8), None, '3, 4, 3'),
    (np.zeros((3, 4), np.uint8), np.zeros((3, 5), np.uint8), '3, 5')])
def test_other_arrays_are_refused(mask, confidence, said):
    with pytest.raises(ValueError, match=said):
        find_cones(mask, confidence)


@settings(max_examples=150, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 40)),
              elements=st.sampled_from([0, 0, 0, 1, 1, 2, 4, 5, 255])))
def test_any_mask_gives_cones_within_it(mask):
    runs = find_runs(mask)
    count, labels = cv2.connectedComponents((mask > 0).astype(np.uint8), connectivity=8)
    assert (runs.count if runs else 0) == count - 1
    if runs:
        again = np.zeros_like(mask)
        pieces = np.zeros(mask.shape, int)
        for row, start, stop, value, label in zip(
                runs.row, runs.start, runs.stop, runs.value, runs.label):
            again[row, start:stop], pieces[row, start:stop] = value, label + 1
        np.testing.assert_array_equal(again, mask)
        assert len({*zip(pieces[mask > 0].tolist(), labels[mask > 0].tolist())}) == count - 1
    cones = find_cones(mask, mask, min_pixels=1, min_height=1)
    assert cones.pixels.sum() == np.count_nonzero(mask)  # none twice, none lost
    assert (cones.box[:, :2] >= 0).all() and (cones.box[:, 2:] <= mask.shape[::-1]).all()
    assert (cones.box[:, :2] < cones.box[:, 2:]).all() and np.isfinite(cones.base).all()
    assert ((cones.confidence >= 0) & (cones.confidence <= 1 + 1e-6)).all()


@pytest.mark.parametrize('background', [0.0, 0.7])
def test_a_mask_of_noise_takes_little_memory_and_gives_the_largest(background):
    rng = np.random.default_rng(0)
    mask = rng.integers(1, 6, (384, 640), np.uint8) * (rng.random((384, 640)) >= background)
    tracemalloc.start()
    try:
        cones = find_cones(mask.astype(np.uint8))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 300e6
    assert len(cones) == (MOST_CONES if background else 1)


def test_rendered_drives():
    found = right = total = pairs = apart = 0
    for seed in (3, 21):
        for scene in Drive(seed, 720, 1280).frames(7, 1.5):
            cones = find_cones(scene.mask)
            matches = {}
            scores = sorted(((overlap(c.box, box), i, k) for i, c in enumerate(scene.cones)
                             for k, box in enumerate(cones.box.tolist())), reverse=True)
            for score, i, k in scores:
                if score >= 0.5 and i not in matches and k not in matches.values():
                    matches[i] = k
            counted = [i for i, c in enumerate(scene.cones) if c.height_px >= 15
                       and np.hypot(c.x, c.y) < 20 and c.visible_fraction > 0.3]
            total += len(counted)
            found += sum(i in matches for i in counted)
            right += sum(cones.class_id[matches[i]] == scene.cones[i].class_id
                         for i in counted if i in matches)
            for a, b in combinations(counted, 2):
                if touches(scene.instances, a + 1, b + 1):
                    pairs, apart = pairs + 1, apart + (a in matches and b in matches)
    assert total > 80 and pairs >= 5
    assert found >= 0.95 * total and right >= 0.95 * total
    assert apart >= 0.8 * pairs


def touches(instances, a, b):
    first = cv2.dilate((instances == a).astype(np.uint8), np.ones((3, 3), np.uint8))
    return bool((first.astype(bool) & (instances == b)).any())


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, (9, 12), elements=st.sampled_from([0, 0, 0, 1, 2, 4])))
def test_numbers_of_cones_are_those_found(mask):
    numbers, ids = number_cones(mask, cone_classes())
    assert np.array_equal(numbers > 0, mask > 0)
    found = find_cones(mask, min_pixels=1, min_height=1)
    cones = []
    for k in range(1, numbers.max() + 1):
        u, v, wide, high = cv2.boundingRect((numbers == k).view(np.uint8))
        (class_id,) = np.unique(ids[numbers == k])
        cones.append((class_id, u, v, u + wide, v + high))
    assert sorted(cones) == sorted(zip(found.class_id, *found.box.T))


def test_touching_cones_have_two_numbers():
    mask, boxes = scene()
    draw(mask, 308, 222)
    draw(mask, 300, 250)
    mask[230:233, 299:302] = 2  # some pixels of another colour
    numbers, ids = number_cones(mask, cone_classes())
    assert numbers.max() == len(boxes) + 2 == len(find_cones(mask))
    assert numbers[222, 310] != numbers[250, 300] and ids[231, 300] == 1
