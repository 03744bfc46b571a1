# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO 2017 as a data set, for pre-training; cones as boxes in its format, to score."""
from __future__ import annotations

import argparse

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.readers.boxes import CocoBoxes
from eunet_ros.training.data.readers.coco import CocoImages
from eunet_ros.training.data.readers.fsoco import load_each, LoadReport
from eunet_ros.training.data.sets import LabelledImages, TrainingSets


def open_sets(config: TrainConfig) -> TrainingSets:
    if config.on_error == 'skip':
        raise DataError('on_error: skip is for FSOCO; a broken image of COCO stops the run: '
                        'download it again.')
    train, validation = (
        CocoImages(config.data, part, (config.height, config.width), config.binary, limit,
                   config.coco_annotations)
        for part, limit in (('train', config.images), ('val', config.validation_images)))
    parts = {'train': train, 'val': validation}
    return TrainingSets(train, validation, train.classes, {
        'data': 'COCO 2017', 'binary': config.binary,
        **{name: {'images': len(part), 'objects without a mask': part.without_mask}
           for name, part in parts.items()}}, left_out=tuple(
        f'{part.without_mask} objects of {part.folder} have a box but no mask: ignored.'
        for part in parts.values() if part.without_mask))


def labelled_images(options: argparse.Namespace, classes: ClassTable,
                    report: LoadReport) -> LabelledImages:
    """Return the images of an annotation file with their boxes; see `formats`."""
    file = CocoBoxes(options.data, classes)
    return LabelledImages(
        load_each(file.images, file.load, options.on_error, report), len(file.images),
        {'data': str(options.data), 'split': 'all'}, boxes=True)
