# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The formats of data sets by name.

A format is a module of `training/data/formats/` with two functions: `open_sets(config)` returns
what a run trains on (`data.sets.TrainingSets`), and `labelled_images(options, classes, report)`
what evaluate.py scores (`data.sets.LabelledImages`). Both raise DataError, in a sentence, where
data is missing or unusable.
"""
from __future__ import annotations

import importlib
from types import ModuleType

RENDERED = 'rendered'        # needs no folder
OF_FOLDERS = ('fsoco', 'coco')


def format_module(name: str) -> ModuleType:
    """Return the module of a format; it is imported when it is needed."""
    return importlib.import_module(f'{__package__}.data.formats.{name}')
