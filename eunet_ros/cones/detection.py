# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mask to cones in the image: connected pieces, separated and joined; NumPy only."""
from __future__ import annotations

from dataclasses import dataclass

from eunet_ros.cones.runs import bounds, find_runs, largest, MOST_CONES, Runs, Table, votes_of
from eunet_ros.cones.separation import separate
from eunet_ros.model.common.classes import ClassTable, cone_classes
import numpy as np

_FOOT = 0.12          # share of a cone's height that its base point is averaged over
_LIES = 1.12          # width by height from which a cone is knocked over
_GAP = 0.8            # greatest height of a missed stripe, by that of the upper piece


@dataclass(frozen=True)
class Cones(Table):
    """Cones of one image, one row each, nearest base (lowest in the image) first."""

    class_id: np.ndarray      # (n,) uint8
    confidence: np.ndarray    # (n,) float32 in 0 to 1, mean over its pixels; 1 if unknown
    box: np.ndarray           # (n, 4) int32 u0, v0, u1, v1 [px], u1 and v1 exclusive
    pixels: np.ndarray        # (n,) int32
    base: np.ndarray          # (n, 2) float32, middle of the lower edge [px]
    tip: np.ndarray           # (n, 2) float32, the same of the upper edge
    knocked_over: np.ndarray  # (n,) bool, as the others
    cut: np.ndarray           # touches the edge of what was segmented
    hidden: np.ndarray        # its base is cut or occluded
    topless: np.ndarray       # cut at its top

    def __len__(self) -> int:
        return len(self.class_id)


def find_cones(mask: np.ndarray, confidence: np.ndarray | None = None, min_pixels: int = 10,
               min_height: int = 4, region: slice | None = None,
               classes: ClassTable | None = None) -> Cones:
    """
    Find the cones in a mask, (h, w) uint8 class ids; at most the `MOST_CONES` largest.

    confidence: (h, w) uint8, 255 = certain; default 255. min_pixels, min_height: smallest cone
    [px]. region: rows that were segmented. classes: their sizes separate touching cones; default:
    config/classes.yaml. Raises ValueError for other arrays.
    """
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError('Expected a mask of class ids, (h, w) uint8, found '
                         f'{mask.dtype} of shape {mask.shape}.')
    if confidence is not None and (confidence.shape != mask.shape
                                   or confidence.dtype != np.uint8):
        raise ValueError(f'Expected the confidence as (h, w) uint8 of the size of the mask, '
                         f'{mask.shape}, found {confidence.dtype} of shape {confidence.shape}.')
    runs = find_runs(mask)
    if runs is None:
        points, flags = np.zeros((0, 2), np.float32), np.zeros(0, bool)
        return Cones(np.zeros(0, np.uint8), np.zeros(0, np.float32), np.zeros((0, 4), np.int32),
                     np.zeros(0, np.int32), points, points, flags, flags, flags, flags)
    runs, hidden, middle = separate(runs, mask.shape, classes or cone_classes())
    label, kept = _joined(runs)
    rows = (0, mask.shape[0]) if region is None else (region.start, region.stop)
    found = _describe(runs, label, len(kept), mask.shape[1], rows, hidden[kept], middle[kept],
                      confidence)
    high = found.box[:, 3] - found.box[:, 1]
    found = found.select((found.pixels >= min_pixels) & (found.cut | (high >= min_height)))
    if len(found) > MOST_CONES:  # noise
        found = found.select(largest(found.pixels, MOST_CONES))
    return found.select(np.argsort(-found.base[:, 1], kind='stable'))


def number_cones(mask: np.ndarray, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers (h, w) int32 of all cones, 0 for none, and their class ids (h, w) uint8."""
    numbers, ids, runs = np.zeros(mask.shape, np.int32), np.zeros_like(mask), find_runs(mask)
    if runs is not None:
        runs = separate(runs, mask.shape, classes)[0]
        label, kept = _joined(runs)
        places, size = runs.places(mask.shape[1]), runs.stop - runs.start
        numbers.reshape(-1)[places] = np.repeat(label + 1, size)
        class_id = votes_of(runs, label, len(kept), size).argmax(1).astype(np.uint8)
        ids.reshape(-1)[places] = np.repeat(class_id[label], size)
    return numbers, ids


def _middle(runs: Runs, label: np.ndarray, count: int, within: np.ndarray) -> np.ndarray:
    """Return the mean column of the pixels of some runs, by label."""
    start, stop, label = runs.start[within], runs.stop[within], label[within]
    size = stop - start
    sums = np.bincount(label, size * (start + stop - 1), minlength=count)
    return 0.5 * sums / np.bincount(label, size, minlength=count)


def _describe(runs: Runs, label: np.ndarray, count: int, width: int, rows: tuple[int, int],
              hidden: np.ndarray, middle: np.ndarray, confidence: np.ndarray | None) -> Cones:
    """Describe the cones that runs belong to; width: of the image. See `separate`."""
    size = runs.stop - runs.start
    pixels = np.bincount(label, size, minlength=count)
    trust = size
    if confidence is not None:
        of_pixels = confidence.reshape(-1)[runs.places(width)].astype(np.float64)
        trust = np.add.reduceat(of_pixels, np.cumsum(size) - size) / 255
    votes = votes_of(runs, label, count, trust)
    u0, u1, v0, v1 = bounds(runs, label, count)
    tall = v1 - v0
    band = np.maximum(1, np.rint(_FOOT * tall))
    foot = _middle(runs, label, count, runs.row >= (v1 - band)[label])
    foot = np.where(np.isnan(middle), foot, middle)
    top = _middle(runs, label, count, runs.row < (v0 + band)[label])
    topless, ends = v0 <= rows[0], v1 >= rows[1]
    cut = (u0 == 0) | (u1 == width) | topless | ends
    return Cones(
        votes.argmax(1).astype(np.uint8),
        (votes.sum(1) / np.maximum(pixels, 1)).astype(np.float32),
        np.stack([u0, v0, u1, v1], axis=1).astype(np.int32), pixels.astype(np.int32),
        np.stack([foot, v1 - 0.5], axis=1).astype(np.float32),
        np.stack([top, v0 - 0.5], axis=1).astype(np.float32),
        ((u1 - u0) > _LIES * tall) & ~cut & ~hidden, cut, hidden | ends, topless)


def _joined(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Join pieces that a missed stripe parts; returns new labels, and the lowest old ones."""
    count, size = runs.count, runs.stop - runs.start
    which = largest(np.bincount(runs.label, size, minlength=count), MOST_CONES)
    if len(which) < 2:
        return runs.label, np.arange(count)
    # First by place alone: few pieces are one above the other.
    u0, u1, v0, v1 = bounds(runs, runs.label, count)
    tall, middle = v1 - v0, 0.5 * (u0 + u1)
    gap = v0[which] - v1[which, None]      # [upper, lower]
    near = ((gap >= 0) & (gap <= np.maximum(2, _GAP * tall[which, None]))
            & (np.abs(middle[which, None] - middle[which])
               <= 0.25 * (u1 - u0)[which, None] + 1))
    i, j = np.nonzero(near)
    if not len(i):
        return runs.label, np.arange(count)
    votes = votes_of(runs, runs.label, count, size).argmax(1)
    order = np.argsort(runs.label, kind='stable')
    ends = np.searchsorted(runs.label[order], np.arange(count + 1))
    target = np.arange(count)
    from_below = np.lexsort((gap[i, j], -v1[which[i]]))  # three become one
    for upper, lower in zip(which[i[from_below]], which[j[from_below]]):
        if target[upper] != upper or votes[upper] != votes[lower]:
            continue
        foot, top = (_extent(runs, order[ends[piece]:ends[piece + 1]], rows) for piece, rows in (
            (upper, (v1[upper] - max(1, tall[upper] // 5), v1[upper])),
            (lower, (v0[lower], v0[lower] + max(1, tall[lower] // 5)))))
        # Below a missed stripe the cone is as wide as above; another cone's tip is much narrower
        # than the plate above it.
        if foot <= 1.2 * top + 1 and top <= 2.2 * foot + 1:
            target[upper] = target[lower]
    kept, place = np.unique(target, return_inverse=True)
    return place[runs.label], kept


def _extent(runs: Runs, own: np.ndarray, rows: tuple[int, int]) -> int:
    """Return the width of some runs within rows [begin, end)."""
    within = own[(runs.row[own] >= rows[0]) & (runs.row[own] < rows[1])]
    return int(runs.stop[within].max() - runs.start[within].min())
