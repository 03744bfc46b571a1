# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""Geometry of the rendering camera, against formulas written out by hand."""

import math

import cv2
from eunet_ros.training.renderer.camera import (
    distort,
    make_camera,
    pixel_rays,
    project,
    undistort,
)
import numpy as np
import pytest


@pytest.mark.parametrize('point, pixel', [
    # A level camera 1 m up, f = 100, centre (99.5, 49.5): u = 99.5 - 100 y / x, and so on.
    ((10.0, 0.0, 1.0), (99.5, 49.5)),
    ((10.0, 0.0, 0.0), (99.5, 59.5)),
    ((5.0, 2.0, 0.0), (59.5, 69.5)),
    ((4.0, -1.0, 1.5), (124.5, 37.0)),
])
def test_level_camera(point, pixel):
    camera = make_camera(100, 200, 2 * math.atan(1.0), 1.0)
    found, depth = project(camera, np.array(point))
    assert camera.K[0, 0] == pytest.approx(100)
    assert found == pytest.approx(pixel)
    assert depth == pytest.approx(point[0])


def test_positive_pitch_looks_down_and_positive_roll_lifts_the_left():
    ahead = np.array([20.0, 0.0, 1.0])
    down = make_camera(100, 200, 1.5, 1.0, pitch=0.1)
    assert project(down, ahead)[0][1] == pytest.approx(49.5 - down.focal * math.tan(0.1))
    # The body's left side goes up, so the horizon's left side goes down in the image.
    rolled = make_camera(100, 200, 1.5, 1.0, roll=0.1)
    left, _ = project(rolled, np.array([20.0, 10.0, 1.0]))
    right, _ = project(rolled, np.array([20.0, -10.0, 1.0]))
    assert left[1] > 49.5 > right[1]


def test_projection_equals_opencv_with_distortion():
    distortion = (-0.12, 0.01, 1e-3, -5e-4, 0.0)
    camera = make_camera(300, 400, 1.3, 1.2, pitch=0.1, roll=-0.05, distortion=distortion)
    points = np.array([[6.0, 1.0, 0.3], [12.0, -4.0, 0.0], [3.0, 0.5, 0.2]])
    translation = camera.rotation @ np.array([0.0, 0.0, -camera.mount_height])
    rotation, _ = cv2.Rodrigues(camera.rotation)
    expected, _ = cv2.projectPoints(points, rotation, translation, camera.K, camera.D)
    assert project(camera, points)[0] == pytest.approx(expected[:, 0], abs=1e-6)


def test_undistort_inverts_distort():
    D = np.array([-0.1, 0.01, 5e-4, -4e-4, 0.0])
    points = np.array([[0.0, 0.0], [0.5, -0.3], [-0.9, 0.4]])
    assert undistort(distort(points, D), D, steps=30) == pytest.approx(points, abs=1e-6)


def test_rays_lead_back_to_their_pixels():
    camera = make_camera(390, 630, 1.4, 1.0, 0.2, 0.1, (-0.1, 0.01, 0, 0, 0))
    rays = pixel_rays(camera)
    assert rays.shape == (3, 390, 630)
    for v, u in ((0, 0), (190, 300), (389, 629), (77, 501)):
        point = np.array([0, 0, camera.mount_height]) + 5.0 * rays[:, v, u]
        assert project(camera, point)[0] == pytest.approx((u, v), abs=0.08)
