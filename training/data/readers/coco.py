# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
COCO 2017 (Lin et al., arXiv:1405.0312), for pre-training.

<root>/<part>2017/<file>.jpg with <root>/annotations/instances_<part>2017.json, or with
<root>/annotations/panoptic_<part>2017.json and the folder panoptic_<part>2017 beside it (Kirillov
et al., Panoptic Segmentation, arXiv:1801.00868): things and stuff.
"""
from __future__ import annotations

import colorsys
import json
import math
import os
from pathlib import Path
from typing import Any
import zlib

import cv2
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.image_header import MAX_SIDE
from eunet_ros.model.common.label_writer import PARTS
from eunet_ros.model.common.supervisely import DataError, read_json
from eunet_ros.training.data.decoded import scale_pair
from eunet_ros.training.data.readers.fsoco import read_image
import numpy as np

_FARTHEST = 2 * MAX_SIDE   # beyond it pycocotools takes gigabytes, or crashes
_HOW = ('get train2017.zip, val2017.zip and annotations_trainval2017.zip from '
        'cocodataset.org, unpack them into one folder and name it with --data')
_HOW_PANOPTIC = ('get panoptic_annotations_trainval2017.zip from cocodataset.org, unpack it, and '
                 'the two archives in it, into the folder that --data names')


def _mask(annotations: list[dict[str, Any]], ids: dict[int, int],
          size: tuple[int, int]) -> np.ndarray:
    """Return (h, w) uint8 class ids; 255 in crowds and where two classes overlap."""
    from pycocotools import mask as coding
    out = np.zeros(size, np.uint8)
    crowds = np.zeros(size, bool)
    for row in annotations:
        shape = row['segmentation']
        if isinstance(shape, list):
            shape = coding.merge(coding.frPyObjects(shape, *size))
        elif isinstance(shape['counts'], list):
            shape = coding.frPyObjects(shape, *size)
        own = coding.decode(shape).astype(bool)
        if row.get('iscrowd'):
            crowds |= own
            continue
        value = ids[row['category_id']]
        shared = own & (out != 0) & (out != value)
        out[own] = value
        out[shared] = IGNORE_ID
    out[crowds & (out == 0)] = IGNORE_ID
    return out


def _panoptic_mask(png: np.ndarray, segments: list[dict[str, Any]],
                   ids: dict[int, int]) -> np.ndarray:
    """Return (h, w) uint8 class ids of a BGR png of segments' ids; 255 in crowds and void."""
    segment = png.astype(np.int32) @ np.array([256 * 256, 256, 1])
    out = np.full(segment.shape, IGNORE_ID, np.uint8)
    for row in segments:
        if not row.get('iscrowd'):
            out[segment == row['id']] = ids[row['category_id']]
    return out


def _text(image_id: Any) -> str:
    """Return an id as text without leading zeros: tools take it from the file's name."""
    return str(image_id).lstrip('0')


def _read(root: Path, part: str, kind: str) -> tuple[list[dict[str, Any]], dict, dict]:
    """Return the rows of images, their annotations by id, and the categories by id."""
    path = root / 'annotations' / f'{kind}_{PARTS[part]}.json'
    panoptic = kind == 'panoptic'
    for needed in (path, path.with_suffix('') if panoptic else root / PARTS[part]):
        if not needed.exists():
            raise DataError(f'{needed} does not exist: {_HOW_PANOPTIC if panoptic else _HOW}.')
    content = read_json(path)
    try:
        images = {row['id']: row for row in content['images']}
        rows, faults = content['annotations'], []
        if panoptic:
            objects = {row['image_id']: row['segments_info'] for row in rows}
        else:
            objects = {image: [] for image in images}
            listed, strays = {_text(image): image for image in images}, []
            for row in rows:
                objects.get(row['image_id'], strays).append(row)
            faults += [f'annotation {a.get("id")} is of image {a["image_id"]!r}, where the image '
                       f'has the id {listed[_text(a["image_id"])]!r}' for a in strays
                       if _text(a['image_id']) in listed]
            if strays and len(strays) == len(rows):
                faults.append(f'annotation {strays[0].get("id")} is of image '
                              f'{strays[0]["image_id"]!r}, and no image that is listed has any')
            if len({isinstance(image, str) for image in images}) > 1:
                faults.append('some of its images have a number as id, others a text')
        _refuse(path, faults)
        return ([images[i] for i in sorted(images) if i in objects], objects,
                {row['id']: row for row in content['categories']})
    except (KeyError, TypeError) as error:
        raise DataError(f'Cannot read {path}: {one_line(error)}; download it again.') from error


def _fault(row: dict[str, Any], size: tuple[int, int], ids: dict[int, int],
           panoptic: bool) -> str:
    """Return what is wrong with an annotation that has a mask, '' for nothing."""
    if row.get('category_id') not in ids:
        return f'has the category {row.get("category_id")!r}, which is not listed'
    shape = [] if panoptic else row['segmentation']  # panoptic masks are in a PNG
    if isinstance(shape, dict):
        if list(shape.get('size') or ()) != list(size):
            return f'has run lengths of size {shape.get("size")}, the image has {list(size)}'
        return _fault_of_lengths(shape.get('counts'), size)
    for polygon in shape if isinstance(shape, list) else [None]:
        try:
            if len(polygon) < 6 or len(polygon) % 2:
                return (f'has a polygon of {len(polygon)} numbers, expected x and y of three '
                        'points or more')
            if not (math.isfinite(sum(polygon)) and max(map(abs, polygon)) <= _FARTHEST):
                return (f'has a polygon with numbers beyond {_FARTHEST} pixels, or that are not '
                        'finite')
        except TypeError:
            return 'has a mask that is neither polygons nor run lengths'
    return ''


def _fault_of_lengths(counts: Any, size: tuple[int, int]) -> str:
    """Return what is wrong with run lengths of a mask, as numbers or packed in text."""
    if isinstance(counts, list):
        fits = all(type(n) is int and n >= 0 for n in counts) and sum(counts) == size[0] * size[1]
    elif isinstance(counts, str):
        from pycocotools import mask as coding
        try:
            fits = coding.decode({'size': list(size), 'counts': counts}) is not None
        except Exception:  # its own kind
            fits = False
    else:
        return 'has no counts'
    return '' if fits else f'has run lengths that do not fill {size[0]} x {size[1]} pixels'


def _has_mask(row: dict[str, Any]) -> bool:
    """Return whether an instance has a mask: tools for boxes write an empty one, or none."""
    shape = row.get('segmentation')
    return bool(any(shape) if isinstance(shape, list) else shape)


def _refuse(path: Path, faults: list[str]) -> None:
    if faults:
        more = f' ({len(faults) - 1} more are like it)' if len(faults) > 1 else ''
        raise DataError(f'{path} cannot be used: {faults[0]}{more}; correct or remove it.')


def _check_files(path: Path, folder: Path, names: list[str]) -> None:
    there = set(os.listdir(folder))  # one look, not one for each of 118,000
    _refuse(path, [f'it lists the image {name}, which is not in {folder}' for name in names
                   if name not in there and not (folder / name).is_file()])


class CocoImages:
    """
    Images of a part, decoded on access: item i is (H, W, 4) uint8, BGR and ids; raises DataError.

    size: (H, W) that they are fitted into; the padding has the id 255. binary: every thing is
    class 1. limit: number of images, spread over the part; 0 for all. without_mask: number of
    objects that are boxes only.
    """

    def __init__(self, root: str | Path, part: str, size: tuple[int, int], binary: bool = True,
                 limit: int = 0, annotations: str = 'instances') -> None:
        root = Path(root)
        self.folder, self.size = root / PARTS[part], size
        panoptic = annotations == 'panoptic'
        self.segments = root / 'annotations' / f'panoptic_{PARTS[part]}' if panoptic else None
        try:
            import pycocotools  # noqa: F401
        except ImportError as error:
            raise DataError(f'COCO is read with pycocotools, which is missing ({error}): '
                            'pip install pycocotools.') from error
        rows, objects, categories = _read(root, part, annotations)
        if limit and limit < len(rows):
            rows = [rows[i * len(rows) // limit] for i in range(limit)]
        if not rows:
            raise DataError(f'COCO in {root} lists no image in {PARTS[part]}: {_HOW}.')
        listed = root / 'annotations' / f'{annotations}_{PARTS[part]}.json'
        order, keys = sorted(categories), ('segmentation', 'category_id', 'iscrowd', 'id')
        try:
            self.ids = {category: i for i, category in enumerate(order, 1)}
            if binary:  # stuff is background
                self.ids = {c: int(categories[c].get('isthing', 1)) for c in order}
            self.classes = _classes([categories[c]['name'] for c in order], binary)
            names = [str(row['file_name']) for row in rows]
            _check_files(listed, self.folder, names)
            if self.segments:
                _check_files(listed, self.segments,
                             [str(Path(name).with_suffix('.png')) for name in names])
            faults, self.without_mask = [], 0
            for row in rows:
                given, shape = objects[row['id']], (row['height'], row['width'])
                kept = given if panoptic else [a for a in given if _has_mask(a)]
                self.without_mask += len(given) - len(kept)
                objects[row['id']] = kept
                for a in kept:
                    fault = _fault(a, shape, self.ids, panoptic)
                    if fault:
                        faults.append(f'annotation {a.get("id")} of {row["file_name"]} {fault}')
            _refuse(listed, faults)
            # Loading processes get only the fields that they need.
            self.rows = [
                (row['file_name'], (row['height'], row['width']), zlib.compress(json.dumps([
                    {k: a[k] for k in keys if k in a} for a in objects[row['id']]]).encode()))
                for row in rows]
        except DataError:
            raise
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f'The {annotations} of COCO in {root} lack something: '
                            f'{one_line(error)}; download them again.') from error

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.rows), *self.size, 4

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        name, size, annotations = self.rows[index]
        image = read_image(self.folder / name, size)
        png = (read_image((self.segments / name).with_suffix('.png'), size) if self.segments
               else None)
        try:
            objects = json.loads(zlib.decompress(annotations))
            mask = (_mask(objects, self.ids, size) if png is None
                    else _panoptic_mask(png, objects, self.ids))
        except Exception as error:  # pycocotools raises plain Exceptions, too
            raise DataError(f'The annotation of {name} cannot be used: {one_line(error)}.'
                            ) from error
        cv2.setNumThreads(1)
        return scale_pair(image, mask, self.size)


def _classes(names: list[str], binary: bool) -> ClassTable:
    if binary:
        return ClassTable(('background', 'object'), ((0, 0, 0), (255, 120, 0)))
    colors = (tuple(round(255 * c) for c in colorsys.hsv_to_rgb(i * 0.381966 % 1, 0.8, 0.95))
              for i in range(len(names)))
    return ClassTable(('background', *(n.replace(' ', '_') for n in names)),
                      ((0, 0, 0), *colors))
