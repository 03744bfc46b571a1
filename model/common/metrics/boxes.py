# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labelled boxes against a mask; rows of u0, v0, u1, v1 [px], u1 and v1 exclusive."""
from __future__ import annotations

from typing import Any, NamedTuple

from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.model.common.metrics.cones import height_bin, HEIGHT_BINS
from eunet_ros.model.common.metrics.false_cones import find_false_cones
from eunet_ros.model.common.metrics.pixels import ratio_or_none
import numpy as np

TOUCHED_SHARE = 0.15  # of a box's pixels that are predicted as any cone
FOUND_IOU = 0.3       # of a label and a predicted box; labels are often loose
NOT_SAID = 0          # class of a label that is a cone of any class
_DIGITS = 2           # of a pixel: labels as shares of an image's size are off by less


class BoxOutcomes(NamedTuple):
    """The result of each label of an image, (n,), without those to ignore."""

    height: np.ndarray     # of the part within the image [px]
    touched: np.ndarray    # bool, as found
    found: np.ndarray
    class_id: np.ndarray   # of the label
    taken_for: np.ndarray  # most frequent cone class in its box, 0 for none


def box_outcomes(labels: np.ndarray, class_id: np.ndarray, mask: np.ndarray,
                 predicted: np.ndarray) -> BoxOutcomes:
    """
    Return which labels are touched and found, and as which class.

    A label is touched if at least TOUCHED_SHARE of its box is any cone in the mask. It is found if
    a predicted box has an IoU of at least FOUND_IOU with it; pairs are made from the highest IoU
    down, each box once. In a tie of classes the label counts as the other class.

    labels: (n, 4) float. class_id: (n,), NOT_SAID, a class, or IGNORE_ID for a region to ignore.
    mask: (h, w) uint8 class ids. predicted: (m, 4), of the cones in the mask.
    """
    counts_as_label = class_id != IGNORE_ID
    boxes, class_id = _within(labels[counts_as_label], mask), class_id[counts_as_label]
    seen, area = np.zeros((len(boxes), 256), np.int64), np.ones(len(boxes), np.int64)
    for k, (u0, v0, u1, v1) in enumerate(_whole_pixels(boxes)):
        pixels = mask[v0:v1, u0:u1].reshape(-1)
        seen[k], area[k] = np.bincount(pixels, minlength=256), max(1, pixels.size)
    seen[:, 0] = 0
    votes = 2 * seen
    votes[np.arange(len(boxes)), class_id] -= 1  # a draw does not name the true class
    height = np.round(boxes[:, 3] - boxes[:, 1], _DIGITS)
    return BoxOutcomes(height, seen.sum(1) >= TOUCHED_SHARE * area,
                       _matched(boxes, predicted), class_id,
                       np.where(seen.any(1), votes.argmax(1), 0))


def count_false_cones(labels: np.ndarray, class_id: np.ndarray, mask: np.ndarray) -> int:
    """Return the number of false cones, see `find_false_cones`, with each label a true cone."""
    truth = np.zeros_like(mask)
    boxes = _whole_pixels(_within(labels, mask))
    for value, which in ((IGNORE_ID, class_id == IGNORE_ID), (1, class_id != IGNORE_ID)):
        for u0, v0, u1, v1 in boxes[which]:
            truth[v0:v1, u0:u1] = value
    return len(find_false_cones(truth, mask).pixels)


def count_boxes(outcomes: BoxOutcomes) -> np.ndarray:
    """Return counts (bins, 5): labels, touched, found, touched of known class, right class."""
    known = outcomes.touched & (outcomes.class_id != NOT_SAID)
    counts = np.zeros((len(HEIGHT_BINS), 5), np.int64)
    np.add.at(counts, height_bin(outcomes.height), np.stack([
        np.ones_like(known), outcomes.touched, outcomes.found, known,
        known & (outcomes.taken_for == outcomes.class_id)], axis=1))
    return counts


def box_row(counts: np.ndarray) -> dict[str, Any]:
    """Return a row of `count_boxes`, or their sum, with its ratios."""
    boxes, touched, found, known, right = (int(count) for count in counts)
    return {'boxes': boxes, 'touched': touched, 'touched_rate': ratio_or_none(touched, boxes),
            'found': found, 'found_rate': ratio_or_none(found, boxes),
            'class_known': known, 'class_right': right,
            'class_right_rate': ratio_or_none(right, known)}


def _within(boxes: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return boxes cut at the edges of the image."""
    height, width = mask.shape
    return np.clip(np.round(boxes, _DIGITS), 0, [width, height, width, height])


def _whole_pixels(boxes: np.ndarray) -> np.ndarray:
    """Return boxes grown to whole pixels, as integers."""
    return np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(np.int64)


def _matched(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return which labels have a predicted box of their own, (n,) bool."""
    low = np.maximum(labels[:, None, :2], predicted[None, :, :2])
    high = np.minimum(labels[:, None, 2:], predicted[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=2)
    mine, theirs = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (labels, predicted))
    iou = both / np.maximum(mine[:, None] + theirs - both, 1e-9)
    matched, taken = np.zeros(len(labels), bool), np.zeros(len(predicted), bool)
    for place in np.argsort(-iou, axis=None, kind='stable'):
        k, j = np.unravel_index(place, iou.shape)
        if iou[k, j] < FOUND_IOU:
            break
        if not matched[k] and not taken[j]:
            matched[k] = taken[j] = True
    return matched
