# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Configuration of a training run: a dataclass, a YAML file and command-line overrides of it."""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
import difflib
import math
from pathlib import Path
import sys
from typing import Any

from eunet_ros.model.checkpoint import check_input_size
from eunet_ros.model.common.command import make_parser
from eunet_ros.model.common.files import read_yaml
from eunet_ros.model.common.resources import share_file
from eunet_ros.model.eunet import get_variant, Variant

PRECISIONS = ('32-true', 'bf16-mixed', '16-mixed')
_DEFAULT = 'config/training/fsoco.yaml'
_TYPES = {'str': str, 'int': int, 'float': float, 'bool': bool}


def _option(default: Any, description: str, least: float | None = None,
            most: float | None = None) -> Any:
    return field(default=default, metadata={'help': description, 'range': (least, most)})


def _choice(description: str, *choices: str) -> Any:
    """Return a field of a few values, of which the first is the default."""
    return field(default=choices[0], metadata={'help': description, 'choices': choices})


@dataclass(frozen=True)
class TrainConfig:
    """The fields of a run; raises ValueError where a value is out of its range."""

    variant: str = _option('eunet_n', 'Network: eunet, eunet_s or eunet_n.')
    gate: str = _option('', "Gate: product or sigmoid; empty: the weights' or the variant's.")
    attention: str = _option('', 'Attention: lka or lska; empty: as for gate.')
    norm: str = _option('', 'Normalisation: batch, group or layer; empty: as for gate.')
    weights: str = _option('', 'Weights to start from, by path or name; empty: random.')
    new_head: bool = _option(False, 'Start from weights of other classes, without the last layer.')
    widen: bool = _option(False, 'Start from weights of a narrower variant, with new channels.')
    resume: str = _option('', 'Folder of an interrupted run to continue; used alone.')
    data: str = _option('', 'Folder of an FSOCO project or COCO 2017; empty: rendered scenes.')
    data_format: str = _option('fsoco', 'Format of that folder; an unknown name lists all.')
    coco_annotations: str = _choice(
        'Of COCO: instances (80 classes) or panoptic (133, with stuff).', 'instances', 'panoptic')
    border: int = _option(-1, "Black border of the project's images [px]; -1: detect it.", -1)
    on_error: str = _choice('Broken image or annotation: raise stops, skip counts it.', 'raise',
                            'skip')
    split: str = _option('', 'Split file to use; empty: one is made, and kept in the run.')
    split_by: str = _choice('source: a camera is in one part; random: scores are too good.',
                            'source', 'random')
    binary: bool = _option(False, 'One class, cone: the network has one logit.')
    augment: bool = _option(True, 'Zoom, rotate, flip and vary light and colour of the crops.')
    light: float = _option(0.0, 'Share of crops whose light may change, on the GPU.', 0, 1)
    blur: float = _option(0.0, 'Share of crops that may have motion blur, defocus or noise.', 0, 1)
    weather: float = _option(0.0, 'Share of crops that may have rain or haze.', 0, 1)
    on_the_fly: bool = _option(False, 'Render each scene when it is needed, without a cache.')
    crops_per_scene: int = _option(1, 'Crops of each scene that is rendered on the fly.', 1)
    images: int = _option(6000, 'Rendered images to train on; of COCO at most so many.', 1)
    large_images: int = _option(0, 'Further rendered images, of 1.5 times that size.', 0)
    hard_images: str = _option('', 'Further images: files of mine.py, separated by commas.')
    first_image: int = _option(0, 'Number of the first rendered image, for a later stage.', 0)
    validation_images: int = _option(200, 'The same, to validate on.', 1)
    height: int = _option(384, 'Height of the rendered images and of the shipped input [px].', 32)
    width: int = _option(640, 'Width of the rendered images and of the shipped input [px].', 32)
    crop_height: int = _option(256, 'Height of the training crops [px].', 32)
    crop_width: int = _option(384, 'Width of the training crops [px].', 32)
    cone_crops: float = _option(0.7, 'Share of crops that are centred on a cone.', 0, 1)
    batch: int = _option(8, 'Crops in a step, of all devices together.', 1)
    steps: int = _option(6000, 'Optimiser steps.', 1)
    lr: float = _option(6e-4, 'Maximum of the One Cycle learning rate (Lion).', 1e-12)
    warm_up: float = _option(0.15, 'Share of the steps in which the learning rate rises.', 0, 1)
    weight_decay: float = _option(1e-2, 'Weight decay (Lion).', 0)
    color_weight: float = _option(0.0, 'Weight of the cross-entropy among cone classes alone.', 0)
    dice_weight: float = _option(1.0, 'Weight of the soft Dice loss beside cross-entropy.', 0)
    miss_weight: float = _option(
        0.5, 'Weight of missed against false pixels in it (Tversky); 0.5: Dice.', 0, 1)
    cone_weight: float = _option(2.0, "Weight of the cones' pixels in the cross-entropy.", 0)
    class_balance: float = _option(
        0.0, 'Exponent of the inverse share of a cone class in that weight; 0: all alike.', 0)
    ema: float = _option(0.998, 'Decay of the moving average of the weights; 0: none.', 0, 1)
    gradient_clip: float = _option(1.0, 'Largest norm of the gradient; 0: not clipped.', 0)
    validate_every: int = _option(500, 'Maximum steps of an epoch, which validates and saves.', 1)
    patience: int = _option(0, 'Validations without a better one before it stops; 0: never.', 0)
    precision: str = _choice("Lightning's; bf16-mixed is faster on processors with bfloat16.",
                             *PRECISIONS)
    accelerator: str = _choice('auto, cpu or gpu.', 'auto', 'cpu', 'gpu')
    devices: int = _option(1, 'GPUs, or CPU processes, that share a batch; 0: all GPUs.', 0)
    tensorboard: bool = _option(True, 'Write logs and pictures for TensorBoard too.')
    seed: int = _option(0, 'Seed of everything random.', 0)
    workers: int = _option(1, 'Processes that load data, of each device; 0: none.', 0)
    threads: int = _option(0, "PyTorch's CPU threads, of each process; 0: all cores.", 0)
    output: str = _option('runs/synthetic', 'Folder of the run; numbered if it exists.')
    cache: str = _option('runs/cache', 'Folder of the rendered images.')

    def __post_init__(self) -> None:
        for f in fields(self):
            value, kind = getattr(self, f.name), _TYPES[f.type]
            if kind is float and type(value) is int:
                object.__setattr__(self, f.name, float(value))
            elif type(value) is not kind:
                raise ValueError(f'{f.name} must be of type {f.type}, found {value!r}.')
            least, most = f.metadata.get('range', (None, None))
            if least is not None and not value >= least:
                raise ValueError(f'{f.name} must be at least {least}, found {value}.')
            if most is not None and value > most:
                raise ValueError(f'{f.name} is a share and must be at most {most}, found {value}.')
            choices = f.metadata.get('choices', (value,))
            if value not in choices:
                raise ValueError(f'{f.name} must be {", ".join(choices[:-1])} or {choices[-1]}, '
                                 f'found {value!r}.')
        if self.ema == 1:
            raise ValueError('ema must be below 1, or the average would never move; found 1.0.')
        if self.widen and (self.new_head or not self.weights):
            raise ValueError('widen starts from weights and takes all of them: name them, and '
                             'leave new_head out.')
        for name in ('large_images', 'hard_images'):
            if getattr(self, name) and self.data:
                raise ValueError(f'{name} are rendered: leave them out, or leave data empty.')
        variant = self.architecture(get_variant(self.variant))
        check_input_size((self.height, self.width), variant)
        check_input_size((self.crop_height, self.crop_width), variant)
        if self.crop_height > self.height or self.crop_width > self.width:
            raise ValueError(
                f'The crop {self.crop_height}x{self.crop_width} must fit into the image '
                f'{self.height}x{self.width} (height x width).')

    def architecture(self, base: Variant) -> Variant:
        asked = {name: getattr(self, name) for name in ('gate', 'attention', 'norm')}
        return replace(base, **{name: value for name, value in asked.items() if value})

    @property
    def epochs(self) -> int:
        return math.ceil(self.steps / self.validate_every)

    @property
    def epoch_steps(self) -> int:
        """Return the steps of each epoch: `steps` are rounded up to whole epochs."""
        return math.ceil(self.steps / self.epochs)


def _boolean(text: str) -> bool:
    if text.lower() not in ('true', 'false'):
        raise argparse.ArgumentTypeError(f'expected true or false, found {text!r}')
    return text.lower() == 'true'


def _with_dashes(word: str) -> str:
    """Let --crop_height stand for --crop-height: files have fields with underscores."""
    name, equals, value = word.partition('=')
    return name.replace('_', '-') + equals + value if word.startswith('--') else word


def _check_names(names: set[str], where: str) -> None:
    known = [f.name for f in fields(TrainConfig)]
    for name in sorted(names - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        hint = f'did you mean {near[0]}?' if near else f'expected one of {", ".join(known)}.'
        raise ValueError(f'{where} has an unknown field {name!r}; {hint}')


def read_config(path: Path) -> dict[str, Any]:
    """Return the fields that a YAML file sets; raises ValueError."""
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise ValueError(f'Cannot read the configuration {path}: {error}') from error
    if not isinstance(values, dict):
        raise ValueError(
            f'Expected "field: value" lines in {path}, found {type(values).__name__}.')
    _check_names({str(k) for k in values}, str(path))
    return values


def parse_command_line(arguments: Sequence[str] | None = None) -> TrainConfig:
    """Return the configuration of a command line; raises ValueError where a value is wrong."""
    parser = make_parser('Train a network of the EUnet family on FSOCO or on rendered scenes.')
    parser.add_argument('--config', type=Path, default=argparse.SUPPRESS,
                        help='YAML file with any of the fields below')
    for f in fields(TrainConfig):
        parser.add_argument(
            f'--{f.name.replace("_", "-")}', metavar=f.type.upper(),
            type=_boolean if f.type == 'bool' else _TYPES[f.type],
            help=f'{f.metadata["help"]} (where the file does not say: {f.default!r})',
            default=argparse.SUPPRESS)
    words = [_with_dashes(w) for w in (sys.argv[1:] if arguments is None else arguments)]
    known, unknown = parser.parse_known_args(words)
    names = {word[2:].partition('=')[0].replace('-', '_') for word in unknown
             if word.startswith('--')}
    _check_names(names, 'The command line')
    if unknown:
        raise ValueError(f'The command line has {unknown[0]!r}, which belongs to no option.')
    given = vars(known)
    if 'resume' in given and len(given) > 1:
        raise ValueError('--resume continues a run as it began: use it without other options.')
    values = read_config(given.pop('config', share_file(_DEFAULT)))
    if 'resume' in values:
        raise ValueError('resume belongs on the command line, alone, not into a configuration.')
    return TrainConfig(**{**values, **given})
