# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run trains on and validates with, from the configuration."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eunet_ros.model.common.classes import BINARY_CLASSES, ClassTable, cone_classes
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.coco import CocoImages
from eunet_ros.training.data.crops import Joined
from eunet_ros.training.data.decoded import decoded_set
from eunet_ros.training.data.fsoco import detect_border, FsocoProject, LoadReport
from eunet_ros.training.data.rendered import (
    hard_images,
    rendered_set,
    RenderedScenes,
    renderer_fingerprint,
    VALIDATION_SEED,
)
from eunet_ros.training.data.splits import load_split, make_split, Split
import numpy as np

# Of a random split as the original EUnet project made it, 80/20; a tenth of all is taken from
# the 80 to choose by, so that nothing is chosen on the test images.
_RANDOM = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class TrainingSets:
    """
    Images as (count, H, W, 4) uint8 BGR and class ids, and what a checkpoint says of them.

    split: of a project; None where scenes are rendered. left_out: a sentence of each kind of data
    that is not used.
    """

    train: np.ndarray | CocoImages | RenderedScenes | Joined
    validation: np.ndarray | CocoImages
    classes: ClassTable
    description: dict[str, Any]
    split: Split | None = None
    left_out: tuple[str, ...] = ()


def _rendered(config: TrainConfig, first_seed: int, count: int, size: tuple[int, int]) -> Any:
    if config.on_the_fly:
        return RenderedScenes(first_seed, count, *size)
    return rendered_set(Path(config.cache), first_seed, count, *size)


def open_sets(config: TrainConfig) -> TrainingSets:
    """
    Open what `config` names, decoding or rendering it on first use.

    Raises DataError, in a sentence, where data is missing or unusable.
    """
    size, cache = (config.height, config.width), Path(config.cache)
    classes = BINARY_CLASSES if config.binary else cone_classes()
    if not config.data:
        if config.first_image + config.images + config.large_images > VALIDATION_SEED:
            raise ValueError(f'first_image, images and large_images must be {VALIDATION_SEED:,} '
                             'or less together: beyond are the images to validate on.')
        train = _rendered(config, config.first_image, config.images, size)
        if config.large_images:
            large = tuple(round(1.5 * side) for side in size)
            train = Joined(train, _rendered(
                config, config.first_image + config.images, config.large_images, large))
        if config.hard_images:
            train = Joined(train, hard_images(Path(config.hard_images)))
        return TrainingSets(
            train,
            rendered_set(cache, VALIDATION_SEED, config.validation_images, *size), classes,
            {'data': 'rendered scenes only, no real image', 'renderer': renderer_fingerprint()})
    if config.data_format == 'coco':
        parts = [CocoImages(config.data, part, size, config.binary, limit,
                            config.coco_annotations) for part, limit in (
            ('train', config.images), ('val', config.validation_images))]
        return TrainingSets(*parts, parts[0].classes, {
            'data': 'COCO 2017', 'binary': config.binary,
            **{name: {'images': len(part), 'objects without a mask': part.without_mask}
               for name, part in zip(('train', 'val'), parts)}}, left_out=tuple(
            f'{part.without_mask} objects of {part.folder} have a box but no mask: passed over.'
            for part in parts if part.without_mask))
    project = FsocoProject(config.data)
    split = (load_split(config.split, project.samples) if config.split
             else make_split(project.samples, _RANDOM if config.split_by == 'random' else None,
                             by=config.split_by))
    parts = split.select(project.samples)
    for name in ('train', 'val'):
        if not parts[name]:
            raise DataError(f'The part {name} of the split is empty: training needs images to '
                            'train on and others to choose by.')
    border = (detect_border(project.samples, on_error=config.on_error) if config.border < 0
              else config.border)
    sets, notes = [], {}
    for name in ('train', 'val'):
        report = LoadReport()
        sets.append(decoded_set(cache, parts[name], cone_classes(), size, border,
                                config.on_error, report))
        notes[name] = {'images': report.loaded, 'skipped': len(report.errors),
                       'objects cut at the edge': report.cut_objects,
                       'sources': sorted({s.source for s in parts[name]})}
    description = {'data': 'an FSOCO project (Supervisely format)', 'split by': split.by,
                   'border': border, **notes}
    return TrainingSets(*sets, classes, description, split, tuple(
        f'{len(names)} {what}, such as {names[0]}: passed over.' for names, what in (
            (project.without_annotation, 'images have no annotation'),
            (project.without_image, 'annotations have no image')) if names))
