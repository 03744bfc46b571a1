# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
From a mask to cones in the image; no ROS, nothing but OpenCV and NumPy.

Connected pixels of any cone class are one candidate: its class is voted, so that a few pixels of
another colour do not make another cone. Candidates in which several cones touch are cut where
their outline says so, and pieces of a cone whose stripe was missed are joined.
"""
from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

_FOOT = 0.12          # share of a cone's height that its base point is averaged over
_LIES = 1.12          # a cone is wider than so many times its height only when it lies
_OWN_SHARE = 0.22     # of a candidate that a second class must have to be a cone of its own
_SOLID = 0.86         # share of its convex hull that a single cone covers, at least
_SMALL = 8            # pixels of height; below, an outline says nothing of what touches
_GAP = 0.8            # of the upper piece's height that a missed stripe is high, at most
_PLATE = 0.14         # height of the plate's picture as a share of a cone's, or of its width
_RATIOS = (0.95, 1.05, 1.15, 1.25, 1.35, 1.45, 1.6)  # height of a cone's picture over its width
_CRUMB = 0.05         # of a candidate; smaller pieces are no cones
_MOST_PARTS = 12


@dataclass(frozen=True)
class Cones:
    """
    Cones of one image, one row each, nearest base (lowest in the image) first.

    class_id: (n,) uint8. confidence: (n,) float32, 0 to 1, mean over its pixels; 1 where none was
    given. box: (n, 4) int32 u0, v0, u1, v1 in pixels, u1 and v1 exclusive. pixels: (n,) int32.
    base: (n, 2) float32 u, v of the middle of its lower edge, in pixels, pixel centres at whole
    numbers. knocked_over, cut: (n,) bool; cut: it touches the image's edge.
    """

    class_id: np.ndarray
    confidence: np.ndarray
    box: np.ndarray
    pixels: np.ndarray
    base: np.ndarray
    knocked_over: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.class_id)

    def select(self, which: np.ndarray) -> Cones:
        """Return rows by a mask or by indices."""
        return Cones(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def find_cones(mask: np.ndarray, confidence: np.ndarray | None = None, min_pixels: int = 10,
               min_height: int = 4) -> Cones:
    """
    Find the cones in a mask.

    mask: (h, w) uint8 class ids, 0 is background. confidence: (h, w) uint8, 255 = certain.
    min_pixels, min_height: what is smaller is left out [px]. Raises ValueError for other arrays.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(f'Expected a mask of class ids, (h, w) uint8, found {mask.dtype} of shape '
                         f'{mask.shape}.')
    if confidence is not None and (confidence.shape != mask.shape
                                   or confidence.dtype != np.uint8):
        raise ValueError(f'Expected the confidence as (h, w) uint8 of the size of the mask, '
                         f'{mask.shape}, found {confidence.dtype} of shape {confidence.shape}.')
    left, top, width, height = cv2.boundingRect(mask)
    window = mask[top:top + height, left:left + width]
    if not window.size:
        return _describe(np.zeros(0, np.int32), *(np.zeros(0, np.int64),) * 3, None, mask.shape)
    window = np.ascontiguousarray(window)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.compare(window, 0, cv2.CMP_GT), connectivity=8, ltype=cv2.CV_32S)
    places = np.flatnonzero(window)
    label, classes = labels.reshape(-1)[places] - 1, window.reshape(-1)[places].astype(np.int64)
    v, u = np.divmod(places, width)
    weight = None
    if confidence is not None:
        weight = confidence[top:top + height, left:left + width].reshape(-1)[places]
    label, count = _separated(window, labels, stats[1:], label, classes, places)
    label, count = _joined(label, count, classes, u, v)
    found = _describe(label, classes, u + left, v + top, weight, mask.shape)
    box = found.box
    keep = (found.pixels >= min_pixels) & (box[:, 3] - box[:, 1] >= min_height)
    keep |= found.cut & (found.pixels >= min_pixels)
    found = found.select(keep)
    return found.select(np.argsort(-found.base[:, 1], kind='stable'))


def _bounds(label: np.ndarray, count: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.full(count, 1 << 30), np.full(count, -1)
    np.minimum.at(low, label, values)
    np.maximum.at(high, label, values)
    return low, high


def _describe(label: np.ndarray, classes: np.ndarray, u: np.ndarray, v: np.ndarray,
              weight: np.ndarray | None, shape: tuple[int, int]) -> Cones:
    """Describe the cones that pixels belong to: of each its cone, class, column and row."""
    count = int(label.max()) + 1 if len(label) else 0
    pixels = np.bincount(label, minlength=count)
    trust = np.full(len(label), 1.0) if weight is None else weight * (1 / 255)
    total = np.bincount(label, trust, minlength=count)
    votes = np.bincount(label * 256 + classes, trust, minlength=256 * count).reshape(count, 256)
    (u0, u1), (v0, v1) = _bounds(label, count, u), _bounds(label, count, v)
    u1, v1 = u1 + 1, v1 + 1
    foot = v >= (v1 - np.maximum(1, np.rint(_FOOT * (v1 - v0))))[label]
    middle = np.bincount(label[foot], u[foot], minlength=count) / np.maximum(
        np.bincount(label[foot], minlength=count), 1)
    cut = (u0 == 0) | (v0 == 0) | (u1 == shape[1]) | (v1 == shape[0])
    box = np.stack([u0, v0, u1, v1], axis=1).astype(np.int32).reshape(count, 4)
    return Cones(
        votes.argmax(1).astype(np.uint8), (total / np.maximum(pixels, 1)).astype(np.float32), box,
        pixels.astype(np.int32), np.stack([middle, v1 - 0.5], axis=1).astype(np.float32),
        ((u1 - u0) > _LIES * (v1 - v0)) & ~cut, cut)


def _separated(window: np.ndarray, labels: np.ndarray, stats: np.ndarray, label: np.ndarray,
               classes: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, int]:
    """
    Return a new label of each pixel, where candidates of several cones are taken apart.

    window, labels: class ids and candidates (from 1) by pixel; label, classes, places: of the
    pixels that are not background, candidates from 0.
    """
    count = len(stats)
    shares = np.bincount(label * 256 + classes, minlength=256 * count).reshape(count, 256)
    mixed = np.partition(shares, -2, axis=1)[:, -2] >= _OWN_SHARE * stats[:, cv2.CC_STAT_AREA]
    tall = stats[:, cv2.CC_STAT_HEIGHT] >= _SMALL
    suspects = np.flatnonzero(tall & (mixed | (_solidity(labels, stats) < _SOLID)))
    if not len(suspects):
        return label, count
    renamed = labels - 1
    for k in suspects:
        left, top, width, height = stats[k, :4]
        box = np.s_[top:top + height, left:left + width]
        own = labels[box] == k + 1
        parts = _take_apart(np.where(own, window[box], 0))
        for part in range(2, int(parts.max()) + 1):
            renamed[box][parts == part] = count
            count += 1
    return renamed.reshape(-1)[places], count


def _solidity(labels: np.ndarray, stats: np.ndarray) -> np.ndarray:
    """Return each candidate's share of its convex hull; a cone's is high."""
    solid = np.ones(len(stats))
    for k, (left, top, width, height, area) in enumerate(stats.tolist()):
        if height < _SMALL or width < 4:
            continue
        own = labels[top:top + height, left:left + width] == k + 1
        first = own.argmax(axis=1)
        last = width - 1 - own[:, ::-1].argmax(axis=1)
        rows = np.arange(height)
        outline = np.empty((2 * height, 1, 2), np.int32)
        outline[:, 0, 0], outline[:, 0, 1] = np.append(first, last + 1), np.append(rows, rows)
        hull = cv2.contourArea(cv2.convexHull(outline)) + 0.5 * (last[0] - first[0]
                                                                 + last[-1] - first[-1] + 2)
        solid[k] = area / max(hull, area)
    return solid


def _take_apart(ids: np.ndarray) -> np.ndarray:
    """
    Return the part, from 1, of each pixel of a candidate (h, w), 0 outside of it.

    The lowest cone is the nearest: what lies within its outline is its own, and the rest is looked
    at again.
    """
    parts = np.zeros(ids.shape, np.int32)
    rest = ids > 0
    smallest = max(6, _CRUMB * int(rest.sum()))
    number = 0
    while rest.sum() >= smallest and number < _MOST_PARTS:
        number += 1
        own = rest & _lowest_outline(rest, ids)
        if not own.any():
            own = rest.copy()
        parts[own] = number
        rest &= ~own
        # Crumbs along the outline are its own, too.
        n, pieces, stats, _ = cv2.connectedComponentsWithStats(rest.view(np.uint8), connectivity=8)
        for piece in range(1, n):
            if (stats[piece, cv2.CC_STAT_AREA] < max(smallest, 0.12 * own.sum())
                    and stats[piece, cv2.CC_STAT_HEIGHT] < 0.6 * np.ptp(np.nonzero(own)[0]) + 2):
                crumb = pieces == piece
                parts[crumb] = number
                rest &= ~crumb
    parts[rest] = number
    return parts


def _lowest_outline(rest: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return where (h, w) the lowest cone of `rest` is, from its foot and a cone's proportions."""
    height, width = rest.shape
    bottom = int(np.flatnonzero(rest.any(axis=1))[-1])
    kind = np.bincount(ids[max(0, bottom - 2):bottom + 1][rest[max(0, bottom - 2):bottom + 1]]
                       ).argmax()
    same = rest & (ids == kind)
    if not same[bottom].any():
        same = rest
    start, stop = _longest_run(same[bottom])
    best, row = (start, stop), bottom
    while row > 0 and bottom - row <= _PLATE * (best[1] - best[0]) + 1:
        row -= 1
        start, stop = _run_over(same[row], start, stop)
        if stop <= start:
            break
        if stop - start > best[1] - best[0]:
            best = start, stop
    wide, middle = best[1] - best[0], 0.5 * (best[0] + best[1] - 1)
    x = np.abs(np.arange(width) - middle)
    up = bottom - np.arange(height)[:, None]
    scores, outlines = [], []
    for ratio in _RATIOS:
        share = up / (ratio * wide)
        half = np.where(share < _PLATE, 0.5 * wide + 0.5, wide * (0.43 - 0.33 * share) + 0.5)
        inside = (x <= half) & (share >= 0) & (share <= 1)
        hits = int((inside & same).sum())
        scores.append(hits - 2 * (int(inside.sum()) - hits) - 0.4 * hits * abs(ratio - 1.25))
        outlines.append((x <= half + 0.05 * wide + 0.5) & (up >= 0) & (share <= 1))
    return outlines[int(np.argmax(scores))]


def _longest_run(row: np.ndarray) -> tuple[int, int]:
    edges = np.flatnonzero(np.diff(row, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    longest = int((stops - starts).argmax())
    return int(starts[longest]), int(stops[longest])


def _run_over(row: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Return the run of a row that overlaps [start, stop) most, or an empty one."""
    edges = np.flatnonzero(np.diff(row, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    overlap = np.minimum(stops, stop) - np.maximum(starts, start)
    if not len(overlap) or overlap.max() <= 0:
        return 0, 0
    most = int(overlap.argmax())
    return int(starts[most]), int(stops[most])


def _joined(label: np.ndarray, count: int, classes: np.ndarray, u: np.ndarray,
            v: np.ndarray) -> tuple[np.ndarray, int]:
    """Join an upper piece to the lower one that a missed stripe parts it from."""
    if count < 2:
        return label, count
    votes = np.bincount(label * 256 + classes, minlength=256 * count).reshape(count, 256).argmax(1)
    (u0, u1), (v0, v1) = _bounds(label, count, u), _bounds(label, count, v)
    tall = v1 - v0 + 1
    band = np.maximum(1, np.rint(0.2 * tall))
    at_foot, at_top = v > (v1 - band)[label], v < (v0 + band)[label]
    (f0, f1), (t0, t1) = (_bounds(label[part], count, u[part]) for part in (at_foot, at_top))
    foot, top, middle = f1 - f0 + 1, t1 - t0 + 1, 0.5 * (u0 + u1)
    gap = v0[None] - v1[:, None] - 1      # [upper, lower]
    # Where a stripe is missing, the cone goes on as wide as it broke off; another cone's tip is
    # much narrower than the plate above it.
    joins = ((gap >= 0) & (gap <= np.maximum(2, _GAP * tall[:, None]))
             & (np.abs(middle[:, None] - middle) <= 0.25 * np.maximum(foot[:, None], 3))
             & (foot[:, None] <= 1.2 * top + 1) & (top <= 2.2 * foot[:, None] + 1)
             & (votes[:, None] == votes))
    if not joins.any():
        return label, count
    target = np.arange(count)
    for upper in np.argsort(-v1):  # from below, so that three pieces become one
        below = np.flatnonzero(joins[upper])
        if len(below):
            target[upper] = target[below[gap[upper, below].argmin()]]
    kept, target = np.unique(target, return_inverse=True)
    return target[label], len(kept)
