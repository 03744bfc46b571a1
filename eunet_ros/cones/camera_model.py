# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A camera as in sensor_msgs/CameraInfo: pixels to directions and back; no ROS.

Optical frame (REP 103): x right, y down, z forward; pixel (0, 0) is the centre of the top left
pixel. plumb_bob and rational_polynomial are OpenCV's model with 5 and 8 coefficients, equidistant
is Kannala and Brandt's (2006) with 4, as in OpenCV's fisheye module.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
import math
from typing import Any

import cv2
import numpy as np

MODELS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8, 12, 14), 'equidistant': (0, 4)}
_PERFECT = ('', 'none', 'pinhole')  # names of a lens without distortion
_PRECISELY = cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 200, 1e-11   # steps, unit depth
_CLOSE = 1e-8         # tolerance of the inverse at unit depth, far below a pixel
_WIDEST = math.tan(math.radians(85.0))  # of a lens that is not a fisheye, at unit depth
_SAMPLES = 40_000     # of the profile of a fisheye, with errors far below a pixel


@dataclass(frozen=True)
class CameraModel:
    """Focal lengths, principal point and image size [px], model and coefficients of the lens."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    skew: float = 0.0
    model: str = 'plumb_bob'
    distortion: tuple[float, ...] = (0.0,) * 8

    @cached_property
    def _profile(self) -> tuple[np.ndarray, np.ndarray]:
        """Return radii (angles of a fisheye) and their images, while these grow."""
        if self.model == 'equidistant':
            radius = np.linspace(0, math.pi, _SAMPLES)
            bent = self._bent(radius)
        else:
            # Denser near the middle, where the image is.
            radius = _WIDEST * np.linspace(0, 1, _SAMPLES) ** 2
            k1, k2, _, _, *rest = self.distortion
            radial = replace(self, distortion=(k1, k2, 0.0, 0.0, *rest))
            bent = radial._distorted(np.stack([radius, 0 * radius], axis=1))[:, 0]
        # Outside of the calibrated range a polynomial may fold back.
        grows = np.diff(bent) > 0
        stop = len(radius) if grows.all() else int(np.argmin(grows)) + 1
        return radius[:stop], bent[:stop]

    def _bent(self, angle: np.ndarray) -> np.ndarray:
        """Return the distance from the centre, at unit depth, of angles in a fisheye."""
        d, t2 = self.distortion, angle * angle
        return angle * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))

    def _distorted(self, xy: np.ndarray) -> np.ndarray:
        """Return distorted points (n, 2) at unit depth; not for a fisheye."""
        if not len(xy):
            return xy
        points = np.column_stack([xy, np.ones(len(xy))])
        return cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3),
                                 np.array(self.distortion))[0][:, 0]

    def _undistorted(self, xy: np.ndarray) -> np.ndarray:
        """Invert `_distorted`; NaN outside of the model."""
        if not len(xy):
            return xy
        # OpenCV 5 takes the criteria in undistortPoints.
        undistort = getattr(cv2, 'undistortPointsIter', cv2.undistortPoints)
        found = undistort(xy[:, None], np.eye(3), np.array(self.distortion), R=None, P=None,
                          criteria=_PRECISELY)[:, 0]
        with np.errstate(invalid='ignore'):
            good = ((np.abs(self._distorted(found) - xy).sum(1) < _CLOSE)
                    & (np.hypot(*found.T) <= self._profile[0][-1]))
        return np.where(good[:, None], found, np.nan)

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """Return unit vectors (n, 3) along pixels (n, 2), optical; NaN outside the lens' model."""
        pixels = np.asarray(pixels, np.float64)
        y = (pixels[:, 1] - self.cy) / self.fy
        x = (pixels[:, 0] - self.cx - self.skew * y) / self.fx
        if self.model == 'equidistant':  # cv2.fisheye ends at 90 degrees
            bent = np.hypot(x, y)
            angle = np.interp(bent, *self._profile[::-1], right=np.nan)
            across = np.where(bent > 1e-12, np.sin(angle) / np.maximum(bent, 1e-12), 1.0)
            return np.stack([x * across, y * across, np.cos(angle)], axis=1)
        xy = self._undistorted(np.stack([x, y], axis=1))
        return np.column_stack([xy, np.ones(len(xy))]) / np.sqrt(
            (xy * xy).sum(1) + 1)[:, None]

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return pixels (n, 2) of optical points (n, 3); NaN for what the lens does not see."""
        points = np.asarray(points, np.float64)
        x, y, z = points.T
        across = np.hypot(x, y)
        with np.errstate(invalid='ignore', divide='ignore'):
            if self.model == 'equidistant':
                angle = np.arctan2(across, z)
                scale = np.where(across > 1e-12, self._bent(angle) / across, 1 / z)
                scale = np.where(angle <= self._profile[0][-1], scale, np.nan)
                x, y = x * scale, y * scale
            else:
                depth = np.where((z > 1e-9) & (across <= self._profile[0][-1] * z), z, np.nan)
                x, y = self._distorted(points[:, :2] / depth[:, None]).T
        return np.stack([self.fx * x + self.skew * y + self.cx, self.fy * y + self.cy], axis=1)


def camera_model(info: Any, height: int, width: int, rectified: bool = False) -> CameraModel:
    """Return the model of a CameraInfo for its image; rectified: by P. Raises ValueError."""
    roi = info.roi
    bin_x, bin_y = max(1, info.binning_x), max(1, info.binning_y)
    expected = (roi.height or info.height) // bin_y, (roi.width or info.width) // bin_x
    if expected != (height, width):
        raise ValueError(f'camera_info is for images of {expected[1]}x{expected[0]}, the image '
                         f'has {width}x{height}: publish the camera_info of this image')
    name = 'P' if rectified else 'K'
    k = np.array(info.p if rectified else info.k, np.float64)
    k = k.reshape(3, 4)[:, :3] if rectified else k.reshape(3, 3)
    if not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
        raise ValueError(f'{name} of camera_info has no focal length (found {k[0, 0]:g} and '
                         f'{k[1, 1]:g}): the camera is not calibrated, calibrate it')
    # A binned pixel's centre lies between those of its pixels.
    cx = (k[0, 2] - roi.x_offset + 0.5) / bin_x - 0.5
    cy = (k[1, 2] - roi.y_offset + 0.5) / bin_y - 0.5
    model, distortion = ('plumb_bob', (0.0,) * 8) if rectified else _lens(info)
    return CameraModel(width, height, k[0, 0] / bin_x, k[1, 1] / bin_y, cx, cy, k[0, 1] / bin_x,
                       model, distortion)


def _lens(info: Any) -> tuple[str, tuple[float, ...]]:
    named, given = info.distortion_model, [float(x) for x in info.d]
    model = '_'.join(named.lower().replace('-', ' ').split())
    if not np.isfinite(given).all():
        raise ValueError('D of camera_info holds numbers that are not finite: calibrate the '
                         'camera again')
    if model in _PERFECT and not any(given):
        return 'plumb_bob', (0.0,) * 8
    if model not in MODELS:
        raise ValueError(f'camera_info has the distortion model {named!r}, expected one of '
                         f'{", ".join(MODELS)}: rectify the image, or calibrate with one of them')
    counts = MODELS[model]
    # Drivers may pad D with zeros to the length of another model.
    while len(given) not in counts and len(given) > min(counts[1:]) and not given[-1]:
        given.pop()
    if len(given) not in counts and any(given):
        raise ValueError(f'camera_info has {len(info.d)} coefficients in D, expected '
                         f'{" or ".join(str(n) for n in counts if n)} for {model}: calibrate the '
                         'camera again')
    if any(given[8:]):
        raise ValueError('camera_info has thin prism or tilt coefficients in D (the 9th and '
                         'later), which are not supported: calibrate without them')
    size = 4 if model == 'equidistant' else 8
    return model, tuple((given + [0.0] * size)[:size])
