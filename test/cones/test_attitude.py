# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Attitude from cones: geometry, axes, what does not disturb it, and what its variance says."""
from dataclasses import replace
import math
from types import SimpleNamespace

from eunet_ros.cones.attitude import AngularRates, Attitude, AttitudeFilter, observe
from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import Cones
from eunet_ros.cones.drawing import draw_horizon
from eunet_ros.cones.ground import EDGE_SHARE, Ground, mounted
from eunet_ros.cones.locator import ConeLocator, Seen
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.parameters import ConeParameters
from hypothesis import assume, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

CAMERA = CameraModel(1280, 720, 686.0, 686.0, 639.5, 359.5, 0.0, 'plumb_bob',
                     (-0.045, 0.004, 0, 0, 0, 0, 0, 0))
GROUND = Ground(CAMERA, mounted(1.05, math.radians(5)))
HZ = 30
JUMP = math.radians(0.2)
# Of both sides of a track.
TRACK = [(x, y) for x in (5.0, 7.5, 10.0, 13.0, 16.0, 19.0) for y in (-1.7, 1.8)]
angle = st.floats(-math.radians(3), math.radians(3))


def seen(places, attitude=None, ground=GROUND, kinds=None, noise=0.0, rng=None):
    """Return cones at places (x, y) as a body of this attitude shows them; noise: pixels."""
    truth = (attitude or Attitude()).applied(ground)
    xy = np.array(places, float).reshape(-1, 2)
    kinds = np.full(len(xy), 1, np.uint8) if kinds is None else np.array(kinds, np.uint8)
    heights, plates = cone_classes().sizes_of(kinds)
    away = xy - truth.pose.origin[:2]
    away = away / np.hypot(away[:, 0], away[:, 1])[:, None]
    base = truth.project(np.column_stack([xy - away * (EDGE_SHARE * plates)[:, None],
                                          np.zeros(len(xy))]))
    tip = truth.project(np.column_stack([xy, heights]))
    high = base[:, 1] - tip[:, 1]
    high = np.rint(1.02 * high + 0.45 + (rng.normal(0, noise, len(xy)) if rng else 0))
    box = np.stack([base[:, 0] - 5, base[:, 1] - high, base[:, 0] + 5, base[:, 1]], axis=1)
    no = np.zeros(len(xy), bool)
    tip[:, 1] = base[:, 1] - high
    box = np.rint(box).astype(np.int32)
    box[:, 1] = box[:, 3] - high
    return Cones(kinds, np.ones(len(xy), np.float32), box, np.full(len(xy), 99, np.int32),
                 base.astype(np.float32), tip.astype(np.float32), no, no, no, no)


def joined(a, b):
    return Cones(*(np.concatenate([getattr(a, f), getattr(b, f)])
                   for f in Cones.__dataclass_fields__))


def settled(attitude=None, seconds=2.0):
    """Return a filter that has followed a track for a while, its stamp, and its estimate."""
    rng, follow = np.random.default_rng(1), AttitudeFilter()
    for k in range(round(seconds * HZ)):
        found = follow.update(seen(TRACK, attitude, noise=0.7, rng=rng), GROUND, at(k))
    return follow, k, found


def at(k):
    return 1 + round(k * 1e9 / HZ)


@settings(max_examples=60, deadline=None)
@given(angle, angle, st.floats(0.6, 1.5), st.floats(-0.05, 0.25), st.floats(-0.3, 0.3),
       st.lists(st.tuples(st.floats(3, 20), st.floats(-0.4, 0.4)), min_size=1, max_size=8))
def test_only_the_true_attitude_explains_the_pictures(pitch, roll, height, down, yaw, polar):
    ground = Ground(CAMERA, mounted(height, down, yaw=yaw, x=0.3, y=-0.1, ground_z=-0.2), -0.2)
    truth = Attitude(pitch, roll)
    xy = np.array([(0.3 + d * math.cos(a + yaw), -0.1 + d * math.sin(a + yaw))
                   for d, a in polar])
    heights, plates = cone_classes().sizes_of(np.ones(len(xy), int))
    away = (xy - (0.3, -0.1)) / np.array([d for d, _ in polar])[:, None]
    floor = np.full(len(xy), -0.2)
    shown = truth.applied(ground)
    base = shown.project(np.column_stack([xy - away * (EDGE_SHARE * plates)[:, None], floor]))
    tip = shown.project(np.column_stack([xy, floor + heights]))
    assume(np.isfinite(base).all() and np.isfinite(tip).all())
    high = base[:, 1] - tip[:, 1]
    assume((high > 9).all() and (np.abs(base - (639.5, 359.5)) < (640, 360)).all())
    no = np.zeros(len(xy), bool)
    box = np.column_stack([base[:, 0], base[:, 1] - high, base[:, 0], base[:, 1]])
    cones = Cones(np.ones(len(xy), np.uint8), no * 1.0, box, no * 99, base, tip, no, no, no, no)
    residual, by, stddev = observe(cones, shown)
    # What masks are higher than the cones themselves, and nothing else.
    np.testing.assert_allclose(residual, -0.45 - 0.02 * high, atol=1e-6)
    assert (stddev > 0).all()
    step = 1e-5
    for axis, moved in enumerate((Attitude(pitch + step, roll), Attitude(pitch, roll + step))):
        changed, _, _ = observe(cones, moved.applied(ground))
        np.testing.assert_allclose((changed - residual) / step, by[:, axis],
                                   rtol=0.05, atol=30)   # px/rad, of some 200


def test_angles_are_those_of_rep_103():
    low_front = Attitude(0.02).applied(GROUND).project([[8.0, 0, 0]])
    assert low_front[0, 1] < GROUND.project([[8.0, 0, 0]])[0, 1]   # what is ahead moves up
    left, right = Attitude(0, 0.02).applied(GROUND).project([[8.0, 2, 0], [8.0, -2, 0]])
    assert left[1] > right[1]                 # the left side of the car is high
    np.testing.assert_allclose(Attitude(0.03).applied(GROUND).pose.rotation,
                               mounted(1.05, math.radians(5) + 0.03).rotation, atol=1e-12)
    np.testing.assert_allclose(
        Attitude(0.03, -0.02).applied(Ground(CAMERA, mounted(1.0))).pose.rotation,
        mounted(1.0, 0.03, -0.02).rotation, atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(angle, st.floats(-math.radians(1), math.radians(1)), st.integers(0, 1000))
def test_a_constant_attitude_is_found(pitch, roll, seed):
    rng, follow, truth = np.random.default_rng(seed), AttitudeFilter(), Attitude(pitch, roll)
    for k in range(2 * HZ):
        found = follow.update(seen(TRACK, truth, noise=0.7, rng=rng), GROUND, at(k))
    # A small one may be what the masks have in common: the mounting holds.
    assert abs(found.pitch - pitch) < math.radians(0.3)
    assert abs(found.pitch - pitch) < 4 * math.sqrt(found.covariance[0, 0])
    assert found.cones >= 10
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_braking_is_followed_at_once():
    follow, k, _ = settled()
    rng = np.random.default_rng(2)
    for n in range(1, 10):   # 1.5 degrees in 0.2 s
        truth = Attitude(math.radians(min(1.5, 0.25 * n)))
        found = follow.update(seen(TRACK, truth, noise=0.7, rng=rng), GROUND, at(k + n))
    assert found.pitch == pytest.approx(truth.pitch, abs=math.radians(0.3))


FALSE = seen([(12.0, 0.2)], Attitude(math.radians(4)))        # looks much too high
SMALL = seen([(9.0, 1.0)], kinds=[4])                         # a large cone, taken for a small one
SMALL.class_id[:] = 1
TOWARDS = [(x, 0.1 * x) for x in (5, 7, 9, 12, 15, 18)]
ACROSS = [(9.0, y) for y in (-3.0, -1.5, 0, 1.5, 3.0)]


@pytest.mark.parametrize('frame', [
    seen([]), seen([(9.0, 1.0)]), FALSE, SMALL, joined(seen(TRACK), FALSE),
    joined(seen(TRACK), SMALL), joined(seen([(9.0, 1.0)]), FALSE), seen(TOWARDS), seen(ACROSS),
    seen(TRACK, kinds=[1] * 11 + [4])],
    ids=['none', 'one', 'a false one', 'one of a wrong class', 'with a false one',
         'with one of a wrong class', 'one and a false one', 'in line ahead', 'in line across',
         'large and small'])
@pytest.mark.parametrize('degrees', [0.0, 1.0])
def test_nothing_makes_it_jump(frame, degrees):
    truth = Attitude(math.radians(degrees))
    follow, k, before = settled(truth)
    if degrees:  # a cone that is as false as that, on a car that pitches
        frame = Cones(*(getattr(frame, f) for f in Cones.__dataclass_fields__))
        if len(frame):
            frame.base[:, 1] -= 686 * truth.pitch
            frame.tip[:, 1] -= 686 * truth.pitch
    for n in range(1, 4):
        after = follow.update(frame, GROUND, at(k + n))
        assert abs(after.pitch - before.pitch) < JUMP
        assert np.isfinite(after.covariance).all()
        before = after


def test_without_cones_it_returns_to_the_mounting_and_becomes_uncertain():
    follow, k, before = settled(Attitude(math.radians(1)))
    for n in range(1, 2 * HZ):
        after = follow.update(seen([]), GROUND, at(k + n))
        assert n < 5 or after.covariance[0, 0] > 4 * before.covariance[0, 0]
    assert abs(after.pitch) < math.radians(0.05) and after.cones == 0
    assert math.sqrt(after.covariance[0, 0]) > math.radians(0.4)


def test_a_camera_that_was_moved_shows_in_the_mean():
    follow, k, before = settled(seconds=4)
    assert abs(before.mean_pitch) < math.radians(0.1)
    rng = np.random.default_rng(3)
    for n in range(1, 3 * HZ):
        found = follow.update(seen(TRACK, Attitude(math.radians(-1)), noise=0.7, rng=rng),
                              GROUND, at(k + n))
    assert found.mean_pitch == pytest.approx(math.radians(-1), abs=math.radians(0.25))
    assert math.isnan(AttitudeFilter().update(seen(TRACK), GROUND, 1).mean_pitch)


@pytest.mark.parametrize('stamp', [1, at(60) + 10 * 10 ** 9])
def test_after_a_pause_and_where_time_goes_back_it_begins_anew(stamp):
    follow, _, before = settled(Attitude(math.radians(2)))
    assert before.pitch > math.radians(1.5)
    assert abs(follow.update(seen([]), GROUND, stamp).pitch) < 1e-9


def test_positions_are_as_uncertain_as_the_attitude_makes_them():
    own = np.diag(np.radians((0.3, 0.5)) ** 2)
    cones, step = seen(TRACK), 1e-6
    plain, _ = GROUND.locate(cones)
    found, rows = Attitude(0.0, 0.0, own).locate(cones, GROUND)
    np.testing.assert_allclose(found.xyz, plain.xyz)
    moved = np.stack([(Attitude(*a).applied(GROUND).locate(cones)[0].xyz - plain.xyz)[:, :2] / step
                      for a in ((step, 0.0), (0.0, step))], axis=2)
    expected = moved @ own @ moved.transpose(0, 2, 1)
    more = found.covariance - plain.covariance
    distance = found.distance[:, None, None]
    assert (np.abs(more - expected) < 0.1 * np.abs(expected).max(axis=(1, 2), keepdims=True)
            + (0.011 * distance) ** 2).all()
    assert len(rows) == len(TRACK)


def test_angular_rates_are_integrated():
    rates = AngularRates()
    for k in range(40):
        rates.add(k * 5_000_000, 1.0 if k < 20 else -0.5, 0.2)
    np.testing.assert_allclose(rates.turned(2_000_000, 152_000_000),
                               (0.098 - 0.5 * 0.052, 0.2 * 0.15))
    assert rates.turned(0, 400_000_000) is None         # newer than all samples
    assert AngularRates().turned(1, 2) is None
    rates.add(10, 0.0, 0.0)                             # time went back
    assert rates.turned(2_000_000, 152_000_000) is None


def test_an_imu_carries_the_attitude_over_images_without_cones():
    follow, k, _ = settled(seconds=1)
    rates = AngularRates()
    for n in range(-5, 200):                            # 0.2 s of braking, then nothing
        rates.add(at(k) + n * 5_000_000, math.radians(7.5) if 0 <= n < 40 else 0.0, 0.0)
    for n in range(1, 13):
        found = follow.update(seen([]), GROUND, at(k + n), rates)
    assert found.pitch == pytest.approx(math.radians(1.5), abs=math.radians(0.15))


def test_a_cone_that_lies_is_less_certain():
    cones = seen(TRACK)
    upright, _ = GROUND.locate(cones)
    lying, _ = GROUND.locate(replace(cones, knocked_over=np.ones(len(cones), bool)))
    more = lying.covariance - upright.covariance
    np.testing.assert_allclose(more, np.broadcast_to(np.eye(2) * 0.1625 ** 2, more.shape))


def test_the_horizon_follows_the_attitude():
    info = SimpleNamespace(
        height=720, width=1280, distortion_model='plumb_bob', d=CAMERA.distortion[:5],
        k=(686.0, 0, 639.5, 0, 686.0, 359.5, 0, 0, 1), p=(0.0,) * 12, binning_x=0, binning_y=0,
        roi=SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0))
    p = ConeParameters(camera_height=1.05, camera_pitch=math.radians(5), attitude='cones')
    locator = ConeLocator(cone_classes())
    rest = locator.horizon((720, 1280), info, lambda: None, p)
    assert rest == pytest.approx(GROUND.horizon_row(), abs=0.1)
    truth = Attitude(math.radians(2))
    for k in range(HZ):
        found = locator.place(Seen(seen(TRACK, truth)), (720, 1280), info, lambda: None, p, at(k))
    expected = truth.applied(GROUND).horizon_row()
    assert locator.horizon((720, 1280), info, lambda: None, p) == pytest.approx(expected, abs=3)
    assert found.ground.horizon_row() == pytest.approx(expected, abs=3)
    image = np.zeros((720, 1280, 3), np.uint8)
    draw_horizon(image, found.ground)
    assert abs(np.flatnonzero(image[:, 640].any(axis=1)).mean() - expected) < 4
    # Where images do not come in order, as in pictures of single frames, the mounting holds.
    single = locator.place(Seen(seen(TRACK, truth)), (720, 1280), info, lambda: None, p)
    assert single.attitude is None
