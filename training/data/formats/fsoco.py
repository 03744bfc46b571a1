# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An FSOCO project, or another in Supervisely's format, as a data set."""
from __future__ import annotations

import argparse
from pathlib import Path

from eunet_ros.model.common.classes import BINARY_CLASSES, ClassTable, cone_classes
from eunet_ros.model.common.cone_annotations import paint_instances, read_annotation
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.decoded import decoded_set
from eunet_ros.training.data.readers import fsoco as reader
from eunet_ros.training.data.sets import Labelled, LabelledImages, TrainingSets
from eunet_ros.training.data.splits import load_split, make_split


def open_sets(config: TrainConfig) -> TrainingSets:
    project = reader.FsocoProject(config.data)
    split = (load_split(config.split, project.samples) if config.split
             else make_split(project.samples, by=config.split_by))
    parts = split.select(project.samples)
    for name in ('train', 'val'):
        if not parts[name]:
            raise DataError(f'The part {name} of the split is empty: training needs images to '
                            'train on and others to choose by.')
    border = (reader.detect_border(project.samples, on_error=config.on_error) if config.border < 0
              else config.border)
    sets, notes = [], {}
    for name in ('train', 'val'):
        report = reader.LoadReport()
        sets.append(decoded_set(Path(config.cache), parts[name], cone_classes(),
                                (config.height, config.width), border,
                                config.on_error, report))
        notes[name] = {'images': report.loaded, 'skipped': len(report.errors),
                       'objects cut at the edge': report.cut_objects,
                       'sources': sorted({s.source for s in parts[name]})}
    description = {'data': 'an FSOCO project (Supervisely format)', 'split by': split.by,
                   'border': border, **notes}
    classes = BINARY_CLASSES if config.binary else cone_classes()
    return TrainingSets(*sets, classes, description, split, tuple(
        f'{len(names)} {what}, such as {names[0]}: ignored.' for names, what in (
            (project.without_annotation, 'images have no annotation'),
            (project.without_image, 'annotations have no image')) if names))


def labelled_images(options: argparse.Namespace, classes: ClassTable,
                    report: reader.LoadReport) -> LabelledImages:
    project = reader.FsocoProject(options.data)
    if options.split == 'all':
        samples, how = project.samples, 'none'
    else:
        split = (load_split(options.split_file, project.samples) if options.split_file
                 else make_split(project.samples))
        samples, how = split.select(project.samples)[options.split], split.by
        if not samples:
            raise DataError(f'The part {options.split} of the split is empty: choose another '
                            '--split, or "all".')
    border = options.border
    if border < 0:
        border = reader.detect_border(project.samples, on_error=options.on_error)
    found = reader.load_samples(samples, classes, border, options.on_error, report)
    items = (Labelled(sample.name, image, mask,
                      paint_instances(read_annotation(sample.annotation, classes), border))
             for sample, image, mask in found)
    return LabelledImages(items, len(samples), {
        'data': str(options.data), 'border': border, 'split by': how})
