# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones of the demo's drive: the mounting beside a bag, the overlay, the bag and the report."""
from bag_making import make_bag, SIZE
import cv2
from eunet_ros.bags.frame_source import BagSource
from eunet_ros.bags.reader import Bag
from eunet_ros.calibration.mounting_file import MOUNTING, read_mounting
from eunet_ros.cones.messages import read_points
from eunet_ros.demo.output import CONES, write_picture, write_recordings
from eunet_ros.evaluation.run.positions import Places
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.resources import share_file
from eunet_ros.parameters import ConeParameters
import numpy as np
import pytest
from test_demo_output import recorded


def mask_of(column):
    mask = np.zeros(SIZE, np.uint8)
    mask[30:40, column:column + 7] = 2
    return mask


def places(**mounting):
    return Places(ConeParameters(**mounting), [cone_classes()], cone_classes())


@pytest.fixture
def drive(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 5, focal=50.0))
    return recorded(tmp_path, source, [mask_of(5 * k + 3) for k in range(5)])


def test_cones_are_drawn_recorded_and_counted(tmp_path, drive):
    write_recordings(tmp_path, drive, 15.0, lambda: None)
    (tmp_path / 'bag').rename(tmp_path / 'plain')
    drive.places = places(camera_height=1.0)
    report = write_recordings(tmp_path, drive, 15.0, lambda: None)
    with Bag(tmp_path / 'bag') as bag, Bag(tmp_path / 'plain') as plain:
        clouds = [m for _, m in bag.messages(bag.topics['/eunet/cones'])]
        assert '/eunet/cones' not in plain.topics
        overlays = [next(b.messages(b.topics['/eunet/overlay/compressed']))[1] for b in (
            bag, plain)]
    assert [len(read_points(c)) for c in clouds] == [1] * 5
    assert clouds[0].header.frame_id == 'base_link'
    # 15.5 px below the horizon, 50 px focal length, 1 m: 3.2 m, and the half of the plate.
    assert read_points(clouds[0])['x'][0] == pytest.approx(1 * 50 / 15.5 + 0.145, abs=0.03)
    assert (np.diff([read_points(c)['y'][0] for c in clouds]) < 0).all()  # moves to the right
    assert bytes(overlays[0].data) != bytes(overlays[1].data)
    assert report == {'per_image': 1.0, 'with_position_per_image': 1.0, 'positions_withheld': ''}
    assert write_picture(tmp_path / 'overlay.png', drive, 'title', 'note')
    assert cv2.imread(str(tmp_path / CONES)).shape == (48, 64 + 36, 3)


def test_positions_are_withheld_for_a_reason(tmp_path, drive):
    drive.places = places()
    report = write_recordings(tmp_path, drive, 15.0, lambda: None)
    with Bag(tmp_path / 'bag') as bag:
        assert bag.topics['/eunet/cones'].count == 0
    assert 'how the camera is mounted is not known' in report['positions_withheld']
    assert write_picture(tmp_path / 'overlay.png', drive, 'title', 'note')
    assert not (tmp_path / CONES).exists()


def test_the_sample_drive_knows_its_mounting():
    bag = share_file('test/data/sample_drive/metadata.yaml').parent
    values = read_mounting(bag / MOUNTING)
    assert values == {
        'camera_height': 1.05, 'camera_pitch': pytest.approx(np.radians(5), abs=1e-4)}


@pytest.mark.parametrize('text, said', [
    ('[', 'as calibrate_mount writes it'), ('a: 1', 'as calibrate_mount writes it'),
    ('/**: {ros__parameters: {camera_hight: 1.0}}', 'did you mean camera_height'),
    ('/**: {ros__parameters: {camera_height: high}}', 'camera_height must be'),
    ('/**: {ros__parameters: {engine: torch}}', 'found engine'),
    ('/**: {ros__parameters: {mounting: tf}}', 'not by tf')])
def test_mountings_that_cannot_be_used(tmp_path, text, said):
    path = tmp_path / 'mounting.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        read_mounting(path)
    assert str(path) in str(error.value) and '\n' not in str(error.value)
