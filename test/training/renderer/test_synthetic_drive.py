# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""A rendered lap: the rules of the track, and one world from frame to frame."""

import math

from eunet_ros.training.renderer import Drive
from eunet_ros.training.renderer.profiles import get_profile
from eunet_ros.training.renderer.sheet import main
from eunet_ros.training.renderer.track import make_track
import numpy as np
import pytest


@pytest.fixture(scope='module')
def drive():
    return Drive(0, 180, 320, own_car=False)


def in_world(cone, pose):
    c, s = math.cos(pose[2]), math.sin(pose[2])
    return pose[0] + c * cone.x - s * cone.y, pose[1] + s * cone.x + c * cone.y


@pytest.mark.parametrize('seed', range(5))
def test_tracks_keep_the_rules(seed):
    track = make_track(np.random.default_rng(seed), get_profile('train'))
    steps = np.roll(track.points, -1, axis=0) - track.points
    assert np.hypot(*steps.T).sum() == pytest.approx(track.length, rel=0.01)
    for xy, colour in zip(track.cone_xy, track.cone_class):
        away = xy - track.points
        nearest = int(np.argmin(np.hypot(*away.T)))
        heading = track.headings[nearest]
        side = -math.sin(heading) * away[nearest, 0] + math.cos(heading) * away[nearest, 1]
        assert 1.2 < abs(side) < 3.2
        if colour in (1, 2):
            assert (side > 0) == (colour == 1)
    for colour in (1, 2):
        own = track.cone_xy[track.cone_class == colour]
        gaps = [np.partition(np.hypot(*(own - xy).T), 1)[1] for xy in own]
        assert max(gaps) < 5.5
    assert np.count_nonzero(track.cone_class == 4) == 4
    assert np.count_nonzero(track.cone_class == 3) == 8


def test_consecutive_frames_see_the_same_cones(drive):
    sets = []
    for k in range(3):
        t = 4.0 + k / 30
        pose = drive.pose(t)
        sets.append({(cone.class_id, *np.round(in_world(cone, pose), 3))
                     for cone in drive.render(t).cones})
    for first, second in ((sets[0], sets[1]), (sets[1], sets[2])):
        assert len(first & second) >= 0.7 * len(first) > 4


def test_blue_is_left_and_yellow_right(drive):
    lap = drive.length_m / drive.speed_mps
    for t in np.linspace(0, lap, 6):
        near = [cone for cone in drive.render(t).cones if math.hypot(cone.x, cone.y) < 6]
        assert all(cone.y > 0 for cone in near if cone.class_id == 1)
        assert all(cone.y < 0 for cone in near if cone.class_id == 2)


def test_frames_are_reproducible_in_any_order(drive):
    first = drive.render(1.0).image
    drive.render(2.0)
    again = Drive(0, 180, 320, own_car=False).render(1.0).image
    assert np.array_equal(first, again)
    assert np.array_equal(first, list(drive.frames(2, hz=1.0))[1].image)


def test_the_lap_closes(drive):
    lap = drive.length_m / drive.speed_mps
    start, end = drive.track.pose(0.0), drive.track.pose(drive.length_m)
    assert start[:2] == pytest.approx(end[:2], abs=1e-6)
    assert 15 < lap < 90


def test_sheet(tmp_path):
    path = tmp_path / 'sheet.png'
    main(['--output', str(path), '--count', '2', '--height', '32', '--width', '48', '--masks'])
    assert path.stat().st_size > 500
