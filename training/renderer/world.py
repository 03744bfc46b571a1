# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A world: everything that stays the same while a camera moves through it."""
from __future__ import annotations

from dataclasses import dataclass, field, replace
import math

from eunet_ros.training.renderer import surroundings
from eunet_ros.training.renderer.canvas import paint
from eunet_ros.training.renderer.cone_looks import ConeLook, sample_look
from eunet_ros.training.renderer.ground import Border, Ground, Mark
from eunet_ros.training.renderer.layouts import ConeSet, Layout
from eunet_ros.training.renderer.light import Light, sample_light
from eunet_ros.training.renderer.profiles import choose, Profile
from eunet_ros.training.renderer.sprites import FAR_KINDS, NEAR_KINDS, ODD_KINDS
from eunet_ros.training.renderer.surroundings import Hall, Prop, prop_size, Skyline
import numpy as np

_PLANTS = ('tree', 'bush', 'weed')
_SPRAY = ((40, 250, 215), (60, 240, 120), (30, 130, 250), (150, 80, 250), (230, 150, 40),
          (240, 240, 240), (30, 220, 250))  # BGR


@dataclass(frozen=True)
class World:
    """Light, ground, surroundings and cones; `look` gives each cone its own appearance."""

    profile: Profile
    seed: int
    light: Light
    ground: Ground
    skyline: Skyline
    props: tuple[Prop, ...]
    cones: ConeSet
    shades: tuple[np.ndarray, ...] = ()  # outlines (n, 2) of shadows of unseen things [m]
    hall: Hall | None = None
    _looks: dict[int, ConeLook] = field(default_factory=dict, repr=False, compare=False)

    def look(self, index: int) -> ConeLook:
        if index not in self._looks:
            rng = np.random.default_rng((self.profile.salt, self.seed, index))
            self._looks[index] = sample_look(rng, int(self.cones.class_id[index]), self.profile)
        return self._looks[index]


def _number(rng: np.random.Generator, profile: Profile) -> int:
    return int(profile.textures[rng.integers(len(profile.textures))])


def _sample_marks(rng: np.random.Generator, profile: Profile, layout: Layout) -> list[Mark]:
    marks = []
    x0, y0, yaw = layout.pose
    ahead = np.array([math.cos(yaw), math.sin(yaw)])
    left = np.array([-ahead[1], ahead[0]])

    def place(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.array([x0, y0]) + np.outer(x, ahead) + np.outer(y, left)

    for _ in range(rng.integers(*profile.marks)):
        distance, side = np.exp(rng.uniform(0.5, 3.5)), rng.normal(0, 5)
        kind = rng.random()
        if kind < 0.14:  # sprayed by hand, often in fluorescent colours
            along = np.linspace(0, rng.uniform(1, 14), 14)
            angle = rng.uniform(0, math.pi) + 0.25 * np.cumsum(rng.normal(0, 0.5, 14))
            step = along[1] * np.stack([np.cos(angle), np.sin(angle)], 1)
            x, y = np.cumsum(step, axis=0).T
            marks.append(Mark((place(distance + x, side + y),), rng.uniform(0.03, 0.12),
                              _SPRAY[rng.integers(len(_SPRAY))], rng.uniform(0.4, 0.95),
                              rng.uniform(0, 0.6)))
        elif kind < 0.24:  # dry grass or sand along a seam
            along, angle = np.linspace(0, rng.uniform(4, 40), 12), rng.uniform(0, math.pi)
            line = place(distance + along * math.cos(angle), side + along * math.sin(angle))
            colour = tuple(rng.uniform((45, 95, 105), (120, 180, 200)))
            marks.append(Mark((line,), rng.uniform(0.06, 0.45), colour, rng.uniform(0.5, 0.95),
                              rng.uniform(0.4, 0.95)))
        elif kind < 0.6:  # painted line, straight or bent
            along = np.linspace(0, rng.uniform(2, 40), 12)
            angle, bend = rng.uniform(0, math.pi), rng.normal(0, 0.015)
            x = distance + along * np.cos(angle + bend * along)
            y = side + along * np.sin(angle + bend * along)
            colour = (225, 228, 228) if rng.random() < 0.55 else paint(rng, 0.9)
            if profile.yellow_lines and rng.random() < profile.yellow_lines:
                colour = tuple(rng.uniform((10, 130, 190), (90, 205, 240)))
            marks.append(Mark((place(x, y),), rng.uniform(0.08, 0.25), colour,
                              rng.uniform(0.45, 0.95), rng.uniform(0, 0.8)))
        elif kind < 0.8:  # rubber
            along = np.linspace(0, rng.uniform(5, 30), 14)
            angle, bend = rng.normal(0, 0.6), rng.normal(0, 0.03)
            x = along * np.cos(angle + bend * along) + distance - 4
            y = along * np.sin(angle + bend * along) + side
            marks.append(Mark((place(x, y), place(x, y + 1.2)), rng.uniform(0.15, 0.25),
                              (28, 28, 28), rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.7)))
        else:  # painted or covered area
            angle = rng.uniform(0, math.pi)
            wide, deep = np.exp(rng.uniform(-1.5, 1.2, 2))
            corner = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (wide, deep) / 2
            turned = corner @ np.array([[math.cos(angle), math.sin(angle)],
                                        [-math.sin(angle), math.cos(angle)]])
            marks.append(Mark((place(distance + turned[:, 0], side + turned[:, 1]),), 0.0,
                              paint(rng, 0.7), rng.uniform(0.3, 0.95), rng.uniform(0, 0.8)))
    if layout.track is not None:
        track = layout.track
        normal = np.stack([-np.sin(track.headings), np.cos(track.headings)], 1)[::4]
        if rng.random() < 0.6:  # racing line
            weave = 0.25 * np.sin(np.arange(len(normal)) * 0.11)[:, None]
            paths = [track.points[::4] + (wheel + weave) * normal for wheel in (-0.6, 0.6)]
            # In pieces: one that is out of view costs nothing.
            pieces = tuple(path[k:k + 17] for path in paths for k in range(0, len(path) - 2, 16))
            marks.append(Mark(pieces, 0.22, (30, 30, 30), rng.uniform(0.08, 0.25), 0.5))
        if rng.random() < 0.6:  # start and finish line
            across = 0.5 * track.width * normal[0]
            line = np.stack([track.points[0] - across, track.points[0] + across])
            marks.append(Mark((line,), rng.uniform(0.1, 0.3), (228, 230, 230),
                              rng.uniform(0.6, 0.95), rng.uniform(0, 0.5)))
    return marks


def _sample_ground(rng: np.random.Generator, profile: Profile, layout: Layout) -> Ground:
    kind = choose(rng, profile.surfaces)
    gain = tuple(np.exp(rng.uniform(*profile.ground_tone) + rng.normal(0, 0.025, 3)))
    wetness = rng.uniform(0.2, 1.0) if rng.random() < profile.wet else 0.0
    borders = []
    if rng.random() < profile.second_surface:
        for _ in range(rng.integers(1, 4)):
            angle = rng.uniform(-math.pi, math.pi)
            nx, ny = math.cos(angle), math.sin(angle)
            reach = (layout.pose[0] * nx + layout.pose[1] * ny + rng.uniform(1.5, 30)
                     if layout.track is None
                     else np.max(layout.track.points @ np.array([nx, ny])) + rng.uniform(3, 14))
            other = 'grass' if rng.random() < 0.72 else choose(
                rng, {'gravel': 1.0, 'concrete': 1.0, 'asphalt': 1.0, 'paving': 0.6})
            borders.append(Border(other, _number(rng, profile), nx, ny, float(reach),
                                  rng.uniform(0.02, 0.9)))
    return Ground(kind, _number(rng, profile), gain, rng.uniform(0.6, 1.3), wetness,
                  tuple(borders), tuple(_sample_marks(rng, profile, layout)))


def _sample_prop(rng: np.random.Generator, profile: Profile, kinds: dict[str, float], x: float,
                 y: float) -> Prop:
    kind, order = choose(rng, kinds), (0, 1, 2)
    if kind not in _PLANTS and rng.random() < profile.swapped_colours:
        order = tuple(int(k) for k in rng.permutation(3))
    gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.03, 3))
    number = profile.sprites[rng.integers(len(profile.sprites))]
    return Prop(kind, number, x, y, math.exp(rng.normal(0, 0.12)),
                bool(rng.random() < 0.5), order, tuple(gain))


def _sample_props(rng: np.random.Generator, profile: Profile, layout: Layout) -> tuple[Prop, ...]:
    props = []
    x0, y0, yaw = layout.pose
    if layout.track is not None:
        points = layout.track.points
        reach = float(np.max(np.hypot(*points.T)))
        at = int(np.argmin(np.hypot(*(points - (x0, y0)).T))) * layout.track.length / len(points)
    far, near = (int(rng.integers(low, high + 1)) for low, high in (
        map(int, profile.far_props), map(int, profile.near_props)))
    everywhere = profile.far_props[0] > 40  # a whole loop is driven, not one view
    for _ in range(far):
        if layout.track is not None and everywhere:
            angle, distance = rng.uniform(-math.pi, math.pi), reach + rng.uniform(6, 60)
            x, y = distance * math.cos(angle), distance * math.sin(angle)
        else:
            angle, distance = yaw + rng.uniform(-1.1, 1.1), np.exp(rng.uniform(2.5, 4.6))
            x, y = x0 + distance * math.cos(angle), y0 + distance * math.sin(angle)
        props.append(_sample_prop(rng, profile, FAR_KINDS, x, y))
    for _ in range(near):
        if layout.track is not None:
            span = rng.uniform(2, 45) if not everywhere else rng.uniform(0, layout.track.length)
            x, y, heading = layout.track.pose((0.0 if everywhere else at) + span)
            side = rng.choice([-1, 1]) * (0.5 * layout.track.width + np.exp(
                rng.uniform(-0.3 if not everywhere else 0.6, 2.3)))
            x, y = x - side * math.sin(heading), y + side * math.cos(heading)
        else:
            angle, distance = yaw + rng.uniform(-0.9, 0.9), np.exp(rng.uniform(0.8, 3.4))
            x, y = x0 + distance * math.cos(angle), y0 + distance * math.sin(angle)
        prop = _sample_prop(rng, profile, NEAR_KINDS, x, y)
        if layout.track is not None:
            away = np.min(np.hypot(*(layout.track.points[::4] - (x, y)).T))
            if away < 0.5 * (layout.track.width + prop_size(prop)[0]) + 0.4:
                continue  # it would stand on the track
        props.append(prop)
    c, s = math.cos(yaw), math.sin(yaw)
    if profile.oddments and rng.random() < profile.oddments:
        kinds, ahead, left = _oddments(rng)
        props += [_sample_prop(rng, profile, kinds, x0 + c * a - s * b, y0 + s * a + c * b)
                  for a, b in zip(ahead.tolist(), left.tolist())]
    return tuple(props)


def _oddments(rng: np.random.Generator) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Return kinds of small things in a row or anywhere, and metres ahead and to the left."""
    count = int(rng.integers(1, 9))
    if rng.random() >= 0.5:
        ahead = np.exp(rng.uniform(0.9, 3.4, count))
        return ODD_KINDS, ahead, ahead * rng.uniform(-0.8, 0.8, count)
    start, step, across = rng.uniform(3, 25), rng.uniform(0.5, 4), rng.uniform(-1, 1)
    ahead = start + step * (1 - abs(across)) * np.arange(count)
    left = start * rng.uniform(-0.6, 0.6) + step * across * np.arange(count)
    return {choose(rng, ODD_KINDS): 1.0}, ahead, left


def _sample_shades(rng: np.random.Generator, profile: Profile,
                   layout: Layout) -> tuple[np.ndarray, ...]:
    """Draw ragged outlines on the ground ahead, as of trees or stands outside the image."""
    if rng.random() >= profile.shaded:
        return ()
    x0, y0, yaw = layout.pose
    c, s = math.cos(yaw), math.sin(yaw)
    shades = []
    for _ in range(rng.integers(1, 4)):
        angle = np.sort(rng.uniform(-math.pi, math.pi, 26))
        radius = np.exp(rng.normal(0, rng.uniform(0.05, 0.35), 26)) * np.exp(rng.uniform(0.3, 2.4))
        stretch = np.exp(rng.normal(0, 0.7))
        distance, side = np.exp(rng.uniform(0.5, 3.2)), rng.normal(0, 5)
        local = np.stack([distance + radius * np.cos(angle) * stretch,
                          side + radius * np.sin(angle) / stretch], 1)
        shades.append(np.array([x0, y0]) + local @ np.array([[c, s], [-s, c]]))
    return tuple(shades)


def sample_world(rng: np.random.Generator, profile: Profile, layout: Layout, seed: int) -> World:
    light, hall = sample_light(rng, profile), None
    if rng.random() < profile.indoor:
        hall, light = surroundings.sample_hall(rng, layout.pose), surroundings.lamp_light(rng)
        profile = replace(profile, surfaces={'asphalt': 2.0, 'concrete': 3.0, 'paving': 0.4},
                          second_surface=0.0)
        layout = replace(layout, cones=layout.cones.select(hall.holds(layout.cones.xyz)))
    ground = _sample_ground(rng, profile, layout)
    skyline = Skyline(
        int(profile.backdrops[rng.integers(len(profile.backdrops))]),
        rng.uniform(0, 2 * math.pi), math.exp(rng.normal(-0.1, 0.45)), rng.uniform(60, 400),
        tuple(np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.05, 3))),
        tuple(rng.uniform(0, 1000, 2)))
    props = _sample_props(rng, profile, layout)
    if hall is not None:
        places = np.array([(prop.x, prop.y) for prop in props]).reshape(-1, 2)
        props = tuple(prop for prop, inside in zip(props, hall.holds(places, 1.0)) if inside)
    return World(profile, seed, light, ground, skyline, props, layout.cones,
                 _sample_shades(rng, profile, layout), hall)
