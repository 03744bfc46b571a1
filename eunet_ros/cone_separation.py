# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Takes cones that touch or overlap in a mask apart; NumPy only.

On flat ground the height of a cone's picture is proportional to how far its base is below the
horizon. That line is fitted to the cones of the same mask that stand alone, so that each tip and
each foot in a cluster says where a whole cone would be. Those whose outline the cluster fills are
cones, and each pixel goes to the nearest of them, the one whose base is lowest.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from eunet_ros.cone_runs import bounds, Runs
import numpy as np

_LARGE_ORANGE, _LARGE = 4, 0.505 / 0.325   # its height against the others'
_SMALL = 8            # pixels of height; below, an outline says nothing of what touches
_PLATE = 0.14         # height of the plate's picture as a share of a cone's
_FILLED = 0.47         # of a whole cone's outline that a cluster covers where there is one
_OWN = 0.16           # of it that no other cone claims, at least
_WIDTH = 0.7          # of a cone's picture, its plate's, as a share of its height
_AREA = 0.6           # of the outline, as a share of height times width
_MOST = 16            # cones in a cluster
_ENOUGH = 24          # cones that the scale is fitted to


@dataclass(frozen=True)
class _Scale:
    """Height of a small cone's picture: along * v + across * u + offset; v of its lowest row."""

    along: float
    across: float
    offset: float

    def height(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.along * v + self.across * u + self.offset

    def foot(self, u: np.ndarray, v: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Return the lowest row of a cone whose tip is at u, v; size: 1, or what it is larger."""
        return (v - 1 + size * (self.across * u + self.offset)) / (1 - size * self.along)


def separate(runs: Runs, shape: tuple[int, int]) -> tuple[Runs, np.ndarray, np.ndarray]:
    """
    Return runs whose labels are cones, some of them split, and two arrays by label.

    These are whether its base is hidden, and the column of its base, NaN where nothing covers a
    part of it. shape: of the image (h, w).
    """
    left, right, top, bottom = bounds(runs, runs.label, runs.count)
    hidden, middle = np.zeros(runs.count, bool), np.full(runs.count, np.nan)
    tips = np.bincount(runs.label[runs.is_tip], minlength=runs.count)
    feet = np.bincount(runs.label[runs.is_foot], minlength=runs.count)
    high, wide = bottom - top, right - left
    alone = (tips == 1) & (feet == 1)
    scale = _fit_scale(runs, alone, (left, right, top, bottom), shape)
    suspect = (high >= _SMALL) & ~alone
    if scale is not None:
        expected = np.maximum(scale.height(0.5 * (left + right), bottom - 1), 1)
        suspect |= (high >= _SMALL) & ((high > 1.2 * expected) | (wide > 1.2 * expected))
    suspects = np.flatnonzero(suspect)
    if not len(suspects):
        return runs, hidden, middle
    # The runs of suspects, one suspect after the other.
    own = np.flatnonzero(suspect[runs.label])
    own = own[np.argsort(runs.label[own], kind='stable')]
    firsts = np.append(np.searchsorted(runs.label[own], suspects), len(own)).tolist()
    cut = (left == 0) | (top == 0) | (right == shape[1]) | (bottom == shape[0])
    count, new_hidden, new_middle, pieces, gone = runs.count, [hidden], [middle], [], []
    for k, first, last in zip(suspects.tolist(), firsts, firsts[1:]):
        found = _take_apart(runs, own[first:last], int(top[k]), int(bottom[k]), scale, bool(cut[k]))
        if found is None:
            continue
        (v, u, cls, part), is_hidden, columns = found
        hidden[k], middle[k] = is_hidden[0], columns[0]
        new_hidden.append(is_hidden[1:])
        new_middle.append(columns[1:])
        pieces.append((v, u, cls, np.where(part == 0, k, count - 1 + part)))
        gone.append(own[first:last])
        count += len(is_hidden) - 1
    if not pieces:
        return runs, hidden, middle
    # Pixels become runs again.
    v, u, cls, parts = (np.concatenate(arrays) for arrays in zip(*pieces))
    begins = np.empty(len(u), bool)
    begins[0] = True
    begins[1:] = ((parts[1:] != parts[:-1]) | (u[1:] != u[:-1] + 1) | (cls[1:] != cls[:-1])
                  | (v[1:] != v[:-1]))
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(u)) - 1
    rest = np.ones(len(runs.row), bool)
    rest[np.concatenate(gone)] = False

    def both(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.concatenate([old[rest], new])
    return replace(
        runs, row=both(runs.row, v[starts]), start=both(runs.start, u[starts]),
        stop=both(runs.stop, u[stops] + 1), value=both(runs.value, cls[starts]),
        label=both(runs.label, parts[starts]), count=count), (
            np.concatenate(new_hidden)), np.concatenate(new_middle)


def _fit_scale(runs: Runs, alone: np.ndarray, box: tuple[np.ndarray, ...],
               shape: tuple[int, int]) -> _Scale | None:
    """Fit the height of cones in the image to those that stand alone; None for too few."""
    left, right, top, bottom = box
    high, wide = bottom - top, right - left
    good = np.flatnonzero(alone & (high >= _SMALL) & (wide > 0.45 * high) & (wide < 1.12 * high)
                          & (left > 0) & (right < shape[1]) & (top > 0) & (bottom < shape[0]))
    if len(good) < 3:
        return None
    if len(good) > _ENOUGH:  # every so many from the farthest to the nearest
        good = good[np.argsort(bottom[good])[np.linspace(0, len(good) - 1, _ENOUGH).astype(int)]]
    large = np.bincount(runs.label[runs.value == _LARGE_ORANGE], minlength=runs.count)[good] > 0
    h = high[good] / np.where(large, _LARGE, 1.0)
    v, u = bottom[good] - 1.0, 0.5 * (left + right - 1)[good]
    dv = v[:, None] - v
    apart = dv >= 4
    if not apart.any():
        return None
    along = float(np.median((h[:, None] - h)[apart] / dv[apart]))  # Theil-Sen
    if not 0.02 < along < 0.9:
        return None
    offset = float(np.median(h - along * v))
    fits = np.abs(along * v + offset - h) < 0.08 * h + 1
    if fits.sum() >= 6:  # the horizon may lean
        rows = np.stack([v[fits], u[fits], np.ones(int(fits.sum()))]) / h[fits]
        try:
            solved = np.linalg.solve(rows @ rows.T, rows.sum(axis=1)).tolist()
        except np.linalg.LinAlgError:
            return _Scale(along, 0.0, offset)
        if abs(solved[1]) < 0.03 and 0.02 < solved[0] < 0.9:
            return _Scale(*solved)
    return _Scale(along, 0.0, offset)


def _take_apart(runs: Runs, own: np.ndarray, top: int, bottom: int, scale: _Scale | None,
                cut: bool) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """
    Return the pixels of a cluster as (row, column, class id, part), and two arrays by part.

    own: its runs, which reach from row `top` to `bottom`, exclusive. Parts count from 0; of each,
    whether its base is hidden, and in which column it is. None where it is one cone.
    """
    row, start, stop, value = runs.row[own], runs.start[own], runs.stop[own], runs.value[own]
    cones = _hypotheses(row, start, stop, value, runs.is_tip[own], runs.is_foot[own], top,
                        bottom, scale)
    if len(cones) < 2:
        return None
    hu, hb, hh, hc = cones.T[1:, :, None]  # (k, 1): column, lowest row, height, class
    # How much of each run (n) is within each outline (k).
    up = (hb - row) / hh
    half = _half_width(up) * hh + 0.5
    half[(up < 0) | (up > 1)] = -1e6
    low, high = np.maximum(start, hu - half), np.minimum(stop, hu + half + 1)
    within = np.maximum(high - low, 0)
    area = (_AREA * _WIDTH * hh * hh + hh)[:, 0]
    enough = within.sum(1) >= (0.35 if cut else _FILLED) * area
    within *= value == hc
    chosen: list[int] = []
    for k in np.flatnonzero(enough).tolist():
        claimed = 0
        for j in chosen:
            claimed = claimed + np.maximum(np.minimum(high[k], high[j])
                                           - np.maximum(low[k], low[j]), 0)
        if np.maximum(within[k] - claimed, 0).sum() >= _OWN * area[k]:
            chosen.append(k)
    if len(chosen) < 2:
        return None
    chosen.sort(key=lambda k: -cones[k, 2])
    return _assigned(row, start, stop, value, cones[chosen, 1:])


def _half_width(up: np.ndarray) -> np.ndarray:
    """Return half the width of a cone's outline by its height, at `up` of it from the base."""
    return np.where(up < _PLATE, 0.5 * _WIDTH, (0.43 - 0.33 * up) * _WIDTH)


def _hypotheses(row: np.ndarray, start: np.ndarray, stop: np.ndarray, value: np.ndarray,
                is_tip: np.ndarray, is_foot: np.ndarray, top: int, bottom: int,
                scale: _Scale | None) -> np.ndarray:
    """
    Return cones that may be in a cluster: (k, 5) rank, column, lowest row, height, class id.

    From its runs. Rank 0 have a tip and a foot that agree, 1 a tip only, 2 a foot only.
    """
    middle = 0.5 * (start + stop - 1)
    size = np.where(value == _LARGE_ORANGE, _LARGE, 1.0)
    tu, tv, tc = middle[is_tip], row[is_tip].astype(float), value[is_tip]
    if scale is None:
        tb = np.full(len(tu), bottom - 1.0)
        feet = np.zeros(0, np.int64)
        fh = np.zeros(0)
    else:
        tb = scale.foot(tu, tv, size[is_tip])
        feet = np.flatnonzero(is_foot)
        fh = size[feet] * scale.height(middle[feet], row[feet])
    th = tb - tv + 1
    # A cone that sticks out of the cluster by much is none.
    good = (th >= 4) & (tb - bottom < 0.5 * th)
    tu, tv, tb, th, tc = tu[good], tv[good], tb[good], th[good], tc[good]
    good = (fh >= 4) & (top - row[feet] + fh < 0.5 * fh)
    feet, fh = feet[good], fh[good]
    fu, fb, fc = middle[feet], row[feet].astype(float), value[feet]
    for k, (foot, high) in enumerate(zip(feet.tolist(), fh.tolist())):
        # A plate may stand on a corner that is not in its middle: its widest row tells.
        wide = np.where((row <= row[foot]) & (row >= row[foot] - _PLATE * high - 1)
                        & (stop > start[foot]) & (start < stop[foot])
                        & (stop - start <= 1.05 * high), stop - start, 0)
        widest = int(wide.argmax())
        if wide[widest]:
            fu[k] = middle[widest]
    found = []
    agree = ((np.abs(fu - tu[:, None]) < 0.25 * th[:, None])
             & (np.abs(fb - tb[:, None]) < 0.15 * th[:, None] + 1.5) & (fc == tc[:, None]))
    for k in range(len(tu)):
        same = np.flatnonzero(agree[k])
        if len(same):
            foot = fb[same[np.abs(fb[same] - tb[k]).argmin()]]
            found.append((0, tu[k], foot, foot - tv[k] + 1, tc[k]))
        else:
            found.append((1, tu[k], tb[k], th[k], tc[k]))
    for k in np.flatnonzero(~agree.any(axis=0)).tolist():
        found.append((2, fu[k], fb[k], fh[k], fc[k]))
    found.sort(key=lambda cone: (cone[0], -cone[2]))
    return np.array(found[:_MOST], float).reshape(-1, 5)


def _assigned(row: np.ndarray, start: np.ndarray, stop: np.ndarray, value: np.ndarray,
              cones: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """Give each pixel of runs to one of several cones, (k, 4), nearest first; see `_take_apart`."""
    size = stop - start
    ends = np.cumsum(size)
    u = np.arange(ends[-1]) + np.repeat(start - ends + size, size)
    v, cls = np.repeat(row, size), np.repeat(value, size)
    # From the nearest: what lies within its outline is its own; the rest goes to the closest.
    off = np.empty((len(cones), len(u)), np.float32)
    for k, (hu, hb, hh, hc) in enumerate(cones.tolist()):
        up = (hb - row) / hh
        half = _half_width(up) * hh
        outside = np.maximum(np.maximum(-up, up - 1), 0) * hh + 0.3 * hh * (value != hc)
        np.maximum(np.abs(u - hu) - np.repeat(half, size), 0, out=off[k])
        off[k] += np.repeat(outside, size)
    part = off.argmin(0)   # the first of several zeros is the nearest
    counts = np.bincount(part, minlength=len(cones))
    which = np.flatnonzero(counts)
    if len(which) < 2:
        return None
    part = (np.cumsum(counts > 0) - 1)[part]
    low = np.array([v[part == k].max() for k in range(len(which))])
    hidden = low < cones[which, 1] - np.maximum(1.5, 0.15 * cones[which, 2])
    return (v, u, cls, part), hidden, cones[which, 0]
