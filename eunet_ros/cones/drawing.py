# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of cones: boxes and distances over an image, and the ground from above; no ROS."""
from __future__ import annotations

from collections.abc import Sequence
import math

import cv2
from eunet_ros.cones.ground import Ground, Located
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PAPER, _LINE, _INK = (28, 24, 22), (70, 64, 60), (170, 165, 160)  # BGR


def draw_cones(image: np.ndarray, located: Located, table_bgr: np.ndarray) -> None:
    """Draw boxes, base points and distances [m] into an (h, w, 3) uint8 BGR image, in place."""
    scale = max(0.35, image.shape[0] / 1500)
    taken: list[tuple[int, int, int, int]] = []
    for box, base, kind, distance in zip(
            located.cones.box.tolist(), located.cones.base.tolist(),
            located.cones.class_id.tolist(), located.distance.tolist()):
        color = tuple(table_bgr[kind].tolist())
        cv2.rectangle(image, (box[0] - 1, box[1] - 1), (box[2], box[3]), color, 1)
        cv2.circle(image, (round(base[0]), round(base[1])), 2, (255, 255, 255), -1)
        text = f'{distance:.1f}'
        (wide, high), _ = cv2.getTextSize(text, _FONT, scale, 1)
        left = min(max(0, (box[0] + box[2] - wide) // 2), max(0, image.shape[1] - wide))
        place = (left, box[1] - 4 - high, left + wide, box[1] - 4)
        if any(place[0] < r and place[2] > x and place[1] < b and place[3] > y
               for x, y, r, b in taken):
            continue
        taken.append(place)
        for ink, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(image, text, (left, place[3]), _FONT, scale, ink, thick, cv2.LINE_AA)


def draw_horizon(image: np.ndarray, ground: Ground) -> None:
    """Draw the horizon as a camera sees it into an (h, w, 3) uint8 BGR image, in place."""
    ahead = ground.pose.rotation[:, 2]
    bearing = math.atan2(ahead[1], ahead[0]) + np.radians(np.arange(-80, 81, 4))
    level = np.stack([np.cos(bearing), np.sin(bearing), np.zeros(len(bearing))], axis=1)
    pixels = ground.camera.project(level @ ground.pose.rotation)
    pixels = pixels[(np.abs(pixels) < 4 * max(image.shape)).all(axis=1)]   # and not NaN
    cv2.polylines(image, [np.rint(pixels).astype(np.int32)], False, _INK, 1, cv2.LINE_AA)


def draw_from_above(located: Located, table_bgr: np.ndarray, size: tuple[int, int],
                    reach_m: float = 25.0,
                    truth: Sequence[tuple[float, float, int]] = ()) -> np.ndarray:
    """Return the ground from above, (h, w, 3) BGR: x up, rings every 5 m, truth as rings."""
    height, width = size
    out = np.full((height, width, 3), _PAPER, np.uint8)
    pixels_per_m = (height - 30) / reach_m
    origin = width / 2, height - 18.0

    def at(x: float, y: float) -> tuple[int, int]:
        return round(origin[0] - y * pixels_per_m), round(origin[1] - x * pixels_per_m)
    for ring in range(5, math.ceil(reach_m) + 1, 5):
        cv2.circle(out, at(0, 0), round(ring * pixels_per_m), _LINE, 1, cv2.LINE_AA)
        cv2.putText(out, f'{ring} m', (at(ring, 0)[0] + 4, at(ring, 0)[1] - 3), _FONT, 0.4, _INK,
                    1, cv2.LINE_AA)
    cv2.fillPoly(out, [np.array([at(0.8, 0), at(-0.5, 0.4), at(-0.5, -0.4)])], _INK, cv2.LINE_AA)
    for x, y, kind in truth:
        cv2.circle(out, at(x, y), 6, tuple(table_bgr[kind].tolist()), 1, cv2.LINE_AA)
    for (x, y, _), covariance, kind in zip(
            located.xyz.tolist(), located.covariance, located.cones.class_id.tolist()):
        values, vectors = np.linalg.eigh(covariance)
        axes = np.maximum(1, 2 * np.sqrt(np.maximum(values, 0)) * pixels_per_m)
        # The longer axis in the picture, whose x is -y and whose y is -x.
        angle = math.degrees(math.atan2(-vectors[0, 1], -vectors[1, 1]))
        cv2.ellipse(out, at(x, y), (round(axes[1]), round(axes[0])), angle, 0, 360, _INK, 1,
                    cv2.LINE_AA)
        cv2.circle(out, at(x, y), 3, tuple(table_bgr[kind].tolist()), -1, cv2.LINE_AA)
    return out
