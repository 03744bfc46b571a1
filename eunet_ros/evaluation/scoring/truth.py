# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth matched to images by stamp: a topic, a folder of masks, a Supervisely project."""
from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from pathlib import Path
import re
from typing import Any

import cv2
from eunet_ros.bags.messages import COMPRESSED_IMAGE, deserialise, IMAGE, stamp_of
from eunet_ros.bags.reader import Bag, find_ground_truth, named_topic, Topic
from eunet_ros.images.conversions import to_mask
from eunet_ros.images.image_encodings import as_stored
from eunet_ros.model.common.classes import ClassTable, cone_classes, IGNORE_ID
from eunet_ros.model.common.cone_annotations import BORDER, paint_mask, read_annotation
from eunet_ros.model.common.files import visible
from eunet_ros.model.common.supervisely import DataError
import numpy as np

_MOST_IDS = 6
_MASKS = ('.png', '.bmp', '.tif', '.tiff', '.pgm')
_ANNOTATIONS = ('ann', 'segmentation')
_NAMES = ('expected names that are stamps, in nanoseconds (1700000000123456789.png) or as seconds '
          'and nine digits of nanoseconds (1700000000.123456789.png)')
# Since 1973, seconds have nine or ten digits; nanoseconds up to nineteen.
_STAMP = re.compile(r'(?<!\d)(?:(\d{1,10})[._](\d{9})|(\d{16,19}))(?!\d)')


class TruthError(ValueError):
    """Ground truth that cannot be used, in one sentence."""


def stamp_in(name: str) -> int | None:
    """
    Return the stamp in a file's name [ns], None if it has none.

    >>> stamp_in('front_1700000000.123456789.png'), stamp_in('frame0001.png')
    (1700000000123456789, None)
    """
    found = _STAMP.search(name)
    if not found:
        return None
    return int(found[3]) if found[3] else int(found[1]) * 1_000_000_000 + int(found[2])


def nearest(stamps: list[int], stamp: int) -> int | None:
    """Return the nearest of ascending stamps, None if there are none."""
    at = bisect_left(stamps, stamp)
    return min(stamps[max(0, at - 1):at + 1], key=lambda s: abs(s - stamp), default=None)


def check_ids(mask: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Return a mask unchanged; raises TruthError for ids that are not of a class."""
    names = len(classes.names)
    if not ((mask < names) | (mask == IGNORE_ID)).all():
        found = [i for i in np.unique(mask).tolist() if i >= names and i != IGNORE_ID]
        raise TruthError(
            f'expected class ids, 0 to {names - 1} and {IGNORE_ID} for pixels to ignore, found '
            f'{", ".join(map(str, found[:_MOST_IDS]))}{" …" if len(found) > _MOST_IDS else ""}: '
            "write the ids of the weights' classes")
    return mask


def only_ignored(mask: np.ndarray) -> bool:
    """Return whether a mask has pixels to ignore and all others are background."""
    ignored = mask == IGNORE_ID
    return bool(ignored.any() and (ignored | (mask == 0)).all())


def as_binary(truth: np.ndarray) -> np.ndarray:
    """Return a mask with all cones as one class, for binary weights."""
    return np.where(truth == IGNORE_ID, IGNORE_ID, truth > 0).astype(np.uint8)


class TopicTruth:
    """The masks of a topic of a bag, read on demand. Raises BagError."""

    def __init__(self, path: Path, topic: Topic, classes: ClassTable) -> None:
        self.source = f'topic {topic.name}'
        self._topic, self._classes = topic, classes
        self._bag = Bag(path)
        self.close = self._bag.close
        self._times: dict[int, int] = {}
        self.broken = ''
        try:
            for time, raw in self._bag.raw(topic):
                self._times.setdefault(stamp_of(raw), time)
        except ValueError as error:  # masks before the error are used
            self.broken = str(error)
        self.stamps = sorted(self._times)

    def mask(self, stamp: int, size: tuple[int, int] = (0, 0)) -> np.ndarray:
        time = self._times[stamp]
        for _, raw in self._bag.raw(self._topic, time, time + 1):
            if stamp_of(raw) == stamp:
                return check_ids(to_mask(deserialise(raw, self._topic.msgtype)), self._classes)
        raise TruthError(f'The mask of stamp {stamp} on {self._topic.name} was not found again.')


class _FileTruth:
    """Files by the stamp in their name."""

    def __init__(self, source: str, files: list[Path], where: Path, what: str) -> None:
        self.source = source
        named = sorted((stamp, path) for path in files
                       if (stamp := stamp_in(path.name)) is not None)
        if not named:
            raise TruthError(f'{where} has {len(files)} {what}'
                             + (f' such as {files[0].name}' if files else '') + f', {_NAMES}.')
        for (first, path), (second, other) in pairwise(named):
            if first == second:
                raise TruthError(f'{path} and {other} have the same stamp in their names: remove '
                                 'one of them.')
        self._files = dict(named)
        self.stamps = list(self._files)
        self.unnamed = len(files) - len(named)

    def close(self) -> None:
        """Do nothing: no file is kept open."""


class FolderTruth(_FileTruth):
    """Pictures of class ids named by stamps; a PNG may have a palette."""

    def __init__(self, folder: Path, classes: ClassTable | None = None) -> None:
        files = [p for p in visible(folder) if p.suffix.lower() in _MASKS]
        super().__init__(f'masks of {folder}', files, folder, 'masks')
        self._classes = classes or cone_classes()

    def mask(self, stamp: int, size: tuple[int, int]) -> np.ndarray:
        path = self._files[stamp]
        data, factor = as_stored(np.fromfile(path, np.uint8))
        mask = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if mask is None:
            raise TruthError(f'{path} is not an image that OpenCV can read.')
        if mask.dtype != np.uint8 or mask.ndim != 2:
            raise TruthError(f'{path}: expected class ids as one channel of 8 bits, found '
                             f'{mask.dtype} of shape {mask.shape}.')
        try:
            return check_ids(mask if factor == 1 else mask // factor, self._classes)
        except TruthError as error:
            raise TruthError(f'{path}: {error}') from None


class ProjectTruth(_FileTruth):
    """A Supervisely project of annotations named by stamps; classes: of the masks to return."""

    def __init__(self, root: Path, classes: ClassTable) -> None:
        files = [p for p in visible(root, True)
                 if p.suffix == '.json' and p.parent.name in _ANNOTATIONS]
        super().__init__(f'Supervisely project {root}', files, root, 'annotations')
        self._classes = classes

    def mask(self, stamp: int, size: tuple[int, int]) -> np.ndarray:
        """Return a mask, without FSOCO's black border if the annotation has one."""
        annotation = read_annotation(self._files[stamp], self._classes)
        border = BORDER if (annotation.height - 2 * BORDER,
                            annotation.width - 2 * BORDER) == size else 0
        return paint_mask(annotation, border)[0]


# stamps: ascending, in ns; mask: (h, w) uint8 class ids of a stamp, for an image of a size (h, w).
Truth = TopicTruth | FolderTruth | ProjectTruth


def find_truth_topic(bag: Bag, name: str = '') -> Topic | None:
    """Return the topic of true masks, None if there is none; raises BagError."""
    if not name:
        return find_ground_truth(bag.topics.values())
    images = ', '.join(t.name for t in bag.topics.values()
                       if t.msgtype in (IMAGE, COMPRESSED_IMAGE)) or 'none'
    return named_topic(bag.topics, name, f'{bag.path} has no masks', images)


def open_truth(spec: dict[str, Any], bag_path: Path, classes: ClassTable) -> Truth | None:
    """Return the truth of spec's topic or folder, else of the bag; raises ValueError."""
    if folder := spec.get('folder'):
        root = Path(folder)
        try:
            if (root / 'meta.json').is_file():
                return ProjectTruth(root, classes)
            if not root.is_dir():
                raise TruthError(f'There is no folder {root}: give a folder of masks named by '
                                 'stamps, or a Supervisely project.')
            return FolderTruth(root, classes)
        except (OSError, DataError) as error:
            raise TruthError(f'Ground truth in {root} cannot be used: {error}') from error
    with Bag(bag_path) as bag:
        topic = find_truth_topic(bag, spec.get('topic', ''))
    return TopicTruth(bag_path, topic, classes) if topic else None
