# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Render scenes as an FSOCO project, to try the whole FSOCO path without FSOCO's images.

    python -m eunet_ros.training.data.render_fsoco --output fsoco_like --count 40

The same arguments give the same pictures.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
import sys

from eunet_ros.model.common.command import check_positive, make_parser, run_command
from eunet_ros.model.common.label_writer import Item, write_project
from eunet_ros.training.renderer import render_scene, Scene
from rich.progress import track


def scene_item(name: str, scene: Scene) -> Item:
    """Return a rendered scene as an item; truncated are cones that touch the image's edge."""
    height, width = scene.mask.shape
    tags = {}
    for number, cone in enumerate(scene.cones, start=1):
        u0, v0, u1, v1 = cone.box
        at_edge = 0 in (u0, v0) or u1 == width or v1 == height
        tags[number] = frozenset(['truncated'] * at_edge + ['knocked_over'] * cone.knocked_over)
    return Item(name, scene.image, scene.mask, scene.instances, tags)


def items(count: int, seed: int, height: int, width: int, sources: int) -> Iterator[Item]:
    """Yield `count` scenes of the seeds from `seed` on, named after `sources` cameras."""
    for i in range(count):
        name = f'cam{i % sources:02d}_{i:05d}.png'
        yield scene_item(name, render_scene(seed + i, height, width))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser('Render scenes as an FSOCO project (Supervisely format).')
    parser.add_argument('--output', type=Path, required=True, help='folder to make')
    parser.add_argument('--count', type=int, default=40, help='images')
    parser.add_argument('--seed', type=int, default=0, help='of the first image')
    parser.add_argument('--height', type=int, default=384, help='without the border [px]')
    parser.add_argument('--width', type=int, default=640, help='without the border [px]')
    parser.add_argument('--sources', type=int, default=8, help='cameras in the names of images')
    o = parser.parse_args(arguments)

    def work() -> None:
        check_positive(o, 'count', 'sources')
        drawn = items(o.count, o.seed, o.height, o.width, o.sources)
        shown = track(drawn, 'Rendering', total=o.count, disable=not sys.stdout.isatty())
        count = write_project(o.output, shown)
        print(f'{o.output}: {count} images of {o.width}x{o.height} and their border')
    return run_command('render_fsoco', work)


if __name__ == '__main__':
    sys.exit(main())
