# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones found in rendered drives against the cones that are there."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
import math
from typing import Any

import cv2
from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import Cones, find_cones
from eunet_ros.cones.ground import Ground, mounted
import numpy as np

MATCH = 0.5                       # overlap (IoU) of two boxes that are of one cone
STEADY_MATCH = 0.25               # the same for steadiness: a box that wavers does not flicker
SINGLE = 8                        # pixels of height from which a piece may be cut
VISIBLE = 0.3                     # share of a cone that must show for it to count
HEIGHTS = ((6, 10), (10, 15), (15, 20), (20, 40), (40, 10_000))  # pixels, high excluded
RANGES = ((0, 5), (5, 10), (10, 15), (15, 20), (20, 30))         # metres, far excluded


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the overlap (n, m) of boxes (n, 4) and (m, 4), intersection over union."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=2, dtype=np.float64)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1, dtype=np.float64) for b in (first, second)]
    return both / np.maximum(areas[0][:, None] + areas[1] - both, 1)


def boxes_of(truth: Sequence[Any]) -> np.ndarray:
    """Return the boxes (n, 4) of a scene's cones."""
    return np.array([c.box for c in truth], np.int64).reshape(-1, 4)


def match(truth: Sequence[Any], cones: Cones, least: float = MATCH) -> dict[int, int]:
    """Return which found cone each true one is, best pairs first; least: of their overlap."""
    shared = overlaps(boxes_of(truth), cones.box.astype(np.int64))
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    rows, cols = np.nonzero(shared >= least)
    for k in np.argsort(-shared[rows, cols], kind='stable'):
        row, col = int(rows[k]), int(cols[k])
        if row not in pairs and col not in taken:
            pairs[row] = col
            taken.add(col)
    return pairs


def ground_of(camera: Any, pitch_error: float = 0.0) -> Ground:
    """Return the ground as a rendered camera sees it, with a pitch that is off [rad]."""
    model = CameraModel(camera.width, camera.height, *(float(camera.K[i]) for i in (
        (0, 0), (1, 1), (0, 2), (1, 2))), distortion=(*camera.D.tolist(), 0.0, 0.0, 0.0))
    return Ground(model, mounted(camera.mount_height, camera.pitch + pitch_error, camera.roll),
                  max_range=60.0)


def touch(instances: np.ndarray, a: Any, b: Any, first: int, second: int) -> bool:
    """Return whether the visible pixels of two cones of a scene touch."""
    u0, v0 = min(a.box[0], b.box[0]), min(a.box[1], b.box[1])
    u1, v1 = max(a.box[2], b.box[2]), max(a.box[3], b.box[3])
    if (u1 - u0 > a.box[2] - a.box[0] + b.box[2] - b.box[0] + 2
            or v1 - v0 > a.box[3] - a.box[1] + b.box[3] - b.box[1] + 2):
        return False
    window = instances[v0:v1, u0:u1]
    grown = cv2.dilate((window == first).astype(np.uint8), np.ones((3, 3), np.uint8))
    return bool((grown.astype(bool) & (window == second)).any())


def cut_pieces(scene: Any, cones: Cones, mask: np.ndarray) -> tuple[int, int]:
    """
    Return how many connected pieces of a mask are of one cone, and how many of them are cut.

    Counted are pieces from SINGLE pixels of height that no other piece's box touches; a piece is
    cut where two found cones or more have their middle in its box.
    """
    _, labels, boxes, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    boxes = boxes[1:, [0, 1, 0, 1]] + np.pad(boxes[1:, 2:4], ((0, 0), (2, 0)))
    grown = boxes + (-1, -1, 1, 1)
    middle = 0.5 * (cones.box[:, :2] + cones.box[:, 2:])
    counts = [0, 0]
    for k, (box, (u0, v0, u1, v1)) in enumerate(zip(grown, boxes), start=1):
        if v1 - v0 < SINGLE or (overlaps(box[None], boxes) > 0).sum() > 1:
            continue
        of = np.bincount(scene.instances[v0:v1, u0:u1][labels[v0:v1, u0:u1] == k])[1:]
        if of.any() and of.sum() < 1.05 * of.max():
            inside = ((middle >= (u0, v0)) & (middle <= (u1, v1))).all(axis=1).sum()
            counts = [counts[0] + 1, counts[1] + int(inside > 1)]
    return counts[0], counts[1]


@dataclass
class Tally:
    """Counts over frames: found and rightly named by height and by distance, pairs, errors."""

    heights: dict[tuple[int, int], np.ndarray] = field(
        default_factory=lambda: {h: np.zeros(3, int) for h in HEIGHTS})
    ranges: dict[tuple[int, int], np.ndarray] = field(
        default_factory=lambda: {r: np.zeros(3, int) for r in RANGES})
    asked: np.ndarray = field(default_factory=lambda: np.zeros(3, int))  # 15 px, 20 m
    pairs: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    pieces: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    found: int = 0
    invented: int = 0
    errors: dict[float, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, scene: Any, mask: np.ndarray, pitch_errors: Iterable[float]) -> None:
        """Count what is found in a mask of a frame; pitch_errors: of the mounting [rad]."""
        cones = find_cones(mask)
        self.pieces += cut_pieces(scene, cones, mask)
        pairs = match(scene.cones, cones)
        counted = []
        for k, cone in enumerate(scene.cones):
            if cone.visible_fraction <= VISIBLE:
                continue
            distance = math.hypot(cone.x, cone.y)
            row = np.array([1, k in pairs,
                            k in pairs and cones.class_id[pairs[k]] == cone.class_id])
            for table, value in ((self.heights, cone.height_px), (self.ranges, distance)):
                for (low, high), counts in table.items():
                    if low <= value < high and (table is self.heights or cone.height_px >= 6):
                        counts += row
            if cone.height_px >= 15 and distance < 20:
                self.asked += row
                counted.append(k)
        for a, b in combinations(counted, 2):
            if touch(scene.instances, scene.cones[a], scene.cones[b], a + 1, b + 1):
                self.pairs += (1, a in pairs and b in pairs)
        self.found += len(cones)
        shared = overlaps(cones.box.astype(np.int64), boxes_of(scene.cones))
        self.invented += int((shared.max(axis=1, initial=0) < 0.1).sum())
        own = {found: true for true, found in pairs.items()}
        for error in pitch_errors:
            located, rows = ground_of(scene.camera, error).locate(cones)
            for k, place in zip(rows.tolist(), located.xyz):
                cone = scene.cones[own[k]] if k in own else None
                if cone is not None and not cone.knocked_over:
                    self.errors.setdefault(error, []).append((
                        math.hypot(cone.x, cone.y),
                        math.hypot(place[0] - cone.x, place[1] - cone.y)))

    def report(self) -> dict[str, Any]:
        """Return the counts and shares as plain numbers."""
        def row(counts: np.ndarray) -> dict[str, Any]:
            n = int(counts[0])
            return {'cones': n, 'found': counts[1] / n if n else None,
                    'found_and_right': counts[2] / n if n else None}
        positions = []
        for error, values in self.errors.items():
            table = np.array(values)
            for low, high in RANGES:
                part = table[(table[:, 0] >= low) & (table[:, 0] < high)]
                if len(part):
                    share = part[:, 1] / part[:, 0]
                    positions.append({
                        'pitch_error_deg': round(math.degrees(error), 3), 'metres': [low, high],
                        'cones': len(part), 'median': float(np.median(share)),
                        'p90': float(np.percentile(share, 90))})
        return {'by_height_px': [{'px': list(h), **row(c)} for h, c in self.heights.items()],
                'by_distance_m': [{'m': list(r), **row(c)} for r, c in self.ranges.items()],
                'over_15_px_within_20_m': row(self.asked),
                'touching_pairs': int(self.pairs[0]),
                'touching_pairs_separated': (float(self.pairs[1] / self.pairs[0])
                                             if self.pairs[0] else None),
                'pieces_of_one_cone': int(self.pieces[0]), 'cut': int(self.pieces[1]),
                'found': self.found, 'found_where_no_cone_is': self.invented,
                'positions': positions}


def busy_mask(scenes: Sequence[Any], cones: int, find: Callable[[np.ndarray], Cones],
              ) -> np.ndarray:
    """
    Return a mask with at least so many cones: of the busiest scene, and of others beside them.

    Raises ValueError where the scenes have too few.
    """
    scenes = sorted(scenes, key=lambda s: -len(s.cones))
    mask = scenes[0].mask.copy()
    for scene in scenes[1:]:
        for number, cone in enumerate(scene.cones, start=1):
            u0, v0, u1, v1 = cone.box
            window = np.s_[max(0, v0 - 2):v1 + 2, max(0, u0 - 2):u1 + 2]
            if cone.height_px >= 6 and not mask[window].any():
                own = scene.instances[v0:v1, u0:u1] == number
                mask[v0:v1, u0:u1][own] = scene.mask[v0:v1, u0:u1][own]
                if len(find(mask)) >= cones:
                    return mask
    raise ValueError(f'Expected scenes with {cones} cones in all, found {len(find(mask))}: '
                     'render more of them.')
