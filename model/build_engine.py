# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Build an engine ahead of time, so that a node finds it in the cache.

    ros2 run eunet_ros build_engine --engine tensorrt
    python -m eunet_ros.model.build_engine --weights eunet_n --engine tensorrt --precision float16
    python -m eunet_ros.model.build_engine --variant eunet --height 512 --width 512

It imports no ROS. With --variant the weights are random: to see whether, and how fast, a network
runs here before it is trained.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys
from time import perf_counter

from eunet_ros.model.checkpoint import load_checkpoint, random_checkpoint
from eunet_ros.model.classes import cone_classes
from eunet_ros.model.engines import AUTO, EngineError, ENGINES, PRECISIONS
from eunet_ros.model.engines.cache import default_folder
from eunet_ros.model.eunet import VARIANTS
from eunet_ros.model.resources import DEFAULT_WEIGHTS

_SIZE = (384, 640)  # of a network without weights


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
    began = perf_counter()
    segmenter = Segmenter(checkpoint, options.engine, size, precision=options.precision, say=_say)
    took = perf_counter() - began
    for failure in segmenter.failures:
        _say(f'Passed over: {failure}')
    height, width = segmenter.input_size
    segmenter.warm_up(height, width, 1)
    times = []
    for _ in range(20):
        began = perf_counter()
        segmenter.warm_up(height, width, 1)
        times.append(perf_counter() - began)
    _say(f'Ready in {took:.1f} s: {segmenter.describe()}; about {1e3 * min(times):.1f} ms an '
         f'image. Built engines are kept in {default_folder()}.')
    segmenter.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Build from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
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
