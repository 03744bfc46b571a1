# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cones of the demo's drive, from its recorded masks; no ROS imports."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from eunet_ros.bag_messages import CAMERA_INFO, deserialise, header, serialise, typestore
from eunet_ros.cone_locator import ConeLocator, Seen
from eunet_ros.cone_messages import point_cloud, points
from eunet_ros.frame_source import Frame
from eunet_ros.model.errors import one_line
from eunet_ros.parameters import check_names, NodeParameters
import numpy as np
import yaml

MOUNTING = 'mounting.yaml'  # beside the bag's metadata, with the node's parameters camera_*
_NAMES = tuple(f.name for f in fields(NodeParameters)
               if f.name.startswith(('camera_', 'cone_', 'large_cone_', 'pixel_', 'ground_'))
               or f.name in ('mounting', 'base_frame', 'image_rectified'))


def read_mounting(path: Path) -> dict[str, Any]:
    """
    Return the parameters of a file such as calibrate_mount writes.

    Raises ValueError, in a sentence, or OSError.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        [node] = content.values()
        values = dict(node['ros__parameters'])
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path}: expected a parameter file as calibrate_mount writes it, found '
                         f'something else ({one_line(error)}).') from error
    try:
        check_names(set(values))
        others = sorted(set(values) - set(_NAMES))
        if others:
            raise ValueError(f'expected parameters of the mounting and of cones, found '
                             f'{", ".join(others)}.')
        if NodeParameters(**values).mounting == 'tf':
            raise ValueError('a recording is placed by the parameters camera_*, not by tf.')
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return values


class DemoCones:
    """Cones of recorded masks, with places where the recording has what it takes."""

    def __init__(self, mounting: Mapping[str, Any]) -> None:
        self._p = NodeParameters(**mounting)
        self._locator = ConeLocator()
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
