# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An FSOCO project decoded once, at the size of training, into a file that is memory-mapped."""
from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import hashlib
import json
import os
from pathlib import Path
import shutil

import cv2
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.files import folder_beside
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.model.processing import fit, to_network
from eunet_ros.training.data.parallel import cache_lock, parallel_map
from eunet_ros.training.data.readers.fsoco import load_sample, LoadReport, Sample
import numpy as np
from rich.progress import track

_FORMAT = 1  # part of the key: a new number decodes again


def scale_pair(image: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 4), BGR and the ids that cover most of a pixel, 255 in the padding."""
    plan = fit(image.shape[:2], size)
    picture = np.empty((*size, 3), np.uint8)
    to_network(image, plan, picture)
    out = np.dstack([picture, np.full(size, IGNORE_ID, np.uint8)])
    h, w = plan.scaled
    best, ids = np.zeros((h, w), np.float32), np.zeros((h, w), np.uint8)
    shrinks = h < mask.shape[0]
    for class_id in np.flatnonzero(np.bincount(mask.reshape(-1), minlength=256)):
        share = cv2.resize((mask == class_id).astype(np.float32), (w, h), interpolation=(
            cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR))
        wins = share > best
        best[wins], ids[wins] = share[wins], class_id
    out[:h, :w, 3] = ids
    return out


def _decode(sample: Sample, classes: ClassTable, border: int,
            size: tuple[int, int]) -> tuple[np.ndarray | None, int, str]:
    """Return pixels, number of cut objects and ''; or None, 0 and the error."""
    cv2.setNumThreads(1)
    try:
        image, mask, cut = load_sample(sample, classes, border)
    except DataError as error:
        return None, 0, str(error)
    return scale_pair(image, mask, size), cut, ''


def _key(samples: Sequence[Sample], classes: ClassTable, size: tuple[int, int],
         border: int) -> str:
    digest = hashlib.sha256(repr((_FORMAT, size, border, classes.names)).encode())
    for sample in samples:
        for path in (sample.image, sample.annotation):
            try:
                status = os.stat(path)
            except OSError as error:
                raise DataError(f'Cannot read {path}: {error.strerror}.') from error
            digest.update(repr((sample.name, status.st_size, status.st_mtime_ns)).encode(
                'utf-8', 'surrogateescape'))
    return digest.hexdigest()[:16]


def decoded_set(folder: Path, samples: Sequence[Sample], classes: ClassTable,
                size: tuple[int, int], border: int, on_error: str = 'raise',
                report: LoadReport | None = None) -> np.ndarray:
    """Return the samples as a read-only (n, H, W, 4) uint8 memory map: BGR and class ids."""
    report = LoadReport() if report is None else report
    place = folder / f'fsoco_{_key(samples, classes, size, border)}'
    index = place / 'index.json'
    if not index.is_file():
        with cache_lock(folder):
            if not index.is_file():
                shutil.rmtree(place, ignore_errors=True)  # an incomplete one
                _write(place, samples, partial(_decode, classes=classes, border=border, size=size),
                       on_error)
    told = json.loads(index.read_text())
    if told['errors'] and on_error == 'raise':
        raise DataError(told['errors'][0])
    report.loaded += told['count']
    report.cut_objects += told['cut_objects']
    report.errors += told['errors']
    if not told['count']:
        raise DataError(f'None of {len(samples)} images can be used: '
                        f'{told["errors"][0] if told["errors"] else "there is none."}')
    return np.memmap(place / 'pixels.bin', np.uint8, 'r', shape=(told['count'], *size, 4))


def _write(place: Path, samples: Sequence[Sample], decode: partial, on_error: str) -> None:
    count, cut_objects, errors = 0, 0, []
    with folder_beside(place) as beside:
        with open(beside / 'pixels.bin', 'wb') as file:
            rows = parallel_map(decode, samples)
            for pixels, cut, error in track(rows, 'Decoding', total=len(samples)):
                if pixels is not None:
                    file.write(pixels.tobytes())
                    count += 1
                    cut_objects += cut
                elif on_error == 'raise':
                    raise DataError(error)
                else:
                    errors.append(error)
        (beside / 'index.json').write_text(json.dumps(
            {'count': count, 'cut_objects': cut_objects, 'errors': errors}))
