# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
See on a CPU what TensorRT's int8 does to masks: ModelOpt rounds as TensorRT will.

    tensorrt-python test/int8_agreement.py --weights eunet_n

On rendered scenes, against float32; the scenes to calibrate by are others. Prints a line of JSON:
the share of pixels of the same class, and the Dice between what is taken for a cone.
"""
from __future__ import annotations

import argparse
import json
import sys

from eunet_ros.model.checkpoint import load_checkpoint
from eunet_ros.model.deploy import deploy_image
from eunet_ros.model.engines.tensorrt_engine import quantised
from eunet_ros.training.renderer import render_scene
import numpy as np
import torch

_FIRST = 1_700_000_000  # a seed that nothing else uses


def main(arguments: list[str]) -> int:
    """Compare from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description='What int8 does to masks, on a CPU.')
    parser.add_argument('--weights', default='eunet_n')
    parser.add_argument('--size', type=int, nargs=2, default=(384, 640), metavar=('H', 'W'))
    parser.add_argument('--calibrate', type=int, default=80, help='scenes')
    parser.add_argument('--compare', type=int, default=30, help='scenes')
    o = parser.parse_args(arguments)
    images = [render_scene(_FIRST + k, *o.size).image for k in range(o.calibrate + o.compare)]
    checkpoint = load_checkpoint(o.weights)

    def network() -> torch.nn.Module:
        return deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std).eval()
    plain, rounded = network(), quantised(network(), images[:o.calibrate], tuple(o.size))
    equal, both, cones = [], 0, 0
    for image in images[o.calibrate:]:
        with torch.inference_mode():
            expected, found = (np.asarray(net(torch.from_numpy(image[None]))[0].argmax(0))
                               for net in (plain, rounded))
        equal.append(np.mean(expected == found))
        both += np.count_nonzero((expected > 0) & (found > 0))
        cones += np.count_nonzero(expected) + np.count_nonzero(found)
    print(json.dumps({'weights': o.weights, 'equal': float(np.mean(equal)),
                      'cone_dice': 2 * both / cones}))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
