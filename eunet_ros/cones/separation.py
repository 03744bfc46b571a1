# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Separates cones that touch or overlap in a mask; NumPy only.

A connected piece is one cone unless several cones describe it better. A description is a set of
outlines, each a cone on its plate. Its score is the number of pixels of the piece within an
outline of their class, minus the pixels of the outlines that are background. A single cone has
height, width and lean of the piece. Other outlines are suggested by tips and feet in the piece,
with about the height that the image's other cones suggest (proportional to the distance of the
base below the horizon).
"""
from __future__ import annotations

from dataclasses import dataclass, replace

from eunet_ros.cones.runs import Runs, Table
from eunet_ros.cones.scale import (
    aspect_of,
    describe,
    fit_scale,
    half_width,
    Pieces,
    Scale,
    size_of,
    SMALL,
    UNLIKELY,
)
from eunet_ros.model.common.classes import ClassTable
import numpy as np

_ASPECT = 0.7         # width of a plate by a cone's height, if no single cone shows it
_ROUGH = 0.25         # share of a piece that may be unexplained: masks of single cones are rough
_WORTH = 0.13        # minimum share of the outline not claimed by another cone
_LEAN = 0.2           # sideways distance of tip and foot, as a share of the height, at most
_LEDGE = 0.12         # of a cone's height that its outline jumps inwards below its plate
_MOST = 32            # outlines that are compared in a piece
_SAMPLES = 50         # rows of an outline that its area is summed over
_PAIRS = 1 << 20      # of outlines and runs compared in an image (0.1 s); more are noise


@dataclass(frozen=True)
class _Outlines(Table):
    """Outlines of upright cones, one row each; columns and rows of edges of pixels."""

    label: np.ndarray     # of the piece
    kind: np.ndarray      # class id
    tip: np.ndarray       # column of the tip
    foot: np.ndarray      # column of the middle of the plate
    base: np.ndarray      # row of the lower edge
    height: np.ndarray
    surprise: np.ndarray  # see `Scale.surprise`


def _affordable(label: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return which things can be compared with the runs of their piece, see `_PAIRS`."""
    count = np.diff(ends)
    pairs = count * np.bincount(label, minlength=len(count))
    order = np.argsort(pairs, kind='stable')
    found = np.empty(len(count), bool)
    found[order] = np.cumsum(pairs[order]) <= _PAIRS
    return found[label]


def separate(runs: Runs, shape: tuple[int, int], classes: ClassTable,
             ) -> tuple[Runs, np.ndarray, np.ndarray]:
    """
    Return runs whose labels are cones, whether the base of each is hidden, and its column.

    The column is NaN if nothing covers a part of the base. shape: (h, w) of the image.
    """
    count = runs.count
    hidden, middle = [np.zeros(count, bool)], [np.full(count, np.nan)]
    order = np.argsort(runs.label, kind='stable')
    pieces = describe(runs, order)
    scale = fit_scale(pieces, shape, classes)
    unexplained = pieces.unexplained
    if scale is not None:  # surprisingly high pieces
        expected = size_of(pieces.kind, classes) * scale.height(
            0.5 * (pieces.left + pieces.right), pieces.bottom - 1)
        unexplained = unexplained + pieces.pixels * scale.surprise(pieces.height, expected)
    suspect = (pieces.height >= SMALL) & (unexplained > _ROUGH * pieces.pixels)
    own = order[suspect[runs.label[order]]]
    if not len(own):
        return runs, hidden[0], middle[0]
    part = runs.select(own)
    ends = np.searchsorted(part.label, np.arange(count + 1))
    outlines = _suggested(part, ends, pieces, scale, classes)
    outlines = outlines.select(_affordable(outlines.label, ends))
    aspect = _ASPECT if scale is None else scale.aspect
    of = np.searchsorted(outlines.label, np.arange(count + 1))
    explained, area, values = _explain(part, ends, outlines, aspect, shape, classes)
    pairs = np.append(0, np.cumsum(np.diff(of) * np.diff(ends))).tolist()
    several = np.flatnonzero(suspect & (np.diff(of) > 1)).tolist()
    of, ends = of.tolist(), ends.tolist()
    new, gone = [], []
    for k in several:
        of_k, own_k = slice(of[k], of[k + 1]), slice(ends[k], ends[k + 1])
        begin, end, *where = values[:, pairs[k]:pairs[k + 1]].reshape(
            5, of[k + 1] - of[k], ends[k + 1] - ends[k])
        same = part.value[own_k] == outlines.kind[of_k, None]
        chosen = _best_set(explained[of_k], area[of_k], begin, end, same,
                           pieces.pixels[k] - unexplained[k])
        if len(chosen) < 2:
            continue
        base = outlines.base[of_k]
        chosen.sort(key=lambda j: -base[j])
        found = _assigned(part.row[own_k], part.start[own_k], part.stop[own_k],
                          part.value[own_k], outlines.foot[of_k][chosen], base[chosen],
                          outlines.height[of_k][chosen], same[chosen],
                          *(some[chosen] for some in where))
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
    """Return runs with those that are gone replaced by pixels (row, column, class id, label)."""
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


def _suggested(runs: Runs, ends: np.ndarray, pieces: Pieces, scale: Scale | None,
               classes: ClassTable) -> _Outlines:
    """
    Return the outlines that tips and feet of the runs of some pieces suggest, by their label.

    A foot is the lowest row of a plate: nothing of its class is below, or the outline jumps
    inwards there. A fitting pair of tip and foot determines the outline; otherwise the height is
    that of the scale or follows from the width. ends: where the runs of each piece begin.
    """
    middle, wide = 0.5 * (runs.start + runs.stop), runs.stop - runs.start
    aspect, lean = (_ASPECT, 0.0) if scale is None else (scale.aspect, scale.lean)
    size = size_of(runs.value, classes)
    expected = (wide / (aspect * aspect_of(runs.value, classes)) if scale is None
                else size * scale.height(middle, runs.row))
    jump = np.maximum(_LEDGE * expected, 2)
    ledge = ~runs.is_foot & (np.maximum(runs.left, runs.right) >= jump)
    feet, tips = (found[_affordable(runs.label[found], ends)] for found in map(
        np.flatnonzero, (runs.is_foot | ledge, runs.is_tip)))
    h = expected[feet]
    # If it jumps at one side only, the plate's middle is half a plate from there; that of a plate
    # on its corner is the middle of its rows.
    plate = aspect * aspect_of(runs.value[feet], classes) * h
    pair, run, first = _pairs(runs.label[feet], ends)
    above = runs.row[feet][pair] - runs.row[run]
    near = ((above >= 0) & (above <= (1 + 0.2 * h)[pair])
            & (np.abs(middle[run] - middle[feet][pair]) < plate[pair] + 0.5 * wide[run]))
    begin = np.minimum.reduceat(np.where(near, runs.start[run], 1 << 30), first)
    end = np.maximum.reduceat(np.where(near, runs.stop[run], 0), first)
    column = np.where(end - begin < 1.3 * plate + 2, 0.5 * (begin + end), middle[feet])
    left, right = runs.left[feet] < jump[feet], runs.right[feet] < jump[feet]
    column = np.where(ledge[feet] & left, runs.stop[feet] - 0.5 * plate,
                      np.where(ledge[feet] & right, runs.start[feet] + 0.5 * plate,
                               np.where(ledge[feet], middle[feet], column)))
    base = runs.row[feet] + 1.0
    # Pairs of a tip and a foot.
    i, j, _ = _pairs(runs.label[tips], np.searchsorted(runs.label[feet], np.arange(len(ends))))
    which, high, expected = tips[i], base[j] - runs.row[tips[i]], h[j]
    fits = ((runs.value[which] == runs.value[feet[j]]) & (high >= 4)
            & (np.abs(middle[which] - column[j] - lean * high) <= _LEAN * high))
    if scale is None:
        fits &= (high > 0.6 * expected) & (high < 1.6 * expected)
    else:
        fits &= scale.surprise(np.maximum(high, expected), np.maximum(
            np.minimum(high, expected), 1)) < UNLIKELY
    which, j, high = which[fits], j[fits], high[fits]
    tip = middle[which]
    found = [(which, tip, np.where(ledge[feet[j]], tip - lean * high, column[j]),
              base[j], high, h[j])]
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
    # An outline that extends far beyond its piece is not a cone.
    out = np.maximum(base - pieces.bottom[label], pieces.top[label] - (base - h))
    keep = np.flatnonzero((h >= 4) & (out < 0.5 * h))
    keep = keep[np.argsort(label[keep], kind='stable')]
    which, label, tip, foot, base, h, expected = (
        values[keep] for values in (which, label, tip, foot, base, h, expected))
    surprise = np.zeros(len(h)) if scale is None else scale.surprise(
        np.maximum(h, expected), np.minimum(h, expected))
    return _Outlines(label, runs.value[which], tip, foot, base, h, surprise)


def _pairs(label: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair things, by label, with all runs of their piece; returns pairs and starts by thing."""
    first = ends[label]
    count = ends[label + 1] - first
    begin = np.cumsum(count) - count
    thing = np.repeat(np.arange(len(count)), count)
    return thing, np.arange(len(thing)) + np.repeat(first - begin, count), begin


def _explain(runs: Runs, ends: np.ndarray, outlines: _Outlines, aspect: float,
             shape: tuple[int, int], classes: ClassTable) -> tuple[np.ndarray, ...]:
    """
    Return the pixels that each outline (k) explains, its area, and values (5, n) by pair.

    The values of each outline and run of its piece: start and end of the outline within the run,
    its middle, half its width, and the vertical distance of the run from the outline.
    """
    pair, run, _ = _pairs(outlines.label, ends)
    wide = aspect * aspect_of(outlines.kind, classes) * outlines.height
    slope = outlines.tip - outlines.foot
    up = (outlines.base[pair] - 0.5 - runs.row[run]) / outlines.height[pair]
    within = np.minimum(np.maximum(up, 0), 1)
    beyond = np.abs(up - within)
    centre, half = outlines.foot[pair] + slope[pair] * up, half_width(within) * wide[pair]
    begin = np.maximum(centre - half, runs.start[run])
    end = np.maximum(np.where(beyond, 0, np.minimum(centre + half, runs.stop[run])), begin)
    inside = (end - begin) * (1 + (runs.value[run] == outlines.kind[pair]))
    inside = np.bincount(pair, inside, minlength=len(slope))
    values = np.stack([begin, end, centre, half, beyond * outlines.height[pair]])
    # The part of the outlines in the image.
    up = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    row = outlines.base[:, None] - up * outlines.height[:, None]
    centre = outlines.foot[:, None] + slope[:, None] * up
    half = half_width(up) * wide[:, None]
    across = np.minimum(centre + half, shape[1]) - np.maximum(centre - half, 0)
    across[(row < 0) | (row > shape[0])] = 0
    area = np.maximum(across, 0).sum(1) * outlines.height / _SAMPLES
    return inside - area * (1 + outlines.surprise), area, values


def _best_set(explained: np.ndarray, area: np.ndarray, begin: np.ndarray, end: np.ndarray,
              same: np.ndarray, least: float) -> list[int]:
    """Return the outlines (k) that together explain most, if more than `least`; else none."""
    good = np.flatnonzero(explained > 0)
    if len(good) < 2 or explained[good].sum() <= least:
        return []
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
              foot: np.ndarray, base: np.ndarray, height: np.ndarray, same: np.ndarray,
              centre: np.ndarray, half: np.ndarray, beyond: np.ndarray,
              ) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray] | None:
    """
    Assign each pixel of a piece's runs to one of several cones, the nearest first.

    foot, base, height: of the outlines, (k,). same, centre, half, beyond: by outline and run, (k,
    n), see `_explain`. Returns pixels as (row, column, class id, part), and by part whether its
    base is hidden and its column; None if all are of one cone.
    """
    size = stop - start
    ends = np.cumsum(size)
    u = np.arange(ends[-1]) + np.repeat(start - ends + size, size)
    v, cls = np.repeat(row, size), np.repeat(value, size)
    # A pixel belongs to the nearest cone whose outline contains it, else to the closest outline.
    beyond = beyond + 0.3 * height[:, None] * ~same
    off = np.abs(np.repeat(centre, size, axis=1) - (u + 0.5))
    off -= np.repeat(half, size, axis=1)
    np.maximum(off, 0, out=off)
    off += np.repeat(beyond, size, axis=1)
    part = off.argmin(0)   # the first of several zeros is the nearest
    counts = np.bincount(part, minlength=len(centre))
    which = np.flatnonzero(counts)
    if len(which) < 2:
        return None
    if len(which) < len(centre):
        part = (np.cumsum(counts > 0) - 1)[part]
    last = len(part) - 1   # rows ascend
    low = np.array([v[last - (part[::-1] == k).argmax()] for k in range(len(which))])
    hidden = low + 1 < base[which] - np.maximum(1.5, 0.15 * height[which])
    return (v, u, cls, part), hidden, foot[which] - 0.5
