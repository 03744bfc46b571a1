# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
All steps on a recorded drive: play and segment it, record and score the masks.

    python -m eunet_ros.demo --bag my_drive --image-topic /camera/image_raw

Player, node and recorder are separate processes that communicate over DDS, as in the car, so
latency is measured outside the node. Writes a bag, a video, a picture and report.json.
"""
from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import datetime
import json
import os
from pathlib import Path
import signal
import sys
import tempfile
from typing import Any

from eunet_ros.bags.frame_source import DEFAULT_HZ, open_source, Source
from eunet_ros.bags.mask_store import MaskReader, MASKS_FILE
from eunet_ros.bags.messages import COMPRESSED_IMAGE
from eunet_ros.calibration.mounting_file import find_mounting, MOUNTING, read_mounting
from eunet_ros.demo import output
from eunet_ros.evaluation.run.positions import Places
from eunet_ros.evaluation.run.progress import Progress
from eunet_ros.model.common.command import check_ranges
from eunet_ros.model.common.files import user_path, write_json
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS, share_file
from eunet_ros.model.engines import AUTO, ENGINES
from eunet_ros.parameters import ConeParameters
from eunet_ros.replay import drive
from eunet_ros.replay.figures import make_report, rate_hz

SAMPLE_BAG = 'test/data/sample_drive'
_MASK_TOPIC = '/eunet/mask'
_INTERRUPTED = 130


def main(args: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    options = _arguments(args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Progress('demo') as progress:
            report, kept = run(options, progress)
    except (ValueError, OSError, ImportError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted, nothing was written', file=sys.stderr)
        return _INTERRUPTED
    from eunet_ros.demo.display import print_result
    lines = [f'Written to {options.output}: {", ".join(sorted(os.listdir(options.output)))}']
    if kept:
        lines.append(f'The former output is kept in {kept}.')
    print_result(report, lines)
    return 0


def run(o: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], Path | None]:
    """Run all steps; returns the report, and the new path of a former output or None."""
    drive.check_ros()
    source = open_source(None if o.images else o.bag or _sample_bag(), o.images, o.image_topic,
                         o.hz)
    if source.warning:
        progress.say(f'demo: {source.warning}')
    output.check_output(o.output)
    o.output.parent.mkdir(parents=True, exist_ok=True)
    # Written beside it, so that a former output is kept until the new one is complete.
    with tempfile.TemporaryDirectory(prefix=f'.{o.output.name}.', dir=o.output.parent) as work:
        made = Path(work) / 'output'
        made.mkdir()
        write_json(made / output.REPORT, _drive(o, source, Path(work), made, progress))
        return json.loads((made / output.REPORT).read_text()), output.put_in_place(made, o.output)


def _drive(o: argparse.Namespace, source: Source, work: Path, made: Path,
           progress: Progress) -> dict[str, Any]:
    def show(text: str, sent: int, masked: int) -> None:
        words = f'Playing, {masked} masks' if sent else text or 'Starting the node'
        progress.show(words, sent, source.count)

    started = datetime.now().astimezone()
    if o.mounting is not None:
        mounting = read_mounting(o.mounting)
    else:
        mounting = None if o.images else find_mounting(source.path) or None
    weights = o.weights or o.variant or DEFAULT_WEIGHTS
    path = Path(weights).expanduser()   # absolute, as the node may run in another folder
    if path.suffix or os.sep in weights:
        weights = str(path.absolute())
    parameters = {'weights': weights, 'variant': o.variant, 'engine': o.engine,
                  **(mounting or {})}
    compressed = source.msgtype == COMPRESSED_IMAGE
    # Each picture of a folder waits for the mask of the one before.
    played = ['--images', str(source.path), '--hz', str(o.hz), '--wait-for-mask', _MASK_TOPIC,
              '--delay', '0.5'] if o.images else [
        str(source.path), '--image-topic', source.bag_topic]
    record = drive.LiveDrive(
        work, drive.node_arguments(source.topic, compressed, parameters, work),
        [*played, '--publish-as', source.topic, '--rate', str(o.rate), '--restamp'],
        drive.drive_environment(o.dds_profile, os.environ), o.start_timeout, show).run()
    masks = MaskReader(work / MASKS_FILE)
    if not len(masks):
        raise drive.DemoError(f'The node returned no mask for {len(record.sent)} images; its last '
                              f'error: {record.diagnostics.get("last error") or "none"}')
    # Imported here: importing torch earlier would slow down the start of the node.
    from eunet_ros.model.checkpoint import load_checkpoint
    classes = load_checkpoint(weights, o.variant).classes
    places = None if mounting is None else Places(ConeParameters(**mounting), [classes], classes)
    recorded = output.RecordedDrive(source, record, masks, classes, places)
    progress.show('Writing bag and video', 0, len(record.sent))
    camera_hz = rate_hz([stamp for *_, stamp in record.sent]) or o.hz
    cones = output.write_recordings(made, recorded, camera_hz / o.rate, progress.advance)
    progress.show('Scoring', len(record.sent), len(record.sent))
    report = make_report(record, masks.arrivals, _scores(recorded, progress),
                         str(source.path), getattr(source, 'bag_topic', source.topic), started)
    report['cones'] = cones
    output.write_picture(made / output.PICTURE, recorded,
                         f'{report["variant"]} on {report["engine"]}', _note(report))
    return report


def _scores(recorded: output.RecordedDrive, progress: Progress) -> dict[str, Any]:
    """Return the scores, all None if the ground truth cannot be used; progress reports why."""
    try:
        return output.score(recorded)
    except ValueError as error:
        progress.say(f'demo: not scored: {error}')
        names = recorded.classes.names[1:]
        return {'dice': None, 'iou': dict.fromkeys(names), 'miou': None}


def _sample_bag() -> Path:
    if Path(SAMPLE_BAG).is_dir():
        return Path(SAMPLE_BAG)
    try:
        return share_file(f'{SAMPLE_BAG}/metadata.yaml').parent
    except FileNotFoundError as error:
        raise drive.DemoError('The sample drive is not installed: name a bag with --bag, or run '
                              'the demo in a clone of the repository.') from error


def _note(report: Mapping[str, Any]) -> str:
    values = [(name, report['latency_ms'][name], '.0f', ' ms') for name in ('p50', 'p99')]
    values += [('Dice', report['dice'], '.3f', ''), ('mIoU', report['miou'], '.3f', '')]
    return ', '.join(f'{name} {value:{digits}}{unit}'
                     for name, value, digits, unit in values if value is not None)


def _arguments(args: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'eunet_ros.demo', description='Segment a recorded drive in real time and report.')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--bag', type=user_path, help='a rosbag2 (default: the sample drive)')
    what.add_argument('--images', type=user_path, metavar='FOLDER', help='a folder of images')
    parser.add_argument('--image-topic', default='', help='where the bag has several cameras')
    parser.add_argument('--hz', type=float, default=DEFAULT_HZ,
                        help="a folder's images per second, at most (default: %(default)g)")
    parser.add_argument('--mounting', type=user_path, metavar='YAML',
                        help='mounting of the camera, written by calibrate_mount (default: '
                             f"{MOUNTING} in the bag's folder, if it exists)")
    parser.add_argument('--rate', type=float, default=1.0, help='speed (default: 1, real time)')
    parser.add_argument('--output', type=user_path, default=Path('demo_output'))
    parser.add_argument('--weights', default='', metavar='NAME|PATH')
    parser.add_argument('--variant', default='',
                        help='its shipped weights; with --weights: refuse those of another')
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--start-timeout', type=float, default=600.0, metavar='S',
                        help='for the node, which may build an engine (default: 600)')
    parser.add_argument('--no-dds-profile', dest='dds_profile', action='store_false',
                        help='run Fast DDS with default settings, which drop large images')
    options = parser.parse_args(args)
    check_ranges(parser, options, hz=(0.1, 1000), rate=(0.01, 100))
    return options


if __name__ == '__main__':
    sys.exit(main())
