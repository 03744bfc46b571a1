# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw a contact sheet of rendered scenes."""
from __future__ import annotations

import argparse
import math

import cv2
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.training.renderer.scene import Drive, render_scene, Scene
import numpy as np


def outline(scene: Scene) -> np.ndarray:
    picture, colours = scene.image.copy(), cone_classes().table_bgr
    for number, cone in enumerate(scene.cones, start=1):
        shape = (scene.instances == number).astype(np.uint8)
        contours, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, colours[cone.class_id].tolist(), 1)
    return picture


def make_sheet(scenes: list[Scene], masks: bool = False, columns: int = 4) -> np.ndarray:
    """Tile scenes of one size into one picture; with `masks`, cones are outlined."""
    tiles = [outline(scene) if masks else scene.image for scene in scenes]
    rows = math.ceil(len(tiles) / columns)
    tiles += [np.zeros_like(tiles[0])] * (rows * columns - len(tiles))
    return np.vstack([np.hstack(tiles[row * columns:(row + 1) * columns]) for row in range(rows)])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', default='sheet.png', help='file to write')
    parser.add_argument('--count', type=int, default=24, help='number of scenes')
    parser.add_argument('--seed', type=int, default=0, help='seed of the first scene')
    parser.add_argument('--height', type=int, default=384, help='pixels')
    parser.add_argument('--width', type=int, default=640, help='pixels')
    parser.add_argument('--columns', type=int, default=4, help='scenes in a row')
    parser.add_argument('--profile', default='train', help='train, benchmark, clutter or drive')
    parser.add_argument('--masks', action='store_true', help='outline the cones')
    parser.add_argument('--lap', action='store_true', help='show one drive, evenly over a lap')
    options = parser.parse_args(arguments)
    if options.lap:
        drive = Drive(options.seed, options.height, options.width)
        lap = drive.length_m / drive.speed_mps
        scenes = [drive.render(lap * k / options.count) for k in range(options.count)]
    else:
        scenes = [render_scene(options.seed + k, options.height, options.width, options.profile)
                  for k in range(options.count)]
    cv2.imwrite(options.output, make_sheet(scenes, options.masks, options.columns))


if __name__ == '__main__':
    main()
