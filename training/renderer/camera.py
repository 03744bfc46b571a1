# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Camera geometry: a pinhole with plumb_bob distortion on a car.

Vehicle frame (REP 103): x forward, y left, z up, metres, origin on the ground under the camera.
Optical frame (REP 103 suffix _optical): x right, y down, z forward. Pitch is a positive rotation
about the vehicle's y axis (the camera looks down), roll one about its x axis. Pixel (0, 0) is the
centre of the top-left pixel.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math

import cv2
import numpy as np

_OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_GRID = 8  # pixels between two nodes at which the lens is inverted


@dataclass(frozen=True)
class Camera:
    """Where the camera looks and how its lens bends: lengths in metres, angles in radians."""

    K: np.ndarray  # 3x3, pixels
    D: np.ndarray  # k1, k2, p1, p2, k3 (plumb_bob)
    mount_height: float
    pitch: float
    roll: float
    height: int
    width: int

    @cached_property
    def rotation(self) -> np.ndarray:
        """Rotation (3, 3) from vehicle axes to optical axes."""
        cp, sp = math.cos(self.pitch), math.sin(self.pitch)
        cr, sr = math.cos(self.roll), math.sin(self.roll)
        pitch = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
        roll = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
        return _OPTICAL_FROM_BODY @ (pitch @ roll).T

    @cached_property
    def _projection(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
        """Position (3,), rotation (3, 3) of rows, focals (2,), centre (2,); has a distortion."""
        return (np.array([0.0, 0.0, self.mount_height]), self.rotation.T,
                np.array([self.K[0, 0], self.K[1, 1]]), self.K[:2, 2].copy(),
                bool(np.any(self.D)))

    @cached_property
    def focal(self) -> float:
        return float(0.5 * (self.K[0, 0] + self.K[1, 1]))

    @cached_property
    def max_radius(self) -> float:
        """Distance from the optical axis, at unit depth, beyond which nothing is in the image."""
        x = max(self.K[0, 2], self.width - self.K[0, 2]) / self.K[0, 0]
        y = max(self.K[1, 2], self.height - self.K[1, 2]) / self.K[1, 1]
        corner = undistort(np.array([[x, y]]), self.D)
        return float(np.hypot(*corner[0])) * 1.02


def make_camera(height: int, width: int, hfov: float, mount_height: float, pitch: float = 0.0,
                roll: float = 0.0, distortion: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0),
                shift: tuple[float, float] = (0.0, 0.0)) -> Camera:
    """Return a camera by its field of view [rad]; shift: of the principal point [px]."""
    focal = 0.5 * width / math.tan(0.5 * hfov)
    K = np.array([[focal, 0.0, 0.5 * (width - 1) + shift[0]],
                  [0.0, focal, 0.5 * (height - 1) + shift[1]],
                  [0.0, 0.0, 1.0]])
    return Camera(K, np.asarray(distortion, float), mount_height, pitch, roll, height, width)


def distort(points: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Apply plumb_bob distortion to normalised image points (..., 2)."""
    k1, k2, p1, p2, k3 = D.tolist()
    x, y = points[..., 0], points[..., 1]
    xx, yy = x * x, y * y
    r2 = xx + yy
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bent = np.empty(points.shape)
    bent[..., 0] = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * xx)
    bent[..., 1] = y * radial + p1 * (r2 + 2 * yy) + 2 * p2 * x * y
    return bent


def undistort(points: np.ndarray, D: np.ndarray, steps: int = 9) -> np.ndarray:
    """Invert `distort` by fixed-point iteration; points (..., 2)."""
    if not np.any(D):
        return points.copy()
    k1, k2, p1, p2, k3 = D
    x0, y0 = (np.ascontiguousarray(points[..., axis]) for axis in (0, 1))
    x, y = x0, y0
    for _ in range(steps):
        r2 = x * x + y * y
        shrink = 1 / np.maximum(1.0 + r2 * (k1 + r2 * (k2 + r2 * k3)), 0.2)
        dx, dy = 2 * p1 * x * y + p2 * (r2 + 2 * x * x), p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        x, y = (x0 - dx) * shrink, (y0 - dy) * shrink
    return np.stack([x, y], axis=-1)


def project(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project vehicle points (..., 3) to pixels (..., 2) and depths; linear beyond the image."""
    origin, rotation, focal, centre, bends = camera._projection
    optical = (points - origin) @ rotation
    depth = optical[..., 2]
    plane = optical[..., :2] / np.maximum(depth, 1e-3)[..., None]
    if bends:
        radius = np.hypot(plane[..., 0], plane[..., 1])
        if radius.size and radius.max() > camera.max_radius:
            shrink = np.minimum(1.0, camera.max_radius / np.maximum(radius, 1e-9))[..., None]
            plane = distort(plane * shrink, camera.D) / shrink
        else:
            plane = distort(plane, camera.D)
    plane *= focal
    plane += centre
    return plane, depth


def pixel_rays(camera: Camera, yaw: float = 0.0) -> np.ndarray:
    """Return directions (3, height, width) float32 of unit optical depth, turned by `yaw`."""
    rows, columns = -(-camera.height // _GRID) + 2, -(-camera.width // _GRID) + 2
    # Node i of cv2.resize's input lies at output pixel 8 i + 3.5; one more node on every side.
    x, y = (((np.arange(nodes) - 1) * _GRID + 0.5 * (_GRID - 1) - camera.K[axis, 2])
            / camera.K[axis, axis] for axis, nodes in enumerate((columns, rows)))
    plane = undistort(np.dstack(np.meshgrid(x, y)), camera.D)
    optical = np.dstack([plane, np.ones((rows, columns))])
    c, s = math.cos(yaw), math.sin(yaw)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    world = (optical @ (turn @ camera.rotation.T).T).astype(np.float32)
    rays = np.empty((3, rows * _GRID, columns * _GRID), np.float32)
    for axis in range(3):
        cv2.resize(world[..., axis], rays.shape[:0:-1], rays[axis])
    return rays[:, _GRID:_GRID + camera.height, _GRID:_GRID + camera.width]
