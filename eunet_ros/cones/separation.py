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

from eunet_ros.cones.runs import bounds, Runs
import numpy as np

_LARGE_ORANGE, _LARGE = 4, 0.505 / 0.325   # its height against the others'
_SMALL = 8            # pixels of height; below, an outline says nothing of what touches
_PLATE = 0.14         # height of the plate's picture as a share of a cone's
_FILLED = 0.47         # of a whole cone's outline that a cluster covers where there is one
_OWN = 0.1            # of it that no other cone claims, at least
_OWN_OF_LEDGE = 0.2   # the same of one that only a ledge tells of
_WIDTH = 0.7          # of a cone's picture, its plate's, as a share of its height
_AREA = 0.6           # of the outline, as a share of height times width
_LEDGE = 0.15         # of a cone's height that its outline jumps inwards below its plate
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
    tip_hints = _Hints(runs, own[runs.is_tip[own]], True, scale, top, bottom)
    foot_hints = ledge_hints = None
    if scale:
        foot_hints = _Hints(runs, own[runs.is_foot[own]], False, scale, top, bottom)
        ledges = own[np.maximum(runs.left[own], runs.right[own]) >= 2]
        ledge_hints = _Hints(runs, ledges, False, scale, top, bottom)
        ledge_hints.keep_ledges(runs)
    for k, first, last in zip(suspects.tolist(), firsts, firsts[1:]):
        cones = _hypotheses(runs, own[first:last], tip_hints.of(k),
                            foot_hints and foot_hints.of(k), ledge_hints and ledge_hints.of(k))
        found = _take_apart(runs, own[first:last], cones, bool(cut[k])) if (
            len(cones) > 1) else None
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
    along = _median((h[:, None] - h)[apart] / dv[apart])  # Theil-Sen
    if not 0.02 < along < 0.9:
        return None
    offset = _median(h - along * v)
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


def _median(values: np.ndarray) -> float:
    middle = len(values) // 2  # np.median takes five times as long for so few
    return float(np.partition(values, middle)[middle])


class _Hints:
    """What the tips and feet of clusters say of whole cones; arrays of one row each."""

    def __init__(self, runs: Runs, which: np.ndarray, is_tip: bool, scale: _Scale | None,
                 top: np.ndarray, bottom: np.ndarray) -> None:
        self.runs = which
        self.label, self.cls = runs.label[which], runs.value[which]
        self.column = 0.5 * (runs.start[which] + runs.stop[which] - 1)
        row = runs.row[which].astype(float)
        size = np.where(self.cls == _LARGE_ORANGE, _LARGE, 1.0)
        top, bottom = top[self.label], bottom[self.label]
        if is_tip:
            self.lowest = bottom - 1.0 if scale is None else scale.foot(self.column, row, size)
            self.height = self.lowest - row + 1
            out = self.lowest - bottom
        else:
            self.lowest = row
            self.height = size * scale.height(self.column, row)
            out = top - row + self.height
        # A cone that sticks out of the cluster by much is none.
        self._labels = np.arange(runs.count + 1)
        self._keep((self.height >= 4) & (out < 0.5 * self.height))

    def _keep(self, good: np.ndarray) -> None:
        for name in ('runs', 'label', 'cls', 'column', 'lowest', 'height'):
            setattr(self, name, getattr(self, name)[good])
        self.first = np.searchsorted(self.label, self._labels)

    def keep_ledges(self, runs: Runs) -> None:
        """Keep where the outline jumps inwards, as below a plate whose middle is hidden."""
        left, right = runs.left[self.runs], runs.right[self.runs]
        jump = _LEDGE * self.height
        # Where it jumps at one side only, the plate's middle is half a plate from there.
        half = 0.5 * _WIDTH * self.height
        self.column = np.where(left < jump, runs.stop[self.runs] - 1 - half, np.where(
            right < jump, runs.start[self.runs] + half, self.column))
        self._keep(np.maximum(left, right) >= jump)

    def of(self, label: int) -> tuple[np.ndarray, ...]:
        """Return runs, column, lowest row, height and class of one cluster's."""
        own = slice(self.first[label], self.first[label + 1])
        return (self.runs[own], self.column[own], self.lowest[own], self.height[own],
                self.cls[own])


def _take_apart(runs: Runs, own: np.ndarray, cones: np.ndarray, cut: bool,
                ) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """
    Return the pixels of a cluster as (row, column, class id, part), and two arrays by part.

    own: its runs. cones: see `_hypotheses`. Parts count from 0; of each, whether its base is
    hidden, and in which column it is. None where it is one cone.
    """
    row, start, stop, value = runs.row[own], runs.start[own], runs.stop[own], runs.value[own]
    hu, hb, hh, hc, own_share = cones.T[:, :, None]  # (k, 1)
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
        left = within[k]
        for j in chosen:
            left = left - np.maximum(np.minimum(high[k], high[j]) - np.maximum(low[k], low[j]), 0)
        if np.maximum(left, 0).sum() >= own_share[k, 0] * area[k]:
            chosen.append(k)
    if len(chosen) < 2:
        return None
    chosen.sort(key=lambda k: -cones[k, 1])
    return _assigned(row, start, stop, value, cones[chosen, :4])


def _half_width(up: np.ndarray) -> np.ndarray:
    """Return half the width of a cone's outline by its height, at `up` of it from the base."""
    return np.where(up < _PLATE, up.dtype.type(0.5 * _WIDTH),
                    up.dtype.type(0.43 * _WIDTH) - up.dtype.type(0.33 * _WIDTH) * up)


def _hypotheses(runs: Runs, own: np.ndarray, tips: tuple[np.ndarray, ...],
                feet: tuple[np.ndarray, ...] | None,
                ledges: tuple[np.ndarray, ...] | None) -> np.ndarray:
    """
    Return cones that may be in a cluster, (k, 5).

    Columns: column, lowest row, height, class id, and the share of its outline that no other cone
    may claim. own: its runs. tips, feet, ledges: what they say, see `_Hints.of`. First come those
    of which a tip and a foot say the same, then those of a tip, of a foot, and of a ledge alone;
    each kind from the nearest.
    """
    found = []
    _, tu, tb, th, tc = tips
    if feet is None:
        agree = np.zeros((len(tu), 0), bool)
    else:
        foot_runs, fu, fb, fh, fc = feet
        agree = ((np.abs(fu - tu[:, None]) < 0.3 * th[:, None])
                 & (np.abs(fb - tb[:, None]) < 0.15 * th[:, None] + 1.5) & (fc == tc[:, None]))
    for k, (column, lowest, height, kind) in enumerate(zip(
            tu.tolist(), tb.tolist(), th.tolist(), tc.tolist())):
        same = np.flatnonzero(agree[k]) if agree.size else ()
        if len(same):
            foot = float(fb[same[np.abs(fb[same] - lowest).argmin()]])
            found.append((0, column, foot, foot - lowest + height, kind))
        else:
            found.append((1, column, lowest, height, kind))
    alone = np.flatnonzero(~agree.any(axis=0)).tolist()
    if alone:
        row, start, stop = runs.row[own], runs.start[own], runs.stop[own]
    for k in alone:
        # A plate may stand on a corner that is not in its middle: its widest row tells.
        foot, height = foot_runs[k], fh[k]
        near = np.flatnonzero((row <= fb[k]) & (row >= fb[k] - _PLATE * height - 1)
                              & (stop > runs.start[foot]) & (start < runs.stop[foot]))
        wide = stop[near] - start[near]
        wide[wide > 1.05 * height] = 0
        widest = int(wide.argmax())
        column = (0.5 * (start[near[widest]] + stop[near[widest]] - 1) if wide[widest]
                  else fu[k])
        found.append((2, float(column), float(fb[k]), float(height), int(fc[k])))
    if ledges is not None:
        found += [(3, *cone) for cone in zip(*(values.tolist() for values in ledges[1:]))]
    found.sort(key=lambda cone: (cone[0], -cone[2]))
    return np.array([(*cone[1:], _OWN_OF_LEDGE if cone[0] == 3 else _OWN)
                     for cone in found[:_MOST]], float).reshape(-1, 5)


def _assigned(row: np.ndarray, start: np.ndarray, stop: np.ndarray, value: np.ndarray,
              cones: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """Give each pixel of runs to one of several cones (k, 4), nearest first; see `_take_apart`."""
    size = stop - start
    ends = np.cumsum(size)
    u = np.arange(ends[-1]) + np.repeat(start - ends + size, size)
    v, cls = np.repeat(row, size), np.repeat(value, size)
    # From the nearest: what lies within its outline is its own; the rest goes to the closest.
    hu, hb, hh, hc = cones.astype(np.float32).T[:, :, None]
    up = (hb - row.astype(np.float32)) / hh
    outside = (np.maximum(np.maximum(-up, up - 1), 0) + np.float32(0.3) * (value != hc)) * hh
    half = _half_width(up) * hh
    off = np.abs(u.astype(np.float32) - hu)
    off -= np.repeat(half, size, axis=1)
    np.maximum(off, 0, out=off)
    off += np.repeat(outside, size, axis=1)
    part = off.argmin(0)   # the first of several zeros is the nearest
    counts = np.bincount(part, minlength=len(cones))
    which = np.flatnonzero(counts)
    if len(which) < 2:
        return None
    if len(which) < len(cones):
        part = (np.cumsum(counts > 0) - 1)[part]
    last = len(part) - 1   # rows ascend
    low = np.array([v[last - (part[::-1] == k).argmax()] for k in range(len(which))])
    hidden = low < cones[which, 1] - np.maximum(1.5, 0.15 * cones[which, 2])
    return (v, u, cls, part), hidden, cones[which, 0]
