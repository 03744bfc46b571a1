# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mask and a CameraInfo to cones on the ground, as the parameters say; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eunet_ros.cones.camera_model import camera_model
from eunet_ros.cones.detection import Cones, find_cones
from eunet_ros.cones.ground import Ground, Located, mounted, Pose
from eunet_ros.cones.tracking import ConeTracker, Tracks
from eunet_ros.images.regions import region_rows
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.parameters import NodeParameters
import numpy as np

UNSET = ('camera_height is not set: measure how the camera is mounted, or run ros2 run eunet_ros '
         'calibrate_mount, and set camera_height, camera_pitch and the others')


class Withheld(ValueError):
    """Why cones have no positions, in a sentence; masks go on."""


@dataclass(frozen=True)
class Seen:
    """
    The cones of one image.

    cones: in the image. tracks: of each of them, None without tracking. located: those with a
    place on the ground, None where positions are withheld, for the `reason`. located_tracks,
    rows: of these, their tracks and which of `cones` they are.
    """

    cones: Cones
    tracks: Tracks | None = None
    located: Located | None = None
    located_tracks: Tracks | None = None
    reason: str = ''
    rows: np.ndarray | None = None


class ConeLocator:
    """
    Finds the cones of one camera's masks and places them; one image at a time.

    classes: of the masks.
    """

    def __init__(self, classes: ClassTable) -> None:
        self._classes = classes
        self._tracker: ConeTracker | None = None
        self._ground: Ground | None = None
        self._ground_of: tuple[Any, ...] = ()

    def find(self, mask: np.ndarray, confidence: np.ndarray | None, stamp: int,
             p: NodeParameters) -> Seen:
        """Return the cones of a mask, without places; stamp: of the image, ns."""
        region = None
        if p.region != (0.0, 1.0):
            region = region_rows(p.region, len(mask))
        cones = find_cones(mask, confidence, p.cone_min_pixels, p.cone_min_height, region,
                           self._classes)
        if not p.cone_tracking:
            self._tracker = None
            return Seen(cones)
        self._tracker = self._tracker or ConeTracker()
        return Seen(*self._tracker.update(cones, stamp))

    def place(self, seen: Seen, size: tuple[int, int], info: Any, pose: Pose | None,
              p: NodeParameters) -> Seen:
        """
        Return the cones with their places, or with the reason why they have none.

        size: (h, w) of the image. info: its CameraInfo, None where none has come. pose: of the
        camera from tf, None where the parameters hold.
        """
        try:
            located, rows = self.ground(size, info, pose, p).locate(seen.cones)
        except Withheld as error:
            return Seen(seen.cones, seen.tracks, reason=str(error))
        tracks = seen.tracks and seen.tracks.select(rows)
        return Seen(seen.cones, seen.tracks, located, tracks, rows=rows)

    def horizon(self, size: tuple[int, int], info: Any, pose: Callable[[], Pose | None],
                p: NodeParameters) -> float | None:
        """
        Return the row of the horizon [px], None where calibration or mounting are not known.

        size, info: see `place`; pose: returns what `place` takes, or raises Withheld.
        """
        try:
            return self.ground(size, info, pose(), p).horizon_row()
        except Withheld:
            return None

    def ground(self, size: tuple[int, int], info: Any, pose: Pose | None,
               p: NodeParameters) -> Ground:
        """Return the ground as the camera sees it; raises Withheld."""
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
