# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Images and masks written as FSOCO has them, so that one reader serves both."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import shutil
from typing import Any

import cv2
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.supervisely import encode_bitmap
from eunet_ros.training.data.readers.fsoco import BORDER, TAGS
from eunet_ros.training.renderer import Scene
import numpy as np


@dataclass(frozen=True)
class Item:
    """An image to write: file name, BGR, class ids, cone numbers (or None), tags by number."""

    name: str
    image: np.ndarray
    mask: np.ndarray
    instances: np.ndarray | None = None
    tags: Mapping[int, frozenset[str]] = field(default_factory=dict)


def scene_item(name: str, scene: Scene) -> Item:
    """Return a rendered scene as an item; truncated are cones that touch the image's edge."""
    height, width = scene.mask.shape
    tags = {}
    for number, cone in enumerate(scene.cones, start=1):
        u0, v0, u1, v1 = cone.box
        at_edge = u0 == 0 or v0 == 0 or u1 == width or v1 == height
        tags[number] = frozenset(['truncated'] * at_edge + ['knocked_over'] * cone.knocked_over)
    return Item(name, scene.image, scene.mask, scene.instances, tags)


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
    objects = []
    for number, (class_id, (x, y), mask, tags) in enumerate(_cones(item), start=1):
        objects.append({
            'id': number, 'classId': class_id, 'description': '', 'geometryType': 'bitmap',
            'tags': [{'name': t, 'value': None} for t in TAGS if t in tags],
            'classTitle': f'seg_{classes.names[class_id]}',
            'bitmap': {'data': encode_bitmap(mask), 'origin': [x + border, y + border]}})
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
    folder, classes = Path(folder), cone_classes() if classes is None else classes
    if os.path.lexists(folder):
        raise ValueError(f'{folder} exists: remove it first, or choose another folder.')
    beside = folder.with_name(f'.{folder.name}.{os.getpid()}.tmp')
    count = 0
    try:
        for part in ('img', 'ann'):
            (beside / team / part).mkdir(parents=True)
        (beside / 'meta.json').write_text(json.dumps(meta_of(classes), indent=1))
        for item in items:
            count += 1
            framed = cv2.copyMakeBorder(item.image, border, border, border, border,
                                        cv2.BORDER_CONSTANT, value=(0, 0, 0))
            coded = cv2.imencode(Path(item.name).suffix, framed)[1]
            (beside / team / 'img' / item.name).write_bytes(coded.tobytes())
            (beside / team / 'ann' / f'{item.name}.json').write_text(
                json.dumps(annotation_of(item, classes, border)))
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return count
