# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tracker: numbers that stay, classes that do not change, cones that do not flicker."""
from dataclasses import replace

from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.tracking import ConeTracker, MISSES
import numpy as np

FRAME = 33_000_000  # ns


def mask(shift=0, kinds=(1, 2), drop=()):
    out = np.zeros((200, 300), np.uint8)
    for k, (u, kind) in enumerate(zip((60, 180), kinds)):
        if k not in drop:
            out[80 + shift:110 + shift, u + 2 * shift:u + 2 * shift + 20] = kind
    return out


def follow(masks, confidence=None):
    tracker = ConeTracker()
    return [tracker.update(find_cones(m, confidence), 1_000_000_000 + k * FRAME)
            for k, m in enumerate(masks)]


def by_column(cones, tracks):
    order = np.argsort(cones.box[:, 0])
    return cones.select(order), [getattr(tracks, name)[order].tolist()
                                 for name in ('number', 'age', 'found')]


def test_numbers_and_ages_stay():
    steps = [by_column(*step) for step in follow([mask(k) for k in range(6)])]
    assert len({tuple(ids) for _, (ids, _, _) in steps}) == 1
    assert [ages for _, (_, ages, _) in steps] == [[k, k] for k in range(6)]
    assert sorted(steps[0][1][0]) == [1, 2]


def test_one_frame_of_another_class_does_not_change_it():
    steps = follow([mask(k, (4, 2) if k == 4 else (1, 2)) for k in range(7)])
    assert {tuple(by_column(*step)[0].class_id.tolist()) for step in steps} == {(1, 2)}


def test_a_class_that_stays_wins():
    steps = follow([mask(k, (4, 2) if k >= 3 else (1, 2)) for k in range(12)])
    assert by_column(*steps[-1])[0].class_id.tolist() == [4, 2]


def test_a_cone_is_kept_for_a_frame_where_it_is_expected_and_not_for_long():
    steps = follow([mask(k, drop=(0,) if k >= 5 else ()) for k in range(10)])
    cones, (ids, _, found) = by_column(*steps[5])
    assert ids == by_column(*steps[0])[1][0] and found == [False, True]
    expected = find_cones(mask(5))
    np.testing.assert_allclose(cones.box, expected.box[np.argsort(expected.box[:, 0])], atol=1)
    assert [len(cones) for cones, _ in steps] == [2] * (5 + MISSES) + [1] * (5 - MISSES)


def test_what_was_seen_once_is_not_kept():
    steps = follow([mask(0), mask(1, drop=(0,)), mask(2, drop=(0,))])
    assert [len(cones) for cones, _ in steps] == [2, 1, 1]


def test_time_that_jumps_begins_anew():
    tracker, cones = ConeTracker(), find_cones(mask())
    first = tracker.update(cones, 5_000_000_000)[1].number
    for stamp in (4_000_000_000, 9_000_000_000):  # a bag that loops, a pause
        again = tracker.update(cones, stamp)[1]
        assert not set(first) & set(again.number) and (again.age == 0).all()
        first = again.number


def test_empty_images():
    tracker = ConeTracker()
    none = find_cones(np.zeros((20, 20), np.uint8))
    for k in range(3):
        cones, tracks = tracker.update(none, 1 + k * FRAME)
        assert len(cones) == len(tracks.number) == 0
    cones = find_cones(mask())
    assert len(tracker.update(replace(cones), 1 + 3 * FRAME)[0]) == 2
