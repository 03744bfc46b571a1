# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Boxes in COCO's format for detection: one JSON file of images, annotations and categories.

The bbox of an annotation is x and y of its top left corner, width, height [px]; masks are not
read. An annotation with iscrowd is a region to ignore. Images are beside the file, in the folder
above it, or in a folder `images` of either.
"""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.supervisely import DataError, read_json
from eunet_ros.training.data.readers.boxes import label_class
from eunet_ros.training.data.readers.fsoco import read_image
from eunet_ros.training.data.sets import Boxed
import numpy as np


class CocoBoxes:
    """
    The images of a file, listed but not decoded.

    images: their rows in the file. Raises DataError, in a sentence, for what cannot be used.
    """

    def __init__(self, path: str | Path, classes: ClassTable) -> None:
        self.path, self.classes = Path(path), classes
        if self.path.is_dir():
            raise DataError(f'{self.path} is a folder: name the JSON file with the annotations, '
                            f'such as {self.path / "annotations" / "instances_val.json"}.')
        content = read_json(self.path)
        try:
            self.images: list[dict[str, Any]] = content['images']
            self.names = {row['id']: row['name'] for row in content['categories']}
            self.labels = {row['id']: [] for row in self.images}
            for row in content['annotations']:
                if row['image_id'] not in self.labels:
                    raise DataError(f'Annotation {row.get("id")} of {self.path} is of the image '
                                    f'{row["image_id"]!r}, which is not listed: add the image or '
                                    'remove the annotation.')
                self.labels[row['image_id']].append(row)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError('Expected lists of images, annotations and categories with their ids '
                            f'in {self.path} ({one_line(error)}): export it again.') from error
        if not self.images:
            raise DataError(f'{self.path} lists no image: export it again.')

    def load(self, row: dict[str, Any]) -> Boxed:
        """Read an image with its labels; raises DataError naming the file and the annotation."""
        name = row.get('file_name')
        if not isinstance(name, str):
            raise DataError(f'Image {row["id"]} of {self.path} has no file_name: export it again.')
        size = row.get('height'), row.get('width')
        image = read_image(self._find(name), size if all(size) else None)
        boxes, ids = [], []
        for label in self.labels[row['id']]:
            try:
                boxes.append(_read_box(label.get('bbox'), image.shape))
                ids.append(self._read_class(label))
            except DataError as error:
                raise DataError(f'Annotation {label.get("id")} of {self.path} cannot be used: '
                                f'{error}.') from error
        return Boxed(name, image, np.array(boxes, float).reshape(-1, 4), np.array(ids, np.int64))

    def _find(self, name: str) -> Path:
        here = self.path.parent
        places = [folder / name for folder in (
            here, here / 'images', here.parent / 'images', here.parent)]
        for place in places:
            if place.is_file():
                return place
        raise DataError(f'The image {name} of {self.path} was not found, expected '
                        f'{" or ".join(map(str, places))}.')

    def _read_class(self, label: dict[str, Any]) -> int:
        name = self.names.get(label.get('category_id'))
        if not isinstance(name, str):
            raise DataError(f'its category {label.get("category_id")!r} is not listed')
        return IGNORE_ID if label.get('iscrowd') else label_class(name, self.classes)


def _read_box(value: Any, shape: tuple[int, ...]) -> tuple[float, ...]:
    """Return u0, v0, u1, v1 of a bbox; raises DataError, a clause."""
    if (not isinstance(value, list) or len(value) != 4
            or not all(type(v) in (int, float) and math.isfinite(v) for v in value)
            or min(value[2:]) <= 0):
        raise DataError('expected bbox as x, y, width and height in pixels, the last two above 0, '
                        f'found {str(value)[:60]}')
    x, y, width, height = value
    if x >= shape[1] or y >= shape[0] or x + width <= 0 or y + height <= 0:
        raise DataError(f'its bbox {value} lies outside the image of {shape[1]}x{shape[0]} pixels')
    return x, y, x + width, y + height
