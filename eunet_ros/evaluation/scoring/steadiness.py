# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Flicker and changes of class without ground truth, by cones matched between frames."""
from __future__ import annotations

from typing import Any

import cv2
from eunet_ros.model.common.metrics.flicker import FlickerCounts
import numpy as np

_LONGEST_NS = 500_000_000   # maximum time between consecutive frames
_NEAR_PX, _NEAR = 8.0, 0.9  # maximum motion relative to the other cones: pixels, heights of a cone
_ALIKE = 1.6                # maximum ratio of heights of one cone in consecutive frames
_TURN_PX = (160, 48)        # maximum common motion in u and v when the car turns and pitches
_BIN_PX = 4


def common_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the motion (u, v) of most cones, (n, 5) of class and box, as the car turned."""
    if not len(first) or not len(second):
        return np.zeros(2)
    (a, tall), (b, other) = _bases(first), _bases(second)
    moved = b[None] - a[:, None]
    ratio = tall[:, None] / other[None]
    fits = (ratio < _ALIKE) & (ratio > 1 / _ALIKE) & (np.abs(moved) < _TURN_PX).all(2)
    if not fits.any():
        return np.zeros(2)
    columns, rows = (2 * limit // _BIN_PX + 3 for limit in _TURN_PX)
    u, v = ((moved[fits][:, k] + _TURN_PX[k]) // _BIN_PX + 1 for k in (0, 1))
    votes = np.bincount((v * columns + u).astype(np.int64), minlength=columns * rows)
    # Blur over three bins; of equal votes the smallest motion wins.
    near = cv2.blur(votes.reshape(rows, columns).astype(np.float32), (3, 3))
    v, u = np.mgrid[:rows, :columns]
    still = np.hypot(u - 1 - _TURN_PX[0] / _BIN_PX, v - 1 - _TURN_PX[1] / _BIN_PX)
    v, u = np.unravel_index(np.argmax(near - 1e-4 * still), near.shape)
    close = fits & (np.abs(moved[..., 0] + _TURN_PX[0] - (u - 0.5) * _BIN_PX) < 1.5 * _BIN_PX) & (
        np.abs(moved[..., 1] + _TURN_PX[1] - (v - 0.5) * _BIN_PX) < 1.5 * _BIN_PX)
    return np.median(moved[close], axis=0) if close.any() else np.zeros(2)


def match_cones(first: np.ndarray, second: np.ndarray,
                moved: np.ndarray) -> list[tuple[int, int]]:
    """
    Return pairs of rows that are one cone in two frames, nearest first; each row once.

    first, second: (n, 5) of class, u0, v0, u1, v1 [px]. moved: common motion, u and v. Cones are
    matched by the position of the base and the height, not by class.
    """
    if not len(first) or not len(second):
        return []
    (a, tall), (b, other) = _bases(first), _bases(second)
    distance = np.linalg.norm(a[:, None] + moved - b[None], axis=2)
    ratio = tall[:, None] / other[None]
    limit = np.maximum(_NEAR_PX, _NEAR * 0.5 * (tall[:, None] + other[None]))
    distance[(distance > limit) | (ratio > _ALIKE) | (ratio < 1 / _ALIKE)] = np.inf
    pairs = []
    for flat in np.argsort(distance, axis=None, kind='stable'):
        i, j = divmod(int(flat), len(second))
        if not np.isfinite(distance[i, j]):
            continue  # too far, or one of them is already matched
        pairs.append((i, j))
        distance[i], distance[:, j] = np.inf, np.inf
    return pairs


def _bases(cones: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, 2) u, v of the middle of the lower edges, and (n,) heights [px]."""
    return (np.stack([0.5 * (cones[:, 1] + cones[:, 3]), cones[:, 4]], axis=1).astype(float),
            np.maximum(1, cones[:, 4] - cones[:, 2]).astype(float))


class Steadiness:
    """
    Counts flickering cones over consecutive frames, without ground truth.

    A cone flickers if it is matched from the first to the third of three frames, not the second.
    """

    def __init__(self) -> None:
        self._flicker = FlickerCounts()
        self._window: list[tuple[int, int, np.ndarray]] = []
        self._pairs: list[tuple[int, int]] = []
        self._moved = np.zeros(2)

    def add(self, index: int, stamp: int, cones: np.ndarray | None) -> tuple[int, int] | None:
        """Add a frame's cones, None: no mask; returns (index, flickering) of the one before."""
        if cones is None or (self._window
                             and not 0 < stamp - self._window[-1][1] <= _LONGEST_NS):
            self._window = []
        if cones is None:
            return None
        before, moved = self._pairs, self._moved
        if self._window:
            last = self._window[-1][2]
            self._moved = common_motion(last, cones)
            self._pairs = match_cones(last, cones, self._moved)
            for i, j in self._pairs:
                self._flicker.add_seen_twice(_height(cones[j]), last[i, 0] != cones[j, 0])
        self._window = [*self._window[-2:], (index, stamp, cones)]
        return self._flickering(before, moved + self._moved) if len(self._window) == 3 else None

    def _flickering(self, before: list[tuple[int, int]],
                    moved: np.ndarray) -> tuple[int, int]:
        (_, _, first), (index, _, here), (_, _, last) = self._window
        stays = {j for _, j in before} & {i for i, _ in self._pairs}
        for row in stays:
            self._flicker.add_seen_around(_height(here[row]), False)
        lone_first = np.delete(first, [i for i, _ in before], axis=0)
        lone_last = np.delete(last, [j for _, j in self._pairs], axis=0)
        count = 0
        for i, j in match_cones(lone_first, lone_last, moved):
            between = 0.5 * (lone_first[i] + lone_last[j])
            if not match_cones(between[None], here, np.zeros(2)):  # else its motion was unusual
                self._flicker.add_seen_around(_height(lone_first[i]), True)
                count += 1
        return index, count

    def to_report(self) -> dict[str, Any]:
        """Return what `FlickerCounts` reports."""
        return self._flicker.to_report()


def _height(cone: np.ndarray) -> int:
    return int(cone[4] - cone[2])
