# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A light tracker in the image: steady numbers and classes of cones, without flicker."""
from __future__ import annotations

from dataclasses import dataclass, replace

from eunet_ros.cones.detection import Cones
from eunet_ros.cones.runs import Table
import numpy as np

MISSES = 3            # frames for which a confirmed cone is kept without being found
CONFIRMED = 3         # frames in which a cone must have been found for that
_GATE = 0.6           # greatest distance from the predicted position, in heights of the cone
_SIZE = 2.0           # largest ratio of heights, or of widths
_SMALL = 8            # pixels of height; the size of smaller cones is uncertain
_FORGET = 0.85        # weight of a class' earlier votes in the next frame
_SMOOTH = 0.25        # weight of a new velocity
_PAUSE_S = 0.5        # a longer pause, or a jump back in time, resets all tracks


@dataclass(frozen=True)
class Tracks(Table):
    """The number of each cone, its age in frames, and whether it was found in this one; (n,)."""

    number: np.ndarray
    age: np.ndarray
    found: np.ndarray


@dataclass(frozen=True)
class _Memory(Table):
    """The state of each track."""

    number: np.ndarray
    age: np.ndarray
    misses: np.ndarray
    hits: np.ndarray
    speed: np.ndarray  # (n, 4), of the box's edges [px/s]
    votes: np.ndarray  # (n, 256), by class id

    @classmethod
    def new(cls, count: int) -> _Memory:
        return cls(np.zeros(count, np.uint32), np.zeros(count, np.int64),
                   np.zeros(count, np.int64), np.ones(count, np.int64), np.zeros((count, 4)),
                   np.zeros((count, 256), np.float32))


class ConeTracker:
    """Tracks the cones of one camera from image to image; not thread-safe."""

    def __init__(self) -> None:
        self._next_id = 1
        self._stamp: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._cones: Cones | None = None
        self._memory = _Memory.new(0)

    def update(self, cones: Cones, stamp: int) -> tuple[Cones, Tracks]:
        """Add the cones of an image, stamp in ns; returns the tracked cones."""
        seconds = 0.0 if self._stamp is None else (stamp - self._stamp) / 1e9
        self._stamp = stamp
        if self._cones is None or not 0 < seconds <= _PAUSE_S:
            self._forget()
            before = cones.select(np.zeros(0, np.int64))
        else:
            before = _moved(self._cones, self._memory.speed * seconds)
        past, now, last = self._memory, _Memory.new(len(cones)), self._cones
        old, new = _pairs(before, cones)
        fresh = np.setdiff1d(np.arange(len(cones)), new)
        lost = np.setdiff1d(np.arange(len(before)), old)
        # Kept: confirmed, missed for few frames, and still in view.
        lost = lost[(past.misses[lost] < MISSES) & (past.hits[lost] >= CONFIRMED)
                    & ~before.cut[lost]]
        if len(old):
            seen = (cones.box[new] - last.box[old]) / seconds
            now.speed[new] = np.where(past.hits[old, None] < 2, seen,
                                      (1 - _SMOOTH) * past.speed[old] + _SMOOTH * seen)
        now.number[new] = past.number[old]
        now.number[fresh] = np.arange(self._next_id, self._next_id + len(fresh))
        self._next_id += len(fresh)
        now.age[new], now.hits[new] = past.age[old] + 1, past.hits[old] + 1
        now.votes[new] = _FORGET * past.votes[old]
        now.votes[np.arange(len(cones)), cones.class_id] += np.maximum(cones.confidence, 1e-3)
        kept = past.select(lost)
        now = now.joined(replace(kept, age=kept.age + 1, misses=kept.misses + 1))
        self._memory = now
        self._cones = replace(cones.joined(before.select(lost)),
                              class_id=now.votes.argmax(1).astype(np.uint8))
        return self._cones, Tracks(now.number, np.minimum(now.age, 65535).astype(np.uint16),
                                   now.misses == 0)


def _moved(cones: Cones, shift: np.ndarray) -> Cones:
    """Return cones whose boxes (and tip and base with them) have moved by (n, 4) pixels."""
    middle = 0.5 * (shift[:, 0] + shift[:, 2])
    return replace(
        cones, box=np.rint(cones.box + shift).astype(np.int32),
        base=(cones.base + np.stack([middle, shift[:, 3]], 1)).astype(np.float32),
        tip=(cones.tip + np.stack([middle, shift[:, 1]], 1)).astype(np.float32))


def _pairs(before: Cones, after: Cones) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of cones in `before` and `after` that are the same, nearest pairs first."""
    (wide, tall), (wide_after, tall_after) = (
        np.maximum(c.box[:, 2:] - c.box[:, :2], 1).astype(np.float64).T for c in (before, after))
    tall, wide = tall[:, None], wide[:, None]
    size, least = np.maximum(tall, tall_after), np.minimum(tall, tall_after)
    ratio = np.maximum(size / least,
                       np.maximum(wide, wide_after) / np.minimum(wide, wide_after))
    apart = 0.5 * (before.base + before.tip)[:, None] - 0.5 * (after.base + after.tip)
    cost = np.hypot(apart[..., 0], apart[..., 1]) / size
    cost += 0.2 * (ratio - 1) + 0.15 * (before.class_id[:, None] != after.class_id)
    most = np.where(least < _SMALL, 2 * _SIZE, _SIZE)
    cost[(ratio > most) & ~(before.cut[:, None] | after.cut)] = np.inf
    return closest_pairs(cost, _GATE)


def closest_pairs(cost: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of costs (n, m) below `limit`, cheapest first, each used once."""
    rows, cols = np.nonzero(cost < limit)
    order = np.argsort(cost[rows, cols], kind='stable')
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, col in zip(rows[order].tolist(), cols[order].tolist()):
        if row not in pairs and col not in taken:
            pairs[row] = col
            taken.add(col)
    return np.array([*pairs], np.int64), np.array([*pairs.values()], np.int64)
