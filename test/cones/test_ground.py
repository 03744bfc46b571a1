# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of cameras and flat ground: there and back, horizons, and what cannot be."""
from dataclasses import replace
import math
from types import SimpleNamespace

import cv2
from eunet_ros.cones.camera_model import camera_model, CameraModel
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.ground import Ground, mounted, pose_of_transform
from eunet_ros.cones.locator import ConeLocator, Withheld
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.parameters import NodeParameters
from eunet_ros.training.renderer import Drive
from hypothesis import assume, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

WIDTH, HEIGHT = 1280, 720
angle = st.floats(-0.2, 0.2)


@st.composite
def cameras(draw):
    """Draw a camera with any of the lens models."""
    focal = draw(st.floats(300, 2000))
    model = draw(st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant']))
    # Coefficients that calibrations have: what bends the corner by at most a few percent.
    corner = (WIDTH / 2 / focal) ** 2 * 1.4
    small = st.floats(-0.04, 0.04)
    if model == 'equidistant':
        d = tuple(draw(st.floats(-0.01, 0.01)) for _ in range(4))
    else:
        k = [draw(small) / corner ** n for n in (1, 2, 3)]
        p = [draw(st.floats(-5e-4, 5e-4)) for _ in range(2)]
        r = [draw(small) / corner ** n for n in (1, 2, 3)] if model[0] == 'r' else [0.0] * 3
        d = (k[0], k[1], p[0], p[1], k[2], *r)
    return CameraModel(WIDTH, HEIGHT, focal, focal * draw(st.floats(0.95, 1.05)),
                       draw(st.floats(600, 680)), draw(st.floats(320, 400)), 0.0, model, d)


@settings(max_examples=300, deadline=None)
@given(cameras(), st.floats(0.3, 2.5), st.floats(-0.1, 0.5), angle, angle, st.floats(1, 40),
       st.floats(-0.5, 0.5))
def test_project_and_back(camera, height, pitch, roll, yaw, distance, bearing):
    ground = Ground(camera, mounted(height, pitch, roll, yaw, 0.4, -0.2, -0.15), -0.15)
    point = np.array([[distance * math.cos(bearing), distance * math.sin(bearing), -0.15]])
    pixel = ground.project(point)
    assume(np.isfinite(pixel).all() and (pixel >= -0.5).all()
           and (pixel < (WIDTH - 0.5, HEIGHT - 0.5)).all())
    found = ground.intersect(pixel)
    # A pixel that looks along the ground cannot tell: a double's rounding is worth more there.
    drop = height / np.hypot(distance, height)
    assume(drop > 0.01)
    np.testing.assert_allclose(found, point, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(cameras(), st.floats(0.3, 2.5), st.floats(-0.3, 0.6), angle,
       st.lists(st.tuples(st.floats(-2000, 4000), st.floats(-2000, 3000)), min_size=1,
                max_size=20))
def test_no_pixel_has_an_infinite_place(camera, height, pitch, roll, pixels):
    ground = Ground(camera, mounted(height, pitch, roll))
    pixels = np.array(pixels)
    for found in (ground.intersect(pixels), ground.intersect(pixels, 0.325)):
        assert not np.isinf(found).any()
        rays = camera.rays(pixels) @ ground.pose.rotation.T
        above = ~(rays[:, 2] < 0)
        assert np.isnan(found[above]).all()
    assert not np.isinf(ground.covariance(pixels)).any()


@pytest.mark.parametrize('model, d', [
    ('plumb_bob', (-0.28, 0.09, 1e-3, -5e-4, -0.01)),
    ('rational_polynomial', (0.5, -0.1, 1e-4, 2e-4, 0.02, 0.6, -0.05, 0.03)),
    ('equidistant', (-0.02, 0.006, -0.003, 0.0005))])
def test_lenses_are_opencvs(model, d):
    k = np.array([[700.0, 0, 640], [0, 710, 360], [0, 0, 1]])
    info = make_info(k=k.reshape(9), d=d, distortion_model=model)
    camera = camera_model(info, HEIGHT, WIDTH)
    rng = np.random.default_rng(2)
    points = rng.uniform((-2, -1.2, 3), (2, 1.2, 9), (50, 3))
    if model == 'equidistant':
        expected = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), k,
                                             np.array(d))[0]
    else:
        expected = cv2.projectPoints(points, np.zeros(3), np.zeros(3), k, np.array(d))[0]
    np.testing.assert_allclose(camera.project(points), expected[:, 0], atol=1e-6)
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(camera.rays(expected[:, 0]), rays, atol=1e-9)


def make_info(**changes):
    values = {
        'height': HEIGHT, 'width': WIDTH, 'distortion_model': 'plumb_bob', 'd': (0.0,) * 5,
        'k': (700.0, 0, 640, 0, 710, 360, 0, 0, 1), 'binning_x': 0, 'binning_y': 0,
        'p': (650.0, 0, 600, 0, 0, 660, 350, 0, 0, 0, 1, 0),
        'roi': SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)}
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize('model, d, kept', [
    ('plumb_bob', (-0.03, 0.03, 0, 0, -0.01, 0, 0, 0), (-0.03, 0.03, 0, 0, -0.01)),
    ('plumb_bob', (-0.03, 0.03, 0, 0, 0, 0, 0, 0), (-0.03, 0.03)),
    ('plumb bob', (0.0,) * 12, ()), ('Plumb-Bob', (0.1,) * 5, (0.1,) * 5),
    ('equidistant', (-0.03, 0.01, 0, 0, 0), (-0.03, 0.01)),
    ('equidistant', (-0.03, 0.01, 0.1, 0.2) + (0,) * 4, (-0.03, 0.01, 0.1, 0.2)),
    ('rational_polynomial', (0.1,) * 8 + (0.0,) * 7, (0.1,) * 8),
    ('none', (), ()), ('pinhole', (0.0,) * 5, ()), ('', (0.0,) * 5, ())])
def test_zeros_that_a_model_does_not_have_change_nothing(model, d, kept):
    camera = camera_model(make_info(distortion_model=model, d=d), HEIGHT, WIDTH)
    size = 4 if model == 'equidistant' else 8
    assert camera.model == {'equidistant': model, 'rational_polynomial': model}.get(
        model, 'plumb_bob')
    assert camera.distortion == (*kept, *[0.0] * (size - len(kept)))


@pytest.mark.parametrize('changes, said', [
    ({'d': (-0.03, 0.03, 0, 0, -0.01, 0, 0, 0.1)}, '8 coefficients in D, expected 4 or 5'),
    ({'distortion_model': 'equidistant', 'd': (0.1,) * 5}, '5 coefficients in D, expected 4 for'),
    ({'distortion_model': 'pinhole', 'd': (0.1,) * 5}, "model 'pinhole', expected one of"),
    ({'k': (0.0,) * 9}, 'K of camera_info has no focal length .* calibrate it'),
    ({'k': (float('nan'),) * 9}, 'no focal length'),
    ({'height': 480}, 'images of 1280x480, the image has 1280x720'),
    ({'distortion_model': 'inverse'}, "'inverse', expected one of plumb_bob"),
    ({'distortion_model': '', 'd': (0.1,)}, "model '', expected one of"),
    ({'d': (0.1, 0.1)}, '2 coefficients in D, expected 4 or 5'),
    ({'d': (float('inf'),) * 5}, 'not finite'),
    ({'distortion_model': 'rational_polynomial', 'd': (0.0,) * 9 + (0.1,) * 3}, 'thin prism')])
def test_camera_infos_that_cannot_be_used(changes, said):
    with pytest.raises(ValueError, match=said):
        camera_model(make_info(**changes), HEIGHT, WIDTH)


def test_binning_region_and_rectified_images():
    info = make_info(binning_x=2, binning_y=2)
    camera = camera_model(info, 360, 640)
    assert (camera.fx, camera.fy) == (350, 355)
    # The same direction as the middle of the four pixels that became one.
    whole = camera_model(make_info(), HEIGHT, WIDTH)
    np.testing.assert_allclose(camera.rays([[100, 50]]), whole.rays([[200.5, 100.5]]))
    roi = SimpleNamespace(x_offset=100, y_offset=200, height=300, width=400)
    part = camera_model(make_info(roi=roi), 300, 400)
    np.testing.assert_allclose(part.rays([[7, 9]]), whole.rays([[107, 209]]))
    flat = camera_model(make_info(d=(-0.3, 0.1, 0, 0, 0)), HEIGHT, WIDTH, rectified=True)
    assert (flat.fx, flat.cx, any(flat.distortion)) == (650, 600, False)


def test_frames_are_those_of_rep_103():
    ground = Ground(camera_model(make_info(), HEIGHT, WIDTH), mounted(1.0, 0.1, x=0.5))
    [ahead, left, near] = ground.project([[5, 0, 0], [5, 1, 0], [3, 0, 0]])
    assert left[0] < ahead[0] and near[1] > ahead[1]
    down = Ground(ground.camera, mounted(1.0, 0.2, x=0.5)).project([[5, 0, 0]])[0]
    assert down[1] < ahead[1]  # a camera that looks further down sees it higher in the image
    turned = Ground(ground.camera, mounted(1.0, 0.1, yaw=0.1)).project([[5, 0, 0]])[0]
    assert turned[0] > ahead[0]  # looking to the left, it is more to the right
    rolled = Ground(ground.camera, mounted(1.0, 0.1, roll=0.1)).project([[5, -2, 0], [5, 2, 0]])
    assert rolled[0, 1] < rolled[1, 1]  # its right side is low: what is right is higher


def test_a_transform_is_a_mounting():
    pose = mounted(1.2, 0.3, 0.05, -0.1, 0.4, 0.2)
    quaternion = quaternion_of(pose.rotation)
    again = pose_of_transform(tuple(pose.origin), quaternion)
    np.testing.assert_allclose(again.rotation, pose.rotation, atol=1e-12)
    with pytest.raises(ValueError, match='unit quaternion'):
        pose_of_transform((0, 0, 1), (0, 0, 0, 0))


def quaternion_of(rotation):
    vector = cv2.Rodrigues(rotation)[0][:, 0]
    turn = np.linalg.norm(vector)
    return (*(vector / turn * math.sin(turn / 2)), math.cos(turn / 2))


def test_variance_is_what_a_pixel_makes():
    ground = Ground(camera_model(make_info(d=(-0.1, 0.01, 0, 0, 0)), HEIGHT, WIDTH),
                    mounted(1.0, 0.1), pixel_stddev=0.5)
    pixels = np.array([[500.0, 420], [700, 600]])
    rng = np.random.default_rng(1)
    for pixel, covariance in zip(pixels, ground.covariance(pixels)):
        cloud = ground.intersect(pixel + 0.5 * rng.normal(size=(20000, 2)))[:, :2]
        np.testing.assert_allclose(np.cov(cloud.T), covariance, rtol=0.08, atol=1e-4)


def test_cones_of_a_rendered_drive_are_where_they_are():
    near, far = [], []
    for scene in Drive(5, 720, 1280).frames(5, 1.5):
        cam = scene.camera
        camera = CameraModel(cam.width, cam.height, cam.K[0, 0], cam.K[1, 1], cam.K[0, 2],
                             cam.K[1, 2], distortion=(*cam.D, 0.0, 0.0, 0.0))
        ground = Ground(camera, mounted(cam.mount_height, cam.pitch, cam.roll))
        located, rows = ground.locate(find_cones(scene.mask))
        assert (np.diff(located.distance) >= 0).all() and len(rows) == len(located.cones)
        assert located.distance.max() <= ground.max_range
        for box, (x, y, z) in zip(located.cones.box, located.xyz):
            own = [c for c in scene.cones if np.abs(np.subtract(c.box, box)).max() <= 1
                   and not c.knocked_over]
            if own:
                d = math.hypot(own[0].x, own[0].y)
                error = math.hypot(x - own[0].x, y - own[0].y) / d
                (near if d < 10 else far if d < 20 else []).append(error)
            assert z == 0
    assert len(near) > 15 and len(far) > 15
    assert np.median(near) < 0.015 and np.median(far) < 0.02


def test_a_hidden_base_is_replaced_by_the_tip():
    ground = Ground(camera_model(make_info(), HEIGHT, WIDTH), mounted(1.2, 0.15))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    # A large orange cone 2.5 m ahead whose lower half is below the image.
    foot, tip = ground.project([[1.3, 0, 0], [1.3, 0, 0.505]])
    assert foot[1] > HEIGHT > tip[1] > 0
    mask[round(tip[1]):, 600:680] = 4
    [located, _] = ground.locate(find_cones(mask))
    assert located.by_height.tolist() == [True]
    assert located.distance[0] == pytest.approx(1.3, abs=0.02)
    small = ClassTable(('background', 'cone'), ((0, 0, 0),) * 2)
    other = Ground(ground.camera, ground.pose, classes=small)
    assert other.locate(find_cones(mask))[0].distance[0] > 1.5


@pytest.mark.parametrize('pitch', [-0.1, 0.0, 0.2])
@pytest.mark.parametrize('yaw', [0.0, 1.0])
def test_the_horizon_is_where_far_ground_is(pitch, yaw):
    camera = camera_model(make_info(), HEIGHT, WIDTH)
    ground = Ground(camera, mounted(1.2, pitch, yaw=yaw))
    far = ground.project([[1e6 * np.cos(yaw), 1e6 * np.sin(yaw), 0.0]])
    assert ground.horizon_row() == pytest.approx(far[0, 1], abs=0.01)
    assert Ground(camera, mounted(1.2, np.pi / 2)).horizon_row() is None


@pytest.mark.parametrize('roll', [np.pi, np.pi / 2, -1.0])
def test_an_image_that_is_not_upright_has_no_row_of_the_horizon(roll):
    camera = camera_model(make_info(), HEIGHT, WIDTH)
    assert Ground(camera, mounted(1.2, 0.1, roll)).horizon_row() is None
    assert Ground(camera, mounted(1.2, 0.1, 0.3)).horizon_row() is not None


@pytest.mark.parametrize('changes, parameters', [
    (None, {}), ({'height': HEIGHT // 2}, {}), ({'k': np.zeros(9)}, {}),
    ({}, {'camera_height': 0.0}), ({}, {'camera_roll': 3.0})])
def test_without_calibration_and_mounting_the_horizon_is_not_known(changes, parameters):
    locator, size = ConeLocator(cone_classes()), (HEIGHT, WIDTH)
    info = None if changes is None else make_info(**changes)
    p = NodeParameters(**{'camera_height': 1.2, 'camera_pitch': 0.2, **parameters})
    assert locator.horizon(size, info, lambda: None, p) is None

    def withheld():
        raise Withheld('there is no transform')
    assert locator.horizon(size, make_info(), withheld, p) is None
    upright = replace(p, camera_height=1.2, camera_roll=0.0)
    assert 0 < locator.horizon(size, make_info(), lambda: None, upright) < HEIGHT / 2
