# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mask and a CameraInfo to cones on the ground, as the parameters say; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from eunet_ros.cones.attitude import AngularRates, Attitude, AttitudeFilter
from eunet_ros.cones.camera_model import camera_model
from eunet_ros.cones.detection import Cones, find_cones
from eunet_ros.cones.ground import Ground, Located, mounted, Pose
from eunet_ros.cones.tracking import ConeTracker, Tracks
from eunet_ros.images.regions import region_rows
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.parameters import ConeParameters
import numpy as np

UNSET = ('camera_height is not set: measure how the camera is mounted, or run ros2 run eunet_ros '
         'calibrate_mount, and set camera_height, camera_pitch and the others')


class Withheld(ValueError):
    """Cones have no positions, for a reason in a sentence; masks are not affected."""


@dataclass(frozen=True)
class Seen:
    """The cones of one image."""

    cones: Cones
    tracks: Tracks | None = None          # of `cones`
    located: Located | None = None        # cones with a position; None if positions are rejected
    located_tracks: Tracks | None = None  # tracks of `located`
    reason: str = ''                      # of the rejection
    rows: np.ndarray | None = None        # indices of `located` in `cones`
    attitude: Attitude | None = None      # of the car's body, if it is estimated
    ground: Ground | None = None          # as seen in this image

    @property
    def distances(self) -> list[float | None]:
        """Return the distance of each cone from base_link [m], None without a position."""
        found: list[float | None] = [None] * len(self.cones)
        if self.located is not None:
            for row, distance in zip(self.rows.tolist(), self.located.distance.tolist()):
                found[row] = round(distance, 3)
        return found


class ConeLocator:
    """Finds and localizes the cones in one camera's masks, image by image."""

    def __init__(self, classes: ClassTable) -> None:
        self._classes = classes
        self._tracker: ConeTracker | None = None
        self._filter: AttitudeFilter | None = None
        self._attitude: Attitude | None = None    # of the last image
        self._ground: Ground | None = None
        self._ground_of: tuple[Any, ...] = ()

    def find(self, mask: np.ndarray, confidence: np.ndarray | None, stamp: int,
             p: ConeParameters) -> Seen:
        """Return the cones of a mask, without positions; stamp: of the image [ns]."""
        cones = find_cones(mask, confidence, p.cone_min_pixels, p.cone_min_height,
                           region_rows(p.region, len(mask)), self._classes)
        if not p.cone_tracking:
            self._tracker = None
            return Seen(cones)
        self._tracker = self._tracker or ConeTracker()
        return Seen(*self._tracker.update(cones, stamp))

    def place(self, seen: Seen, size: tuple[int, int], info: Any,
              pose_of: Callable[[], Pose | None], p: ConeParameters, stamp: int | None = None,
              rates: AngularRates | None = None) -> Seen:
        """Return the cones with positions, or the reason for none; stamp: ns, for the attitude."""
        self._attitude = None
        try:
            ground = self.ground(size, info, pose_of, p)
        except Withheld as error:
            return replace(seen, reason=str(error))
        if stamp is None or p.attitude == 'fixed':
            located, rows = ground.locate(seen.cones)
        else:
            self._filter = self._filter or AttitudeFilter()
            cones = seen.cones.select(seen.tracks.found) if seen.tracks else seen.cones
            self._attitude = self._filter.update(cones, ground, stamp, rates)
            located, rows = self._attitude.locate(seen.cones, ground)
            ground = self._attitude.applied(ground)
        return replace(seen, located=located, rows=rows, attitude=self._attitude, ground=ground,
                       located_tracks=seen.tracks and seen.tracks.select(rows))

    def horizon(self, size: tuple[int, int], info: Any, pose_of: Callable[[], Pose | None],
                p: ConeParameters) -> float | None:
        """Return the row of the horizon in the last attitude [px], None if unknown."""
        ground = self.known_ground(size, info, pose_of, p)
        if ground and self._attitude:
            ground = self._attitude.applied(ground)
        return ground and ground.horizon_row()

    def known_ground(self, *given: Any) -> Ground | None:
        """Return `ground`, None if calibration or mounting is unknown."""
        try:
            return self.ground(*given)
        except Withheld:
            return None

    def ground(self, size: tuple[int, int], info: Any, pose_of: Callable[[], Pose | None],
               p: ConeParameters) -> Ground:
        """
        Return the ground as the camera sees it; raises Withheld.

        size: (h, w) of the image. info: CameraInfo or None. pose_of: returns the camera's pose
        from tf, None for that of the parameters; may raise Withheld.
        """
        pose = pose_of()
        if info is None:
            raise Withheld('no camera_info has arrived; check its topic, or calibrate the camera')
        roi = info.roi
        made_of = (size, pose and (pose.rotation.tobytes(), pose.origin.tobytes()), p,
                   info.height, info.width, info.distortion_model, tuple(info.d), tuple(info.k),
                   tuple(info.p), info.binning_x, info.binning_y, roi.x_offset, roi.y_offset,
                   roi.height, roi.width)
        if self._ground is None or made_of != self._ground_of:
            try:
                camera = camera_model(info, *size, p.image_rectified)
            except ValueError as error:
                raise Withheld(str(error)) from error
            if pose is None and p.camera_height == 0:
                raise Withheld(UNSET)
            pose = pose or mounted(p.camera_height, p.camera_pitch, p.camera_roll, p.camera_yaw,
                                   p.camera_x, p.camera_y, p.ground_z)
            if pose.origin[2] <= p.ground_z:
                raise Withheld(f'tf has the camera {pose.origin[2]:.2f} m above {p.base_frame}, '
                               f'which is not above the ground at {p.ground_z:.2f} m: correct the '
                               'transform, or ground_z')
            self._ground = Ground(
                camera, pose, p.ground_z, p.pixel_stddev, p.cone_min_range, p.cone_max_range,
                self._classes)
            self._ground_of = made_of
        return self._ground
