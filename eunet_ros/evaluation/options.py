# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line of evaluate_bag, and the plan made from it."""
from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
import sys
from typing import Any

from eunet_ros.bags.reader import Bag, BagError, find_image_topic
from eunet_ros.calibration.mounting_file import find_mounting, MOUNTING, read_mounting
from eunet_ros.evaluation.labels import FORMATS
from eunet_ros.evaluation.run.plan import (
    BagPlan,
    content_of,
    FORMAT,
    JOURNAL_FORMAT,
    LIVE,
    OFFLINE,
    Plan,
    RECORDED,
    WeightsPlan,
)
from eunet_ros.evaluation.scoring.metric_table import metrics_of
from eunet_ros.evaluation.scoring.truth import find_truth_topic, open_truth
from eunet_ros.model.common.command import check_ranges
from eunet_ros.model.common.files import user_path, visible
from eunet_ros.model.engines import AUTO, ENGINES, PRECISIONS
from eunet_ros.parameters import check_names, NODE_NAME, NodeParameters
from eunet_ros.ros.parameter_file import read_values

_MOST_SHARDS = 4
_BYTES_A_FRAME = 100_000   # of masks; as many of overlays, and of video
_EXAMPLES = """
examples:
  evaluate_bag drive/                                    one bag, the shipped weights
  evaluate_bag day/ --weights old.safetensors --weights new.safetensors
                                                         all bags of a folder, A against B
  evaluate_bag drive/ --truth masks/                     stamped masks, or a Supervisely project
  evaluate_bag drive/ --fail-under dice=0.9 --fail-under p99_ms=40
  evaluate_bag drive/ --baseline last_week/report.json   exit code 1 where something got worse
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        'ros2 run eunet_ros evaluate_bag', epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Run weights over every frame of recorded drives: quality, speed, and the '
                    'worst frames.')
    p.add_argument('bags', nargs='+', type=user_path, metavar='BAG',
                   help='a rosbag2 folder, an .mcap or .db3 file, or a folder of bags')
    p.add_argument('--weights', action='append', default=None, metavar='NAME|PATH',
                   help='given twice, the second is compared with the first')
    p.add_argument('--output', type=user_path, default=Path('evaluation'), metavar='DIR',
                   help='output folder (default: evaluation)')
    p.add_argument('--image-topic', default='', metavar='TOPIC',
                   help='where a bag has several cameras')
    truth = p.add_argument_group(
        'ground truth (default: /ground_truth/mask, where the bag has it)')
    place = truth.add_mutually_exclusive_group()
    place.add_argument('--truth-topic', default='', metavar='TOPIC', help='of masks in the bag')
    place.add_argument('--truth', type=user_path, metavar='FOLDER',
                       help='masks named by stamp, or a Supervisely (FSOCO) project')
    truth.add_argument('--truth-tolerance', type=float, default=0.0, metavar='S',
                       help='how far stamps may differ (default: 0)')
    node = p.add_argument_group('how frames are run (default: as the node does)')
    node.add_argument('--params-file', type=user_path, help="the node's parameter file")
    node.add_argument('--engine', choices=(AUTO, *ENGINES))
    node.add_argument('--precision', choices=PRECISIONS)
    node.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'),
                      help="the network's input, then without the strip of the weights")
    node.add_argument('--processes', type=int, default=0, metavar='N',
                      help='bags at once (default: as many as there are cores)')
    node.add_argument('--one-at-a-time', action='store_true',
                      help='nothing runs beside the engine: slower, latencies of an idle machine')
    node.add_argument('--mounting', type=user_path, metavar='YAML',
                      help='mounting of the camera, written by calibrate_mount (default: '
                           f"{MOUNTING} in each bag's folder, else the parameter file)")
    out = p.add_argument_group('output')
    out.add_argument('--bag-topics', choices=('all', 'camera', 'none'), default='all',
                     help='topics of the input to copy to the output bag; none: no bag')
    out.add_argument('--no-video', dest='video', action='store_false', help='no overlay.mp4')
    out.add_argument('--export-labels', choices=FORMATS,
                     help='also write images and masks, of the first weights, to correct and '
                          'train on: a Supervisely project, or COCO for CVAT, in DIR_labels')
    out.add_argument('--export-every', type=int, default=10, metavar='N',
                     help='every N-th frame of each bag (default: 10)')
    again = out.add_mutually_exclusive_group()
    again.add_argument('--resume', action='store_true', help='continue an unfinished evaluation')
    again.add_argument('--restart', action='store_true', help='discard an unfinished one')
    most = [metric.name for metric in metrics_of() if metric.less_is_better]
    gate = p.add_argument_group('gate (exit code 1 where it fails)')
    gate.add_argument('--fail-under', action='append', default=[], metavar='NAME=VALUE',
                      help=f'such as dice=0.9; for {", ".join(most)} it is the maximum')
    gate.add_argument('--baseline', type=user_path, metavar='REPORT',
                      help='report.json that this evaluation must not be worse than')
    live = p.add_argument_group('live, through the running node')
    how = live.add_mutually_exclusive_group()
    how.add_argument('--live', action='store_true',
                     help='play the bags into a node over DDS, in real time (needs ROS)')
    live.add_argument('--rate', type=float, default=1.0, help='speed of --live (default: 1)')
    how.add_argument('--recording', type=user_path, metavar='BAG',
                     help="score a bag with the node's masks, recorded while BAG was played")
    return p


def parse(args: list[str] | None) -> argparse.Namespace:
    """Parse the command line; ends the process for options that do not fit."""
    p = parser()
    o = p.parse_args(args)
    if o.weights and len(o.weights) > 2:
        p.error(f'--weights can be given once or twice, found {len(o.weights)} times')
    for name, value, least in (('processes', o.processes, 0), ('export-every', o.export_every, 1)):
        if value < least:
            p.error(f'--{name} must be 1 or more, found {value}')
    if not 0 <= o.truth_tolerance <= 10:
        p.error(f'--truth-tolerance must be from 0 to 10 s, found {o.truth_tolerance:g}')
    check_ranges(p, o, rate=(0.01, 100))
    if o.recording and (len(o.bags) > 1 or len(o.weights or ()) > 1):
        p.error('--recording goes with one bag and one set of weights')
    return o


def find_bags(paths: list[Path]) -> list[Path]:
    """Return the bags of paths; a folder without metadata.yaml is replaced by the bags in it."""
    found: list[Path] = []
    for path in paths:
        inside = []
        if path.is_dir() and not (path / 'metadata.yaml').exists():
            inside = [p for p in visible(path) if (p / 'metadata.yaml').is_file()]
        found += inside or [path]
    return found


def node_parameters(o: argparse.Namespace) -> dict[str, Any]:
    """Return the node's parameters: file, then command line; raises ValueError, OSError."""
    values: dict[str, Any] = {}
    if o.params_file:
        values = read_values(o.params_file, NODE_NAME,
                             lambda text: print(f'evaluate_bag: {text}', file=sys.stderr))
        check_names(values)
    values |= {name: getattr(o, name) for name in ('engine', 'precision') if getattr(o, name)}
    if o.input_size:
        values['input_height'], values['input_width'] = o.input_size
    return asdict(NodeParameters(**values))


def space_needed(plan: Plan, topics: str, video: bool) -> int:
    """Return an upper estimate of an evaluation's size on disk in bytes."""
    frames = sum(bag.frames for bag in plan.bags)
    files = [p for bag in plan.bags for p in (
        Path(bag.path).iterdir() if Path(bag.path).is_dir() else [Path(bag.path)])]
    copied = 0 if topics == 'none' else sum(p.stat().st_size for p in files if p.is_file())
    return copied + frames * _BYTES_A_FRAME * len(plan.weights) * (1 + (topics != 'none') + video)


def make_plan(o: argparse.Namespace, cores: int) -> tuple[Plan, list[str]]:
    """Return the plan, and a sentence for each bag that cannot be used; raises ValueError."""
    mode = LIVE if o.live else RECORDED if o.recording else OFFLINE
    node = node_parameters(o)
    bags, refused = _bag_plans(o, find_bags(o.bags))
    weights = [_weights_plan(label, given, node) for label, given in zip(
        'AB', o.weights or [node['weights']])]
    truth: dict[str, Any] = {'tolerance_ns': round(o.truth_tolerance * 1e9)}
    if o.truth:
        truth['folder'] = str(o.truth.absolute())
    if o.truth_topic:
        truth['topic'] = o.truth_topic
    workers = min(len(bags), o.processes or cores) if mode == OFFLINE else 1
    plan = Plan(mode, bags, weights, truth, node, max(1, min(_MOST_SHARDS, cores // workers)),
                workers, cores // workers if workers > 1 else 0, o.one_at_a_time,
                {'rate': o.rate} if o.live else {}, FORMAT, JOURNAL_FORMAT)
    if o.truth:
        open_truth(truth, Path(bags[0].path), plan.truth_classes).close()
    return plan, refused


def _bag_plans(o: argparse.Namespace, paths: list[Path]) -> tuple[list[BagPlan], list[str]]:
    plans, refused = [], []
    for path in paths:
        try:
            with Bag(path) as bag:
                truth = find_truth_topic(bag, o.truth_topic)
                others = [t for t in bag.topics.values() if t != truth or t.name == o.image_topic]
                topic = find_image_topic(others, o.image_topic, bag.encoding)
                warning = bag.warning
            mounting = read_mounting(o.mounting) if o.mounting else find_mounting(path)
            if mounting:  # of this bag; overrides the parameter file
                mounting = {'mounting': 'parameters', **mounting}
            plans.append(BagPlan('', str(path.absolute()), topic.name, topic.msgtype, topic.count,
                                 content_of(path), mounting=mounting, warning=warning))
        except BagError as error:
            if len(paths) == 1:
                raise
            text = str(error)
            refused.append(text if str(path) in text else f'{path}: {text}')
    if not plans:
        raise BagError(f'None of {len(paths)} bags can be used: {refused[0]}')
    names = [p.name if p.is_dir() else p.stem for p in (Path(p.path) for p in plans)]
    for number, (plan, name) in enumerate(zip(plans, names)):
        plan.label = name if names.count(name) == 1 else f'{name}_{number + 1}'
        if o.recording:
            plan.recording = str(o.recording.absolute())
    return plans, refused


def _weights_plan(label: str, given: str, node: dict[str, Any]) -> WeightsPlan:
    from eunet_ros.model.checkpoint import check_input_size, load_checkpoint
    checkpoint = load_checkpoint(given, node['variant'])
    path = Path(given).expanduser()
    size = NodeParameters(**node).input_size or checkpoint.input_size
    check_input_size(tuple(size), checkpoint.network.variant)
    return WeightsPlan(label, str(path.absolute()) if path.is_file() else given,
                       checkpoint.sha256, checkpoint.variant, checkpoint.classes.to_list(),
                       tuple(size))
