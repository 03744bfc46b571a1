# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Resizes an image to the network's input, at the top left, and its logits back, on the CPU."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

# Mid grey in BGR, near zero once normalised.
PADDING_BGR = (104, 116, 124)
# Bits of a pixel of a mask beside its class; see `labels`.
SURE, WEAK = 0x40, 0x80
# With more boxes or more area than this, one pass over the whole image is cheaper.
_MAX_BOXES = 96
_MAX_SHARE = 0.15


@dataclass(frozen=True)
class Axis:
    """Bilinear interpolation: two inputs low ≤ high and the weight of high, for each output."""

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    @classmethod
    def make(cls, source: int, size: int) -> Axis:
        x = np.clip((np.arange(size) + 0.5) * (source / size) - 0.5, 0, source - 1)
        low = np.floor(x).astype(np.intp)
        return cls(low, np.minimum(low + 1, source - 1), (x - low).astype(np.float32))

    def span(self, start: int, stop: int) -> slice:
        """Return the outputs whose inputs all lie in start ≤ i < stop."""
        return slice(int(np.searchsorted(self.low, start)),
                     int(np.searchsorted(self.high, stop - 1, 'right')))


@dataclass(frozen=True)
class Fit:
    """The position of an image in the network's input; sizes are (height, width) [px]."""

    image: tuple[int, int]
    network: tuple[int, int]

    @cached_property
    def scaled(self) -> tuple[int, int]:
        """Return the size of the image inside the network's input."""
        (h, w), (net_h, net_w) = self.image, self.network
        scale = min(net_h / h, net_w / w)
        return (min(net_h, max(1, round(h * scale))), min(net_w, max(1, round(w * scale))))

    @cached_property
    def rows(self) -> Axis:
        return Axis.make(self.scaled[0], self.image[0])

    @cached_property
    def cols(self) -> Axis:
        return Axis.make(self.scaled[1], self.image[1])


@lru_cache(maxsize=16)
def fit(image: tuple[int, int], network: tuple[int, int]) -> Fit:
    """Return the Fit of an image in a network's input; cached, it holds interpolation tables."""
    return Fit(image, network)


def to_network(image: np.ndarray, plan: Fit, out: np.ndarray) -> None:
    """Write a (h, w, 3) uint8 image into the network's input (H, W, 3), padding included."""
    h, w = plan.scaled
    if (h, w) == plan.image:
        out[:h, :w] = image
    else:
        shrinks = h < plan.image[0] or w < plan.image[1]
        # Area averages do not alias; at exactly one half bilinear is the same and faster.
        exact_half = plan.image == (2 * h, 2 * w)
        how = cv2.INTER_AREA if shrinks and not exact_half else cv2.INTER_LINEAR
        target = out[:h, :w]
        resized = cv2.resize(image, (w, h), dst=target, interpolation=how)
        if resized is not target:
            target[:] = resized
    out[h:] = PADDING_BGR
    out[:h, w:] = PADDING_BGR


def with_background(logits: np.ndarray) -> np.ndarray:
    """Add the background's logit, zero, to a binary network's: (1, h, w) to (2, h, w)."""
    return np.concatenate((np.zeros_like(logits), logits)) if len(logits) == 1 else logits


def _of_image(logits: np.ndarray, plan: Fit) -> np.ndarray:
    """Return the logits of all classes without the padding, (C, h, w)."""
    h, w = plan.scaled
    return with_background(logits)[:, :h, :w]


def _enlarged(plane: np.ndarray, plan: Fit) -> np.ndarray:
    return cv2.resize(plane, plan.image[::-1], interpolation=cv2.INTER_LINEAR)


def labels(logits: np.ndarray, plan: Fit, thresholds: tuple[float, float] = (0, 0)) -> np.ndarray:
    """
    Return the classes (h, w) uint8 of logits (C, H, W) interpolated to the image.

    thresholds: (low, high) logits of the best cone class over the background's. Not (0, 0): what
    is above low is a cone, with the bits WEAK below 0 and SURE from high on; see `pieces.settle`.
    """
    logits = _of_image(logits, plan)
    # Outside of the boxes, between background pixels, there is only background.
    boxes = _boxes(logits, thresholds[0])
    area = sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in boxes)
    if len(boxes) > _MAX_BOXES or area > _MAX_SHARE * logits[0].size:
        return _decide([_enlarged(plane, plan) for plane in logits], thresholds)
    mask = np.zeros(plan.image, np.uint8)
    for y0, y1, x0, x1 in boxes:
        rows, cols = plan.rows.span(y0, y1), plan.cols.span(x0, x1)
        part = logits[:, y0:y1, x0:x1]
        part = _interpolate(part, _shift(plan.rows, rows, y0), _shift(plan.cols, cols, x0))
        mask[rows, cols] = _decide(part, thresholds)
    return mask


def confidence(logits: np.ndarray, plan: Fit, low: float = 0) -> np.ndarray:
    """Return the probability of the chosen class, (h, w) uint8, from logits (C, H, W)."""
    logits = _of_image(logits, plan)
    shifted = logits - _chosen(logits, low)
    odds = cv2.exp(shifted.reshape(-1, shifted.shape[2])).reshape(shifted.shape)
    return _enlarged((1 / odds.sum(0) * 255 + 0.5).astype(np.uint8), plan)


def confidence_of_cones(logits: np.ndarray, plan: Fit, mask: np.ndarray,
                        low: float = 0) -> np.ndarray:
    """Return `confidence` where the mask (h, w) has cones, undefined elsewhere; much faster."""
    logits = _of_image(logits, plan)
    near = np.zeros(plan.scaled, np.uint8)
    rows, cols = np.divmod(np.flatnonzero(mask > 0), mask.shape[1])
    near[plan.rows.low[rows], plan.cols.low[cols]] = 1
    # The other three pixels for the interpolation are to the right and below.
    near = cv2.dilate(near, np.ones((2, 2), np.uint8), anchor=(1, 1))
    rows, cols = np.nonzero(near)
    some = logits[:, rows, cols]  # (C, n)
    quantised = np.zeros(plan.scaled, np.uint8)
    if some.size:
        odds = cv2.exp(some - _chosen(some, low)).reshape(some.shape).sum(0)
        quantised[rows, cols] = 255 / odds + 0.5
    return _enlarged(quantised, plan)


def cone_probability(logits: np.ndarray, plan: Fit) -> np.ndarray:
    """Return the probability of any cone, (h, w) float32, from logits (C, H, W)."""
    logits = _of_image(logits, plan)
    odds = np.exp(logits - _maximum(logits))
    return _enlarged(1 - odds[0] / odds.sum(0), plan)


def _chosen(logits: np.ndarray, low: float) -> np.ndarray:
    """Return the logit of the class that `labels` chooses."""
    if not low:
        return _maximum(logits)
    best = _maximum(logits[1:])
    return np.where(best > logits[0] + low, best, logits[0])


def _maximum(logits: np.ndarray) -> np.ndarray:
    best = logits[0].copy()
    for plane in logits[1:]:
        np.maximum(best, plane, out=best)
    return best


def _boxes(logits: np.ndarray, low: float) -> list[tuple[int, int, int, int]]:
    """Return (y0, y1, x0, x1) boxes, one pixel wider than what is not background."""
    other = (_maximum(logits[1:]) > logits[0] + low).view(np.uint8)
    if not cv2.countNonZero(other):
        return []
    # Dilated by one: an interpolated pixel depends on pixels up to one pixel away.
    grown = cv2.dilate(other, np.ones((3, 3), np.uint8))
    outlines = cv2.findContours(grown, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    return [(y, y + h, x, x + w) for x, y, w, h in map(cv2.boundingRect, outlines)]


def _shift(axis: Axis, span: slice, offset: int) -> Axis:
    return Axis(axis.low[span] - offset, axis.high[span] - offset, axis.weight[span])


def _interpolate(logits: np.ndarray, rows: Axis, cols: Axis) -> np.ndarray:
    """Interpolate (C, h, w) to (C, len(rows), len(cols))."""
    wy = rows.weight[:, None]
    tall = logits[:, rows.low] * (1 - wy) + logits[:, rows.high] * wy
    return tall[:, :, cols.low] * (1 - cols.weight) + tall[:, :, cols.high] * cols.weight


def _decide(planes: Sequence[np.ndarray], thresholds: tuple[float, float]) -> np.ndarray:
    low, high = thresholds
    if not any(thresholds):
        return _argmax(planes)
    ids = _argmax([planes[0] + low, *planes[1:]])
    over = _maximum(planes[1:]) - planes[0]
    bits = (over < 0) * np.uint8(WEAK) + (over >= high) * np.uint8(SURE)
    return ids | bits * (ids > 0)


def _argmax(planes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the index of the first largest plane as uint8; faster than argmax for few."""
    best, ids = planes[0].copy(), np.zeros(planes[0].shape, np.uint8)
    for i, plane in enumerate(planes[1:], 1):
        wins = plane > best
        np.maximum(best, plane, out=best)
        # Later planes have larger ids: where one wins it overwrites the smaller id.
        np.maximum(ids, wins.view(np.uint8) * np.uint8(i), out=ids)
    return ids
