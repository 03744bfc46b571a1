# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build an engine ahead of time, so that a node finds it in the cache.

    ros2 run eunet_ros build_engine --engine tensorrt
    python -m eunet_ros.model.build_engine --weights eunet_n --engine tensorrt --precision float16
    python -m eunet_ros.model.build_engine --variant eunet --height 512 --width 512
    python -m eunet_ros.model.build_engine --engine openvino --precision int8 --calibrate images/

It imports no ROS. With --variant the weights are random: to see whether, and how fast, a network
runs here before it is trained.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
from eunet_ros.model.checkpoint import load_checkpoint, random_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.files import user_path
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, EngineError, ENGINES, PRECISIONS
from eunet_ros.model.eunet import VARIANTS
from eunet_ros.model.processing import fit, PADDING_BGR
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.model.segmenter import Segmenter

_SIZE = (384, 640)  # of a network without weights
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_HELD_OUT = 5       # every fifth image is to compare on
_MOST_IMAGES, _FEWEST_IMAGES = 300, 10


def _say(text: str) -> None:
    print(text, flush=True)


def build(options: argparse.Namespace) -> None:
    """Build; raises ValueError or EngineError, in a sentence."""
    from eunet_ros.model.segmenter import Segmenter
    import torch
    if (options.height is None) != (options.width is None):
        raise ValueError('--height and --width go together: give both or neither.')
    size = (options.height, options.width) if options.height is not None else None
    if options.variant:
        torch.manual_seed(0)
        checkpoint = random_checkpoint(options.variant, cone_classes(), size or _SIZE)
    else:
        checkpoint = load_checkpoint(options.weights or DEFAULT_WEIGHTS)
    calibration, held_out = _images(options, size or checkpoint.input_size)
    began = perf_counter()
    segmenter = Segmenter(checkpoint, options.engine, size, precision=options.precision, say=_say,
                          calibration=calibration)
    took = perf_counter() - began
    for failure in segmenter.failures:
        _say(f'Passed over: {failure}')
    height, width = segmenter.input_size
    image = np.full((height, width, 3), PADDING_BGR, np.uint8)
    segmenter.segment(image)
    times = []
    for _ in range(20):
        began = perf_counter()
        segmenter.segment(image)
        times.append(perf_counter() - began)
    _say(f'Ready in {took:.1f} s: {segmenter.describe()}; about {1e3 * min(times):.1f} ms an '
         'image.')
    if held_out:
        reference = Segmenter(checkpoint, 'torch', size)
        _say(f'Against float32 on {len(held_out)} other images: '
             f'{_agreement(reference, segmenter, held_out)}.')
    segmenter.close()


def _images(options: argparse.Namespace,
            size: tuple[int, int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """
    Return the images to calibrate by, and those to compare on, no larger than `size` needs.

    Raises ValueError where the folder or its images are of no use.
    """
    if (options.precision == 'int8') != (options.calibrate is not None):
        raise ValueError('--precision int8 and --calibrate FOLDER go together: give both or '
                         'neither.')
    if options.calibrate is None:
        return [], []
    if not options.calibrate.is_dir():
        raise ValueError(f'{options.calibrate} is no folder: name one with images of the camera.')
    paths = sorted(p for p in options.calibrate.rglob('*') if p.suffix.lower() in _SUFFIXES)
    step = max(1, -(-len(paths) // _MOST_IMAGES))
    found = []
    for path in paths[::step]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is not None:
            small = fit(image.shape[:2], size).scaled
            found.append(cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA))
    if len(found) < _FEWEST_IMAGES:
        raise ValueError(f'Expected at least {_FEWEST_IMAGES} images (.jpg, .png) below '
                         f'{options.calibrate} that can be read, found {len(found)}.')
    held_out = found[::_HELD_OUT]
    return [image for k, image in enumerate(found) if k % _HELD_OUT], held_out


def _agreement(reference: Segmenter, segmenter: Segmenter, images: list[np.ndarray]) -> str:
    equal = total = both = cones = 0
    for image in images:
        expected, found = reference(image), segmenter(image)
        equal, total = equal + int((expected == found).sum()), total + found.size
        both += int(((expected > 0) & (found > 0)).sum())
        cones += int((expected > 0).sum() + (found > 0).sum())
    return (f'{equal / total:.3%} of pixels are of the same class, and the Dice between their '
            f'cones is {2 * both / cones if cones else 1:.3f}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Build from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        'build_engine',
        description='Build an engine ahead of time, so that a node finds it in the cache.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--weights', default='', metavar='NAME|PATH',
                       help=f'weights; without: {DEFAULT_WEIGHTS}')
    which.add_argument('--variant', default='', choices=['', *VARIANTS], metavar='NAME',
                       help=f'one of {", ".join(VARIANTS)}, with random weights')
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--height', type=int, help="of the network's input; without: the weights'")
    parser.add_argument('--width', type=int, help="of the network's input; without: the weights'")
    parser.add_argument('--precision', default='auto', choices=PRECISIONS)
    parser.add_argument('--calibrate', type=user_path, metavar='FOLDER',
                        help='images of the camera, for int8; every fifth is kept to compare on')
    options = parser.parse_args(arguments)
    try:
        build(options)
    except (ValueError, OSError, EngineError) as error:
        print(f'build_engine: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('build_engine: interrupted; nothing half-built is kept.', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
