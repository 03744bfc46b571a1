# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where cones stand: on a track by the rules, in other set pieces, or anyhow."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math

from eunet_ros.training.renderer.profiles import choose, Cone, Profile
from eunet_ros.training.renderer.track import make_track, Track
import numpy as np


@dataclass(frozen=True)
class ConeSet:
    """Cones of a world, one row each: class, x, y, z of the base (metres), and attitude (rad)."""

    class_id: np.ndarray
    xyz: np.ndarray  # (n, 3)
    yaw: np.ndarray
    tilt: np.ndarray  # from upright, towards `lean`
    lean: np.ndarray
    knocked: np.ndarray  # bool: lies on its side

    def select(self, keep: np.ndarray) -> ConeSet:
        return ConeSet(self.class_id[keep], self.xyz[keep], self.yaw[keep], self.tilt[keep],
                       self.lean[keep], self.knocked[keep])


@dataclass(frozen=True)
class Layout:
    """Cones, the camera's place in the world (x, y, yaw), and the track if there is one."""

    kind: str
    cones: ConeSet
    pose: tuple[float, float, float]
    track: Track | None


def make_cone_set(rng: np.random.Generator, class_id: np.ndarray | list[int], xy: np.ndarray,
                  profile: Profile, z: np.ndarray | None = None) -> ConeSet:
    """Turn places (n, 2) into cones, some tilted, some knocked over."""
    class_id = np.array(class_id, int).reshape(-1)
    count = len(class_id)
    class_id[rng.random(count) < profile.stray_unknown] = Cone.UNKNOWN
    xyz = np.zeros((count, 3))
    xyz[:, :2] = np.asarray(xy, float).reshape(-1, 2)
    tilt = np.where(rng.random(count) < profile.tilted, np.abs(rng.normal(0, 0.09, count)), 0.0)
    knocked = rng.random(count) < profile.knocked_over
    if z is not None:
        xyz[:, 2] = z
        knocked &= False
        tilt = np.where(np.asarray(z) > 0, 0.02, 0.0)
    yaw = rng.uniform(-math.pi, math.pi, count)
    lean = rng.uniform(-math.pi, math.pi, count)
    return ConeSet(class_id, xyz, yaw, np.minimum(tilt, 0.25), lean, knocked)


def _classes(rng: np.random.Generator, profile: Profile, count: int) -> np.ndarray:
    weights = np.array(profile.scatter_classes)
    return rng.choice(5, count, p=weights / weights.sum()) + 1


def _track(rng: np.random.Generator, profile: Profile) -> Layout:
    track = make_track(rng, profile)
    distance = rng.uniform(0, track.length)
    if rng.random() < 0.14:  # the line with its orange cones is short: go there more often
        distance = -rng.uniform(2, 14)
    x, y, heading = track.pose(distance)
    side = rng.uniform(*profile.lateral_offset)
    if rng.random() < profile.wrong_way:
        heading += math.pi * (1 if rng.random() < 0.5 else rng.uniform(0.3, 1))
    pose = (x - side * math.sin(heading), y + side * math.cos(heading),
            heading + math.radians(rng.uniform(*profile.heading_error_deg)) * rng.random())
    return Layout('track', make_cone_set(rng, track.cone_class, track.cone_xy, profile), pose,
                  track)


def _scatter(rng: np.random.Generator, profile: Profile) -> Layout:
    count = int(rng.integers(1, 38))
    distance = np.exp(rng.uniform(math.log(1.0), math.log(40), count))
    angle = rng.uniform(-1.0, 1.0, count)
    xy = np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)
    return Layout('scatter', make_cone_set(rng, _classes(rng, profile, count), xy, profile),
                  (0.0, 0.0, 0.0), None)


def _rows(rng: np.random.Generator, profile: Profile) -> Layout:
    classes, xy, z = [], [], []
    for _ in range(rng.integers(1, 4)):
        count, ahead = int(rng.integers(2, 13)), np.exp(rng.uniform(0.4, 3.0))
        start = np.array([ahead, ahead * rng.uniform(-0.7, 0.7)])
        angle, step = rng.uniform(0, math.pi), np.exp(rng.uniform(math.log(0.24), math.log(1.5)))
        line = np.arange(count)[:, None] * step * np.array([math.cos(angle), math.sin(angle)])
        classes.append(_classes(rng, profile, count) if rng.random() < 0.5
                       else np.full(count, _classes(rng, profile, 1)[0]))
        xy.append(start + line + rng.normal(0, 0.03 + 0.05 * step, (count, 2)))
        z.append(np.zeros(count))
    if rng.random() < 0.5:  # stacks
        for _ in range(rng.integers(1, 5)):
            count, ahead = int(rng.integers(2, 7)), np.exp(rng.uniform(0.3, 2.4))
            spot = np.array([ahead, ahead * rng.uniform(-0.6, 0.6)])
            xy.append(spot + rng.normal(0, 0.006, (count, 2)))
            classes.append(np.full(count, _classes(rng, profile, 1)[0]))
            z.append(np.arange(count) * rng.uniform(0.045, 0.075))
    xy, classes, z = np.concatenate(xy), np.concatenate(classes), np.concatenate(z)
    keep = np.hypot(*xy.T) > 0.7
    return Layout('rows', make_cone_set(rng, classes[keep], xy[keep], profile, z[keep]),
                  (0.0, 0.0, 0.0), None)


def _pairs(at: Iterable[float], side: float, left: int,
           right: int | None = None) -> list[tuple[int, float, float]]:
    """Return class, x and y of cones to the left and the right of a lane along x."""
    return [cone for x in at for cone in ((left, x, side), (right or left, x, -side))]


def _gate(rng: np.random.Generator, profile: Profile) -> Layout:
    """Acceleration: start gate, a straight lane, finish gate, braking lane in orange."""
    half = 0.5 * rng.uniform(*profile.track_width)
    start, length = rng.uniform(1.5, 12), rng.uniform(15, 75)
    end = start + length
    lane = np.arange(start + 2, end - 1, rng.uniform(3, 5))
    return _seen_from(rng, profile, 'gate', [
        *_pairs((start, start + 0.5, end, end + 0.5), -(half + 0.2), Cone.LARGE_ORANGE),
        *_pairs(lane, half, Cone.BLUE, Cone.YELLOW),
        *_pairs(np.arange(end + 3, end + 40, 5.0), half, Cone.ORANGE),
        *_pairs(np.arange(start - 1.5, 0.5, -1.2), half, Cone.ORANGE)])  # staging lane


def _skidpad(rng: np.random.Generator, profile: Profile) -> Layout:
    """Two circles, inner diameter 15.25 m, outer 21.25 m, centres 18.25 m apart."""
    cones = []
    for side, inner, outer in ((1, Cone.BLUE, Cone.YELLOW), (-1, Cone.YELLOW, Cone.BLUE)):
        centre = np.array([12.0, side * 9.125])
        for radius, colour, count in ((7.625, inner, 16), (10.625, outer, 20)):
            for angle in np.arange(count) * 2 * math.pi / count:
                spot = centre + radius * np.array([math.cos(angle), math.sin(angle)])
                if radius < 10 or (abs(spot[1]) > 2.0 and np.hypot(
                        *(spot - centre * (1, -1))) > 10.6):
                    cones.append((colour, *spot))
    cones += _pairs((11.6, 12.4), -1.75, Cone.LARGE_ORANGE)
    cones += _pairs((*np.arange(1.0, 6, 1.5), *np.arange(20, 34, 3.0)), 1.6, Cone.ORANGE)
    return _seen_from(rng, profile, 'skidpad', cones)


def _seen_from(rng: np.random.Generator, profile: Profile, kind: str,
               cones: list[tuple[int, float, float]]) -> Layout:
    pose = (rng.uniform(-4, 8), rng.uniform(*profile.lateral_offset),
            math.radians(rng.uniform(*profile.heading_error_deg)) * rng.random())
    classes, *xy = np.array(cones).T
    xy = np.stack(xy, axis=1) + rng.normal(0, 0.05, (len(cones), 2))
    return Layout(kind, make_cone_set(rng, classes, xy, profile), pose, None)


_LAYOUTS = {'track': _track, 'scatter': _scatter, 'rows': _rows, 'gate': _gate,
            'skidpad': _skidpad}


def sample_layout(rng: np.random.Generator, profile: Profile) -> Layout:
    kind = choose(rng, profile.layouts)
    if kind == 'none':
        return Layout(kind, make_cone_set(rng, [], np.zeros((0, 2)), profile), (0.0,) * 3, None)
    return _LAYOUTS[kind](rng, profile)
