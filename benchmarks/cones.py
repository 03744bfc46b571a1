# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what is found of the cones of rendered drives, where, and in which time.

    python benchmarks/cones.py                         # on true masks, and on those of eunet_n
    python benchmarks/cones.py --weights '' --frames 10
    python benchmarks/cones.py --hard                  # drives that are less ideal
    python benchmarks/cones.py --tracking              # what the tracker does for steadiness
    python benchmarks/cones.py --picture cones.png     # one frame and the ground from above

A cone counts as found where a found box overlaps that of its visible pixels by half (IoU), and
only cones of which three tenths show are asked for. Positions are compared with the middle of
the plate, as a share of its distance.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import sys
import time
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _cone_truth import busy_mask, ground_of, match, STEADY_MATCH, Tally  # noqa: E402
from _hard_drive import HardDrive  # noqa: E402
from _machine import machine_lines  # noqa: E402
import cv2  # noqa: E402
from eunet_ros.cones.detection import find_cones  # noqa: E402
from eunet_ros.cones.drawing import draw_cones, draw_from_above  # noqa: E402
from eunet_ros.cones.tracking import ConeTracker  # noqa: E402
from eunet_ros.evaluation.page.frame_pictures import draw_mask  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.common.files import write_json  # noqa: E402
from eunet_ros.model.common.metrics.cones import MISSED  # noqa: E402
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS  # noqa: E402
from eunet_ros.model.engines import EngineError  # noqa: E402
from eunet_ros.training.renderer import Drive  # noqa: E402
from eunet_ros.training.tools.steadiness import Steadiness, table_lines  # noqa: E402
import numpy as np  # noqa: E402

SEED = 600            # of the first drive; no other benchmark and no bundled drive has it
BUSY = 60             # cones in the mask that is timed
_PITCH_ERRORS = (0.0, np.radians(0.5), -np.radians(0.5))
_RUNS = 300
_SMALL_INPUT = (384, 640)  # its masks of small cones are ragged, and parts are missing


def scores(o: argparse.Namespace, segmenters: Sequence[Any]) -> dict[str, Any]:
    """Return the tallies of true masks and of the networks', and the times."""
    tallies = {'true masks': Tally()}
    for segmenter in segmenters:
        tallies[f'masks of {o.weights} at {segmenter.sizes}'] = Tally()
    busiest: list[Any] = []
    for drive in range(o.drives):
        seed = SEED + drive
        views = HardDrive(seed, *o.size) if o.hard else Drive(seed, *o.size)
        for scene in views.frames(o.frames, o.hz):
            busiest = sorted([*busiest, scene], key=lambda s: -len(s.cones))[:12]
            masks = [scene.mask, *(segmenter(scene.image) for segmenter in segmenters)]
            for tally, mask in zip(tallies.values(), masks):
                tally.add(scene, mask, () if o.hard else _PITCH_ERRORS)
    report: dict[str, Any] = {name: tally.report() for name, tally in tallies.items()}
    report['time'] = times(busiest)
    return report


def times(scenes: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the times of `find_cones` on one core, of the busiest masks and of one with BUSY."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    rows = []
    try:
        masks = {'busiest masks of the drives': [s.mask for s in scenes]}
        try:
            masks[f'a mask of {BUSY} cones'] = [busy_mask(scenes, BUSY, find_cones)]
        except ValueError as error:
            print(f'Left out: {error}', file=sys.stderr)
        for name, some in masks.items():
            for with_confidence in (False, True):
                taken, counts = [], []
                for k in range(_RUNS + 10):
                    mask = some[k % len(some)]
                    confidence = np.full_like(mask, 200) if with_confidence else None
                    began = time.perf_counter()
                    found = find_cones(mask, confidence)
                    taken.append((time.perf_counter() - began) * 1e3)
                    counts.append(len(found))
                p50, p99 = np.percentile(taken[10:], (50, 99))
                rows.append({'name': name + (', with confidence' if with_confidence else ''),
                             'cones': float(np.mean(counts)), 'p50_ms': float(p50),
                             'p99_ms': float(p99)})
    finally:
        cv2.setNumThreads(threads)
    return rows


def steadiness(o: argparse.Namespace, segmenter: Any) -> dict[str, Any]:
    """Return how steady cones are from frame to frame, without and with the tracker."""
    counts = {'without tracking': Steadiness(), 'with tracking': Steadiness()}
    invented = dict.fromkeys(counts, 0)
    for drive in range(o.drives):
        tracker = ConeTracker()
        for count in counts.values():
            count.start()
        for k, scene in enumerate(Drive(SEED + drive, *o.size).frames(o.frames, o.hz)):
            result = segmenter.segment(scene.image)
            plain = find_cones(result.mask, result.confidence(cones_only=True))
            tracked, _ = tracker.update(plain, 1 + round(k * 1e9 / o.hz))
            for (name, count), cones in zip(counts.items(), (plain, tracked)):
                pairs = match(scene.cones, cones, STEADY_MATCH)
                count.add({c.index: (int(cones.class_id[pairs[i]]) if i in pairs else MISSED,
                                     c.height_px)
                           for i, c in enumerate(scene.cones) if c.visible_fraction >= 0.5})
                invented[name] += len(cones) - len(pairs)
    return {name: {'steadiness': count.to_report(), 'cones that match none': invented[name]}
            for name, count in counts.items()}


def picture(path: Path, o: argparse.Namespace, segmenter: Any) -> None:
    """Write a frame with its cones beside the ground from above; raises OSError."""
    drive = Drive(SEED, *o.size)
    scene = drive.render(o.time)
    mask = segmenter(scene.image) if segmenter else scene.mask
    table = cone_classes().table_bgr
    located, _ = ground_of(scene.camera).locate(find_cones(mask))
    image = draw_mask(scene.image, mask, table)
    draw_cones(image, located, table)
    above = draw_from_above(located, table, (o.size[0], o.size[0] * 3 // 4), truth=[
        (c.x, c.y, c.class_id) for c in scene.cones if np.hypot(c.x, c.y) < 30])
    if not cv2.imwrite(str(path), np.hstack([image, above])):
        raise OSError(f'{path} could not be written')
    print(f'{path}: {len(located.cones)} cones; rings are where they are.')


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.1f} %'


def show(name: str, report: dict[str, Any]) -> None:
    """Print the tables of one kind of masks."""
    print(f'\n{name}\n{"":<22}{"cones":>8}{"found":>10}{"and right":>11}')
    for row in report['by_height_px']:
        low, high = row['px']
        label = f'{low} to {high - 1} px' if high < 10_000 else f'{low} px and more'
        print(f'{label:<22}{row["cones"]:>8}{_percent(row["found"]):>10}'
              f'{_percent(row["found_and_right"]):>11}')
    for row in report['by_distance_m']:
        label = f'{row["m"][0]} to {row["m"][1]} m'
        print(f'{label:<22}{row["cones"]:>8}{_percent(row["found"]):>10}'
              f'{_percent(row["found_and_right"]):>11}')
    row = report['over_15_px_within_20_m']
    print(f'{"15 px, within 20 m":<22}{row["cones"]:>8}{_percent(row["found"]):>10}'
          f'{_percent(row["found_and_right"]):>11}')
    print(f'Touching pairs separated: {_percent(report["touching_pairs_separated"])} of '
          f'{report["touching_pairs"]}. Cut: {report["cut"]} of '
          f'{report["pieces_of_one_cone"]} pieces of one cone. Found where no cone is: '
          f'{report["found_where_no_cone_is"]} of {report["found"]}.')
    if not report['positions']:
        return
    print(f'{"position error":<22}' + ''.join(f'{f"pitch {e:+.1f}°":>22}' for e in (0, 0.5, -0.5)))
    for low, high in sorted({tuple(r['metres']) for r in report['positions']}):
        rows = [r for r in report['positions'] if r['metres'] == [low, high]]
        cells = ''.join(f'{_percent(r["median"]) + ", p90 " + _percent(r["p90"]):>22}'
                        for r in rows)
        print(f'{f"{low} to {high} m":<22}{cells}')


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; raises ValueError for values that cannot be."""
    parser = argparse.ArgumentParser(
        description='Measure what is found of the cones of rendered drives, where, and how fast.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--weights', default=DEFAULT_WEIGHTS, help="'' for true masks alone")
    parser.add_argument('--drives', type=int, default=4, help='tracks, each another one')
    parser.add_argument('--frames', type=int, default=40, help='of each drive')
    parser.add_argument('--hz', type=float, help='frames a second, at 8 m/s; without: 1.5, and '
                        '30 with --tracking')
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--hard', action='store_true', help='fisheye lens, leaning camera, uneven '
                        'ground, and masks of a small input as well; no positions')
    parser.add_argument('--tracking', action='store_true', help='measure steadiness instead')
    parser.add_argument('--picture', type=Path, help='write a picture instead')
    parser.add_argument('--time', type=float, default=2.0, help='of the drive, of the picture [s]')
    parser.add_argument('--json', type=Path, help='file to write the report to')
    o = parser.parse_args(arguments)
    o.hz = o.hz or (30.0 if o.tracking else 1.5)
    if o.drives < 1 or o.frames < 1 or not 0.01 <= o.hz <= 1000 or min(o.size) < 64:
        raise ValueError('--drives and --frames must be at least 1, --hz from 0.01 to 1000 and '
                         '--size at least 64 each way.')
    if o.tracking and not o.weights:
        raise ValueError('--tracking needs --weights: true masks are steady.')
    for path in (o.json, o.picture):
        if path and path.exists():
            raise ValueError(f'{path} exists: choose another file, or remove it first.')
        if path and not path.absolute().parent.is_dir():
            raise ValueError(f'The folder of {path} does not exist, make it first.')
    return o


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    segmenters: list[Any] = []
    try:
        o = parse(arguments)
        if o.weights:
            from eunet_ros.model import Segmenter
            for input_size in (None, _SMALL_INPUT) if o.hard else (None,):
                segmenters.append(Segmenter(o.weights, input_size=input_size))
        if o.picture:
            picture(o.picture, o, segmenters[0] if segmenters else None)
            return 0
        print(f'Machine\n{machine_lines()}\n{o.drives} drives of {o.frames} frames, '
              f'{o.size[1]}x{o.size[0]}, {o.hz:g} Hz')
        report = steadiness(o, segmenters[0]) if o.tracking else scores(o, segmenters)
        if o.json:
            write_json(o.json, report)
    except (ValueError, OSError, EngineError) as error:
        print(f'cones: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('cones: interrupted, nothing was written.', file=sys.stderr)
        return 130
    finally:
        for segmenter in segmenters:
            segmenter.close()
    for name, part in report.items():
        if o.tracking:
            print(f'\n{name}: {part["cones that match none"]} found cones match none')
            print('\n'.join(table_lines(part['steadiness'])))
        elif name == 'time':
            print(f'\n{"find_cones, one core":<46}{"cones":>7}{"p50 ms":>9}{"p99 ms":>9}')
            for row in part:
                print(f'{row["name"]:<46}{row["cones"]:>7.1f}{row["p50_ms"]:>9.2f}'
                      f'{row["p99_ms"]:>9.2f}')
        else:
            show(name, part)
    return 0


if __name__ == '__main__':
    sys.exit(main())
