# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A camera as sensor_msgs/CameraInfo describes it: from pixels to directions and back; no ROS.

Optical frame (REP 103): x right, y down, z forward. Pixel (0, 0) is the centre of the top-left
pixel. plumb_bob and rational_polynomial are OpenCV's model with 5 and 8 coefficients, equidistant
is Kannala and Brandt's (2006) with 4, as in OpenCV's fisheye module.
"""
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math
from typing import Any

import numpy as np

MODELS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (0, 8, 12, 14), 'equidistant': (0, 4)}
_PERFECT = ('', 'none', 'pinhole')  # what simulators and drivers call a lens that bends nothing
_STEPS = 25
_CLOSE = 1e-11        # of what the lens bends, at unit depth: far below a pixel
_WIDEST = math.tan(math.radians(85.0))  # of a lens that is not a fisheye, at unit depth
_SAMPLES = 2000


@dataclass(frozen=True)
class CameraModel:
    """
    Focal lengths and principal point in pixels, the lens' model and its 8 (or 4) coefficients.

    width, height: of the image that pixels are counted in.
    """

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
        """
        Return radii (angles of a fisheye) and what the lens makes of them, as far as it grows.

        A polynomial folds back somewhere outside of what was calibrated; nothing is seen there.
        """
        if self.model == 'equidistant':
            radius = np.linspace(0, math.pi, _SAMPLES)
            bent = _bent(radius, self.distortion)
        else:
            # Denser near the middle, where the image is.
            radius = _WIDEST * np.linspace(0, 1, _SAMPLES) ** 2
            k1, k2, _, _, k3, k4, k5, k6 = self.distortion
            r2 = radius * radius
            with np.errstate(all='ignore'):
                bent = radius * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (
                    1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        grows = np.diff(bent) > 0
        stop = len(radius) if grows.all() else int(np.argmin(grows)) + 1
        return radius[:stop], bent[:stop]

    def rays(self, pixels: np.ndarray) -> np.ndarray:
        """
        Return the unit vectors (n, 3), in the optical frame, that pixels (n, 2) look along.

        NaN where the lens' model has no answer, which is outside of what it was calibrated for.
        """
        pixels = np.asarray(pixels, np.float64)
        y = (pixels[:, 1] - self.cy) / self.fy
        x = (pixels[:, 0] - self.cx - self.skew * y) / self.fx
        rays = np.empty((len(pixels), 3))
        if self.model == 'equidistant':
            bent = np.hypot(x, y)
            angle = _straightened(bent, self.distortion, self._profile)
            across = np.where(bent > 1e-12, np.sin(angle) / np.maximum(bent, 1e-12), 1.0)
            rays[:, 0], rays[:, 1], rays[:, 2] = x * across, y * across, np.cos(angle)
            return rays
        x, y = _undistorted(x, y, self.distortion, self._profile)
        rays[:, 0], rays[:, 1], rays[:, 2] = x, y, 1.0
        return rays / np.sqrt(x * x + y * y + 1)[:, None]

    def project(self, points: np.ndarray) -> np.ndarray:
        """
        Return the pixels (n, 2) of points (n, 3) in the optical frame.

        NaN for points that are not in front of the camera, or outside of what its lens sees.
        """
        points = np.asarray(points, np.float64)
        x, y, z = points.T
        if self.model == 'equidistant':
            across = np.hypot(x, y)
            angle = np.arctan2(across, z)
            with np.errstate(invalid='ignore', divide='ignore'):
                scale = np.where(across > 1e-12, _bent(angle, self.distortion) / across, 1 / z)
                scale = np.where(angle <= self._profile[0][-1], scale, np.nan)
            x, y = x * scale, y * scale
        else:
            with np.errstate(invalid='ignore', divide='ignore'):
                depth = np.where((z > 1e-9) & (np.hypot(x, y) <= self._profile[0][-1] * z), z,
                                 np.nan)
                x, y = _distorted(x / depth, y / depth, self.distortion)
        return np.stack([self.fx * x + self.skew * y + self.cx, self.fy * y + self.cy], axis=1)


def camera_model(info: Any, height: int, width: int, rectified: bool = False) -> CameraModel:
    """
    Return the model of a sensor_msgs/CameraInfo for the image that comes with it.

    height, width: of the image; region of interest and binning are worked in. rectified: the
    image was rectified, so P holds and there is no distortion. Raises ValueError, in a sentence,
    where the message cannot be used.
    """
    roi = info.roi
    bin_x, bin_y = max(1, info.binning_x), max(1, info.binning_y)
    expected = (roi.height or info.height) // bin_y, (roi.width or info.width) // bin_x
    if expected != (height, width):
        raise ValueError(
            f'camera_info is for images of {expected[1]}x{expected[0]}, the image has '
            f'{width}x{height}: publish the camera_info of this image')
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
    # Drivers fill D up to the length of another model: zeros that this one does not have.
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


def _distorted(x: np.ndarray, y: np.ndarray, d: tuple[float, ...],
               ) -> tuple[np.ndarray, np.ndarray]:
    """Bend normalised image points; d: k1, k2, p1, p2, k3, k4, k5, k6."""
    k1, k2, p1, p2, k3, k4, k5, k6 = d
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)


def _undistorted(x0: np.ndarray, y0: np.ndarray, d: tuple[float, ...],
                 profile: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Invert `_distorted` by Newton's method; NaN where the lens sees nothing."""
    bent, step = np.hypot(x0, y0), 1e-6
    radius, reach = profile
    first = np.interp(bent, reach, radius) / np.maximum(bent, 1e-12)
    x, y = x0 * first, y0 * first
    with np.errstate(all='ignore'):
        for _ in range(_STEPS):
            fx, fy = _distorted(x, y, d)
            ex, ey = fx - x0, fy - y0
            if not (np.abs(ex) + np.abs(ey) > _CLOSE).any():
                break
            ax, ay = _distorted(x + step, y, d)
            bx, by = _distorted(x, y + step, d)
            a, b, c, e = (ax - fx) / step, (bx - fx) / step, (ay - fy) / step, (by - fy) / step
            det = a * e - b * c
            x, y = x - (e * ex - b * ey) / det, y - (a * ey - c * ex) / det
        fx, fy = _distorted(x, y, d)
        good = (np.abs(fx - x0) + np.abs(fy - y0) < 1e-8) & (np.hypot(x, y) <= radius[-1])
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def _bent(angle: np.ndarray, d: tuple[float, ...]) -> np.ndarray:
    t2 = angle * angle
    return angle * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))


def _straightened(bent: np.ndarray, d: tuple[float, ...],
                  profile: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Invert `_bent` by Newton's method; NaN where the lens sees nothing."""
    angle = np.interp(bent, profile[1], profile[0])
    with np.errstate(all='ignore'):
        for _ in range(_STEPS):
            error = _bent(angle, d) - bent
            if not (np.abs(error) > _CLOSE).any():
                break
            t2 = angle * angle
            angle = angle - error / (
                1 + t2 * (3 * d[0] + t2 * (5 * d[1] + t2 * (7 * d[2] + t2 * 9 * d[3]))))
        good = ((np.abs(_bent(angle, d) - bent) < 1e-8) & (angle >= 0)
                & (angle <= profile[0][-1]))
    return np.where(good, angle, np.nan)
