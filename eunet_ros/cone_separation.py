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


@dataclass(frozen=True)
class _Scale:
    """Height of a small cone's picture: along * v + across * u + offset; v of its lowest row."""

    along: float
    across: float
    offset: float

    def height(self, u, v):
        return self.along * v + self.across * u + self.offset

    def foot(self, u, v, size):
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
    # The runs of suspects, one suspect after the other, and their pixels.
    own = np.flatnonzero(suspect[runs.label])
    own = own[np.argsort(runs.label[own], kind='stable')]
    firsts = np.append(np.searchsorted(runs.label[own], suspects), len(own))
    size = (runs.stop - runs.start)[own]
    ends = np.cumsum(size)
    u = np.arange(ends[-1]) + np.repeat(runs.start[own] - ends + size, size)
    v, cls = np.repeat(runs.row[own], size), np.repeat(runs.value[own], size)
    parts = np.repeat(runs.label[own], size)
    count, new_hidden, new_middle = runs.count, [hidden], [middle]
    begins = np.append(0, ends)[firsts]
    changed = False
    for k, (a, b, c, d) in enumerate(zip(firsts, firsts[1:], begins, begins[1:])):
        cut = (left[suspects[k]] == 0 or top[suspects[k]] == 0
               or right[suspects[k]] == shape[1] or bottom[suspects[k]] == shape[0])
        found = _take_apart(runs, own[a:b], u[c:d], v[c:d], cls[c:d], scale, cut)
        if found is None:
            continue
        part, is_hidden, columns = found
        changed = True
        hidden[suspects[k]] = is_hidden[0]
        middle[suspects[k]] = columns[0]
        new_hidden.append(is_hidden[1:])
        new_middle.append(columns[1:])
        parts[c:d] = np.where(part == 0, suspects[k], count - 1 + part)
        count += len(is_hidden) - 1
    if not changed:
        return runs, hidden, middle
    # Pixels become runs again.
    starts = np.flatnonzero((np.diff(parts, prepend=-1) != 0) | (np.diff(u, prepend=-9) != 1)
                            | (np.diff(cls.astype(np.int16), prepend=-1) != 0)
                            | (np.diff(v, prepend=-1) != 0))
    stops = np.append(starts[1:], len(u))
    rest = np.flatnonzero(~suspect[runs.label])

    def both(old, new):
        return np.concatenate([old[rest], new])
    return replace(
        runs, row=both(runs.row, v[starts]), start=both(runs.start, u[starts]),
        stop=both(runs.stop, u[stops - 1] + 1), value=both(runs.value, cls[starts]),
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
    size = np.ones(runs.count)
    size[runs.label[runs.value == _LARGE_ORANGE]] = _LARGE
    h, v, u = high[good] / size[good], bottom[good] - 1.0, 0.5 * (left + right - 1)[good]
    i, k = np.triu_indices(len(good), 1)
    apart = np.abs(v[i] - v[k]) >= 4
    if not apart.any():
        return None
    i, k = i[apart], k[apart]
    along = float(np.median((h[i] - h[k]) / (v[i] - v[k])))  # Theil-Sen
    if not 0.02 < along < 0.9:
        return None
    offset = float(np.median(h - along * v))
    fits = np.abs(along * v + offset - h) < 0.08 * h + 1
    if fits.sum() >= 6:  # the horizon may lean
        weight = 1 / h[fits]
        rows = np.stack([v[fits], u[fits], np.ones(fits.sum())], axis=1) * weight[:, None]
        solved = np.linalg.lstsq(rows, h[fits] * weight, rcond=None)[0]
        if abs(solved[1]) < 0.03 and 0.02 < solved[0] < 0.9:
            return _Scale(*solved.tolist())
    return _Scale(along, 0.0, offset)


def _take_apart(runs, own, u, v, cls, scale, cut):
    """Return the part, from 0, of each pixel of a suspect and which parts are hidden, or None."""
    tips, feet = own[runs.is_tip[own]], own[runs.is_foot[own]]
    size = np.where(runs.value == _LARGE_ORANGE, _LARGE, 1.0)
    bottom = v.max()

    def middle(which):
        return 0.5 * (runs.start[which] + runs.stop[which] - 1)
    tu, tv, tk, tc = middle(tips), runs.row[tips].astype(float), size[tips], runs.value[tips]
    if scale is None:
        tb = np.full(len(tips), float(bottom))
        fu = fb = fh = np.zeros(0)
        fc = np.zeros(0, np.uint8)
    else:
        tb = scale.foot(tu, tv, tk)
        fu, fb, fc = middle(feet), runs.row[feet].astype(float), runs.value[feet]
        fh = size[feet] * scale.height(fu, fb)
        # A plate may stand on a corner that is not in its middle: its widest row tells.
        start, stop, row = runs.start[own], runs.stop[own], runs.row[own]
        for j, f in enumerate(feet):
            near = ((row <= fb[j]) & (row >= fb[j] - _PLATE * fh[j] - 1) & (stop > runs.start[f])
                    & (start < runs.stop[f]) & (stop - start <= 1.05 * fh[j]))
            if near.any():
                widest = np.flatnonzero(near)[(stop - start)[near].argmax()]
                fu[j] = 0.5 * (start[widest] + stop[widest] - 1)
    th = tb - tv + 1
    # A tip and a foot that mean the same cone.
    hyp = []  # rank, u, lowest row, height, class
    taken = np.zeros(len(fu), bool)
    for j in range(len(tu)):
        if th[j] < 4:
            continue
        same = (np.abs(fu - tu[j]) < 0.25 * th[j]) & (np.abs(fb - tb[j]) < 0.15 * th[j] + 1.5) & (
            fc == tc[j])
        if same.any():
            f = np.flatnonzero(same)[np.abs(fb[same] - tb[j]).argmin()]
            taken |= same
            hyp.append((0, tu[j], fb[f], fb[f] - tv[j] + 1, tc[j]))
        else:
            hyp.append((1, tu[j], tb[j], th[j], tc[j]))
    for j in np.flatnonzero(~taken):
        if fh[j] >= 4:
            hyp.append((2, fu[j], fb[j], fh[j], fc[j]))
    if len(hyp) < 2:
        return None
    hyp.sort(key=lambda x: (x[0], -x[2]))
    hyp = np.array(hyp[:_MOST])
    hu, hb, hh, hc = (hyp[:, i, None] for i in (1, 2, 3, 4))
    wide = _WIDTH * hh
    up = (hb - v) / hh   # (k, n)
    x = np.abs(u - hu)
    half = np.where(up < _PLATE, 0.5, 0.43 - 0.33 * up) * wide
    inside = (x <= half + 0.5) & (up > -0.5 / hh) & (up <= 1)
    area = _AREA * (hh * wide)[:, 0] + hh[:, 0]
    covered = inside.sum(1) / area
    free = np.ones(len(u), bool)
    chosen = []
    for j in range(len(hyp)):
        if covered[j] < (0.35 if cut else _FILLED):
            continue
        if (inside[j] & free & (cls == hc[j])).sum() < _OWN * area[j]:
            continue
        chosen.append(j)
        free &= ~inside[j]
    if len(chosen) < 2:
        return None
    chosen.sort(key=lambda j: -hb[j, 0])
    # From the nearest: what lies within its outline is its own; the rest goes to the closest.
    off = np.maximum(x[chosen] - half[chosen], 0) + np.maximum(-up[chosen], 0) * hh[
        chosen] + np.maximum(up[chosen] - 1, 0) * hh[chosen]
    off += 0.3 * hh[chosen] * (cls != hc[chosen])
    part = off.argmin(0)   # the first of several zeros is the nearest
    numbers, part = np.unique(part, return_inverse=True)
    if len(numbers) < 2:
        return None
    low = np.zeros(len(numbers))
    np.maximum.at(low, part, v)
    which = np.array(chosen)[numbers]
    return part, low < hb[which, 0] - np.maximum(1.5, 0.15 * hh[which, 0]), hu[which, 0]
