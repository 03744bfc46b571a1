# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A closed trackdrive loop by the Formula Student rules (FSG Competition Handbook, D 8).

Blue cones are on the left, yellow ones on the right, at most 5 m apart; small orange cones mark
entry and exit lanes, large orange ones the start and finish line.
"""
from __future__ import annotations

from dataclasses import dataclass
import math

from eunet_ros.training.renderer.profiles import Cone, Profile
import numpy as np

_STEP = 0.25  # metres between two stored points
_TIGHTEST = 5.5  # metres, radius of the centre line's sharpest turn


@dataclass(frozen=True)
class Track:
    """A loop, driven counter-clockwise, and its cones."""

    points: np.ndarray  # (n, 2) world metres, about every 0.25 m, closed
    headings: np.ndarray  # (n,) radians, unwrapped
    length: float
    width: float
    cone_class: np.ndarray  # (m,)
    cone_xy: np.ndarray  # (m, 2)

    def pose(self, distance: float) -> tuple[float, float, float]:
        """Return x, y (metres) and heading (radians) after `distance` metres from the line."""
        n = len(self.points)
        at = distance / self.length * n
        low = math.floor(at)
        share = at - low
        i, j = low % n, (low + 1) % n
        x, y = (1 - share) * self.points[i] + share * self.points[j]
        turn = (self.headings[j] - self.headings[i] + math.pi) % (2 * math.pi) - math.pi
        return float(x), float(y), float(self.headings[i] + share * turn)


def _centreline(rng: np.random.Generator, radius: float):
    """Draw a smooth closed curve around the origin whose turns a car can take."""
    angle = np.linspace(0, 2 * math.pi, 720, endpoint=False)
    orders = np.arange(2, 8)
    amplitude = rng.normal(0, 1, 6) * 0.42 / orders ** 0.9
    phase = rng.uniform(0, 2 * math.pi, 6)
    wobble = amplitude[:, None] * np.cos(orders[:, None] * angle + phase[:, None])
    wobble = wobble.sum(axis=0)
    for _ in range(12):
        r = radius * np.exp(wobble)
        curve = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
        step = np.roll(curve, -1, axis=0) - curve
        length = np.hypot(*step.T)
        heading = np.arctan2(step[:, 1], step[:, 0])
        turn = (np.roll(heading, -1) - heading + math.pi) % (2 * math.pi) - math.pi
        if np.max(np.abs(turn) / length) < 1 / _TIGHTEST:
            break
        wobble = 0.82 * wobble
    return curve, length


def make_track(rng: np.random.Generator, profile: Profile) -> Track:
    curve, lengths = _centreline(rng, rng.uniform(*profile.track_radius))
    total = float(lengths.sum())
    count = int(total / _STEP)
    at = np.concatenate([[0], np.cumsum(lengths)])
    closed = np.vstack([curve, curve[:1]])
    wanted = np.arange(count) * total / count
    points = np.stack([np.interp(wanted, at, closed[:, k]) for k in (0, 1)], 1)
    # The line lies on the straightest stretch.
    step = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    heading = np.unwrap(np.arctan2(step[:, 1], step[:, 0]))
    bend = np.abs(np.diff(heading, append=heading[0] + 2 * math.pi))
    window = np.ones(int(16 / _STEP))
    busy = np.convolve(np.concatenate([bend, bend[:len(window)]]), window, 'valid')[:count]
    start = (int(np.argmin(busy)) + len(window) // 2) % count
    points, heading = np.roll(points, -start, axis=0), np.roll(heading, -start)
    width = rng.uniform(*profile.track_width)
    spacing = rng.uniform(*profile.cone_spacing)
    classes, xy = _set_cones(rng, points, heading, width, spacing, total)
    return Track(points, heading, total, width, classes, xy)


def _set_cones(rng: np.random.Generator, points: np.ndarray, heading: np.ndarray, width: float,
               spacing: float, total: float):
    count = len(points)
    normal = np.stack([-np.sin(heading), np.cos(heading)], 1)
    breathing = 1 + 0.07 * np.sin(2 * math.pi * np.arange(count) / count * rng.integers(2, 6))
    classes, places = [], []
    for side, colour in ((1, Cone.BLUE), (-1, Cone.YELLOW)):
        edge = points + side * 0.5 * width * breathing[:, None] * normal
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(edge, axis=0).T))])
        number = max(8, math.ceil(along[-1] / spacing))
        where = (np.arange(number) + rng.uniform(-0.12, 0.12, number)) * along[-1] / number
        # Corners get more cones, as track builders do.
        bend = np.abs(np.gradient(heading)) / _STEP
        index = np.minimum(np.searchsorted(along, where), count - 1)
        extra = (where + 0.5 * along[-1] / number)[bend[index] > 0.09]
        index = np.minimum(np.searchsorted(along, np.concatenate([where, extra])), count - 1)
        metres = index * total / count
        clear = (metres > 3.5) & (metres < total - 3.5)
        index = index[clear]
        places.append(edge[index] + rng.normal(0, 0.06, (len(index), 2)))
        classes.append(np.full(len(index), colour))
        gate = []
        for offset in (-0.35, 0.35):  # two large cones on each side of the line
            gate.append(points[int(offset / _STEP) % count]
                        + side * (0.5 * width + 0.25) * normal[0])
        places.append(np.array(gate))
        classes.append(np.full(2, Cone.LARGE_ORANGE))
        lane = [int(metres / _STEP) % count for metres in (-3.2, -2.2, 2.2, 3.2)]
        places.append(points[lane] + side * 0.5 * width * normal[lane])
        classes.append(np.full(4, Cone.ORANGE))
    return np.concatenate(classes).astype(int), np.concatenate(places)
