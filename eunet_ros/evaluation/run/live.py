# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames processed by a running node: played into it here, or read from a recording."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby
import json
import os
from pathlib import Path
import shutil
from typing import Any, NamedTuple

from eunet_ros.bags.frame_source import BagSource, Frame
from eunet_ros.bags.mask_store import MaskReader, MASKS_FILE, MaskWriter
from eunet_ros.bags.messages import COMPRESSED_IMAGE, IMAGE, stamp_of
from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.evaluation.run.journal import FrameRow, Journal
from eunet_ros.evaluation.run.plan import bag_files, BagEnd, BagFiles, FrameMasks, Plan, read_json
from eunet_ros.evaluation.run.positions import InfoNotes
from eunet_ros.images.conversions import image_to_mask
from eunet_ros.model.common.files import write_json
from eunet_ros.replay.drive import check_ros, drive_environment, LiveDrive, node_arguments
from eunet_ros.replay.figures import percentiles, rate_hz, stage_ms

MASK_TOPIC = '/eunet/mask'
_START_S = 600.0    # for the node, which may build an engine
# Parameters that a live drive sets itself, or of which it needs the default.
_OWN = ('image_transport', 'autostart', 'diagnostics_period')
_RENDERED_HERE = ('mask', 'overlay', 'color_mask', 'confidence', 'annotations')
Show = Callable[[str, int, int], None]


class _Drive(NamedTuple):
    """The result of a drive."""

    offsets: dict[int, int]             # of masks in their file, by stamp
    ms: dict[str, dict[int, float]]     # times by name and stamp
    figures: dict[str, Any]
    engine: dict[str, Any]


def play_all(plan: Plan, journal: Path, show: Show) -> None:
    """Play every bag into a node with each set of weights; raises ValueError, OSError."""
    if plan.is_live:
        check_ros()
    for number, bag in enumerate(plan.bags):
        files = bag_files(journal, number)
        if files.end.exists():
            continue
        files.folder.mkdir(parents=True, exist_ok=True)
        files.frames.unlink(missing_ok=True)
        for scores in files.folder.glob('scores_*.jsonl'):
            scores.unlink()
        source = BagSource(bag.path, bag.image_topic)
        frames = [frame._replace(image=b'') for frame in source.frames()]
        if len({frame.stamp for frame in frames}) < len(frames):
            raise BagError(f'{bag.path}: images of {bag.image_topic} share their stamps, which '
                           'identify their masks: evaluate it without --live, or set the camera '
                           'driver to stamp its images.')
        made = [_drive(plan, k, bag.mounting, source, files, show) if plan.is_live
                else _recorded(bag.recording, bag.image_topic, files)
                for k in range(len(plan.weights))]
        _write_rows(files, frames, made)
        write_json(files.folder / 'live.json', [drive.figures for drive in made])
        write_json(files.folder / 'engine.json', [drive.engine for drive in made])
        write_json(files.end, vars(BagEnd(complete=True)))


def _drive(plan: Plan, k: int, mounting: dict[str, Any], source: BagSource, files: BagFiles,
           show: Show) -> _Drive:
    work = files.folder / f'live_{"ab"[k]}'
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    rate = plan.live.get('rate', 1.0)
    parameters = {**{n: v for n, v in plan.node.items() if n not in _OWN},
                  **mounting, 'weights': plan.weights[k].given}

    def tell(text: str, sent: int, masked: int) -> None:
        show(f'Playing into the node, {masked} masks' if sent else text or 'Starting the node',
             sent, source.count)
    record = LiveDrive(
        work, node_arguments(source.topic, source.msgtype == COMPRESSED_IMAGE, parameters, work),
        [str(source.path), '--image-topic', source.bag_topic, '--publish-as', source.topic,
         '--rate', str(rate)],
        drive_environment(True, os.environ), _START_S, tell,
        ['--all-of', MASK_TOPIC.rpartition('/')[0]]).run()
    if not record.sent:
        raise BagError(f'No image of {source.path} was played.')
    os.replace(work / MASKS_FILE, files.masks(k))
    sent = {stamp: at for (_, stamp, _), at in zip(record.sent, record.sent_at)}
    late = {stamp: ms for (_, stamp, _), ms in zip(record.sent, record.late_ms)}
    # Maps times to those of the recording, for the output bag.
    write_json(work / 'clock.json', {'first_at': record.sent_at[0], 'rate': rate})
    return _made(files, k, sent, late, record.diagnostics)


def _recorded(path: str, image_topic: str, files: BagFiles) -> _Drive:
    """Read masks from a bag that was recorded while the evaluated one was played."""
    sent: dict[int, int] = {}
    with closing(MaskWriter(files.masks(0))) as writer, Bag(path) as recording:
        topic = recording.topics.get(MASK_TOPIC) or next(
            (t for t in recording.topics.values()
             if t.name.endswith('/mask') and 'ground_truth' not in t.name), None)
        if topic is None or topic.msgtype != IMAGE or not topic.count:
            raise BagError(f'{path} holds no masks on {MASK_TOPIC}; topics in it: '
                           f'{", ".join(recording.topics) or "none"}.')
        # The time an image was sent: from the image if it was recorded, else its camera_info.
        base = image_topic.removesuffix('/compressed')
        info = f'{base.rpartition("/")[0]}/camera_info'
        for name in (image_topic, base, info):
            if name in recording.topics and recording.topics[name].count:
                for at, raw in recording.raw(recording.topics[name]):
                    sent.setdefault(stamp_of(raw), at)
                break
        for at, msg in recording.messages(topic):
            stamp = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
            writer.append(stamp, at, image_to_mask(msg))
        diagnostics = _last_diagnostics(recording)
    return _made(files, 0, sent, {}, diagnostics)


def _last_diagnostics(recording: Bag) -> dict[str, str]:
    topic, rows = recording.topics.get('/diagnostics'), {}
    if topic is not None and topic.msgtype == 'diagnostic_msgs/msg/DiagnosticArray':
        for _, msg in recording.messages(topic):
            for status in msg.status:
                if 'segmentation' in status.name:
                    rows = {v.key: v.value for v in status.values}
    return rows


def _made(files: BagFiles, k: int, sent: dict[int, int], late: dict[int, float],
          diagnostics: dict[str, str]) -> _Drive:
    """Return the result of a drive; sent: when the image of each stamp was sent [ns]."""
    reader = MaskReader(files.masks(k))
    arrivals, stages = reader.arrivals, stage_ms(diagnostics)
    delays = {stamp: round((arrivals[stamp] - at) / 1e6, 3)
              for stamp, at in sent.items() if stamp in arrivals}
    size = diagnostics.get('input', '').split('x')
    figures = {
        'latency_ms': percentiles(delays.values()), 'node_stage_ms': stages,
        'queueing_ms': stages.get('wait'), 'player_late_ms': percentiles(late.values()),
        'mask_hz': rate_hz(sorted(arrivals.values())),
        'sent_hz': rate_hz(sorted(sent.values())),
        'node_counts': {name: int(value) for name, value in diagnostics.items()
                        if name in ('received', 'masked') or name.startswith('dropped_')},
        'lost_in_transport': int(diagnostics.get('lost in transport (estimate)', 0)),
        'node_last_error': diagnostics.get('last error', '')}
    return _Drive(reader.offsets, {'total': delays, 'player_late': late}, figures, {
        'engine': diagnostics.get('engine'), 'precision': diagnostics.get('precision'),
        'input_size': [int(v) for v in size if v.isdigit()]})


def _write_rows(files: BagFiles, frames: Sequence[Frame], made: list[_Drive]) -> None:
    infos = InfoNotes()
    with closing(Journal(files.frames)) as journal, closing(FrameMasks(files)) as masks:
        for frame in frames:
            row = FrameRow(index=frame.index, time=frame.time, stamp=frame.stamp,
                           ends=[0] * len(made),
                           masks=[drive.offsets.get(frame.stamp) for drive in made],
                           stage_ms=[{name: ms[frame.stamp] for name, ms in drive.ms.items()
                                      if frame.stamp in ms} or None for drive in made],
                           camera_info=infos.note(frame))
            row.size = next((m.shape for m in masks.of(row) if m is not None), None)
            journal.append(row)


def live_figures(plan: Plan, journal: Path, summary_frames: Sequence[Any]) -> dict[str, Any]:
    """Return the report's section `live`: figures that only live replay measures."""
    saved = [read_json(bag_files(journal, number).folder / 'live.json')
             or [{}] * len(plan.weights) for number in range(len(plan.bags))]
    live = {}
    for k, weights in enumerate(plan.weights):
        there = [f.cones[k] is not None for f in summary_frames]
        gaps = [len(list(run)) for masked, run in groupby(there) if not masked]
        live[weights.label] = {
            'frames': len(there), 'masked': sum(there), 'dropped': len(there) - sum(there),
            'masked_share': sum(there) / len(there) if there else None,
            'longest_gap_frames': max(gaps, default=0),
            'latency_ms': percentiles(
                f.stage_ms[k]['total'] for f in summary_frames
                if f.stage_ms[k] and 'total' in f.stage_ms[k]),
            'bags': {bag.label: rows[k] for bag, rows in zip(plan.bags, saved)}}
    return live


def published_messages(files: BagFiles, k: int, first_time: int,
                       ) -> tuple[dict[str, str], list[tuple[int, str, bytes]]]:
    """Return the node's other topics: types by topic, and rows of (time [ns], topic, CDR)."""
    work = files.folder / f'live_{"ab"[k]}'
    try:
        clock = json.loads((work / 'clock.json').read_text())
        with Bag(work / 'published') as bag:
            kinds = {t.name: t.msgtype for t in bag.topics.values()
                     if t.name.rpartition('/')[2] not in _RENDERED_HERE}
            return kinds, [
                (first_time + round((at - clock['first_at']) * clock['rate']), name, raw)
                for name, at, raw in bag.raw_of(list(kinds))]
    except (OSError, ValueError):
        return {}, []
