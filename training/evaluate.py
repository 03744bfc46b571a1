# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Score weights on labelled images, at the images' own size.

    python training/evaluate.py --weights runs/fsoco/eunet_n.safetensors --data /path/to/fsoco \
        --split-file runs/fsoco/split.json --split test
    python training/evaluate.py --weights eunet_n --data rendered --count 160
    python training/evaluate.py --weights eunet_n --data /path/to/set --data-format yolo

Leaves report.json and, with masks, confusion.png, curves.png and worst.html in a folder.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
import sys
from typing import Any

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from eunet_ros.model.common.command import add_size, check_positive, make_parser, run_command
from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.model.engines import AUTO, ENGINES
from eunet_ros.training.data.formats import format_module, RENDERED
from eunet_ros.training.data.readers.fsoco import LoadReport
from eunet_ros.training.data.splits import PARTS
from eunet_ros.training.run_folder import new_folder


def evaluate(options: argparse.Namespace) -> tuple[Path, dict[str, Any]]:
    """Evaluate; returns the folder and the report. Raises ValueError or EngineError."""
    from eunet_ros.model import Segmenter
    from eunet_ros.training import evaluation as masks
    from eunet_ros.training.image_set_scores import BoxSetScores
    from rich.progress import track
    check_positive(options, 'count', 'worst')
    with closing(Segmenter(options.weights, options.engine, options.input_size)) as segmenter:
        classes, loading, checkpoint = segmenter.classes, LoadReport(), segmenter.checkpoint
        source = format_module(RENDERED if options.data == RENDERED else options.data_format
                               ).labelled_images(options, classes, loading)
        evaluation = None if source.boxes else masks.Evaluation(classes, options.worst)
        scores = evaluation.scores if evaluation else BoxSetScores()
        for item in track(source.images, 'Evaluating', total=source.count):
            (evaluation or scores).add(segmenter, item)
        report = {
            'weights': Path(options.weights).stem, 'weights_sha256': checkpoint.sha256,
            'variant': checkpoint.variant, 'engine': segmenter.engine.name,
            'precision': segmenter.engine.precision, 'input_size': list(segmenter.input_size),
            'strip_size': segmenter.strip_size and list(segmenter.strip_size),
            'split': options.split, **source.description, 'skipped': loading.errors,
            **scores.to_report()}
    if not report['images']:
        raise DataError(f'None of {source.count} images could be used: {loading.errors[0]}')
    folder = new_folder(options.output)
    write_json(folder / 'report.json', report)
    if evaluation:
        computed = scores.compute()
        masks.plot_confusion(folder / 'confusion.png', computed)
        masks.plot_curves(folder / 'curves.png', computed, evaluation.precision_recall())
        masks.write_worst_page(
            folder / 'worst.html', evaluation.worst, classes,
            f'{report["weights"]} on {source.description["data"]}, {options.split}')
    return folder, report


def _text(value: float | None) -> str:
    return '-' if value is None else f'{value:.3f}'


def _interval(ends: Sequence[float] | None) -> str:
    return '' if ends is None else ' (95 % interval {:.3f} to {:.3f})'.format(*ends)


def _print(report: dict[str, Any]) -> None:
    size, strip = ('x'.join(map(str, report[key] or ())) for key in ('input_size', 'strip_size'))
    false_cones = (f'false cones per image {_text(report["false_cones_per_image"])}; input {size}'
                   + (f' and strip {strip}' if strip else ''))
    if 'boxes' in report:
        print(f'{report["images"]} images with boxes: {false_cones}')
        print(f'  {"height [px]":12}{"boxes":>7}{"touched":>9}{"found":>7}{"class right":>13}')
        for name, row in {**report['boxes_by_height'], 'all': report['boxes']}.items():
            print(f'  {name:12}{row["boxes"]:7}{_text(row["touched_rate"]):>9}'
                  f'{_text(row["found_rate"]):>7}{_text(row["class_right_rate"]):>13}')
    else:
        dice, miou = (f'{_text(report[name])}{_interval(report["interval_95"][name])}'
                      for name in ('dice', 'miou'))
        print(f'{report["images"]} images: Dice {dice}, mIoU {miou}, {false_cones}')
        for name, value in report['iou'].items():
            print(f'  IoU {name:18} {_text(value)}')
        for name, row in report['recall_by_height'].items():
            print(f'  recall {name:>6} px       {_text(row["recall"])} of {row["cones"]} cones')
    if report['skipped']:
        print(f'Left out {len(report["skipped"])} images, first: {report["skipped"][0]}')


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser('Score weights on labelled images.')
    parser.add_argument('--weights', required=True, help='path or name of weights')
    parser.add_argument('--data', required=True,
                        help=f'folder of an FSOCO project or of images and labels in the YOLO '
                        f'format, file of COCO annotations, or "{RENDERED}"')
    parser.add_argument('--data-format', default='fsoco',
                        help='fsoco: masks; yolo or coco: boxes')
    parser.add_argument('--split', default='test', choices=(*PARTS, 'all'))
    parser.add_argument('--split-file', type=Path, help="a run's split.json; default: a new split")
    parser.add_argument('--border', type=int, default=-1, help='black border [px]; -1: found')
    parser.add_argument('--on-error', default='raise', choices=('raise', 'skip'))
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    add_size(parser, '--input-size', "the network's input, without a strip; without this option "
             "the weights' own, with their strip")
    parser.add_argument('--count', type=int, default=160, help='of rendered images')
    add_size(parser, '--size', 'of rendered images [px]', (384, 640))
    parser.add_argument('--profile', default='train', help='of rendered images')
    parser.add_argument('--worst', type=int, default=20, help='images on the page of the worst')
    parser.add_argument('--output', type=Path, default=Path('runs/evaluation'),
                        help='folder to make; numbered if it exists')
    options = parser.parse_args(arguments)

    def work() -> None:
        folder, report = evaluate(options)
        _print(report)
        print(f'Report: {folder}: {", ".join(sorted(path.name for path in folder.iterdir()))}')
    return run_command('evaluate', work)


if __name__ == '__main__':
    sys.exit(main())
