# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how steady masks are on rendered drives: whether a cone that stays in view keeps its class.

    python training/tools/steadiness.py --weights eunet_n --drives 1 --frames 30

Flicker and changes of class: see model/common/metrics; of cones in view in all the frames.
Detection changes: of cones in view in two consecutive frames, those found in only one.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
import sys
from typing import Any

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.command import (
    add_size,
    check_new_file,
    check_positive,
    make_parser,
    run_command,
)
from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.metrics import cones as truth
from eunet_ros.model.common.metrics.cones import MISSED
from eunet_ros.model.common.metrics.flicker import FlickerCounts
from eunet_ros.model.common.metrics.pixels import ratio_or_none
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.model.engines import AUTO, ENGINES
import numpy as np

SEED = 500  # of the first drive; no bundled drive uses it


class Steadiness:
    """Counts over frames that follow each other."""

    def __init__(self) -> None:
        self._flicker = FlickerCounts()
        self._detection = np.zeros((len(truth.HEIGHT_BINS), 2), np.int64)  # in view twice, changes
        self.start()

    def start(self) -> None:
        """Start a new drive: forget the frames before."""
        self._before: list[dict[int, tuple[int, int]]] = []

    def add(self, cones: dict[int, tuple[int, int]]) -> None:
        """Count a frame: by cone number, its predicted class or MISSED and its height [px]."""
        first, last = ([{}, {}] + self._before)[-2:]
        for number, (found, height) in cones.items():
            if number not in last:
                continue
            before, height_before = last[number]
            changes = (found == MISSED) != (before == MISSED)
            self._detection[truth.height_bin(height)] += 1, changes
            if MISSED not in (found, before):
                self._flicker.add_seen_twice(height, found != before)
            if MISSED not in (found, first.get(number, (MISSED, 0))[0]):
                self._flicker.add_seen_around(height_before, before == MISSED)
        self._before = [*self._before[-1:], cones]

    def to_report(self) -> dict[str, Any]:
        report = self._flicker.to_report()
        for row, (twice, changes) in zip(report['by_height'].values(), self._detection):
            row.update({'in_view_twice': int(twice), 'detection_changes': int(changes),
                        'detection_change_rate': ratio_or_none(changes, twice)})
        return report


def seen_cones(mask: np.ndarray, scene: Any, min_visible: float = 0.5,
               ) -> dict[int, tuple[int, int]]:
    """Return the input of `Steadiness.add`: cones of which at least `min_visible` is visible."""
    outcomes = truth.cone_outcomes(scene.mask, mask,
                                   truth.numbered_cones(scene.mask, scene.instances))
    taken = dict(zip(outcomes.cone.tolist(), outcomes.taken_for.tolist()))
    return {cone.index: (taken[number], cone.height_px)
            for number, cone in enumerate(scene.cones, start=1)
            if cone.visible_fraction >= min_visible and number in taken}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Segment drives frame by frame; returns the report. Raises ValueError or EngineError."""
    from eunet_ros.model import Segmenter
    from eunet_ros.training.renderer import Drive
    from rich.progress import track
    check_positive(options, 'drives', 'frames')
    if not 0 < options.hz < float('inf'):
        raise ValueError(f'--hz must be above 0, found {options.hz}.')
    steadiness = Steadiness()
    with closing(Segmenter(options.weights, options.engine, options.input_size)) as segmenter:
        if segmenter.classes.names != cone_classes().names:
            raise DataError('The weights do not know the classes of rendered drives, '
                            f'{", ".join(cone_classes().names)}: take other weights.')
        for drive in range(options.drives):
            steadiness.start()
            frames = Drive(SEED + drive, *options.size).frames(options.frames, options.hz)
            for scene in track(frames, f'Drive {drive + 1}', total=options.frames):
                steadiness.add(seen_cones(segmenter(scene.image), scene))
        return {'weights': Path(options.weights).stem,
                'weights_sha256': segmenter.checkpoint.sha256, 'engine': segmenter.engine.name,
                'precision': segmenter.engine.precision,
                'input_size': list(segmenter.input_size),
                'strip_size': segmenter.strip_size and list(segmenter.strip_size),
                'drives': options.drives, 'frames': options.frames, 'hz': options.hz,
                'size': list(options.size), 'steadiness': steadiness.to_report()}


def table_lines(report: dict[str, Any]) -> list[str]:
    lines = [f'{"height px":>9}{"cones":>9}{"flicker":>10}{"class change":>14}'
             f'{"detection change":>18}']
    for name, row in report['by_height'].items():
        flicker, class_change, detection_change = (
            '-' if row[key] is None else f'{100 * row[key]:.2f} %'
            for key in ('flicker_rate', 'class_change_rate', 'detection_change_rate'))
        lines.append(f'{name:>9}{row["in_view_twice"]:>9}{flicker:>10}{class_change:>14}'
                     f'{detection_change:>18}')
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser('Measure how steady masks are on rendered drives.')
    parser.add_argument('--weights', required=True, help='path or name of weights')
    parser.add_argument('--drives', type=int, default=3, help='number of tracks')
    parser.add_argument('--frames', type=int, default=150, help='of each drive')
    parser.add_argument('--hz', type=float, default=30.0, help='frames a second, at 8 m/s')
    add_size(parser, '--size', 'of the images [px]', (720, 1280))
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    add_size(parser, '--input-size', "the network's input, without a strip; without this option "
             "the weights' own, with their strip")
    parser.add_argument('--json', type=Path, help='file to write the report to')
    options = parser.parse_args(arguments)

    def work() -> None:
        if min(options.size) < 16:
            raise ValueError('--size must be at least 16 each way, found '
                             f'{" and ".join(map(str, options.size))}.')
        if options.json:
            check_new_file(options.json, '--json')
        report = measure(options)
        if options.json:
            write_json(options.json, report)
        print('\n'.join(table_lines(report['steadiness'])))
    return run_command('steadiness', work)


if __name__ == '__main__':
    sys.exit(main())
