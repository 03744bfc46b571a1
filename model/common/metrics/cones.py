# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""True cones that are found, and found as their class; recall by their height in the image."""
from __future__ import annotations

from typing import Any, NamedTuple

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.model.common.metrics.pixels import ratio_or_none
import numpy as np

# Heights of what shows of a cone, in pixels of the image: from each edge up to below the next.
HEIGHT_EDGES = (10, 20, 40)
HEIGHT_BINS = ('<10', '10-19', '20-39', '>=40')
MISSED = 0  # what a cone is taken for that is not found


class ConePixels(NamedTuple):
    """Pixels of true cones: flat indices (m,), ascending within a cone, and cone numbers (m,)."""

    place: np.ndarray
    cone: np.ndarray


class ConeOutcomes(NamedTuple):
    """Per true cone, (n,): its number, height [px], true class, predicted class or MISSED."""

    cone: np.ndarray
    height: np.ndarray
    true_class: np.ndarray
    taken_for: np.ndarray


def height_bin(height: int | np.ndarray) -> np.ndarray:
    """Return the number of the HEIGHT_BINS that a height in pixels is in."""
    return np.searchsorted(HEIGHT_EDGES, height, 'right')


def numbered_cones(truth: np.ndarray, numbers: np.ndarray) -> ConePixels:
    """Return the pixels of cones from their numbers (h, w), 0 for none; raises ValueError."""
    if numbers.shape != truth.shape or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f'Expected instances as a map of {truth.shape} whole numbers, found '
                         f'{numbers.shape} {numbers.dtype}.')
    place = np.flatnonzero(truth != 0)
    cone = numbers.reshape(-1)[place].astype(np.int64)
    if cone.size and (cone.min() < 0 or cone.max() > 0xffff):
        raise ValueError('Expected an instance map of numbers from 0 to 65535, found '
                         f'{cone.min()} to {cone.max()}: number the cones of an image from 1.')
    return ConePixels(place[cone > 0], cone[cone > 0])


def boxed_cones(truth: np.ndarray, boxes: np.ndarray) -> ConePixels:
    """Return the pixels of a class in boxes (n, 5): class, u0, v0, u1, v1 (exclusive) [px]."""
    places, cones = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k, (class_id, u0, v0, u1, v1) in enumerate(np.asarray(boxes, np.int64).reshape(-1, 5)):
        rows, columns = np.nonzero(truth[v0:v1, u0:u1] == class_id)
        places.append((rows + v0) * truth.shape[1] + columns + u0)
        cones.append(np.full(len(rows), k))
    return ConePixels(np.concatenate(places), np.concatenate(cones))


def label_parts(part: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the labels, from 0, of a mask's pixels at flat `places`, and their number."""
    if not len(places):
        return np.zeros(0, np.int64), 0
    rows, columns = np.divmod(places, part.shape[1])
    top, left = rows[0], columns.min()
    window = part[top:rows[-1] + 1, left:columns.max() + 1]
    count, labels = cv2.connectedComponents(window.view(np.uint8), connectivity=8)
    return labels[rows - top, columns - left].astype(np.int64) - 1, count - 1


def part_boxes(mask: np.ndarray) -> np.ndarray:
    """Return the boxes u0, v0, u1, v1 of the 8-connected parts of a mask, any class, (n, 4)."""
    stats = cv2.connectedComponentsWithStats((mask != 0).view(np.uint8), connectivity=8)[2][1:, :4]
    return np.hstack([stats[:, :2], stats[:, :2] + stats[:, 2:]])


def connected_cones(truth: np.ndarray) -> ConePixels:
    """Take the 8-connected parts of each class of a true mask for cones, numbered from 0."""
    places, cones, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for class_id in np.unique(truth):
        if class_id not in (0, IGNORE_ID):
            part = truth == class_id
            places.append(np.flatnonzero(part))
            labels, found = label_parts(part, places[-1])
            cones.append(labels + count)
            count += found
    return ConePixels(np.concatenate(places), np.concatenate(cones))


def cone_outcomes(truth: np.ndarray, predicted: np.ndarray, pixels: ConePixels) -> ConeOutcomes:
    """
    Return which cones are found, and as what, from masks (h, w) of class ids.

    A cone is found if at least half of its pixels are predicted as any cone. Its class is the most
    frequent one on it; in a tie it counts as another class.
    """
    cones, ids = np.unique(pixels.cone, return_inverse=True)
    rows = pixels.place // truth.shape[1]
    # Pixels of a cone come from top to bottom, and of repeated indices the last one is kept.
    top, bottom = np.zeros((2, len(cones)), np.int64)
    top[ids[::-1]] = rows[::-1]
    bottom[ids] = rows
    t, p = truth.reshape(-1)[pixels.place], predicted.reshape(-1)[pixels.place]
    known = t != IGNORE_ID
    ids, t, p = ids[known], t[known], p[known]
    n = 1 + int(max(t.max(initial=1), p.max(initial=1)))
    shape = (len(cones), n)
    true = np.bincount(ids * n + t, minlength=len(cones) * n).reshape(shape)
    seen = np.bincount(ids * n + p, minlength=len(cones) * n).reshape(shape)
    classes = true.argmax(1)
    votes = 2 * seen
    votes[np.arange(len(cones)), classes] -= 1  # a draw does not name the true class
    found = 2 * seen[:, 1:].sum(1) >= true.sum(1)
    outcomes = ConeOutcomes(cones, bottom - top + 1, classes,
                            np.where(found, 1 + votes[:, 1:].argmax(1), MISSED))
    return ConeOutcomes(*(values[true.any(1)] for values in outcomes))


def count_cones(height: np.ndarray, true_class: np.ndarray, taken_for: np.ndarray,
                num_classes: int) -> np.ndarray:
    """Return counts [height bin, true class, taken for], (bins, n + 1, n + 1); last: unknown."""
    most = 1 if num_classes == 2 else num_classes  # of two, every cone is the second
    counts = np.zeros((len(HEIGHT_BINS), num_classes + 1, num_classes + 1), np.int64)
    place = height_bin(height), np.minimum(true_class, most), np.minimum(taken_for, most)
    np.add.at(counts, place, 1)
    return counts


def recall_row(cones: int, found: int, right: int) -> dict[str, Any]:
    """Return counts of cones, of those found, of those found as their class, and the ratios."""
    return {'cones': int(cones), 'found': int(found), 'recall': ratio_or_none(found, cones),
            'found_right_class': int(right), 'recall_right_class': ratio_or_none(right, cones)}


def recall(counts: np.ndarray) -> dict[str, Any]:
    return recall_row(counts.sum(), counts[:, 1:].sum(), np.trace(counts[:-1, :-1]))


def recall_by_height(counts: np.ndarray) -> dict[str, dict[str, Any]]:
    return {name: recall(table) for name, table in zip(HEIGHT_BINS, counts)}
