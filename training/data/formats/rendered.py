# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes as a data set: no folder is needed."""
from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eunet_ros.model.common.classes import BINARY_CLASSES, ClassTable, cone_classes
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.readers import rendered as reader
from eunet_ros.training.data.readers.fsoco import LoadReport
from eunet_ros.training.data.sets import Labelled, LabelledImages, TrainingSets
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.renderer.profiles import get_profile
import numpy as np
from torch.utils.data import ConcatDataset

SEEDS = {'val': reader.VALIDATION_SEED, 'test': reader.TEST_SEED}  # the first ones


def _training_scenes(config: TrainConfig, first_seed: int, count: int,
                     size: tuple[int, int]) -> Any:
    if config.on_the_fly:
        return reader.RenderedScenes(first_seed, count, *size)
    return reader.rendered_set(Path(config.cache), first_seed, count, *size)


def open_sets(config: TrainConfig) -> TrainingSets:
    size = config.height, config.width
    classes = BINARY_CLASSES if config.binary else cone_classes()
    if config.first_image + config.images + config.large_images > reader.VALIDATION_SEED:
        raise ValueError('first_image, images and large_images must be '
                         f'{reader.VALIDATION_SEED:,} or less together: beyond are the images to '
                         'validate on.')
    train = _training_scenes(config, config.first_image, config.images, size)
    if config.large_images:
        large = tuple(round(1.5 * side) for side in size)
        train = ConcatDataset([train, _training_scenes(
            config, config.first_image + config.images, config.large_images, large)])
    if config.hard_images:
        hard = (reader.hard_images(Path(name)) for name in config.hard_images.split(','))
        train = ConcatDataset([train, *hard])
    validation = reader.rendered_set(Path(config.cache), reader.VALIDATION_SEED,
                                     config.validation_images, *size)
    return TrainingSets(train, validation, classes, {
        'data': 'rendered scenes only, no real image', 'renderer': reader.renderer_fingerprint()})


def labelled_images(options: argparse.Namespace, classes: ClassTable,
                    report: LoadReport) -> LabelledImages:
    if options.split not in SEEDS:
        raise DataError(f'Rendered scenes have the parts {" and ".join(SEEDS)}, found '
                        f'{options.split}: training scenes are not test data.')
    if len(classes.names) > 2 and classes.names != cone_classes().names:
        raise DataError(f'The weights know the classes {", ".join(classes.names[:6])}, but '
                        f'rendered scenes show {", ".join(cone_classes().names)}: take other '
                        'weights.')
    profile = get_profile(options.profile).name
    items = _scenes(SEEDS[options.split], options.count, tuple(options.size), profile, classes)
    return LabelledImages(items, options.count, {
        'data': 'rendered scenes', 'profile': profile, 'height': options.size[0],
        'width': options.size[1]})


def _scenes(first_seed: int, count: int, size: tuple[int, int], profile: str,
            classes: ClassTable) -> Iterator[Labelled]:
    """Yield rendered scenes of a profile; with two classes every cone is the second."""
    for seed in range(first_seed, first_seed + count):
        scene = render_scene(seed, *size, profile)
        mask = scene.mask if len(classes.names) > 2 else (scene.mask > 0).view(np.uint8)
        yield Labelled(f'seed {seed}', scene.image, mask, scene.instances)
