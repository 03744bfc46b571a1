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
from eunet_ros.cones.tracking import closest_pairs
from eunet_ros.model.common.classes import ClassTable, cone_classes
import numpy as np

_STEPS = 60
_GATE = 40.0          # pixels between a found cone and its expected position, at first
_OUTLIER = 4.0        # standard deviations, at the end
_TAPE = 0.03          # standard deviation of measured positions and turned plates [m]
_LOOSE_M, _LOOSE_RAD = 0.15, 0.03  # standard deviations that are too large
_PITCHES = np.radians(np.arange(-10, 36, 1.0))
_HEIGHTS = (0.5, 0.65, 0.8, 1.0, 1.2, 1.45, 1.75, 2.1)  # m, times the guess
_YAWS = np.radians((-9, -6, -3, 0, 3, 6, 9))
_Pairs = list[tuple[int, int, int]]   # of image, spot, cone


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
    """A measured cone in an image."""

    spot: Spot
    image: int
    base: tuple[float, float]  # [px]
    pixels: float              # distance from the expected position [px]
    metres: float              # distance on the ground [m]


@dataclass(frozen=True)
class Fit:
    """A mounting, the standard deviation of what was free, and what is left over."""

    mounting: Mounting
    stddev: dict[str, float]
    residuals: list[Residual]
    missing: list[Spot]

    @property
    def rms_pixels(self) -> float:
        return math.sqrt(sum(r.pixels ** 2 for r in self.residuals) / len(self.residuals))


def fit_mounting(camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot],
                 guess: Mounting, free: Sequence[str] = ('pitch', 'height'),
                 classes: ClassTable | None = None) -> Fit:
    """
    Return the mounting that fits cones at measured positions, by least squares of pixels.

    images: cones of each image, all of the same landmarks. guess: start, and the values of
    parameters that are not free. Raises ValueError if the cones do not determine it.
    """
    if len(spots) < 2:
        raise ValueError(f'Expected at least 2 measured cones, found {len(spots)}: place more of '
                         'them, at different distances.')
    problem = _Problem(camera, images, spots, free, classes or cone_classes())
    mounting = problem.first(guess)
    for gate in (_GATE, 3 * _OUTLIER, _OUTLIER, _OUTLIER):
        mounting, deviations = problem.solved(mounting, problem.associated(mounting, gate))
    pairs = problem.associated(mounting, _OUTLIER)
    found = {spot for _, spot, _ in pairs}
    return Fit(mounting, dict(zip(free, deviations)), problem.residuals(mounting, pairs),
               [spot for k, spot in enumerate(spots) if k not in found])


class _Problem:
    """Cones in images, and their measured positions."""

    def __init__(self, camera: CameraModel, images: Sequence[Cones], spots: Sequence[Spot],
                 free: Sequence[str], classes: ClassTable) -> None:
        self._camera, self._spots, self._free, self._classes = camera, spots, free, classes
        self._images = [cones.select(~(cones.hidden | cones.cut | cones.knocked_over))
                        for cones in images]
        self._xy = np.array([(s.x, s.y) for s in spots])
        self._kinds = np.array([-1 if s.class_id is None else s.class_id for s in spots])
        self._plates = classes.sizes_of(np.maximum(self._kinds, 0))[1]

    def _ground(self, m: Mounting) -> Ground:
        return Ground(self._camera, mounted(m.height, m.pitch, m.roll, m.yaw, m.x, m.y),
                      max_range=1000.0, classes=self._classes)

    def _expected(self, m: Mounting, nearer: float = 0.0) -> np.ndarray:
        """Return the pixels (n, 2) of the nearest edge of each plate, moved nearer [m]."""
        away = self._xy - (m.x, m.y)
        length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
        xy = self._xy - away * ((EDGE_SHARE * self._plates + nearer) / length)[:, None]
        return self._ground(m).project(np.column_stack([xy, np.zeros(len(xy))]))

    def _spread(self, m: Mounting) -> np.ndarray:
        """Return the standard deviations (n,) [px] in the image: larger for near cones."""
        moved = self._expected(m, _TAPE) - self._expected(m)
        return np.sqrt(1 + (moved ** 2).sum(axis=1))

    def _near(self, images: Sequence[Cones], m: Mounting, gate: float) -> _Pairs:
        """Return pairs within `gate`; see `associated`."""
        expected, pairs = self._expected(m), []
        unit = 1.0 if gate == _GATE else self._spread(m)[:, None]
        for number, cones in enumerate(images):
            apart = np.hypot(*(expected[:, None] - cones.base[None]).transpose(2, 0, 1)) / unit
            apart[(self._kinds[:, None] >= 0)
                  & (self._kinds[:, None] != cones.class_id)] = np.inf
            with np.errstate(invalid='ignore'):
                rows, cols = closest_pairs(apart, gate)
            pairs += [(number, *pair) for pair in zip(rows.tolist(), cols.tolist())]
        return pairs

    def associated(self, m: Mounting, gate: float) -> _Pairs:
        """Match cones and landmarks; gate: in standard deviations, at first in pixels."""
        pairs = self._near(self._images, m, gate)
        seen, least = len({spot for _, spot, _ in pairs}), 2 if len(self._free) <= 3 else 3
        if seen < least:
            raise ValueError(
                f'Expected at least {least} of the {len(self._spots)} measured cones in the '
                f'image, found {seen} near where they should be, of '
                f'{max(map(len, self._images))} cones seen: check the positions (x forward, y '
                'left, in metres), the classes, and --height.')
        return pairs

    def first(self, guess: Mounting) -> Mounting:
        """Return the mounting, of a grid of them, that matches most landmarks with cones."""
        tried = product(
            _PITCHES if 'pitch' in self._free else (guess.pitch,),
            [guess.height * h for h in _HEIGHTS] if 'height' in self._free else (guess.height,),
            guess.yaw + _YAWS if 'yaw' in self._free else (guess.yaw,))
        best, result = -1.0, None
        for pitch, height, yaw in tried:
            m = replace(guess, pitch=float(pitch), height=float(height), yaw=float(yaw))
            pairs, expected = self._near(self._images[:1], m, _GATE), self._expected(m)
            apart = [np.hypot(*(expected[s] - self._images[0].base[c])) for _, s, c in pairs]
            value = sum(1 - min(float(a) / _GATE, 1) for a in apart)
            if pairs and value > best:
                best, result = value, m
        if result is None:
            raise ValueError(
                'None of the measured cones was found in the image near where it could be: check '
                'the positions (x forward, y left, in metres), the classes, and --height.')
        return result

    def solved(self, m: Mounting, pairs: _Pairs) -> tuple[Mounting, list[float]]:
        """Return the least-squares mounting (Levenberg and Marquardt) and standard deviations."""
        free = self._free
        seen = np.array([self._images[i].base[c] for i, _, c in pairs])
        rows = [s for _, s, _ in pairs]
        weight = 1 / self._spread(m)[rows, None]

        def errors(values: np.ndarray) -> np.ndarray:
            changed = replace(m, **dict(zip(free, values.tolist())))
            if changed.height <= 0.02:
                return np.full(2 * len(rows), 1e6)
            off = weight * (self._expected(changed)[rows] - seen)
            return np.where(np.isfinite(off), off, 1e4).reshape(-1)
        values = np.array([getattr(m, name) for name in free])
        damping, now = 1e-3, errors(values)
        for _ in range(_STEPS):
            jacobian = np.stack([(errors(values + step) - errors(values - step)) / 2e-6
                                 for step in 1e-6 * np.eye(len(free))], axis=1)
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
        # Standard deviations of the parameters for errors of one standard deviation each.
        prior = np.sqrt(np.diag(np.linalg.pinv(normal, hermitian=True)))
        limits = [_LOOSE_M if name == 'height' else _LOOSE_RAD for name in free]
        if np.linalg.matrix_rank(jacobian) < len(free) or (prior > limits).any():
            raise ValueError(f'The measured cones do not tell {" and ".join(free)} apart: place '
                             'them at different distances, and to the left and right.')
        spread = now @ now / max(1, len(now) - len(free))
        deviations = prior * np.sqrt(max(spread, 1e-12))
        return replace(m, **dict(zip(free, values.tolist()))), deviations.tolist()

    def residuals(self, m: Mounting, pairs: _Pairs) -> list[Residual]:
        expected, ground, found = self._expected(m), self._ground(m), []
        for image, spot, cone in sorted(pairs, key=lambda p: (p[1], p[0])):
            one, measured = self._images[image].select(np.array([cone])), self._spots[spot]
            located, _ = ground.locate(one)
            u, v = one.base[0].tolist()
            metres = (math.hypot(located.xyz[0, 0] - measured.x, located.xyz[0, 1] - measured.y)
                      if len(located.cones) else math.nan)
            found.append(Residual(measured, image, (u, v),
                                  float(np.hypot(*(expected[spot] - (u, v)))), metres))
        return found
