# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how steady masks are on rendered drives: whether a cone that stays in view keeps its class.

    python training/tools/steadiness.py --weights eunet_n
    python training/tools/steadiness.py --weights eunet_n --drives 1 --frames 30

Of cones that are seen in two frames that follow each other, it counts those that are found in one
of them only, and of those found in both, those whose class changed; and of cones that are seen in
three, those that vanish for the middle one alone.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import sys
from typing import Any

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.model.engines import AUTO, EngineError, ENGINES
import numpy as np

SEED = 500  # of the first drive; no bundled one has it
HEIGHTS = ((10, 20), (20, 40), (40, 10_000))  # pixels in the image, high excluded
MISSED = 0  # seen, but not found: less than half of its visible pixels are of any cone


@dataclass
class Steadiness:
    """Counts over frames that follow each other; `rows` has one per range of heights."""

    rows: dict[tuple[int, int], dict[str, int]] = field(default_factory=lambda: {
        heights: dict.fromkeys(('pairs', 'flickers', 'both', 'changes', 'triples', 'gaps'), 0)
        for heights in HEIGHTS})
    _before: list[dict[int, tuple[int, int]]] = field(default_factory=list)

    def start(self) -> None:
        """Begin another drive: what comes next does not follow what came before."""
        self._before = []

    def add(self, cones: dict[int, tuple[int, int]]) -> None:
        """
        Count a frame: of each cone that is seen, by its number, what it is taken for and how high.

        That is its predicted class id, or MISSED, and its height in pixels.
        """
        last = self._before[-1] if self._before else {}
        for number, (found, height) in cones.items():
            row = self._row(height)
            if row is None or number not in last:
                continue
            was = last[number][0]
            row['pairs'] += 1
            row['flickers'] += (found == MISSED) != (was == MISSED)
            if found != MISSED and was != MISSED:
                row['both'] += 1
                row['changes'] += found != was
            first = self._before[-2].get(number) if len(self._before) > 1 else None
            if first is not None:
                row['triples'] += 1
                row['gaps'] += was == MISSED and MISSED not in (first[0], found)
        self._before = [*self._before[-1:], cones]

    def _row(self, height: int) -> dict[str, int] | None:
        return next((row for (low, high), row in self.rows.items() if low <= height < high), None)

    def to_report(self) -> list[dict[str, Any]]:
        """Return one row per range of heights: counts, and shares of them (None for no cone)."""
        report = []
        for (low, high), row in self.rows.items():
            shares = {name: (row[part] / row[whole] if row[whole] else None)
                      for name, part, whole in (('flicker', 'flickers', 'pairs'),
                                                ('class_change', 'changes', 'both'),
                                                ('gap', 'gaps', 'triples'))}
            report.append({'height_px': f'{low}-{high - 1}' if high < 10_000 else f'{low}+',
                           **row, **shares})
        return report


def seen_cones(mask: np.ndarray, scene: Any, min_visible: float = 0.5,
               ) -> dict[int, tuple[int, int]]:
    """
    Return what each cone of a scene is taken for, and its height: see `Steadiness.add`.

    mask: (h, w) uint8 class ids. Cones of which less than `min_visible` shows are left out.
    """
    found = {}
    for number, cone in enumerate(scene.cones, start=1):
        if cone.visible_fraction < min_visible:
            continue
        u0, v0, u1, v1 = cone.box
        own = scene.instances[v0:v1, u0:u1] == number
        votes = np.bincount(mask[v0:v1, u0:u1][own], minlength=2)
        taken = int(1 + votes[1:].argmax()) if 2 * votes[1:].sum() >= own.sum() else MISSED
        found[cone.index] = taken, cone.height_px
    return found


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """
    Segment drives frame by frame; returns the report.

    Raises ValueError or EngineError, in a sentence, for what cannot be used.
    """
    from eunet_ros.model import Segmenter
    from eunet_ros.training.renderer import Drive
    from rich.progress import track
    for name in ('drives', 'frames'):
        if getattr(options, name) < 1:
            raise ValueError(f'--{name} must be at least 1, found {getattr(options, name)}.')
    if not 0 < options.hz < float('inf'):
        raise ValueError(f'--hz must be above 0, found {options.hz}.')
    segmenter = Segmenter(options.weights, options.engine,
                          tuple(options.input_size) if options.input_size else None)
    steadiness = Steadiness()
    try:
        if segmenter.classes.names != cone_classes().names:
            raise DataError('The weights do not know the classes of rendered drives, '
                            f'{", ".join(cone_classes().names)}: take other weights.')
        for drive in range(options.drives):
            steadiness.start()
            frames: Iterable[Any] = Drive(SEED + drive, *options.size).frames(
                options.frames, options.hz)
            for scene in track(frames, f'Drive {drive + 1}', total=options.frames):
                steadiness.add(seen_cones(segmenter(scene.image), scene))
        return {'weights': Path(options.weights).stem,
                'weights_sha256': segmenter.checkpoint.sha256, 'engine': segmenter.engine.name,
                'precision': segmenter.engine.precision,
                'input_size': list(segmenter.input_size), 'drives': options.drives,
                'frames': options.frames, 'hz': options.hz, 'size': list(options.size),
                'steadiness': steadiness.to_report()}
    finally:
        segmenter.close()


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Measure how steady masks are on rendered drives.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--weights', required=True, help='path or name of weights')
    parser.add_argument('--drives', type=int, default=3, help='tracks, each another one')
    parser.add_argument('--frames', type=int, default=150, help='of each drive')
    parser.add_argument('--hz', type=float, default=30.0, help='frames a second, at 8 m/s')
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'),
                        help='of the images [px]')
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'),
                        help="the network's input; without: the weights' own")
    parser.add_argument('--json', type=Path, help='file to write the report to')
    return parser.parse_args(arguments)


def _share(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.2f} %'


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    options = _arguments(arguments)
    try:
        if min(options.size) < 16:
            raise ValueError(f'--size must be at least 16 each way, found {options.size[0]} and '
                             f'{options.size[1]}.')
        if options.json and options.json.exists():
            raise ValueError(f'{options.json} exists: choose another --json, or remove it first.')
        if options.json and not options.json.absolute().parent.is_dir():
            raise ValueError(f'The folder of {options.json} does not exist, make it first.')
        report = measure(options)
        if options.json:
            write_json(options.json, report)
    except (ValueError, OSError, EngineError) as error:
        print(f'steadiness: {error}', file=sys.stderr)
        return 1
    except ImportError as error:
        print(f'steadiness: A Python package is missing ({error}): docs/training.md says what to '
              'install.', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('steadiness: interrupted, nothing was written.', file=sys.stderr)
        return 130
    print(f'{"height":>8} {"cones":>8} {"flicker":>9} {"class change":>13} {"one-frame gap":>14}')
    for row in report['steadiness']:
        print(f'{row["height_px"]:>8} {row["pairs"]:>8} {_share(row["flicker"]):>9} '
              f'{_share(row["class_change"]):>13} {_share(row["gap"]):>14}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
