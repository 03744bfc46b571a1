# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
FSOCO's segmentation images, read from a Supervisely export that the user has downloaded.

meta.json is in the root; images and annotations in img and ann (images and segmentation in FSOCO's
sample) of the root, of a team's folder or deeper. An annotation is <image name>.json or
<stem>.json.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
import os
from pathlib import Path
import re
from typing import TypeVar

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.cone_annotations import BORDER, paint_mask, read_annotation
from eunet_ros.model.common.files import is_hidden
from eunet_ros.model.common.pictures import read_picture
from eunet_ros.model.common.supervisely import DataError, read_json
import numpy as np

_FOLDERS = (('img', 'ann'), ('images', 'segmentation'))
IMAGES = {'.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff'}
_HOW = ('Download the segmentation part of FSOCO (4 GB, 1,517 images, Supervisely format) from '
        'fsoco-dataset.com, which asks for no contribution, unpack it and name the folder that '
        'holds meta.json and one folder with img and ann per team with --data')
Row, Item = TypeVar('Row'), TypeVar('Item')
_DARK = 16         # of 255: black after JPEG
_DARK_SHARE = 0.6  # of each side: the rest may be logos


@dataclass(frozen=True)
class Sample:
    """One annotated image; nothing is read before it is loaded."""

    name: str         # 'team/file.png', unique in its project; 'file.png' in the root's own img
    image: Path
    annotation: Path
    source: str       # whose camera: 'amz' of 'amz_00825.png'


@dataclass
class LoadReport:
    """Counts and errors of a pass over samples."""

    loaded: int = 0
    cut_objects: int = 0  # objects that reached outside the image
    errors: list[str] = field(default_factory=list)  # a sentence per skipped sample


def source_of(file_name: str, team: str = '') -> str:
    """Return the camera of an image: its name before the first underscore, without numbers."""
    stem = re.sub(r'^(\d+[_\-. ]*)+', '', Path(file_name).stem.lower())
    head, underscore, _ = stem.partition('_')
    return (head if underscore else re.sub(r'[\-. ]*\d+$', '', stem)) or team.lower() or 'unnamed'


def _names(folder: Path, want_folders: bool) -> list[str]:
    """Return the names of folders or files in a folder, sorted, without hidden ones."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries
                          if e.is_dir() == want_folders and not is_hidden(e.name))
    except OSError as error:
        raise DataError(f'Cannot list the folder {folder}: {error.strerror}.') from error


class FsocoProject:
    """The samples of an export, sorted by name, and names without a pair; raises DataError."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            found = 'is a file, unpack it' if self.root.exists() else 'does not exist'
            raise DataError(f'The data folder {self.root} {found}. {_HOW}.')
        _check_meta(self.root)
        self.without_image: tuple[str, ...] = ()
        self.without_annotation: tuple[str, ...] = ()
        samples = [sample for folder, prefix in self._folders()
                   for sample in self._list(folder, prefix)]
        if not samples:
            raise DataError(f'No image with an annotation was found under {self.root}, expected '
                            f'<team>/img/<name> with <team>/ann/<name>.json. {_HOW}.')
        self.samples: tuple[Sample, ...] = tuple(sorted(samples, key=lambda s: s.name))

    def _folders(self) -> Iterator[tuple[Path, str]]:
        """Yield the folders that may hold img and ann, and their names; datasets may be nested."""
        pairs = {name for pair in _FOLDERS for name in pair}
        waiting, seen = [(self.root, '')], set()
        for folder, prefix in waiting:
            if folder.resolve() in seen:  # a circular link
                continue
            seen.add(folder.resolve())
            yield folder, prefix
            waiting += [(folder / name, f'{prefix}/{name}'.strip('/'))
                        for name in _names(folder, True) if name not in pairs]

    def _list(self, folder: Path, prefix: str) -> Iterator[Sample]:
        for images, truths in _FOLDERS:
            image_folder, annotation_folder = folder / images, folder / truths
            if image_folder.is_dir() and annotation_folder.is_dir():
                break
        else:
            return
        files = [n for n in _names(image_folder, False) if Path(n).suffix.lower() in IMAGES]
        left = {n for n in _names(annotation_folder, False) if n.lower().endswith('.json')}
        stems = Counter(Path(name).stem for name in files)
        start = f'{prefix}/' if prefix else ''
        for name in files:
            stem = Path(name).stem
            # 'a.json' is ambiguous where both a.png and a.jpg exist.
            candidates = [f'{name}.json'] + [f'{stem}.json'] * (stems[stem] == 1)
            found = next((c for c in candidates if c in left), None)
            if found is None:
                self.without_annotation += (start + name,)
                continue
            left.discard(found)
            source = source_of(name, prefix.split('/')[0])
            yield Sample(start + name, image_folder / name, annotation_folder / found, source)
        self.without_image += tuple(start + n for n in sorted(left))


def _check_meta(root: Path) -> None:
    path = root / 'meta.json'
    if not path.is_file():
        inner = [n for n in _names(root, True) if (root / n / 'meta.json').is_file()]
        hint = f'it is in {root / inner[0]}: name that folder' if len(inner) == 1 else _HOW
        raise DataError(f'{root} has no meta.json; {hint}.')
    meta = read_json(path)
    rows = meta.get('classes') if isinstance(meta, dict) else None
    if not isinstance(rows, list) or not all(
            isinstance(r, dict) and isinstance(r.get('title'), str) for r in rows):
        raise DataError(f'Expected a list of classes with titles in {path}; download it again.')
    if all(r.get('shape') == 'rectangle' for r in rows):
        found = ', '.join(r['title'] for r in rows) or 'none'
        raise DataError(f'{path} lists no class with masks, found {found}: '
                        'expected seg_blue_cone and the like, which the segmentation export has.')


def read_image(path: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return (h, w, 3) uint8 BGR, of `size` (h, w) if given; raises DataError naming the file."""
    image = read_picture(path)
    if size and image.shape[:2] != size:
        raise DataError(f'{path} has {image.shape[0]}x{image.shape[1]} pixels (height x width) '
                        f'but its annotation says {size[0]}x{size[1]}: download both again.')
    return image


def load_sample(sample: Sample, classes: ClassTable,
                border: int = BORDER) -> tuple[np.ndarray, np.ndarray, int]:
    """Return image, class ids (h, w) uint8 and number of cut objects; raises DataError."""
    annotation = read_annotation(sample.annotation, classes)
    height, width = annotation.height, annotation.width
    image = read_image(sample.image, (height, width))
    if border < 0 or min(height, width) <= 2 * border:
        raise DataError(f'{sample.image} with {height}x{width} pixels has no room for a border '
                        f'of {border} px: use border 0 for images without one.')
    return image[border:height - border, border:width - border], *paint_mask(annotation, border)


def load_each(rows: Iterable[Row], load: Callable[[Row], Item], on_error: str,
              report: LoadReport) -> Iterator[Item]:
    """Yield load(row) of each; on_error: 'skip' adds a DataError to the report and continues."""
    for row in rows:
        try:
            item = load(row)
        except DataError as error:
            if on_error == 'raise':
                raise
            report.errors.append(str(error))
        else:
            report.loaded += 1
            yield item


def load_samples(samples: Iterable[Sample], classes: ClassTable, border: int, on_error: str,
                 report: LoadReport) -> Iterator[tuple[Sample, np.ndarray, np.ndarray]]:
    """Yield (sample, image, mask); on_error: see `load_each`."""
    def load(sample: Sample) -> tuple[Sample, np.ndarray, np.ndarray]:
        image, mask, cut = load_sample(sample, classes, border)
        report.cut_objects += cut
        return sample, image, mask
    return load_each(samples, load, on_error, report)


def has_border(image: np.ndarray, border: int = BORDER) -> bool:
    """Return whether an image has FSOCO's frame: at least 60 % of each side is nearly black."""
    if border < 1 or min(image.shape[:2]) <= 2 * border:
        return False
    dark = image.max(axis=2) <= _DARK
    sides = (dark[:border], dark[-border:], dark[:, :border], dark[:, -border:])
    return all(float(side.mean()) >= _DARK_SHARE for side in sides)


def detect_border(samples: Iterable[Sample], count: int = 5, on_error: str = 'raise') -> int:
    """Return BORDER or 0 by looking at some of the samples; raises DataError if they differ."""
    chosen = list(samples)
    chosen = [chosen[i * len(chosen) // count] for i in range(count)] if chosen else []
    found = {}
    for sample in chosen:
        try:
            found[sample.name] = has_border(read_image(sample.image))
        except DataError:
            if on_error == 'raise':
                raise
    if len(set(found.values())) > 1:
        name = {v: k for k, v in found.items()}
        raise DataError(f'{name[True]} has a black border of {BORDER} px but {name[False]} has '
                        f'none: say which it is with --border {BORDER} or --border 0.')
    return BORDER if any(found.values()) else 0
