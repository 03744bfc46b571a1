# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones of masks on the ground as the node publishes them, and their errors."""
from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eunet_ros.bags.frame_source import Frame
from eunet_ros.bags.messages import CAMERA_INFO, deserialise, header, message_class, serialise
from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.bags.transforms import BagTransforms
from eunet_ros.cones.detection import Cones
from eunet_ros.cones.ground import Pose
from eunet_ros.cones.locator import ConeLocator, Seen, Withheld
from eunet_ros.cones.messages import markers, point_cloud, points
from eunet_ros.evaluation.run.journal import FrameRow
from eunet_ros.evaluation.run.plan import Plan
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.parameters import ConeParameters, NodeParameters
import numpy as np

_AFTER_STAMP = 12     # bytes of a serialised message: encapsulation and stamp
_SAME_BOX = 0.3       # intersection over union, from which boxes are of the same cone
_NO_INFO = "the bag has no camera_info beside the camera's images: record it"
_NO_MOUNTING = ('how the camera is mounted is not known: give --mounting, or put mounting.yaml, '
                "which ros2 run eunet_ros calibrate_mount writes, into the bag's folder")


class InfoNotes:
    """Finds the frames with a CameraInfo that differs from the one before."""

    def __init__(self) -> None:
        self._last: bytes | None = None

    def note(self, frame: Frame) -> str:
        """Return it as base64, '' if it equals that of the frame before."""
        raw = frame.camera_info
        if raw is None or raw[_AFTER_STAMP:] == self._last:
            return ''
        self._last = raw[_AFTER_STAMP:]
        return base64.b64encode(raw).decode()


class Places:
    """
    Locates the cones of a drive's frames, in order; call `follow` or `calibrate` first.

    tables: classes of each weights' masks, truth: of true masks. bag: has the transforms if the
    mounting is tf. Unlike the node, it does not weight pixels by confidence.
    """

    def __init__(self, parameters: ConeParameters, tables: Sequence[ClassTable],
                 truth: ClassTable, bag: Path | None = None) -> None:
        self.parameters, self._tables = parameters, tables
        self._locators = [ConeLocator(table) for table in tables]
        self._truth = ConeLocator(truth)
        self._info: Any = None
        self._unread = ''
        self._transforms: BagTransforms | None = None
        self._shown: list[set[int]] = [set() for _ in tables]
        if bag and parameters.mounting == 'tf':
            try:
                with Bag(bag) as opened:
                    self._transforms = BagTransforms(opened)
            except BagError as error:
                self._unread = str(error)

    @classmethod
    def of(cls, plan: Plan, number: int) -> Places:
        bag = plan.bags[number]
        return cls(NodeParameters(**{**plan.node, **bag.mounting}).cones,
                   [w.table for w in plan.weights], plan.truth_classes, Path(bag.path))

    def follow(self, row: FrameRow) -> None:
        """Take the camera's calibration from a frame's row."""
        if row.camera_info:
            self.calibrate(base64.b64decode(row.camera_info))

    def calibrate(self, raw: bytes) -> None:
        """Take the camera's calibration from a serialised CameraInfo."""
        try:
            self._info = deserialise(raw, CAMERA_INFO)
        except ValueError as error:
            self._info, self._unread = None, str(error)

    def horizon(self, size: tuple[int, int]) -> float | None:
        """Return the row of the horizon in a frame of size (h, w), see `ConeLocator`."""
        return self._truth.horizon(size, self._info, self._pose, self.parameters)

    def find(self, k: int, mask: np.ndarray, stamp: int) -> Seen:
        """Return the cones of a mask of weights k as the node finds and locates them."""
        seen = self._locators[k].find(mask, None, stamp, self.parameters)
        return self._place(self._locators[k], seen, mask.shape, stamp)

    def place(self, k: int, cones: Cones, size: tuple[int, int]) -> Seen:
        """Return cones that were found in a mask of weights k with their positions."""
        return self._place(self._locators[k], Seen(cones), size)

    def place_true(self, cones: Cones, size: tuple[int, int]) -> Seen:
        return self._place(self._truth, Seen(cones), size)

    def _place(self, locator: ConeLocator, seen: Seen, size: tuple[int, int],
               stamp: int | None = None) -> Seen:
        return locator.place(seen, size, self._info, self._pose, self.parameters, stamp)

    def _pose(self) -> Pose | None:
        if self._unread:
            raise Withheld(self._unread)
        if self._info is None:
            raise Withheld(_NO_INFO)
        if self._transforms is None:
            if not self.parameters.camera_height:
                raise Withheld(_NO_MOUNTING)
            return None
        return self._transforms.pose(self._info.header.frame_id, self.parameters.base_frame)

    def messages(self, k: int, stamp: int, seen: Seen) -> tuple[bytes, bytes]:
        """Return PointCloud2 and MarkerArray, as CDR, of cones that have positions."""
        p, cones = self.parameters, (seen.located, seen.located_tracks)
        head = header(stamp, p.base_frame)
        array, self._shown[k] = markers(
            message_class, head, *cones, self._tables[k], p.marker_lifetime, self._shown[k])
        return serialise(point_cloud(message_class, head, points(*cones))), serialise(array)


def position_errors(true: Seen, seen: Seen) -> list[list[float]]:
    """
    Return [distance, error] in metres of each true cone that has a located cone of the same box.

    The error excludes errors of calibration and mounting, which both share. Boxes are the same if
    their intersection over union is the largest for both and at least 0.3.
    """
    a, b = true.located, seen.located
    if a is None or b is None or not len(a.cones) or not len(b.cones):
        return []
    overlap = box_overlap(a.cones.box, b.cones.box)
    best = overlap.argmax(axis=1)
    rows = np.flatnonzero((overlap[np.arange(len(best)), best] >= _SAME_BOX)
                          & (overlap.argmax(axis=0)[best] == np.arange(len(best))))
    errors = np.hypot(*(a.xyz[rows, :2] - b.xyz[best[rows], :2]).T)
    return [[round(d, 3), round(e, 4)] for d, e in zip(
        a.distance[rows].tolist(), errors.tolist())]


def box_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return intersection over union, (n, m), of boxes (n, 4) and (m, 4): u0, v0, u1, v1."""
    a, b = a[:, None].astype(np.float64), b[None].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.maximum(sides, 0).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    return both / (areas[0] + areas[1] - both)
