# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build an engine ahead of time, so that a node finds it in the cache.

    ros2 run eunet_ros build_engine --engine tensorrt
    python -m eunet_ros.model.build_engine --engine openvino --precision int8 --calibrate images/
    ros2 run eunet_ros build_engine --check    # which engines can run here, and what others need

It imports no ROS. With --variant the weights are random: use it to see whether, and how fast, a
network runs here before you train it.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
import sys
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.command import make_parser, run_command
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import user_path, visible
from eunet_ros.model.common.metrics.pixels import confusion_matrix, dice
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, engine_class, EngineError, ENGINES, PRECISIONS
from eunet_ros.model.processing import fit, PADDING_BGR
import numpy as np

if TYPE_CHECKING:  # PyTorch may be what is missing, and --check says so
    from eunet_ros.model.checkpoint import Checkpoint

_SIZE = (384, 640)  # of a network without weights
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_HELD_OUT = 5       # every fifth image is kept for comparison
_MOST_IMAGES, _FEWEST_IMAGES = 300, 10
_say = partial(print, flush=True)


def add_network(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--weights', default='', metavar='NAME|PATH',
                       help=f'weights; without: {DEFAULT_WEIGHTS}')
    which.add_argument('--variant', default='', metavar='NAME',
                       help='a variant such as eunet_s, with random weights')
    parser.add_argument('--height', type=int, help="of the network's input; without: the weights'")
    parser.add_argument('--width', type=int, help="of the network's input; without: the weights'")


def network_of(options: argparse.Namespace) -> tuple[Checkpoint, tuple[int, int] | None]:
    """Return the network of the options and its size, if one is given; raises ValueError."""
    from eunet_ros.model.checkpoint import load_checkpoint, random_checkpoint
    import torch
    if (options.height is None) != (options.width is None):
        raise ValueError('--height and --width go together: give both or neither.')
    size = (options.height, options.width) if options.height is not None else None
    if options.variant:
        torch.manual_seed(0)
        return random_checkpoint(options.variant, cone_classes(), size or _SIZE), size
    return load_checkpoint(options.weights or DEFAULT_WEIGHTS), size


def check() -> None:
    """Print a table of the engines: which can run here, and with what or why not."""
    _say(f'{"engine":<10}{"runs here":<11}with, or why not')
    for name in ENGINES:
        try:
            found = engine_class(name)
            answer, text = 'yes', f'{", ".join(found.precisions)}; {found.versions()}'
        except (EngineError, ImportError, OSError) as error:
            answer, text = 'no', one_line(error) + '.'
        _say(f'{name:<10}{answer:<11}{text}')


def build(options: argparse.Namespace) -> None:
    from eunet_ros.model.segmenter import Segmenter
    checkpoint, size = network_of(options)
    largest = size or checkpoint.input_size
    if checkpoint.strip_size and not size:  # the strip has a higher resolution
        largest = 2 * checkpoint.strip_size[1], checkpoint.strip_size[1]
    calibration, held_out = _images(options, largest)
    began = perf_counter()
    segmenter = Segmenter(checkpoint, options.engine, size, precision=options.precision, say=_say,
                          calibration=calibration)
    took = perf_counter() - began
    for failure in segmenter.failures:
        _say(f'Passed over: {failure}')
    height, width = segmenter.input_size
    scale = 1 if segmenter.strip_size is None else segmenter.strip_size[1] / width
    image = np.full((round(scale * height), round(scale * width), 3), PADDING_BGR, np.uint8)
    times = []
    for _ in range(21):   # the first is slow
        began = perf_counter()
        segmenter.segment(image, len(image) / 2)
        times.append(perf_counter() - began)
    _say(f'Ready in {took:.1f} s: {segmenter.describe()}; about {1e3 * min(times):.1f} ms an '
         'image.')
    if held_out:
        reference, classes = Segmenter(checkpoint, 'torch', size), len(checkpoint.classes.names)
        counts = sum(confusion_matrix(reference(image), segmenter(image), classes)
                     for image in held_out)
        _say(f'Against float32 on {len(held_out)} other images: '
             f'{np.trace(counts) / counts.sum():.3%} of pixels are of the same class, and the '
             f'Dice between their cones is {np.nan_to_num(dice(counts), nan=1.0):.3f}.')
    segmenter.close()


def _images(options: argparse.Namespace,
            size: tuple[int, int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return images for calibration and for comparison, reduced to `size`; raises ValueError."""
    if (options.precision == 'int8') != (options.calibrate is not None):
        raise ValueError('--precision int8 and --calibrate FOLDER go together: give both or '
                         'neither.')
    if options.calibrate is None:
        return [], []
    if not options.calibrate.is_dir():
        raise ValueError(f'{options.calibrate} is not a folder: give one with camera images.')
    paths = [p for p in visible(options.calibrate, True) if p.suffix.lower() in _SUFFIXES]
    found = []
    for path in paths[::max(1, -(-len(paths) // _MOST_IMAGES))]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is not None:
            small = fit(image.shape[:2], size).scaled
            found.append(cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA))
    if len(found) < _FEWEST_IMAGES:
        raise ValueError(f'Expected at least {_FEWEST_IMAGES} images (.jpg, .png) below '
                         f'{options.calibrate} that can be read, found {len(found)}.')
    return [image for k, image in enumerate(found) if k % _HELD_OUT], found[::_HELD_OUT]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser(
        'Build an engine ahead of time, so that a node finds it in the cache.',
        'ros2 run eunet_ros build_engine')
    parser.add_argument('--check', action='store_true',
                        help='print which engines can run here and what others need; build none')
    add_network(parser)
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--precision', default='auto', choices=PRECISIONS)
    parser.add_argument('--calibrate', type=user_path, metavar='FOLDER',
                        help='images of the camera, for int8; every fifth is kept to compare on')
    options = parser.parse_args(arguments)
    return run_command('build_engine', lambda: check() if options.check else build(options),
                       'nothing half-built is kept', f'install it for {sys.executable}')


if __name__ == '__main__':
    sys.exit(main())
