# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From cones in an image to positions on flat ground; no ROS.

base_link (REP 103, REP 105): x forward, y left, z up [m]. Optical frame: x right, y down, z
forward. Angles [rad] are about fixed axes, roll, then pitch, then yaw (as in URDF): a camera that
looks down has a positive pitch.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
import math

from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import Cones
from eunet_ros.model.common.classes import ClassTable, cone_classes
import numpy as np

BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_PIXEL = 0.05         # step of the numerical derivative [px]
_LEAST_DIP = 1e-5     # of a ray below the horizon [rad]; flatter ones miss the ground
EDGE_SHARE = 2 / math.pi  # mean distance from a square's centre to its nearest edge, by its side


@dataclass(frozen=True)
class Pose:
    """Where a camera is in base_link: rotation (3, 3) from optical axes, origin (3,) metres."""

    rotation: np.ndarray
    origin: np.ndarray


def levelled(pitch: float, roll: float) -> np.ndarray:
    """Return the rotation (3, 3) from axes of the body to level ones."""
    cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    return np.array([[cp, sp * sr, sp * cr], [0.0, cr, -sr], [-sp, cp * sr, cp * cr]])


def mounted(height: float, pitch: float = 0.0, roll: float = 0.0, yaw: float = 0.0,
            x: float = 0.0, y: float = 0.0, ground_z: float = 0.0) -> Pose:
    """Return the pose of a camera; height: above the ground; x, y, ground_z: in base_link [m]."""
    c, s = math.cos(yaw), math.sin(yaw)
    body = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ levelled(pitch, roll)
    return Pose(body @ BODY_FROM_OPTICAL, np.array([x, y, ground_z + height]))


def pose_of_transform(translation: tuple[float, ...], quaternion: tuple[float, ...]) -> Pose:
    """Return the pose of an optical frame; quaternion: x, y, z, w. Raises ValueError."""
    q = np.asarray(quaternion, np.float64)
    norm = float(np.linalg.norm(q))
    if not np.isfinite(q).all() or not 0.5 < norm < 2 or not np.isfinite(translation).all():
        raise ValueError(f'Expected a transform with a unit quaternion, found {tuple(quaternion)}')
    x, y, z, w = q / norm
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])
    return Pose(rotation, np.asarray(translation, np.float64))


@dataclass(frozen=True)
class Located:
    """Cones with their positions, nearest first."""

    cones: Cones
    xyz: np.ndarray         # (n, 3) in base_link [m], middle of the plate
    covariance: np.ndarray  # (n, 2, 2) of x, y [m²]
    by_height: np.ndarray   # (n,) bool, by the height of the class, because the base is hidden

    @property
    def distance(self) -> np.ndarray:
        """Return how far each is, (n,), from base_link's origin [m]."""
        return np.hypot(self.xyz[:, 0], self.xyz[:, 1])

    def scaled(self, factor: float) -> Located:
        """Return the same cones in an image scaled by a factor."""
        cones = replace(self.cones, box=np.rint(self.cones.box * factor).astype(np.int32),
                        base=self.cones.base * factor, tip=self.cones.tip * factor)
        return replace(self, cones=cones)

    def select(self, which: np.ndarray) -> Located:
        return Located(self.cones.select(which), self.xyz[which], self.covariance[which],
                       self.by_height[which])


@dataclass(frozen=True)
class Ground:
    """Flat ground as a camera sees it; metres, pixel_stddev of a cone's base in pixels."""

    camera: CameraModel
    pose: Pose
    ground_z: float = 0.0
    pixel_stddev: float = 1.0
    min_range: float = 0.3
    max_range: float = 30.0
    classes: ClassTable = field(default_factory=cone_classes)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the pixels (n, 2) of points (n, 3) in base_link; NaN behind the camera."""
        return self.camera.project((np.asarray(points) - self.pose.origin) @ self.pose.rotation)

    def horizon_row(self) -> float | None:
        """Return the row of the horizon ahead [px]; None if the camera leans by over 45°."""
        right, down, _ = self.pose.rotation[2]
        if -down <= abs(right):
            return None
        ahead = self.pose.rotation[:, 2] * (1.0, 1.0, 0.0)     # the optical axis, level
        [[_, row]] = self.camera.project(ahead[None] @ self.pose.rotation)
        return float(row) if np.isfinite(row) else None

    def intersect(self, pixels: np.ndarray, above: np.ndarray | float = 0.0,
                  ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return where rays meet the ground, (n, 3) [m], and the covariances (n, 2, 2) of x, y [m²].

        pixels: (n, 2), NaN at or above the horizon. above: height of the plane over the ground
        [m], (n,) or one. The covariances are those that `pixel_stddev` causes.
        """
        pixels, count = np.asarray(pixels, np.float64), len(pixels)
        three = np.concatenate([pixels, pixels + (_PIXEL, 0), pixels + (0, _PIXEL)])
        rays = self.camera.rays(three) @ self.pose.rotation.T
        change = (rays[count:].reshape(2, count, 3) - rays[:count]) / _PIXEL
        rays = rays[:count]
        drop = self.pose.origin[2] - self.ground_z - np.asarray(above, np.float64)
        with np.errstate(invalid='ignore', divide='ignore'):
            reach = np.where((rays[:, 2] < -_LEAST_DIP) & (drop > 1e-6), drop / -rays[:, 2],
                             np.nan)
            # A change along the ray does not move the intersection.
            moved = change[..., :2] - rays[:, :2] * (change[..., 2] / rays[:, 2])[..., None]
            jacobian = (reach[:, None] * moved).transpose(1, 2, 0)  # (n, xy, uv)
        return (self.pose.origin + reach[:, None] * rays,
                self.pixel_stddev ** 2 * jacobian @ jacobian.transpose(0, 2, 1))

    def locate(self, cones: Cones) -> tuple[Located, np.ndarray]:
        """
        Return the cones within the range limits, nearest first, and their indices.

        A hidden base is replaced by the tip at the height of the class. A knocked-over cone has
        half its height as additional standard deviation.
        """
        heights, plates = self.classes.sizes_of(cones.class_id)
        by_height = cones.hidden & ~cones.topless
        pixels = np.where(by_height[:, None], cones.tip, cones.base).astype(np.float64)
        above = np.where(by_height, heights, 0.0)
        xyz, covariance = self.intersect(pixels, above)
        # The base's lowest row is the plate's nearest edge, not its middle.
        away = xyz[:, :2] - self.pose.origin[:2]
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
        shift = np.where(by_height, 0.0, EDGE_SHARE * plates)
        xyz[:, :2] += away * (shift / length)[:, None]
        xyz[:, 2] = self.ground_z
        lies = cones.knocked_over
        covariance[lies] += (0.5 * heights[lies, None, None]) ** 2 * np.eye(2)
        distance = np.hypot(xyz[:, 0], xyz[:, 1])
        with np.errstate(invalid='ignore'):
            good = (distance >= self.min_range) & (distance <= self.max_range)
            # Without base and tip the position is unknown.
            good &= ~(cones.hidden & cones.topless) & np.isfinite(covariance).all(axis=(1, 2))
        order = np.flatnonzero(good)
        order = order[np.argsort(distance[order], kind='stable')]
        return Located(cones, xyz, covariance, by_height).select(order), order
