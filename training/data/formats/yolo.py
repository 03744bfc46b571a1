# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes in YOLO's format as a data set to score."""
from __future__ import annotations

import argparse

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.readers.boxes import YoloFolder
from eunet_ros.training.data.readers.fsoco import load_each, LoadReport
from eunet_ros.training.data.sets import LabelledImages, TrainingSets


def open_sets(config: TrainConfig) -> TrainingSets:
    """Raise DataError: boxes are no masks to train on."""
    raise DataError('Boxes in the YOLO format can be scored (training/evaluate.py), not trained '
                    'on: name a project with masks as --data.')


def labelled_images(options: argparse.Namespace, classes: ClassTable,
                    report: LoadReport) -> LabelledImages:
    """Return the images of a part of the folder with their boxes; see `formats`."""
    folder = YoloFolder(options.data, options.split, classes)
    return LabelledImages(
        load_each(folder.images, folder.load, options.on_error, report), len(folder.images),
        {'data': str(options.data), 'split': folder.part}, boxes=True)
