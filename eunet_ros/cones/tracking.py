# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A light tracker in the image: steady numbers and classes of cones, without flicker.

The nearest cone to a track's predicted position continues it. Its class is voted over recent
frames, weighted by confidence. A missed cone is kept for a few frames at its predicted position.
"""
from __future__ import annotations

from dataclasses import dataclass, fields, replace

from eunet_ros.cones.detection import Cones
import numpy as np

MISSES = 3            # frames that a cone which was confirmed is kept without being found
CONFIRMED = 3         # frames in which a cone must have been found for that
_GATE = 0.6           # farthest that it may be from where it is expected, in its heights
_SIZE = 2.0           # largest ratio of heights, or of widths
_SMALL = 8            # pixels of height; below, a size is not known well
_FORGET = 0.85        # weight of a class' earlier votes in the next frame
_SMOOTH = 0.25        # of a new velocity
_PAUSE_S = 0.5        # after a longer one, and where time goes back, tracks begin anew


@dataclass(frozen=True)
class Tracks:
    """The number of each cone, its age in frames, and whether it was found in this one; (n,)."""

    number: np.ndarray
    age: np.ndarray
    found: np.ndarray

    def select(self, which: np.ndarray) -> Tracks:
        return Tracks(self.number[which], self.age[which], self.found[which])


class ConeTracker:
    """Follows the cones of one camera from image to image; not for several threads at once."""

    def __init__(self) -> None:
        self._next_id = 1
        self._stamp: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._cones: Cones | None = None
        self._id = np.zeros(0, np.uint32)
        self._age = np.zeros(0, np.int64)
        self._misses = np.zeros(0, np.int64)
        self._hits = np.zeros(0, np.int64)
        self._speed = np.zeros((0, 4))     # of the box's edges, pixels a second
        self._votes = np.zeros((0, 256), np.float32)

    def update(self, cones: Cones, stamp: int) -> tuple[Cones, Tracks]:
        """Take in the cones of an image; stamp: of the image, ns. Returns what is known now."""
        seconds = 0.0 if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        if self._cones is None or not 0 < seconds <= _PAUSE_S:
            self._forget()
            before = cones.select(np.zeros(0, np.int64))
        else:
            before = _moved(self._cones, self._speed * seconds)
        old, new = _pairs(before, cones)
        fresh = np.setdiff1d(np.arange(len(cones)), new)
        lost = np.setdiff1d(np.arange(len(before)), old)
        # Kept: confirmed, missed for few frames, and still within what the camera sees.
        lost = lost[(self._misses[lost] < MISSES) & (self._hits[lost] >= CONFIRMED)
                    & ~before.cut[lost]]
        last = self._cones
        speed = np.zeros((len(cones), 4))
        if len(old):
            seen = (cones.box[new] - last.box[old]) / seconds
            first = self._hits[old] < 2
            speed[new] = np.where(first[:, None], seen,
                                  (1 - _SMOOTH) * self._speed[old] + _SMOOTH * seen)
        ids = np.zeros(len(cones), np.uint32)
        ids[new] = self._id[old]
        ids[fresh] = np.arange(self._next_id, self._next_id + len(fresh))
        self._next_id += len(fresh)
        age, hits = np.zeros(len(cones), np.int64), np.ones(len(cones), np.int64)
        age[new], hits[new] = self._age[old] + 1, self._hits[old] + 1
        votes = np.zeros((len(cones), 256), np.float32)
        votes[new] = _FORGET * self._votes[old]
        votes[np.arange(len(cones)), cones.class_id] += np.maximum(cones.confidence, 1e-3)
        kept = before.select(lost)
        self._cones = _joined(cones, kept)
        self._id = np.concatenate([ids, self._id[lost]])
        self._age = np.concatenate([age, self._age[lost] + 1])
        self._hits = np.concatenate([hits, self._hits[lost]])
        self._misses = np.concatenate([np.zeros(len(cones), np.int64), self._misses[lost] + 1])
        self._speed = np.concatenate([speed, self._speed[lost]])
        self._votes = np.concatenate([votes, self._votes[lost]])
        self._cones = replace(self._cones, class_id=self._votes.argmax(1).astype(np.uint8))
        tracks = Tracks(self._id, np.minimum(self._age, 65535).astype(np.uint16),
                        self._misses == 0)
        return self._cones, tracks


def _moved(cones: Cones, shift: np.ndarray) -> Cones:
    """Return cones whose boxes (and tip and base with them) have moved by (n, 4) pixels."""
    middle = 0.5 * (shift[:, 0] + shift[:, 2])
    return replace(
        cones, box=np.rint(cones.box + shift).astype(np.int32),
        base=(cones.base + np.stack([middle, shift[:, 3]], 1)).astype(np.float32),
        tip=(cones.tip + np.stack([middle, shift[:, 1]], 1)).astype(np.float32))


def _joined(a: Cones, b: Cones) -> Cones:
    return Cones(**{f.name: np.concatenate([getattr(a, f.name), getattr(b, f.name)])
                    for f in fields(Cones)})


def _pairs(before: Cones, after: Cones) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of cones in `before` and `after` that are the same, nearest pairs first."""
    if not len(before) or not len(after):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    tall = [np.maximum(c.box[:, 3] - c.box[:, 1], 1).astype(np.float64) for c in (before, after)]
    wide = [np.maximum(c.box[:, 2] - c.box[:, 0], 1).astype(np.float64) for c in (before, after)]
    size = np.maximum(tall[0][:, None], tall[1])
    ratio = np.maximum(size / np.minimum(tall[0][:, None], tall[1]),
                       np.maximum(wide[0][:, None], wide[1])
                       / np.minimum(wide[0][:, None], wide[1]))
    small = np.minimum(tall[0][:, None], tall[1]) < _SMALL
    apart = 0.5 * (before.base + before.tip)[:, None] - 0.5 * (after.base + after.tip)
    cost = np.hypot(apart[..., 0], apart[..., 1]) / size
    cost += 0.2 * (ratio - 1) + 0.15 * (before.class_id[:, None] != after.class_id)
    cost[(ratio > np.where(small, 2 * _SIZE, _SIZE)) & ~(before.cut[:, None] | after.cut)] = np.inf
    rows, cols = np.nonzero(cost < _GATE)
    order = np.argsort(cost[rows, cols], kind='stable')
    free = [np.ones(len(before), bool), np.ones(len(after), bool)]
    old, new = [], []
    for row, col in zip(rows[order].tolist(), cols[order].tolist()):
        if free[0][row] and free[1][col]:
            free[0][row] = free[1][col] = False
            old.append(row)
            new.append(col)
    return np.array(old, np.int64), np.array(new, np.int64)
