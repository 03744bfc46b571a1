# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Separates cones that touch or overlap in a mask; NumPy only.

A connected piece is one cone unless several cones describe it better. All descriptions are made of
one outline, a cone on its plate, and compared by the pixels that they explain: those of the piece
within an outline of their class, less the pixels of the outlines that are background.
The description by one cone has the height, width and lean of the piece itself. The others consist
of outlines that the tips and feet in the piece suggest, where they are of about the height that
the other cones of the image suggest: on flat ground it is proportional to the distance of the base
below the horizon.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from eunet_ros.cone_runs import bounds, Runs
import numpy as np

_LARGE_ORANGE = 4
_LARGE, _LARGE_WIDE = 0.505 / 0.325, 0.285 / 0.228  # its height and width by the others'
_PLATE, _PLATE_WIDTH = 0.14, 1.0   # height of the plate, as a share of the cone's; its width
_FOOT_WIDTH, _TIP_WIDTH = 0.86, 0.2        # of the cone above it, as shares of the plate's
_ASPECT = 0.7         # width of a plate's picture by a cone's height, where no cone shows it
_SMALL = 8            # pixels of height; below, an outline says nothing of what touches
_ROUGH = 0.25         # share of its pixels that the outline of a single cone leaves unexplained
_WORTH = 0.1          # share of its outline that each further cone must explain in addition
_SPREADS = 2.5        # a height is off where it differs by more than so many spreads
_LEAN = 0.2           # sideways distance of tip and foot, as a share of the height, at most
_LEDGE = 0.15         # of a cone's height that its outline jumps inwards below its plate
_MOST = 16            # outlines that are compared in a piece
_SAMPLES = 50         # rows of an outline that its area is summed over


@dataclass(frozen=True)
class _Scale:
    """
    What the cones of an image look like.

    Height of a small cone's picture: along * v + across * u + offset; v of its lowest row.
    spread: standard deviation of the height as a share, beyond the pixel that any may be off.
    aspect: width by height. lean: sideways distance of tip from foot as a share of the height.
    """

    along: float
    across: float
    offset: float
    spread: float
    aspect: float
    lean: float

    def height(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.maximum(self.along * v + self.across * u + self.offset, 1)

    def surprise(self, high: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """Return by how much heights differ from the expected ones, as a logarithm; 0 or more."""
        return np.maximum(np.log(np.maximum(high - 1, 1) / expected) - _SPREADS * self.spread, 0)


@dataclass(frozen=True)
class _Outlines:
    """Outlines of upright cones, one row each; columns and rows of edges of pixels."""

    label: np.ndarray     # of the piece
    kind: np.ndarray      # class id
    tip: np.ndarray       # column of the tip
    foot: np.ndarray      # column of the middle of the plate
    base: np.ndarray      # row of the lower edge
    height: np.ndarray
    surprise: np.ndarray  # see `_Scale.surprise`

    def select(self, which: np.ndarray) -> _Outlines:
        return _Outlines(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


def _size(kind: np.ndarray) -> np.ndarray:
    return np.where(kind == _LARGE_ORANGE, _LARGE, 1.0)


def _aspect(kind: np.ndarray) -> np.ndarray:
    """Return width by height of classes, as multiples of those of small cones."""
    return np.where(kind == _LARGE_ORANGE, _LARGE_WIDE / _LARGE, 1.0)


def _half_width(up: np.ndarray) -> np.ndarray:
    """Return half the width by that of the plate, at `up` of the height; 0 outside of 0 to 1."""
    half = 0.5 * (_FOOT_WIDTH - (_FOOT_WIDTH - _TIP_WIDTH) * up)
    half[up < _PLATE] = 0.5 * _PLATE_WIDTH
    half[(up < 0) | (up > 1)] = 0
    return half


@dataclass(frozen=True)
class _Pieces:
    """
    Connected pieces as single cones; arrays of one row each, in pixels.

    left, right, top, bottom: as `bounds`. pixels: their number. kind: class id of most.
    width: of the plate, lean: column of the tip less that of the foot, of the outline that fits
    best. unexplained: pixels that are of another class or on one side of that outline only.
    """

    left: np.ndarray
    right: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    pixels: np.ndarray
    kind: np.ndarray
    width: np.ndarray
    lean: np.ndarray
    unexplained: np.ndarray

    @property
    def height(self) -> np.ndarray:
        return self.bottom - self.top

    def is_cut(self, shape: tuple[int, int]) -> np.ndarray:
        return ((self.left == 0) | (self.top == 0) | (self.right == shape[1])
                | (self.bottom == shape[0]))


def _describe(runs: Runs, order: np.ndarray) -> _Pieces:
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
    half = _half_width(up)
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
    size = stop - start
    votes = np.bincount(label * 256 + runs.value[order], size, minlength=256 * count)
    votes = votes.reshape(count, 256)
    pixels = votes.sum(1)
    unexplained = (2 * pixels - votes.max(1) + total(2 * half)
                   - 2 * np.bincount(label, np.maximum(shared, 0), minlength=count))
    return _Pieces(left, right, top, bottom, pixels, votes.argmax(1), width, lean, unexplained)


def _fit_scale(pieces: _Pieces, shape: tuple[int, int]) -> _Scale | None:
    """Fit the look of cones to the pieces that are single ones; None for too few."""
    high = pieces.height
    good = np.flatnonzero(
        (high >= _SMALL) & (pieces.unexplained < 0.3 * pieces.pixels) & ~pieces.is_cut(shape)
        & (pieces.width > 0.4 * high) & (pieces.width < 1.2 * high))
    if len(good) < 3:
        return None
    high = high[good]
    h = high / _size(pieces.kind[good])
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
    return _Scale(*line, max(spread, 0.03),
                  _median(pieces.width[good] / high / _aspect(pieces.kind[good])),
                  _median(pieces.lean[good] / high))


def _off(line: tuple[float, ...], u: np.ndarray, v: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Return how far heights are off a line, as a share, beyond the pixel that masks are."""
    return np.maximum(np.abs(line[0] * v + line[1] * u + line[2] - h) - 1, 0) / h


def _median(values: np.ndarray) -> float:
    middle = len(values) // 2  # np.median takes five times as long for so few
    return float(np.partition(values, middle)[middle])


def separate(runs: Runs, shape: tuple[int, int]) -> tuple[Runs, np.ndarray, np.ndarray]:
    """
    Return runs whose labels are cones, some of them split, and two arrays by label.

    These are whether its base is hidden, and the column of its base, NaN where nothing covers a
    part of it. shape: of the image (h, w).
    """
    count = runs.count
    hidden, middle = [np.zeros(count, bool)], [np.full(count, np.nan)]
    order = np.argsort(runs.label, kind='stable')
    pieces = _describe(runs, order)
    scale = _fit_scale(pieces, shape)
    unexplained = pieces.unexplained
    if scale is not None:  # higher than a cone is there
        expected = _size(pieces.kind) * scale.height(
            0.5 * (pieces.left + pieces.right), pieces.bottom - 1)
        unexplained = unexplained + pieces.pixels * scale.surprise(pieces.height, expected)
    suspect = (pieces.height >= _SMALL) & (unexplained > _ROUGH * pieces.pixels)
    own = order[suspect[runs.label[order]]]
    if not len(own):
        return runs, hidden[0], middle[0]
    part = Runs(*(getattr(runs, name)[own] if name != 'count' else count
                  for name in runs.__dataclass_fields__))
    outlines = _suggested(part, pieces, scale)
    aspect = _ASPECT if scale is None else scale.aspect
    explained, area, begin, stop = _explain(part, outlines, aspect, shape)
    ends = np.searchsorted(part.label, np.arange(count + 1))
    of = np.searchsorted(outlines.label, np.arange(count + 1))
    new, gone = [], []
    for k in np.flatnonzero(suspect & (np.diff(of) > 1)).tolist():
        of_k, own_k = slice(of[k], of[k + 1]), slice(ends[k], ends[k + 1])
        chosen = _best_set(explained[of_k], area[of_k], begin[of_k, own_k], stop[of_k, own_k],
                           (part.value[own_k] == outlines.kind[of_k, None]),
                           pieces.pixels[k] - unexplained[k])
        if len(chosen) < 2:
            continue
        found = _assigned(part.row[own_k], part.start[own_k], part.stop[own_k],
                          part.value[own_k], outlines.select(np.array(chosen) + of[k]), aspect)
        if found is None:
            continue
        (v, u, cls, share), is_hidden, columns = found
        hidden[0][k], middle[0][k] = is_hidden[0], columns[0]
        hidden.append(is_hidden[1:])
        middle.append(columns[1:])
        new.append((v, u, cls, np.where(share == 0, k, count - 1 + share)))
        gone.append(own[own_k])
        count += len(is_hidden) - 1
    if new:
        runs = _with_pixels(runs, np.concatenate(gone), new, count)
    return runs, np.concatenate(hidden), np.concatenate(middle)


def _with_pixels(runs: Runs, gone: np.ndarray, new: list[tuple[np.ndarray, ...]],
                 count: int) -> Runs:
    """Return runs with pixels (row, column, class id, label) instead of those that are gone."""
    v, u, cls, label = (np.concatenate(arrays) for arrays in zip(*new))
    begins = np.ones(len(u), bool)
    begins[1:] = ((label[1:] != label[:-1]) | (u[1:] != u[:-1] + 1) | (cls[1:] != cls[:-1])
                  | (v[1:] != v[:-1]))
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(u)) - 1
    rest = np.ones(len(runs.row), bool)
    rest[gone] = False

    def both(old: np.ndarray, added: np.ndarray) -> np.ndarray:
        return np.concatenate([old[rest], added])
    return replace(
        runs, row=both(runs.row, v[starts]), start=both(runs.start, u[starts]),
        stop=both(runs.stop, u[stops] + 1), value=both(runs.value, cls[starts]),
        label=both(runs.label, label[starts]), count=count)


def _suggested(runs: Runs, pieces: _Pieces, scale: _Scale | None) -> _Outlines:
    """
    Return the outlines that the tips and feet of some pieces' runs suggest, by their label.

    A foot is the lowest row of a plate: nothing of its class is below it, or the outline jumps
    inwards there. Of a tip and a foot that fit each other both are known; of the others, the
    height is that of the scale, or comes from the width where there is none.
    """
    middle, wide = 0.5 * (runs.start + runs.stop), runs.stop - runs.start
    aspect, lean = (_ASPECT, 0.0) if scale is None else (scale.aspect, scale.lean)
    size = _size(runs.value)
    expected = wide / aspect / _aspect(runs.value) if scale is None else size * scale.height(middle, runs.row)
    jump = np.maximum(_LEDGE * expected, 2)
    ledge = ~runs.is_foot & (np.maximum(runs.left, runs.right) >= jump)
    feet, tips = np.flatnonzero(runs.is_foot | ledge), np.flatnonzero(runs.is_tip)
    h = expected[feet]
    # Where it jumps at one side only, the plate's middle is half a plate from there; a plate that
    # stands on a corner has its middle in that of its rows.
    plate = aspect * _aspect(runs.value[feet]) * h
    rows, label = runs.row[feet, None], runs.label[feet, None]
    near = ((label == runs.label) & (runs.row <= rows) & (runs.row >= rows - 1 - 0.2 * h[:, None])
            & (np.abs(middle - middle[feet, None]) < plate[:, None] + 0.5 * wide))
    begin = np.where(near, runs.start, 1 << 30).min(1)
    end = np.where(near, runs.stop, 0).max(1)
    column = np.where(end - begin < 1.3 * plate + 2, 0.5 * (begin + end), middle[feet])
    left, right = runs.left[feet] < jump[feet], runs.right[feet] < jump[feet]
    column = np.where(ledge[feet] & left, runs.stop[feet] - 0.5 * plate,
                      np.where(ledge[feet] & right, runs.start[feet] + 0.5 * plate,
                               np.where(ledge[feet], middle[feet], column)))
    base = runs.row[feet] + 1.0
    # Pairs of a tip and a foot.
    high = base - runs.row[tips, None]
    fits = ((runs.label[tips, None] == runs.label[feet])
            & (runs.value[tips, None] == runs.value[feet]) & (high >= 4)
            & (np.abs(middle[tips, None] - column - lean * high) <= _LEAN * high))
    if scale is None:
        fits &= (high > 0.6 * h) & (high < 1.6 * h)
    else:
        fits &= np.abs(high - h) <= (0.15 + _SPREADS * scale.spread) * h + 1.5
    i, j = np.nonzero(fits)
    tip = middle[tips[i]]
    found = [(tips[i], tip, np.where(ledge[feet[j]], tip - lean * high[i, j], column[j]),
              base[j], high[i, j], h[j])]
    # A foot alone, and a tip alone.
    found.append((feet, column + lean * h, column, base, h, h))
    if scale is not None:
        u, s = middle[tips], size[tips]
        ground = (runs.row[tips] + s * (scale.across * u + scale.offset - scale.along)) / (
            1 - s * scale.along)
        h = ground - runs.row[tips]
        found.append((tips, u, u - lean * h, ground, h, h))
    which, tip, foot, base, h, expected = (np.concatenate(values) for values in zip(*found))
    label = runs.label[which]
    # What sticks out of its piece by much is no cone.
    out = np.maximum(base - pieces.bottom[label], pieces.top[label] - (base - h))
    keep = np.flatnonzero((h >= 4) & (out < 0.5 * h))
    keep = keep[np.argsort(label[keep], kind='stable')]
    which, label, tip, foot, base, h, expected = (
        values[keep] for values in (which, label, tip, foot, base, h, expected))
    surprise = np.zeros(len(h)) if scale is None else scale.surprise(
        np.maximum(h, expected), np.minimum(h, expected))
    return _Outlines(label, runs.value[which], tip, foot, base, h, surprise)


def _explain(runs: Runs, outlines: _Outlines, aspect: float, shape: tuple[int, int],
             ) -> tuple[np.ndarray, ...]:
    """
    Return how many pixels each outline (k) explains, its area, and where it begins and ends.

    These two are by run, (k, n): columns within the run, where both are of one piece.
    """
    wide = aspect * _aspect(outlines.kind) * outlines.height

    def edges(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = outlines.foot[:, None] + (outlines.tip - outlines.foot)[:, None] * up
        half = _half_width(up) * wide[:, None]
        return centre - half, centre + half
    base, high = outlines.base[:, None], outlines.height[:, None]
    begin, end = edges((base - 0.5 - runs.row) / high)
    begin, end = np.maximum(begin, runs.start), np.minimum(end, runs.stop)
    end = np.where(outlines.label[:, None] == runs.label, np.maximum(begin, end), begin)
    within = end - begin
    up = np.broadcast_to((np.arange(_SAMPLES) + 0.5) / _SAMPLES, (len(base), _SAMPLES))
    row = base - up * high
    left, right = (np.clip(edge, 0, shape[1]) for edge in edges(up))
    area = ((right - left) * ((row > 0) & (row < shape[0]))).sum(1) * high[:, 0] / _SAMPLES
    own = (within * (runs.value == outlines.kind[:, None])).sum(1)
    explained = own + within.sum(1) - area * (1 + outlines.surprise)
    return explained, area, begin, end


def _best_set(explained: np.ndarray, area: np.ndarray, begin: np.ndarray, end: np.ndarray,
              same: np.ndarray, least: float) -> list[int]:
    """
    Return the outlines (k) that explain most of a piece together; none if not more than `least`.

    begin, end: see `_explain`, (k, n) of the piece alone. same: whether a run is of its class.
    """
    good = np.flatnonzero(explained > 0)
    if len(good) > _MOST:
        good = np.sort(good[np.argsort(-explained[good])[:_MOST]])
    begin, end = begin[good], end[good]
    shared = np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin)
    lost = (np.maximum(shared, 0) * same[good]).sum(2).tolist()  # of the second to the first
    alone, further = explained[good].tolist(), (explained - _WORTH * area)[good].tolist()
    best: list[int] = []
    for seed, score in enumerate(alone):
        chosen, left = [seed], further
        while True:
            left = [value - less for value, less in zip(left, lost[chosen[-1]])]
            left[chosen[-1]] = 0
            most = max(left)
            if most <= 0:
                break
            score += most
            chosen.append(left.index(most))
        if score > least:
            best, least = chosen, score
    return [int(good[k]) for k in best]


def _assigned(row: np.ndarray, start: np.ndarray, stop: np.ndarray, value: np.ndarray,
              outlines: _Outlines, aspect: float,
              ) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """
    Give each pixel of a piece's runs to one of several cones.

    Returns pixels as (row, column, class id, part), and two arrays by part, which count from 0,
    the nearest cone first: whether its base is hidden, and its column. None where all are of one.
    """
    outlines = outlines.select(np.argsort(-outlines.base, kind='stable'))
    size = stop - start
    ends = np.cumsum(size)
    u = np.arange(ends[-1]) + np.repeat(start - ends + size, size)
    v, cls = np.repeat(row, size), np.repeat(value, size)
    # From the nearest: what lies within its outline is its own; the rest goes to the closest.
    kind, tip, foot, base, high = (
        np.asarray(values, np.float32)[:, None] for values in (
            outlines.kind, outlines.tip, outlines.foot, outlines.base, outlines.height))
    up = (base - np.float32(0.5) - row.astype(np.float32)) / high
    outside = (np.maximum(np.maximum(-up, up - 1), 0) + np.float32(0.3) * (value != kind)) * high
    half = _half_width(np.clip(up, 0, 1)) * (aspect * _aspect(kind) * high).astype(np.float32)
    off = np.abs(u.astype(np.float32) + np.float32(0.5)
                 - np.repeat(foot + (tip - foot) * up, size, axis=1))
    off -= np.repeat(half, size, axis=1)
    np.maximum(off, 0, out=off)
    off += np.repeat(outside, size, axis=1)
    part = off.argmin(0)   # the first of several zeros is the nearest
    counts = np.bincount(part, minlength=len(base))
    which = np.flatnonzero(counts)
    if len(which) < 2:
        return None
    if len(which) < len(base):
        part = (np.cumsum(counts > 0) - 1)[part]
    last = len(part) - 1   # rows ascend
    low = np.array([v[last - (part[::-1] == k).argmax()] for k in range(len(which))])
    hidden = low + 1 < outlines.base[which] - np.maximum(1.5, 0.15 * outlines.height[which])
    return (v, u, cls, part), hidden, outlines.foot[which] - 0.5
