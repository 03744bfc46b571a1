# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cones of the demo's drive, from its recorded masks; no ROS imports."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eunet_ros.bags.frame_source import Frame
from eunet_ros.bags.messages import CAMERA_INFO, deserialise, header, serialise, typestore
from eunet_ros.cones.locator import ConeLocator, Seen
from eunet_ros.cones.messages import point_cloud, points
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.parameters import NodeParameters
import numpy as np


class DemoCones:
    """Cones of recorded masks, with places where the recording has what it takes."""

    def __init__(self, mounting: Mapping[str, Any], classes: ClassTable) -> None:
        self._p = NodeParameters(**mounting)
        self._locator = ConeLocator(classes)
        self.frame_id = self._p.base_frame
        self.seen = 0
        self.placed = 0
        self.masks = 0
        self.reason = ''

    def find(self, frame: Frame, stamp: int, mask: np.ndarray) -> Seen:
        """Return the cones of a frame's mask; stamp: that it was sent with, ns."""
        seen = self._locator.find(mask, None, stamp, self._p)
        info = None if frame.camera_info is None else deserialise(frame.camera_info, CAMERA_INFO)
        return self._locator.place(seen, mask.shape, info, None, self._p)

    def count(self, seen: Seen) -> None:
        """Count the cones of a frame for the report."""
        self.masks += 1
        self.seen += len(seen.cones)
        self.placed += len(seen.located.cones) if seen.located else 0
        self.reason = seen.reason

    def message(self, stamp: int, seen: Seen) -> bytes:
        """Return the CDR of the PointCloud2 of a frame's cones."""
        return serialise(point_cloud(typestore().types.__getitem__,
                                     header(stamp, self.frame_id),
                                     points(seen.located, seen.located_tracks)))

    def report(self) -> dict[str, Any]:
        """Return what report.json says of cones; None per image where no mask came."""
        def mean(count: int) -> float | None:
            return round(count / self.masks, 2) if self.masks else None
        return {'per_image': mean(self.seen), 'with_position_per_image': mean(self.placed),
                'positions_withheld': self.reason}
