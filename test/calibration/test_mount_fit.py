# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A mounting from cones at measured spots: rendered ones, and what users can get wrong."""
from dataclasses import replace
import math
from pathlib import Path

import cv2
from eunet_ros.calibration import calibrate_mount
from eunet_ros.calibration.mount_fit import fit_mounting, Mounting, Spot
from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.ground import Ground, mounted
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.parameters import NodeParameters
from eunet_ros.training.renderer import Drive
import numpy as np
import pytest
import yaml


def of_scene(scene):
    """Return camera model, cones and spots of a rendered scene."""
    c = scene.camera
    camera = CameraModel(c.width, c.height, c.K[0, 0], c.K[1, 1], c.K[0, 2], c.K[1, 2],
                         distortion=(*c.D, 0.0, 0.0, 0.0))
    spots = [Spot(k.x, k.y, k.class_id) for k in scene.cones if 3 < math.hypot(k.x, k.y) < 16
             and k.visible_fraction > 0.9 and not k.knocked_over][:8]
    return camera, find_cones(scene.mask), spots


@pytest.fixture(scope='module')
def scene():
    return Drive(2, 720, 1280).render(2.0)


@pytest.mark.parametrize('free', [('pitch', 'height'), ('pitch', 'height', 'roll', 'yaw')])
def test_the_mounting_is_found_from_a_rough_guess(scene, free):
    camera, cones, spots = of_scene(scene)
    fit = fit_mounting(camera, [cones, cones], spots, Mounting(1.4, roll=scene.camera.roll), free)
    assert abs(fit.mounting.height - scene.camera.mount_height) < 0.03
    assert abs(fit.mounting.pitch - scene.camera.pitch) < math.radians(0.15)
    assert abs(fit.mounting.yaw) < math.radians(0.1) and fit.rms_pixels < 3
    assert set(fit.stddev) == set(free) and all(0 < v < 0.05 for v in fit.stddev.values())
    assert len(fit.residuals) + 2 * len(fit.missing) == 2 * len(spots)


def test_cones_in_other_places_are_refused(scene):
    camera, cones, spots = of_scene(scene)
    with pytest.raises(ValueError, match='at least 2 measured cones, found 1'):
        fit_mounting(camera, [cones], spots[:1], Mounting(1.0))
    with pytest.raises(ValueError, match='check the positions'):
        fit_mounting(camera, [cones], [Spot(4, 30), Spot(5, -40)], Mounting(1.0))
    empty = find_cones(np.zeros((720, 1280), np.uint8))
    with pytest.raises(ValueError, match='None of the measured cones was found'):
        fit_mounting(camera, [empty], spots, Mounting(1.0))


def test_cones_at_one_distance_do_not_tell_height_from_pitch(scene):
    camera, cones, _ = of_scene(scene)
    pair = [Spot(4.0, 1.0), Spot(4.0, -1.0)]
    ground = Ground(camera, mounted(1.0, 0.1))
    standing = np.flatnonzero(~(cones.hidden | cones.cut | cones.knocked_over))[:2]
    cones = replace(cones.select(standing), base=ground.project(
        np.array([(s.x, s.y, 0) for s in pair])).astype(np.float32))
    with pytest.raises(ValueError, match='apart: place them at different distances'):
        fit_mounting(camera, [cones], pair, Mounting(1.0, 0.1))


@pytest.fixture
def files(tmp_path, scene):
    cv2.imwrite(str(tmp_path / 'frame.png'), scene.image)
    c = scene.camera
    (tmp_path / 'camera.yaml').write_text(yaml.safe_dump({
        'image_width': c.width, 'image_height': c.height, 'camera_name': 'front',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': c.K.reshape(-1).tolist()},
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': c.D.tolist()}}))
    names = cone_classes().names
    (tmp_path / 'cones.txt').write_text('# x y class\n\n' + '\n'.join(
        f'{s.x:.2f}, {s.y:.2f} {names[s.class_id]}' for s in of_scene(scene)[2]))
    return tmp_path


def run(files, *more):
    return calibrate_mount.main(['--image', str(files / 'frame.png'), '--camera-info',
                                 str(files / 'camera.yaml'), '--cones',
                                 str(files / 'cones.txt'), *more])


def test_command_line(files, scene, capsys):
    out = files / 'mounting.yaml'
    assert run(files, '--output', str(out), '--free-roll') == 0
    printed = capsys.readouterr().out
    assert 'pitch' in printed and '±' in printed and 'root mean square' in printed
    assert out.read_text() in printed
    values = yaml.safe_load(out.read_text())['/**']['ros__parameters']
    parameters = NodeParameters(**values)  # what the node takes
    assert parameters.camera_height == pytest.approx(scene.camera.mount_height, abs=0.06)
    assert parameters.camera_pitch == pytest.approx(scene.camera.pitch, abs=0.006)
    before = out.read_bytes()
    assert run(files, '--output', str(out)) == 1
    assert 'exists: choose another --output' in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize('name, text, said', [
    ('cones.txt', '3 4\n5 here', 'line 2: expected x and y'),
    ('cones.txt', '3 4 blue', "line 1: Unknown class 'blue'"),
    ('cones.txt', '', 'at least 2 measured cones, found 0'),
    ('camera.yaml', 'image_width: 5', 'as camera_calibration writes it'),
    ('camera.yaml', ': :', 'as camera_calibration writes it'),
    ('frame.png', 'no picture', 'not an image that can be read')])
def test_files_that_cannot_be_used(files, capsys, name, text, said):
    (files / name).write_text(text)
    assert run(files) == 1
    error = capsys.readouterr().err
    assert said in error and error.count('\n') == 1 and 'Traceback' not in error
    (files / name).unlink()
    assert run(files) == 1
    assert name in capsys.readouterr().err


def test_a_picture_needs_a_calibration(files, capsys):
    assert calibrate_mount.main(['--image', str(files / 'frame.png'), '--cones', 'x']) == 1
    assert 'needs --camera-info' in capsys.readouterr().err
    assert calibrate_mount.main(['--cones', 'x']) == 1
    assert 'either --image or --bag' in capsys.readouterr().err


def test_the_mean_pitch_of_a_drive_is_compared(scene, monkeypatch):
    camera, _, _ = of_scene(scene)
    masks = [Drive(2, 720, 1280).render(t).mask for t in (1.0, 2.0)]
    monkeypatch.setattr(calibrate_mount, 'read_bag', lambda path, topic, most: (masks, None))
    own = Mounting(scene.camera.mount_height, scene.camera.pitch - math.radians(1))
    said = calibrate_mount.compared(Path('a_drive'), '', camera, own, lambda image: image)
    assert said.startswith('a_drive: pitch +') and 'in the mean of 2 images' in said
    assert float(said.split()[2][:-1]) == pytest.approx(1.0, abs=0.35)
    masks[:] = [np.zeros_like(masks[0])]
    said = calibrate_mount.compared(Path('a_drive'), '', camera, own, lambda image: image)
    assert 'no image shows 4 cones' in said
    masks[:] = [masks[0][::2, ::2]]
    with pytest.raises(ValueError, match=r'a_drive.* found 640x360'):
        calibrate_mount.compared(Path('a_drive'), '', camera, own, lambda image: image)
