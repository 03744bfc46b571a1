# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a camera is mounted, from cones that were measured on the ground; no ROS, no files."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
import math

from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import Cones
from eunet_ros.cones.ground import EDGE_SHARE, Ground, mounted
from eunet_ros.model.common.classes import ClassTable, cone_classes
import numpy as np

ANGLES = ('pitch', 'roll', 'yaw')
_STEPS = 60
_GATE = 40.0          # pixels between a cone that is found and where it is expected, at first
_OUTLIER = 4.0        # standard deviations, at the end
_TAPE = 0.03          # of a measured spot and of how a plate is turned, standard deviation [m]
_LOOSE_M, _LOOSE_RAD = 0.15, 0.03  # standard deviations that are of no use
_PITCHES = np.radians(np.arange(-10, 36, 1.0))
_HEIGHTS = (0.5, 0.65, 0.8, 1.0, 1.2, 1.45, 1.75, 2.1)  # m, times the guess
_YAWS = np.radians((-9, -6, -3, 0, 3, 6, 9))


@dataclass(frozen=True)
class Spot:
    """A cone that was measured: x, y of its middle in base_link [m]; class id, None for any."""

    x: float
    y: float
    class_id: int | None = None


@dataclass(frozen=True)
class Mounting:
    """The parameters camera_* of the node: metres and radians."""

    height: float
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Residual:
    """Of one measured cone: where it is in the image, off by so many pixels and metres."""

    spot: Spot
    image: int
    base: tuple[float, float]
    pixels: float
    metres: float


@dataclass(frozen=True)
class Fit:
    """A mounting, the standard deviation of what was free, and what is left over."""

    mounting: Mounting
    stddev: dict[str, float]
    residuals: list[Residual]
    missing: list[Spot]

    @property
    def rms_pixels(self) -> float:
        """Return the root of the mean square of the residuals [px]."""
        return math.sqrt(sum(r.pixels ** 2 for r in self.residuals) / len(self.residuals))


def fit_mounting(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot],
                 guess: Mounting, free: Sequence[str] = ('pitch', 'height'),
                 classes: ClassTable | None = None) -> Fit:
    """
    Return the mounting that puts cones where they were measured, by least squares of pixels.

    images: the cones found in each image, all of the same spots. guess: where to begin, and the
    values of what is not free. Raises ValueError, in a sentence, where it cannot be told.
    """
    classes = classes or cone_classes()
    if len(spots) < 2:
        raise ValueError(f'Expected at least 2 measured cones, found {len(spots)}: place more of '
                         'them, at different distances.')
    usable = [cones.select(~(cones.hidden | cones.cut | cones.knocked_over)) for cones in images]
    mounting, pairs = _first(camera, usable, spots, guess, free, classes)
    for gate in (_GATE, 3 * _OUTLIER, _OUTLIER, _OUTLIER):
        pairs = _associated(camera, usable, spots, mounting, gate, classes)
        _check(pairs, spots, usable, free)
        mounting, deviations = _solved(camera, usable, spots, mounting, free, pairs, classes)
    pairs = _associated(camera, usable, spots, mounting, _OUTLIER, classes)
    _check(pairs, spots, usable, free)
    return Fit(mounting, dict(zip(free, deviations)),
               _residuals(camera, usable, spots, mounting, pairs, classes),
               [spot for k, spot in enumerate(spots) if k not in {p[1] for p in pairs}])


def _ground(camera: CameraModel, m: Mounting, classes: ClassTable) -> Ground:
    return Ground(camera, mounted(m.height, m.pitch, m.roll, m.yaw, m.x, m.y),
                  max_range=1000.0, classes=classes)


def _expected(camera: CameraModel, spots: Sequence[Spot], m: Mounting, classes: ClassTable,
              nearer: float = 0.0) -> np.ndarray:
    """Return the pixels (n, 2) of the nearest edge of each spot's plate, moved nearer [m]."""
    xy = np.array([(s.x, s.y) for s in spots])
    _, plates = classes.sizes_of(np.array([s.class_id or 0 for s in spots]))
    away = xy - (m.x, m.y)
    length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
    xy = xy - away * ((EDGE_SHARE * plates + nearer) / length)[:, None]
    return _ground(camera, m, classes).project(np.column_stack([xy, np.zeros(len(xy))]))


def _spread(camera: CameraModel, spots: Sequence[Spot], m: Mounting,
            classes: ClassTable) -> np.ndarray:
    """Return the standard deviation (n,) of each spot's pixel: near ones move more for a cm."""
    moved = _expected(camera, spots, m, classes, _TAPE) - _expected(camera, spots, m, classes)
    return np.sqrt(1 + (moved ** 2).sum(axis=1))


def _associated(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot], m: Mounting,
                gate: float, classes: ClassTable) -> list[tuple[int, int, int]]:
    """
    Return (image, spot, cone) of what lies within `gate`, closest first, each once.

    gate: in standard deviations, and pixels at first.
    """
    expected, pairs = _expected(camera, spots, m, classes), []
    unit = 1.0 if gate == _GATE else _spread(camera, spots, m, classes)[:, None]
    kinds = np.array([-1 if s.class_id is None else s.class_id for s in spots])
    for number, cones in enumerate(images):
        apart = np.hypot(*(expected[:, None] - cones.base[None]).transpose(2, 0, 1))
        apart = apart / unit
        apart[(kinds[:, None] >= 0) & (kinds[:, None] != cones.class_id)] = np.inf
        with np.errstate(invalid='ignore'):
            rows, cols = np.nonzero(apart <= gate)
        taken: set[tuple[str, int]] = set()
        for k in np.argsort(apart[rows, cols], kind='stable'):
            spot, cone = int(rows[k]), int(cols[k])
            if not {('s', spot), ('c', cone)} & taken:
                taken |= {('s', spot), ('c', cone)}
                pairs.append((number, spot, cone))
    return pairs


def _first(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot], guess: Mounting,
           free: Sequence[str], classes: ClassTable,
           ) -> tuple[Mounting, list[tuple[int, int, int]]]:
    """Return the mounting, of many tried, in which most spots have a cone, and the pairs."""
    tried = product(_PITCHES if 'pitch' in free else (guess.pitch,),
                    [guess.height * h for h in _HEIGHTS] if 'height' in free else (guess.height,),
                    guess.yaw + _YAWS if 'yaw' in free else (guess.yaw,))
    best, result = -1.0, None
    for pitch, height, yaw in tried:
        m = replace(guess, pitch=float(pitch), height=float(height), yaw=float(yaw))
        pairs = _associated(camera, images[:1], spots, m, _GATE, classes)
        if not pairs:
            continue
        expected = _expected(camera, spots, m, classes)
        apart = [np.hypot(*(expected[s] - images[0].base[c])) for _, s, c in pairs]
        value = sum(1 - min(float(a) / _GATE, 1) for a in apart)
        if value > best:
            best, result = value, (m, pairs)
    if result is None:
        raise ValueError(
            'None of the measured cones was found in the image near where it could be: check the '
            'positions (x forward, y left, in metres), the classes, and --height.')
    return result


def _check(pairs: Sequence[tuple[int, int, int]], spots: Sequence[Spot],
           images: Sequence[Cones], free: Sequence[str]) -> None:
    seen = {spot for _, spot, _ in pairs}
    least = 2 if len(free) <= 3 else 3
    if len(seen) < least:
        raise ValueError(
            f'Expected at least {least} of the {len(spots)} measured cones in the image, found '
            f'{len(seen)} near where they should be, of {max(map(len, images))} cones seen: check '
            'the positions (x forward, y left, in metres), the classes, and --height.')


def _solved(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot], m: Mounting,
            free: Sequence[str], pairs: Sequence[tuple[int, int, int]],
            classes: ClassTable) -> tuple[Mounting, list[float]]:
    """Return the least-squares mounting (Levenberg and Marquardt) and standard deviations."""
    seen = np.array([images[i].base[c] for i, _, c in pairs])
    rows = [s for _, s, _ in pairs]
    weight = 1 / _spread(camera, spots, m, classes)[rows, None]

    def errors(values: np.ndarray) -> np.ndarray:
        changed = replace(m, **dict(zip(free, values.tolist())))
        if changed.height <= 0.02:
            return np.full(2 * len(rows), 1e6)
        off = weight * (_expected(camera, spots, changed, classes)[rows] - seen)
        return np.where(np.isfinite(off), off, 1e4).reshape(-1)
    values = np.array([getattr(m, name) for name in free])
    damping, now = 1e-3, errors(values)
    jacobian = np.zeros((len(now), len(free)))
    for _ in range(_STEPS):
        for k in range(len(free)):
            step = np.zeros(len(free))
            step[k] = 1e-6
            jacobian[:, k] = (errors(values + step) - errors(values - step)) / 2e-6
        normal = jacobian.T @ jacobian
        change = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9),
                                 -jacobian.T @ now)
        then = errors(values + change)
        if then @ then < now @ now:
            values, now, damping = values + change, then, damping / 5
            if np.abs(change).max() < 1e-10:
                break
        else:
            damping *= 5
            if damping > 1e9:
                break
    # What errors of one standard deviation each would make of it.
    prior = np.sqrt(np.diag(np.linalg.pinv(jacobian.T @ jacobian, hermitian=True)))
    singular = np.linalg.matrix_rank(jacobian) < len(free)
    limits = [_LOOSE_M if name == 'height' else _LOOSE_RAD for name in free]
    if singular or (prior > limits).any():
        raise ValueError(f'The measured cones do not tell {" and ".join(free)} apart: place them '
                         'at different distances, and to the left and right.')
    spread = now @ now / max(1, len(now) - len(free))
    deviations = prior * np.sqrt(max(spread, 1e-12))
    return replace(m, **dict(zip(free, values.tolist()))), deviations.tolist()


def _residuals(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot], m: Mounting,
               pairs: Sequence[tuple[int, int, int]], classes: ClassTable) -> list[Residual]:
    expected, ground, found = _expected(camera, spots, m, classes), _ground(camera, m, classes), []
    for image, spot, cone in sorted(pairs, key=lambda p: (p[1], p[0])):
        one = images[image].select(np.array([cone]))
        located, _ = ground.locate(one)
        u, v = one.base[0].tolist()
        metres = (math.hypot(located.xyz[0, 0] - spots[spot].x, located.xyz[0, 1] - spots[spot].y)
                  if len(located.cones) else math.nan)
        found.append(Residual(spots[spot], image, (u, v),
                              float(np.hypot(*(expected[spot] - (u, v)))), metres))
    return found
