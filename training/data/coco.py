# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
COCO 2017 (Lin et al., arXiv:1405.0312), read through pycocotools, for pre-training.

<root>/annotations/instances_<part>2017.json and <root>/<part>2017/<file>.jpg.
"""
from __future__ import annotations

import colorsys
from contextlib import redirect_stdout
import io
import json
from pathlib import Path
from typing import Any
import zlib

import cv2
from eunet_ros.model.classes import ClassTable, IGNORE_ID
from eunet_ros.model.errors import one_line
from eunet_ros.training.data.decoded import scale_pair
from eunet_ros.training.data.fsoco import read_image
from eunet_ros.training.data.supervisely import DataError
import numpy as np

PARTS = {'train': 'train2017', 'val': 'val2017'}
_HOW = ('get train2017.zip, val2017.zip and annotations_trainval2017.zip from '
        'cocodataset.org, unpack them into one folder and name it with --data')


def _open(root: Path, part: str) -> Any:
    """Return pycocotools' index of a part; raises DataError where it is not there."""
    path = root / 'annotations' / f'instances_{PARTS[part]}.json'
    if not path.is_file():
        raise DataError(f'{path} does not exist: {_HOW}.')
    if not (root / PARTS[part]).is_dir():
        raise DataError(f'The folder {root / PARTS[part]} does not exist: {_HOW}.')
    try:
        from pycocotools.coco import COCO
    except ImportError as error:
        raise DataError(f'COCO is read with pycocotools, which is missing ({error}): '
                        'pip install pycocotools.') from error
    try:
        with redirect_stdout(io.StringIO()):  # it reports its progress
            return COCO(str(path))
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        raise DataError(f'Cannot read {path}: {one_line(error)}; download it again.') from error


def _mask(annotations: list[dict[str, Any]], ids: dict[int, int], size: tuple[int, int],
          binary: bool) -> np.ndarray:
    """
    Return the (h, w) uint8 class ids of an image's instances.

    Crowds are ignored (255), and so are, unless binary, pixels that two classes share.
    """
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
        value = 1 if binary else ids[row['category_id']]
        shared = own & (out != 0) & (out != value)
        out[own] = value
        out[shared] = IGNORE_ID
    out[crowds & (out == 0)] = IGNORE_ID
    return out


class CocoImages:
    """
    Images of a part, decoded when they are asked for: item i is (H, W, 4) uint8, BGR and ids.

    Indexed like the memory maps of other data. size: (H, W) that the images are fitted into, with
    their aspect ratio kept; what is padded has the id 255. binary: every instance is class 1, the
    union of all; else the classes are COCO's 80. limit: how many images, 0 for all, spread over
    the part. Images without instances stay: they are background. Raises DataError.
    """

    def __init__(self, root: str | Path, part: str, size: tuple[int, int], binary: bool = True,
                 limit: int = 0) -> None:
        self.folder, self.size, self.binary = Path(root) / PARTS[part], size, binary
        coco = _open(Path(root), part)
        rows = [coco.imgs[i] for i in sorted(coco.imgs)]
        if limit and limit < len(rows):
            rows = [rows[i * len(rows) // limit] for i in range(limit)]
        if not rows:
            raise DataError(f'COCO in {root} lists no image in {PARTS[part]}: {_HOW}.')
        categories = sorted(coco.cats)
        self.ids = {category: i for i, category in enumerate(categories, 1)}
        self.classes = _classes([coco.cats[c]['name'] for c in categories], binary)
        # Only what is needed goes to the processes that load.
        self.rows = [(row['file_name'], (row['height'], row['width']), zlib.compress(json.dumps([
            {k: a[k] for k in ('segmentation', 'category_id', 'iscrowd') if k in a}
            for a in coco.imgToAnns[row['id']]]).encode())) for row in rows]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return (count, H, W, 4)."""
        return len(self.rows), *self.size, 4

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> np.ndarray:
        name, size, annotations = self.rows[index]
        image = read_image(self.folder / name)
        if image.shape[:2] != size:
            raise DataError(f'{self.folder / name} has {image.shape[0]}x{image.shape[1]} pixels '
                            f'(height x width) but its annotation says {size[0]}x{size[1]}: '
                            'download both again.')
        try:
            mask = _mask(json.loads(zlib.decompress(annotations)), self.ids, size, self.binary)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f'The annotation of {name} cannot be used: {one_line(error)}.'
                            ) from error
        cv2.setNumThreads(1)
        return scale_pair(image, mask, self.size)


def _classes(names: list[str], binary: bool) -> ClassTable:
    if binary:
        return ClassTable(('background', 'object'), ((0, 0, 0), (255, 120, 0)))
    colors = [(0, 0, 0)] + [
        tuple(round(255 * c) for c in colorsys.hsv_to_rgb(i * 0.381966 % 1, 0.8, 0.95))
        for i in range(len(names))]
    return ClassTable(('background', *(n.replace(' ', '_') for n in names)), tuple(colors))
