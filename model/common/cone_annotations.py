# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The annotation of one image in FSOCO's format: cones as bitmaps or polygons, and their masks."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import difflib
from pathlib import Path
import re
from typing import Any

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.image_header import MAX_PIXELS
from eunet_ros.model.common.supervisely import (
    DataError,
    decode_bitmap,
    MAX_COORDINATE,
    rasterise_polygon,
    read_json,
    read_point,
)
import numpy as np

MAX_MASKS = 2 ** 28  # pixels of all masks of an image together; each lies in memory
BORDER = 140  # px of black, with a logo, that FSOCO puts on all four sides of an image
TAGS = ('truncated', 'knocked_over', 'sticker_band_removed')
CONES = ('blue_cone', 'yellow_cone', 'orange_cone', 'large_orange_cone', 'unknown_cone')


@dataclass(frozen=True)
class ConeObject:
    """One cone: its mask (h, w) bool with the top-left pixel at origin (x, y), border included."""

    class_id: int
    origin: tuple[int, int]
    mask: np.ndarray
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Annotation:
    """An image's cones, in the order in which they are painted; size with its border [px]."""

    height: int
    width: int
    objects: tuple[ConeObject, ...]


def class_of(title: str, classes: ClassTable) -> int:
    """Return the class id of a title such as 'seg_blue_cone' or 'Blue Cone'; raises DataError."""
    known = CONES if len(classes.names) == 2 else classes.names[1:]  # of two, all are the second
    plain = re.sub(r'[\s_-]+', '_', title.strip().lower()).removeprefix('seg_')
    for name in (title.removeprefix('seg_'), plain, f'{plain}_cone'):
        if name in classes.names[1:]:
            return classes.names.index(name)
        if name in known:
            return 1
    near = difflib.get_close_matches(plain, known, 1)
    raise DataError(f'its class {title!r} is unknown, expected one of '
                    f'{", ".join(f"seg_{name}" for name in known)}'
                    + (f'; the nearest is seg_{near[0]}' if near else ''))


def _read_object(row: Any, classes: ClassTable) -> ConeObject | None:
    """Return the cone of a row of objects, None for a rectangle."""
    if not isinstance(row, dict) or not isinstance(row.get('classTitle'), str):
        raise DataError('expected classTitle')
    shape = row.get('geometryType') or ('bitmap' if row.get('bitmap') else 'rectangle')
    if shape == 'rectangle':
        return None
    class_id = class_of(row['classTitle'], classes)
    if shape == 'bitmap':
        bitmap = row.get('bitmap')
        if not isinstance(bitmap, dict):
            raise DataError('expected a bitmap with data and origin')
        origin, mask = read_point(bitmap.get('origin'), 'the origin'), decode_bitmap(
            bitmap.get('data'))
    elif shape == 'polygon':
        origin, mask = rasterise_polygon(row.get('points'))
    else:
        raise DataError(f'its geometryType is {shape!r}, expected bitmap, polygon or rectangle')
    tags = row.get('tags') or []
    if not isinstance(tags, list):
        raise DataError('expected tags as a list')
    names = (t.get('name') if isinstance(t, dict) else t for t in tags)
    return ConeObject(class_id, origin, mask, frozenset(n for n in names if isinstance(n, str)))


def read_annotation(path: Path, classes: ClassTable) -> Annotation:
    """Read one annotation; raises DataError naming the file and the object that is off."""
    content = read_json(path)
    size = content.get('size') if isinstance(content, dict) else None
    sides = [size.get(k) for k in ('height', 'width')] if isinstance(size, dict) else []
    if len(sides) != 2 or not all(type(v) is int and 0 < v <= MAX_COORDINATE for v in sides):
        raise DataError(f'Expected size with height and width in {path}, found {str(size)[:60]}; '
                        'download it again.')
    if sides[0] * sides[1] > MAX_PIXELS:
        raise DataError(f'The size {sides[1]}x{sides[0]} in {path} is more than {MAX_PIXELS} '
                        'pixels; download it again.')
    rows = content.get('objects')
    if not isinstance(rows, list):
        raise DataError(f'Expected a list of objects in {path}; download it again.')
    objects, pixels = [], 0
    for number, row in enumerate(rows):
        try:
            objects.append(_read_object(row, classes))
            pixels += objects[-1].mask.size if objects[-1] else 0
            if pixels > MAX_MASKS:
                raise DataError(f'with it the masks have more than {MAX_MASKS} pixels together')
        except DataError as error:
            raise DataError(f'Object {number} of {path} cannot be used: {error}.') from error
    return Annotation(sides[0], sides[1], tuple(o for o in objects if o is not None))


def paint_mask(annotation: Annotation, border: int = BORDER) -> tuple[np.ndarray, int]:
    """Return (h, w) uint8 class ids inside the border, and how many objects were cut."""
    ids = [cone.class_id for cone in annotation.objects]
    return _paint(annotation, border, ids, np.uint8)


def paint_instances(annotation: Annotation, border: int = BORDER) -> np.ndarray:
    """Return (h, w) uint16 inside the border: 0 none, k + 1 for objects[k], as `paint_mask`."""
    return _paint(annotation, border, range(1, len(annotation.objects) + 1), np.uint16)[0]


def _paint(annotation: Annotation, border: int, values: Iterable[int],
           dtype: type) -> tuple[np.ndarray, int]:
    h, w = annotation.height - 2 * border, annotation.width - 2 * border
    mask, cut = np.zeros((h, w), dtype), 0
    for cone, value in zip(annotation.objects, values):
        x, y = cone.origin[0] - border, cone.origin[1] - border
        left, top = max(0, -x), max(0, -y)
        inside = cone.mask[top:max(top, h - y), left:max(left, w - x)]
        mask[y + top:y + top + inside.shape[0], x + left:x + left + inside.shape[1]][
            inside] = value
        cut += int(np.count_nonzero(inside) < np.count_nonzero(cone.mask))
    return mask, cut
