# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A mask as runs, stretches of one class within a row: there are far fewer runs than pixels."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import cv2
import numpy as np

MOST_CONES = 1000  # in an image; a mask with more of them is noise
_Table = TypeVar('_Table', bound='Table')


@dataclass(frozen=True)
class Table:
    """Base of dataclasses whose fields are arrays with one row for each thing."""

    def select(self: _Table, which: np.ndarray) -> _Table:
        return type(self)(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def joined(self: _Table, other: _Table) -> _Table:
        return type(self)(**{f.name: np.concatenate([getattr(self, f.name),
                                                     getattr(other, f.name)])
                             for f in fields(self)})


@dataclass(frozen=True)
class Runs:
    """Runs of a mask in raster order; arrays of (n,)."""

    row: np.ndarray      # [px], as start and stop
    start: np.ndarray
    stop: np.ndarray     # exclusive
    value: np.ndarray    # class id, never 0
    label: np.ndarray    # number of the connected piece (8 neighbours, any class), from 0
    count: int           # of pieces
    is_tip: np.ndarray   # no run of its class touches it from above
    is_foot: np.ndarray  # no run of its class touches it from below
    left: np.ndarray     # inset of the run of its class below it; negative if that sticks out
    right: np.ndarray    # the same at the right

    def select(self, which: np.ndarray) -> Runs:
        return Runs(**{f.name: getattr(self, f.name) if f.name == 'count'
                       else getattr(self, f.name)[which] for f in fields(self)})

    def places(self, width: int) -> np.ndarray:
        """Return the places of all pixels in a flat image of that width, run by run."""
        size = self.stop - self.start
        last = np.cumsum(size)
        return np.arange(last[-1]) + np.repeat(self.row * width + self.start - last + size, size)


def find_runs(mask: np.ndarray) -> Runs | None:
    """Return the runs of (h, w) uint8 class ids, None where all is 0."""
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    window = mask[top:top + height]
    if 0 < left and left + width < mask.shape[1] and window.flags.c_contiguous:
        left, width = 0, mask.shape[1]
    else:
        # A column of background at each side, so that no run continues in the next row.
        window = cv2.copyMakeBorder(window[:, left:left + width], 0, 0, 1, 1,
                                    cv2.BORDER_CONSTANT, value=0)
        left, width = left - 1, width + 2
    flat = window.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    values = flat[edges]
    solid = np.flatnonzero(values)
    begin, end, value = edges[solid], edges[solid + 1], values[solid]
    row = begin // width
    # The range [low, high) of runs that touch each run from the row above.
    low = np.searchsorted(end, begin - width, 'left')
    high = np.searchsorted(begin, end - width, 'right')
    label, count = _pieces(begin, end, low, high)
    is_tip = ~((high > low) & ((value[np.minimum(low, len(value) - 1)] == value)
                               | (value[high - 1] == value)))
    # The same from below: runs that no other of its class names as touching it from above.
    is_foot = np.ones(len(begin), bool)
    inset = np.zeros((2, len(begin)), begin.dtype)
    several = np.flatnonzero(high > low)
    for touched in (low[several], high[several] - 1):
        own = value[touched] == value[several]
        touched, below = touched[own], several[own]
        is_foot[touched] = False
        inset[0, touched] = begin[below] - width - begin[touched]
        inset[1, touched] = end[touched] - end[below] + width
    origin = left - row * width
    return Runs(row + top, begin + origin, end + origin, value, label, count, is_tip, is_foot,
                *inset)


def votes_of(runs: Runs, label: np.ndarray, count: int, weight: np.ndarray) -> np.ndarray:
    """Return the weight of each class id in each label, (count, ids)."""
    ids = int(runs.value.max()) + 1
    return np.bincount(label * ids + runs.value, weight,
                       minlength=ids * count).reshape(count, ids)


def largest(size: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` largest sizes, in the order of places."""
    if len(size) <= count:
        return np.arange(len(size))
    return np.sort(np.argpartition(size, -count)[-count:])


def bounds(runs: Runs, label: np.ndarray, count: int) -> tuple[np.ndarray, ...]:
    """Return left, right, top and bottom of each label; right and bottom are exclusive."""
    left, top = np.full(count, 1 << 30), np.full(count, 1 << 30)
    right, bottom = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.minimum.at(left, label, runs.start)
    np.maximum.at(right, label, runs.stop)
    np.minimum.at(top, label, runs.row)
    np.maximum.at(bottom, label, runs.row + 1)
    return left, right, top, bottom


def _pieces(begin: np.ndarray, end: np.ndarray, low: np.ndarray,
            high: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the connected piece of each run and how many there are."""
    number = np.arange(len(begin))
    parent = np.where(high > low, low, number)
    while True:  # each run points to the topmost of its first ancestors
        further = parent[parent]
        if np.array_equal(further, parent):
            break
        parent = further
    roots = np.flatnonzero(parent == number)
    place = np.empty(len(begin), np.intp)
    place[roots] = number[:len(roots)]
    tree = place[parent]
    # Trees are joined by runs that touch several above them, and by neighbours in a row.
    several = np.flatnonzero(high > low + 1)
    joins = [(a, int(tree[k])) for a, first, last in zip(
        tree[several].tolist(), low[several].tolist(), high[several].tolist())
        for k in range(first + 1, last)]
    beside = np.flatnonzero(end[:-1] == begin[1:])
    joins += zip(tree[beside].tolist(), tree[beside + 1].tolist())
    name = list(range(len(roots)))
    for a, b in joins:
        while name[a] != a:
            a = name[a]
        while name[b] != b:
            b = name[b]
        name[max(a, b)] = min(a, b)
    count = 0
    for k, other in enumerate(name):  # in place: names become numbers without gaps
        if other == k:
            name[k], count = count, count + 1
        else:
            name[k] = name[other]
    return np.array(name)[tree], count
