# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Images with labelled boxes, in the formats of YOLO and COCO.

YOLO: images/<name>.jpg and labels/<name>.txt with a line per box: class index, centre x, centre y,
width, height, as shares of the image's size; no file: no cone. Folders named after parts are above
images and labels (Roboflow) or in them (Ultralytics). The root has data.yaml with names, or
classes.txt with a name per line, which labelImg puts in labels.

COCO: a JSON file of images, annotations and categories. The bbox of an annotation is x and y of
its top left corner, width, height [px]; masks are not read; iscrowd marks a region to ignore.
Images are beside the file, in the folder above it, or in a folder `images` of either.
"""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.cone_annotations import class_of
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import read_yaml, visible
from eunet_ros.model.common.metrics.boxes import NOT_SAID
from eunet_ros.model.common.supervisely import DataError, read_json
from eunet_ros.training.data.readers.fsoco import IMAGES, read_image
from eunet_ros.training.data.sets import Boxed
import numpy as np

_PARTS = {'train': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


def _label_class(name: str, classes: ClassTable) -> int:
    """
    Return the class id of a label by its name, see `class_of`; raises DataError, a clause.

    It is NOT_SAID for 'cone', and for all labels where the weights have one class of cones.
    """
    if name.strip().lower() == 'cone':
        return NOT_SAID
    class_id = class_of(name, classes)
    return NOT_SAID if len(classes.names) == 2 else class_id


class YoloFolder:
    """
    A folder of images with labels, listed but not decoded.

    images: of the part, sorted. part: 'train', 'val', 'test' or 'all'; 'all' where the folder is
    not divided. Raises DataError, in a sentence, where the folder is not such a data set.
    """

    def __init__(self, root: str | Path, part: str, classes: ClassTable) -> None:
        self.root, self.classes = Path(root), classes
        if not self.root.is_dir():
            raise DataError(f'{self.root} is not a folder: name the folder that has images/ and '
                            'labels/.')
        self.names = _read_names(self.root)
        images = [p for p in visible(self.root, everything_below=True)
                  if p.suffix.lower() in IMAGES and 'images' in p.relative_to(self.root).parts]
        if not images:
            raise DataError(f'No image was found under {self.root}, expected images/<name>.jpg '
                            'with labels/<name>.txt.')
        if not any(self.labels_of(p).is_file() for p in images):
            raise DataError(f'No image under {self.root} has labels, expected '
                            f'{self.labels_of(images[0])} for {images[0]}.')
        parts = {p: next((_PARTS[n] for n in p.relative_to(self.root).parts if n in _PARTS), '')
                 for p in images}
        self.part = part if any(parts.values()) else 'all'
        self.images = [p for p in images if self.part in ('all', parts[p])]
        if not self.images:
            raise DataError(f'{self.root} has no images of the part {part}, found '
                            f'{", ".join(sorted(set(parts.values()) - {""}))}: choose another '
                            '--split, or "all".')

    def labels_of(self, image: Path) -> Path:
        """Return the path of an image's labels: images becomes labels, the suffix .txt."""
        parts = list(image.relative_to(self.root).parts)
        parts[len(parts) - 1 - parts[::-1].index('images')] = 'labels'
        return self.root.joinpath(*parts).with_suffix('.txt')

    def load(self, path: Path) -> Boxed:
        """Read an image with its labels; raises DataError naming the file, and the line."""
        labels, image = self.labels_of(path), read_image(path)
        try:
            text = labels.read_text(encoding='utf-8') if labels.exists() else ''
        except (OSError, ValueError) as error:
            raise DataError(f'Cannot read {labels}: {one_line(error)}.') from error
        rows = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                rows += [self._read_line(line)] if line.strip() else []
            except DataError as error:
                raise DataError(f'Line {number} of {labels} cannot be used: {error}.') from error
        size = image.shape[1::-1]
        table = np.array(rows, float).reshape(-1, 5)
        middle, half = table[:, 1:3], table[:, 3:] / 2
        boxes = np.hstack([middle - half, middle + half]) * (*size, *size)
        return Boxed(str(path.relative_to(self.root)), image, boxes,
                     table[:, 0].astype(np.int64))

    def _read_line(self, line: str) -> tuple[float, ...]:
        """Return class id, x, y, width, height; raises DataError, a clause."""
        words = line.split()
        try:
            index, (x, y, width, height) = int(words[0]), map(float, words[1:])
        except ValueError:
            raise DataError('expected a class index and four numbers (middle x and y, width and '
                            f'height), found {line.strip()[:60]!r}') from None
        if not 0 <= index < len(self.names):
            raise DataError(f'expected a class index from 0 to {len(self.names) - 1}, found '
                            f'{index}')
        if not all(math.isfinite(v) and 0 <= v <= 1 for v in (x, y, width, height)) or not (
                width and height):
            raise DataError('expected shares of the image, 0 to 1, with a width and height above '
                            f'0, found {" ".join(words[1:])[:60]}')
        return _label_class(self.names[index], self.classes), x, y, width, height


def _read_names(root: Path) -> list[str]:
    """Return the names of the classes by their index; raises DataError."""
    for path in (root / 'data.yaml', root / 'classes.txt', root / 'labels' / 'classes.txt'):
        if not path.is_file():
            continue
        try:
            if path.suffix == '.txt':
                names = path.read_text(encoding='utf-8').split('\n')
                return [name.strip() for name in names if name.strip()]
            content = read_yaml(path)
        except (OSError, ValueError) as error:
            raise DataError(f'Cannot read {path}: {one_line(error)}.') from error
        names = content.get('names') if isinstance(content, dict) else None
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[k] for k in range(len(names))]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f'Expected names in {path} as a list, or by index from 0, found '
                            f'{str(names)[:60]}.')
        return names
    raise DataError(f'{root} has neither data.yaml nor classes.txt: add one with the names of the '
                    'classes in the order of their index.')


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
        return IGNORE_ID if label.get('iscrowd') else _label_class(name, self.classes)


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
