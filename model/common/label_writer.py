# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and masks as a project that our readers and labelling tools load: FSOCO's, or COCO."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
import json
from pathlib import Path
from typing import Any

import cv2
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.cone_annotations import BORDER, TAGS
from eunet_ros.model.common.files import folder_beside
from eunet_ros.model.common.supervisely import encode_bitmap
import numpy as np

PARTS = {'train': 'train2017', 'val': 'val2017'}  # of COCO


@dataclass(frozen=True)
class Item:
    """An image to write."""

    name: str  # of the file
    image: np.ndarray | bytes  # (h, w, 3) uint8 BGR, or the bytes of a file, written unchanged
    mask: np.ndarray  # (h, w) uint8 class ids
    instances: np.ndarray | None = None  # cone numbers (h, w)
    tags: Mapping[int, frozenset[str]] = field(default_factory=dict)  # by number


def _cones(item: Item) -> Iterator[tuple[int, tuple[int, int], np.ndarray, frozenset[str]]]:
    """Yield class id, origin (x, y), mask (h, w) bool and tags of each cone."""
    numbers = (cv2.connectedComponents((item.mask > 0).view(np.uint8), connectivity=8)[1]
               if item.instances is None else item.instances)
    for number in np.unique(numbers[numbers > 0]):
        own = numbers == number
        rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        for class_id in np.unique(item.mask[own]):  # one, unless an instance mixes classes
            shape = own[box] & (item.mask[box] == class_id)
            tags = item.tags.get(int(number), frozenset())
            yield int(class_id), (int(columns[0]), int(rows[0])), shape, tags


def annotation_of(item: Item, classes: ClassTable, border: int = BORDER) -> dict[str, Any]:
    height, width = item.mask.shape
    objects = [{
        'id': number, 'classId': class_id, 'description': '', 'geometryType': 'bitmap',
        'tags': [{'name': t, 'value': None} for t in TAGS if t in tags],
        'classTitle': f'seg_{classes.names[class_id]}',
        'bitmap': {'data': encode_bitmap(mask), 'origin': [x + border, y + border]}}
        for number, (class_id, (x, y), mask, tags) in enumerate(_cones(item), start=1)]
    return {'description': '', 'tags': [], 'objects': objects,
            'size': {'height': height + 2 * border, 'width': width + 2 * border}}


def meta_of(classes: ClassTable) -> dict[str, Any]:
    """Return the content of meta.json: a bitmap and a rectangle class per cone, and tags."""
    rows = []
    for prefix, shape in (('seg_', 'bitmap'), ('', 'rectangle')):
        for name, color in zip(classes.names[1:], classes.colors[1:]):
            rows.append({'id': len(rows) + 1, 'title': prefix + name, 'shape': shape,
                         'color': '#{:02x}{:02x}{:02x}'.format(*color), 'geometry_config': {},
                         'hotkey': ''})
    tags = [{'id': i, 'name': name, 'value_type': 'none', 'color': '#808080', 'hotkey': '',
             'applicable_type': 'objectsOnly', 'classes': []} for i, name in enumerate(TAGS, 1)]
    return {'classes': rows, 'tags': tags, 'projectType': 'images'}


def write_project(folder: str | Path, items: Iterable[Item], team: str = 'synthetic',
                  classes: ClassTable | None = None, border: int = BORDER) -> int:
    """Write a project of one team, beside and renamed; returns its images. Raises ValueError."""
    classes, count = classes or cone_classes(), 0
    with folder_beside(Path(folder)) as beside:
        for part in ('img', 'ann'):
            (beside / team / part).mkdir(parents=True)
        (beside / 'meta.json').write_text(json.dumps(meta_of(classes), indent=1))
        for item in items:
            count += 1
            _write_image(beside / team / 'img', item, border)
            (beside / team / 'ann' / f'{item.name}.json').write_text(
                json.dumps(annotation_of(item, classes, border)))
    return count


def _write_image(folder: Path, item: Item, border: int = 0) -> None:
    data = item.image
    if not isinstance(data, bytes):
        framed = cv2.copyMakeBorder(data, border, border, border, border, cv2.BORDER_CONSTANT,
                                    value=(0, 0, 0))
        data = cv2.imencode(Path(item.name).suffix, framed)[1].tobytes()
    (folder / item.name).write_bytes(data)


def _run_lengths(mask: np.ndarray, origin: tuple[int, int], size: tuple[int, int]) -> list[int]:
    """Return COCO's run lengths of a cone in an image of `size` (h, w): by column, 0 first."""
    columns, (x, y) = np.zeros(size[::-1], bool), origin
    columns[x:x + mask.shape[1], y:y + mask.shape[0]] = mask.T
    ends = np.append(np.flatnonzero(np.diff(columns.reshape(-1))) + 1, columns.size)
    return [0] * int(columns[0, 0]) + np.diff(ends, prepend=0).tolist()


def write_coco(folder: str | Path, items: Iterable[tuple[str, Item]],
               classes: ClassTable | None = None) -> int:
    """Write COCO instances of (part, item), part: of PARTS; as `write_project`, no border."""
    classes, count = classes or cone_classes(), 0
    categories = [{'id': i, 'name': name, 'supercategory': 'cone'}
                  for i, name in enumerate(classes.names) if i]
    files = {part: {'images': [], 'annotations': [], 'categories': categories} for part in PARTS}
    with folder_beside(Path(folder)) as beside:
        for name in ('annotations', *PARTS.values()):
            (beside / name).mkdir()
        for count, (part, item) in enumerate(items, 1):
            _write_image(beside / PARTS[part], item)
            size, rows = item.mask.shape, files[part]['annotations']
            files[part]['images'].append({'id': count, 'file_name': item.name,
                                          'height': size[0], 'width': size[1]})
            for class_id, (x, y), mask, _ in _cones(item):
                rows.append({'id': len(rows) + 1, 'image_id': count, 'category_id': class_id,
                             'bbox': [x, y, *mask.shape[::-1]], 'area': int(mask.sum()),
                             'iscrowd': 0, 'segmentation': {
                                 'size': size, 'counts': _run_lengths(mask, (x, y), size)}})
        for part, content in files.items():
            (beside / 'annotations' / f'instances_{PARTS[part]}.json').write_text(
                json.dumps(content))
    return count
