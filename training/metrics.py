# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Scores of masks against ground truth: by pixel, and by cone.

Nothing is averaged over images: counts of the whole set are added up before a ratio is taken, as
the Pascal VOC and Cityscapes benchmarks do. Masks are compared at the original image's size; a
network's small output is scaled up first, so networks of different input sizes compare fairly.
Pixels that are 255 in the truth count nowhere. What nothing was counted for is None, never NaN.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
import numpy as np
import torch
from torchmetrics.classification import MulticlassConfusionMatrix

# Heights of a cone, in pixels of the original image: from each edge up to below the next.
HEIGHT_EDGES = (10, 20, 40)
HEIGHT_BINS = ('<10', '10-19', '20-39', '>=40')
# A predicted blob is a false cone where less than one in so many of its pixels is a true cone's.
FALSE_CONE_ONE_IN = 10
MIN_FALSE_PIXELS = 12  # of a blob that counts


class SegmentationMetrics:
    """
    Counts over a set of images; `compute` turns them into scores.

    `min_pixels` is the size from which a predicted blob on the background is a false cone.

    >>> from eunet_ros.model.common.classes import BINARY_CLASSES
    >>> metrics = SegmentationMetrics(BINARY_CLASSES)
    >>> metrics.update(np.array([[0, 1, 0]], np.uint8), np.array([[0, 1, 1]], np.uint8))
    >>> metrics.to_report()['dice'], metrics.to_report()['binary_iou']
    (0.6667, 0.5)
    """

    def __init__(self, classes: ClassTable, min_pixels: int = MIN_FALSE_PIXELS) -> None:
        if min_pixels < 1:
            raise ValueError(f'min_pixels must be at least 1, found {min_pixels}.')
        self.classes, self.min_pixels = classes, min_pixels
        n = len(classes.names)
        # Ids are checked here, on the few pixels that are not background in both.
        self._confusion = MulticlassConfusionMatrix(n, validate_args=False)
        self._heights = np.zeros((len(HEIGHT_BINS), 3), np.int64)  # cones, found, right class
        self._colors = np.zeros((n, n), np.int64)  # [true, predicted] class of found cones
        self._images = self._ignored = self._false_cones = 0

    def update(self, predicted: np.ndarray, truth: np.ndarray,
               instances: np.ndarray | Sequence[Any] | None = None) -> None:
        """
        Count an image: `predicted` and `truth` are class ids, (h, w) uint8.

        `instances` says which pixels are one cone: an (h, w) map of whole numbers, 0 for none;
        or a sequence with, for each cone, a boolean (h, w) mask, or a box (u0, v0, u1, v1) in
        pixels, u1 and v1 exclusive. A cone is what `truth` calls a cone of these pixels, and its
        class is what most of them have; in a box only pixels of that class are its own. Without
        `instances`, the 8-connected parts of each class in `truth` are taken for cones: two that
        touch are one then, and one that a pole cuts is two. Raises ValueError where sizes,
        types or ids do not fit; nothing is counted then.
        """
        _check_masks(predicted, truth)
        width = truth.shape[1]
        flat_truth, flat_predicted = truth.reshape(-1), predicted.reshape(-1)
        # Most pixels are background in both: they are counted at once, the others one by one.
        index = np.flatnonzero(cv2.bitwise_or(truth, predicted).reshape(-1) != 0)
        t, p = flat_truth[index], flat_predicted[index]
        keep = t != IGNORE_ID
        self._check_ids(t[keep], 'The ground truth')
        self._check_ids(p, 'The prediction')
        owned, ids = _instance_pixels(truth, index[t != 0], instances)
        false_cones = self._count_false_cones(predicted, index[p != 0], t[p != 0])

        self._confusion.update(torch.from_numpy(p[keep]), torch.from_numpy(t[keep]))
        table = self._confusion.confmat.clone()
        table[0, 0] += truth.size - len(index)
        self._confusion.confmat = table
        self._count_cones(owned // width, ids, flat_truth[owned], flat_predicted[owned])
        self._false_cones += false_cones
        self._ignored += int(len(t) - keep.sum())
        self._images += 1

    def merge(self, other: SegmentationMetrics) -> None:
        """Add the counts of `other`; raises ValueError where its classes or sizes differ."""
        if (other.classes.names, other.min_pixels) != (self.classes.names, self.min_pixels):
            raise ValueError(
                'Only metrics of the same classes and min_pixels can be merged, found '
                f'{", ".join(self.classes.names)} with {self.min_pixels} and '
                f'{", ".join(other.classes.names)} with {other.min_pixels}.')
        # Not merge_state of TorchMetrics: it does not invalidate what compute() has cached.
        self._confusion.confmat = self._confusion.confmat + other._confusion.confmat
        self._heights += other._heights
        self._colors += other._colors
        self._images += other._images
        self._ignored += other._ignored
        self._false_cones += other._false_cones

    def compute(self) -> dict[str, Any]:
        """
        Return the scores, in plain Python numbers, lists and dicts; ratios are 0 to 1 or None.

        dice, binary_iou: of cone or not, whatever the class; None without a cone in either.
        iou: by class name, without the background; None for a class in neither.
        miou: mean IoU of the cone classes in the truth; a class that is only predicted lowers
        the IoU of those it took pixels from, and shows in `iou` as 0.
        recall, recall_by_height: of cones, see `recall_row`; a cone is found when at least half
        of its visible pixels are predicted as any cone. Its height is of what shows, in pixels.
        color_confusion: counts of found cones, rows true and columns predicted, of the classes
        without background; a cone's predicted class is the most frequent cone class on it, and
        where the true one is level with another, the other counts.
        false_cones: predicted 8-connected blobs of at least `min_pixels` of which less than a
        tenth lies on true cones; false_cones_per_image: their mean number.
        confusion: counts of pixels, rows true and columns predicted, background first.
        """
        table = self._confusion.confmat.numpy()
        names = self.classes.names
        hits = int(table[1:, 1:].sum())
        wrong = int(table[0, 1:].sum() + table[1:, 0].sum())
        union = table.sum(0) + table.sum(1) - np.diag(table)
        iou = [_ratio(h, u) for h, u in zip(np.diag(table), union)]
        present = [v for v, pixels in zip(iou[1:], table.sum(1)[1:]) if pixels]
        return {
            'images': self._images,
            'classes': list(names),
            'dice': _ratio(2 * hits, 2 * hits + wrong),
            'binary_iou': _ratio(hits, hits + wrong),
            'miou': float(np.mean(present)) if present else None,
            'iou': dict(zip(names[1:], iou[1:])),
            'recall': recall_row(*self._heights.sum(0)),
            'recall_by_height': {
                name: recall_row(*row) for name, row in zip(HEIGHT_BINS, self._heights)},
            'color_confusion': self._colors[1:, 1:].tolist(),
            'false_cones': self._false_cones,
            'false_cones_per_image': _ratio(self._false_cones, self._images),
            'false_cone_min_pixels': self.min_pixels,
            'confusion': table.tolist(),
            'pixels': {
                'counted': int(table.sum()),
                'ignored': self._ignored,
                'truth': dict(zip(names, table.sum(1).tolist())),
                'predicted': dict(zip(names, table.sum(0).tolist()))}}

    def to_report(self, digits: int = 4) -> dict[str, Any]:
        """Return the scores of `compute` with rounded ratios, ready for json.dumps."""
        return _rounded(self.compute(), digits)

    def _check_ids(self, ids: np.ndarray, whose: str) -> None:
        if ids.size and ids.max() >= len(self.classes.names):
            raise ValueError(
                f'{whose} has the id {ids.max()}, but the classes end at '
                f'{len(self.classes.names) - 1} ({self.classes.names[-1]}): '
                'map its ids to these classes first.')

    def _count_false_cones(self, predicted: np.ndarray, index: np.ndarray, t: np.ndarray) -> int:
        """Return how many blobs are false; `index` is where a cone is predicted, `t` its truth."""
        labels, count = _components(predicted, index, None)
        # Ignored pixels hold a blob together but are neither for nor against it.
        size = np.bincount(labels[t != IGNORE_ID], minlength=count)
        touching = np.bincount(labels[(t != 0) & (t != IGNORE_ID)], minlength=count)
        return int(((size >= self.min_pixels) & (FALSE_CONE_ONE_IN * touching < size)).sum())

    def _count_cones(self, rows: np.ndarray, ids: np.ndarray, t: np.ndarray,
                     p: np.ndarray) -> None:
        """Count cones given, for each of their pixels, its row, cone, true and predicted class."""
        if not len(ids):
            return
        count, n = int(ids.max()) + 1, len(self.classes.names)
        # Pixels of a cone come from top to bottom, and of repeated indices the last one is kept.
        top, bottom = np.zeros(count, np.int64), np.zeros(count, np.int64)
        top[ids[::-1]] = rows[::-1]
        bottom[ids] = rows
        keep = t != IGNORE_ID
        ids, t, p = ids[keep], t[keep], p[keep]
        shape = (count, n)
        true = np.bincount(ids * n + t, minlength=count * n).reshape(shape)
        seen = np.bincount(ids * n + p, minlength=count * n).reshape(shape)
        cones = np.flatnonzero(true.any(1))  # others have no pixel that counts
        true, seen = true[cones], seen[cones]
        classes = true.argmax(1)
        found = 2 * seen[:, 1:].sum(1) >= true.sum(1)
        votes = 2 * seen
        votes[np.arange(len(cones)), classes] -= 1  # a draw does not name the true class
        majority = 1 + votes[:, 1:].argmax(1)
        height = np.digitize((bottom - top + 1)[cones], HEIGHT_EDGES)
        right = found & (majority == classes)
        for column, chosen in enumerate((np.ones_like(found), found, right)):
            self._heights[:, column] += np.bincount(height[chosen], minlength=len(HEIGHT_BINS))
        pairs = classes[found] * n + majority[found]
        self._colors += np.bincount(pairs, minlength=n * n).reshape(n, n)


def recall_row(cones: int, found: int, right: int) -> dict[str, Any]:
    """Return counts of cones, of those found, and of those with their class, and the ratios."""
    return {'cones': int(cones), 'found': int(found), 'recall': _ratio(found, cones),
            'found_right_class': int(right), 'recall_right_class': _ratio(right, cones)}


def _check_masks(predicted: np.ndarray, truth: np.ndarray) -> None:
    for mask, name in ((predicted, 'prediction'), (truth, 'ground truth')):
        if mask.ndim != 2 or mask.dtype != np.uint8:
            raise ValueError(f'Expected the {name} as class ids, (height, width) uint8, found '
                             f'{mask.shape} {mask.dtype}.')
    if predicted.shape != truth.shape:
        raise ValueError(f'Expected a prediction of the size of the ground truth, {truth.shape}, '
                         f'found {predicted.shape}: scale it to the original image first.')


def _components(
    mask: np.ndarray, index: np.ndarray, class_id: int | None,
) -> tuple[np.ndarray, int]:
    """
    Label 8-connected parts of `mask` that are `class_id`, or anything but 0 for None.

    `index` are the flat places of these pixels, ascending. Returns the label of each, counted
    from 0, and how many labels there are. Only the window they lie in is labelled.
    """
    if not len(index):
        return np.zeros(0, np.int64), 0
    rows, columns = np.divmod(index, mask.shape[1])
    top, left = rows[0], columns.min()
    window = mask[top:rows[-1] + 1, left:columns.max() + 1]
    part = (window != 0) if class_id is None else (window == class_id)
    count, labels = cv2.connectedComponents(part.view(np.uint8), connectivity=8)
    return labels[rows - top, columns - left].astype(np.int64) - 1, count - 1


def _instance_pixels(
    truth: np.ndarray, index: np.ndarray, instances: np.ndarray | Sequence[Any] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the flat places of the pixels of cones, and the cone of each, counted from 0.

    `index` is where `truth` is not background, ascending. A cone's places come in ascending
    order, and where masks overlap, a place comes once for each.
    """
    if instances is None:
        return _joined(_parts_by_class(truth, index))
    if isinstance(instances, np.ndarray) and instances.ndim == 2 and (
            instances.shape == truth.shape and np.issubdtype(instances.dtype, np.integer)):
        ids = instances.reshape(-1)[index].astype(np.int64)
        if ids.size and (ids.min() < 0 or ids.max() > 0xffff):
            raise ValueError('Expected an instance map of numbers from 0 to 65535, found '
                             f'{ids.min()} to {ids.max()}: number the cones of an image from 1.')
        return index[ids > 0], ids[ids > 0] - 1
    return _joined(_listed_instances(truth, instances))


def _parts_by_class(
    truth: np.ndarray, index: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield, for each class in `truth`, places, the cone of each from 0, and how many."""
    classes = truth.reshape(-1)[index]
    for class_id in np.flatnonzero(np.bincount(classes, minlength=256)):
        if class_id != IGNORE_ID:
            places = index[classes == class_id]
            yield places, *_components(truth, places, int(class_id))


def _listed_instances(
    truth: np.ndarray, instances: Sequence[Any],
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield, for each mask or box, the places of its cone."""
    for item in instances:
        given = np.asarray(item)
        if given.dtype == bool and given.shape == truth.shape:
            places = np.flatnonzero(given & (truth != 0))
        elif given.shape == (4,) and given.dtype != bool:
            places = _box_pixels(truth, given)
        else:
            raise ValueError(
                f'Expected instances as a map of {truth.shape} whole numbers, or for each cone a '
                f'boolean mask of that size or a box of 4 numbers, found {given.shape} '
                f'{given.dtype}.')
        yield places, np.zeros(len(places), np.int64), 1


def _box_pixels(truth: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the flat places in a box that are of its most frequent cone class."""
    height, width = truth.shape
    u0, u1 = (int(u) for u in np.clip(np.round(box[[0, 2]]), 0, width))
    v0, v1 = (int(v) for v in np.clip(np.round(box[[1, 3]]), 0, height))
    window = truth[v0:v1, u0:u1]
    counts = np.bincount(window.reshape(-1), minlength=256)
    counts[[0, IGNORE_ID]] = 0
    if not counts.any():
        return np.zeros(0, np.int64)
    rows, columns = np.nonzero(window == counts.argmax())
    return (rows + v0) * width + columns + u0


def _joined(
    parts: Iterator[tuple[np.ndarray, np.ndarray, int]],
) -> tuple[np.ndarray, np.ndarray]:
    """Join places and cones, numbering the cones on."""
    places, ids, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for part, own, number in parts:
        places.append(part)
        ids.append(own + count)
        count += number
    return np.concatenate(places), np.concatenate(ids)


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item, digits) for item in value]
    return round(value, digits) if isinstance(value, float) else value
