# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The formats of data sets by name.

To add one: a module beside this file, its name in FORMATS, and its reader in data/readers. The
module has `open_sets(config)`, which returns a `TrainingSets`, and `labelled_images(options,
classes, report)`, which returns a `LabelledImages` for evaluate.py. Both raise DataError.
"""
from __future__ import annotations

import importlib
from types import ModuleType

from eunet_ros.model.common.errors import unknown
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.sets import TrainingSets

RENDERED = 'rendered'  # needs no folder
FORMATS = ('fsoco', 'coco', 'yolo', RENDERED)  # the modules beside this file


def format_module(name: str) -> ModuleType:
    """Return the module of a format, imported when it is needed; raises DataError."""
    if name not in FORMATS:
        raise DataError(unknown('data_format', name, FORMATS))
    return importlib.import_module(f'{__package__}.{name}')


def open_sets(config: TrainConfig) -> TrainingSets:
    """Open what `config` names, decoding or rendering it on first use; raises DataError."""
    return format_module(config.data_format if config.data else RENDERED).open_sets(config)
