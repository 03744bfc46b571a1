# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The appearance of single cones in a mask: outline, fit, height by position; NumPy only."""
from __future__ import annotations

from dataclasses import dataclass

from eunet_ros.cones.runs import bounds, largest, MOST_CONES, Runs, votes_of
from eunet_ros.model.common.classes import ClassTable, SMALL_CONE
import numpy as np

SMALL = 8             # pixels of height; smaller outlines are uncertain
UNLIKELY = 0.25       # the greatest surprise: a height alone is no evidence of two cones
_PLATE = 0.14         # height of the plate's picture as a share of a cone's
_FOOT_WIDTH, _TIP_WIDTH = 0.86, 0.2  # of the body that stands on it, as shares of the plate's
_MIXED = 0.5          # weight of a pixel of another class: networks mix classes within a cone
_SPREADS = 2.5        # spreads from which a height is a surprise
_LEAST_SPREAD = 0.03  # cones lean and turn, on flat ground too
_SINGLE = 0.3         # share of a single cone's pixels that are unexplained, at most


def size_of(kind: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Return the height of class ids, as multiples of that of small cones."""
    return classes.sizes_of(kind)[0] / SMALL_CONE[0]


def aspect_of(kind: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Return width by height of class ids, as multiples of those of small cones."""
    heights, bases = classes.sizes_of(kind)
    return bases / heights * (SMALL_CONE[0] / SMALL_CONE[1])


def half_width(up: np.ndarray) -> np.ndarray:
    """Return half the width by that of the plate, at `up` of the height, 0 to 1."""
    return np.where(up < _PLATE, 0.5, 0.5 * _FOOT_WIDTH - 0.5 * (_FOOT_WIDTH - _TIP_WIDTH) * up)


@dataclass(frozen=True)
class Scale:
    """Appearance of cones; height of a small one, lowest at v: along * v + across * u + offset."""

    along: float
    across: float
    offset: float
    spread: float  # standard deviation of the height as a share, beyond one pixel
    aspect: float  # width by height
    lean: float    # sideways distance of tip from foot as a share of the height

    def height(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.maximum(self.along * v + self.across * u + self.offset, 1)

    def surprise(self, high: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return by how much heights exceed the expected ones, as a logarithm, 0 to UNLIKELY."""
        off = np.log(np.maximum(high - 1, 1) / expected) - _SPREADS * self.spread
        return np.clip(off, 0, UNLIKELY)


@dataclass(frozen=True)
class Pieces:
    """Connected pieces as single cones; arrays of one row each [px]."""

    left: np.ndarray         # as `bounds`, with the next three
    right: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    pixels: np.ndarray
    kind: np.ndarray         # most frequent class id
    width: np.ndarray        # of the plate, of the best fitting outline
    lean: np.ndarray         # column of the tip of that outline minus that of the foot
    unexplained: np.ndarray  # pixels of another class, or on one side of that outline only

    @property
    def height(self) -> np.ndarray:
        return self.bottom - self.top

    def is_cut(self, shape: tuple[int, int]) -> np.ndarray:
        return ((self.left == 0) | (self.top == 0) | (self.right == shape[1])
                | (self.bottom == shape[0]))


def describe(runs: Runs, order: np.ndarray) -> Pieces:
    """Fit one cone to each piece; order: of the runs, by their label."""
    count = runs.count
    left, right, top, bottom = bounds(runs, runs.label, count)
    label, row, start, stop = (
        values[order] for values in (runs.label, runs.row, runs.start, runs.stop))
    is_first = np.ones(len(label), bool)   # of its row and piece
    is_first[1:] = (label[1:] != label[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(is_first)
    of_row = label[first]
    begin, end = start[first], stop[np.append(first[1:], len(label)) - 1]
    high = bottom - top

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_row, values, minlength=count)
    up = (bottom[of_row] - 0.5 - row[first]) / high[of_row]
    half = half_width(up)
    middle = 0.5 * (begin + end)
    middles = total(middle) / high
    away = up - (total(up) / high)[of_row]
    lean = total(away * middle) / np.maximum(total(away * away), 1e-9)  # least squares
    width = total((end - begin) * half) / total(2 * half * half)
    centre = middles[of_row] + lean[of_row] * away
    half *= width[of_row]
    of_run = np.cumsum(is_first) - 1
    shared = np.minimum(stop, (centre + half)[of_run]) - np.maximum(
        start, (centre - half)[of_run])
    votes = votes_of(runs, runs.label, count, runs.stop - runs.start)
    pixels = votes.sum(1)
    unexplained = (pixels + _MIXED * (pixels - votes.max(1)) + total(2 * half)
                   - 2 * np.bincount(label, np.maximum(shared, 0), minlength=count))
    return Pieces(left, right, top, bottom, pixels, votes.argmax(1), width, lean, unexplained)


def fit_scale(pieces: Pieces, shape: tuple[int, int], classes: ClassTable) -> Scale | None:
    """Fit the appearance of cones to pieces that are single cones; None for too few."""
    high = pieces.height
    good = np.flatnonzero(
        (high >= SMALL) & (pieces.unexplained < _SINGLE * pieces.pixels) & ~pieces.is_cut(shape)
        & (pieces.width > 0.4 * high) & (pieces.width < 1.2 * high))
    if len(good) < 3:
        return None
    good = good[largest(high[good], MOST_CONES)]
    high = high[good]
    h = high / size_of(pieces.kind[good], classes)
    v, u = pieces.bottom[good] - 1.0, 0.5 * (pieces.left + pieces.right)[good]
    dv = v[:, None] - v
    apart = dv >= 4
    if not apart.any():
        return None
    along = _median((h[:, None] - h)[apart] / dv[apart])  # Theil-Sen
    if not 0.02 < along < 0.9:
        return None
    line = (along, 0.0, _median(h - along * v))
    off = _off(line, u, v, h)
    spread = 1.48 * _median(off)    # the standard deviation of a normal distribution
    fits = off < 2.5 * spread + 0.05
    if fits.sum() >= 6:  # the horizon may lean
        rows = np.stack([v[fits], u[fits], np.ones(int(fits.sum()))]) / h[fits]
        try:
            leaning = tuple(np.linalg.solve(rows @ rows.T, rows.sum(axis=1)).tolist())
        except np.linalg.LinAlgError:
            leaning = line
        of_leaning = 1.48 * _median(_off(leaning, u, v, h))
        if of_leaning < spread and 0.02 < leaning[0] < 0.9:
            line, spread = leaning, of_leaning
    aspect = _median(pieces.width[good] / high / aspect_of(pieces.kind[good], classes))
    return Scale(*line, max(spread, _LEAST_SPREAD), aspect, _median(pieces.lean[good] / high))


def _off(line: tuple[float, ...], u: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return the deviations of heights from a line, as shares, beyond one pixel."""
    return np.maximum(np.abs(line[0] * v + line[1] * u + line[2] - h) - 1, 0) / h


def _median(values: np.ndarray) -> float:
    middle = len(values) // 2  # np.median takes five times as long for so few
    return float(np.partition(values, middle)[middle])
