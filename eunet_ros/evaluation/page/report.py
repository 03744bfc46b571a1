# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""report.json and metrics.csv."""
from __future__ import annotations

from collections.abc import Sequence
import csv
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.run.plan import FORMAT, Plan
from eunet_ros.evaluation.scoring.summary import FrameFigures, Summary
from eunet_ros.model.common.files import rounded, written_beside
from eunet_ros.replay.figures import percentiles
import numpy as np


def speed_of(frames: Sequence[FrameFigures], k: int) -> dict[str, Any]:
    """Return the latencies of weights k by stage, and the rate [images/s] they allow."""
    stages: dict[str, list[float]] = {}
    for frame in frames:
        for name, ms in (frame.stage_ms[k] or {}).items():
            stages.setdefault(name, []).append(ms)
    total = percentiles(stages.get('total', ()))
    mean = float(np.mean(stages['total'])) if stages.get('total') else 0.0
    return {'latency_ms': total, 'stage_ms': {
        name: percentiles(values) for name, values in stages.items() if name != 'total'},
        'images_per_s_one_at_a_time': round(1e3 / mean, 2) if mean else None}


def make_report(plan: Plan, summary: Summary, partial: list[str], engines: list[dict[str, Any]],
                run: dict[str, Any], live: dict[str, Any] | None) -> dict[str, Any]:
    """Return report.json; the sections speed, run and live differ from run to run."""
    report = {
        'format': FORMAT, 'complete': not partial, 'partial_because': partial,
        'mode': plan.mode, 'frames': sum(b['frames'] for b in summary.bags),
        'frames_done': len(summary.frames),
        'frames_with_truth': sum(f.has_truth for f in summary.frames),
        'bags': summary.bags,
        'weights': [{**w, **engine} for w, engine in zip(summary.weights, engines)],
        'comparison': summary.comparison, 'node_parameters': plan.node,
        'speed': {w['label']: speed_of(summary.frames, k)
                  for k, w in enumerate(summary.weights)},
        'run': run}
    if live is not None:
        report['live'] = live
    return rounded(report, 6)


def write_metrics(path: Path, plan: Plan, frames: Sequence[FrameFigures]) -> None:
    """Write a row for each frame, times in ns, latencies in ms; raises OSError."""
    several = len(plan.weights) > 1
    stages = sorted({name for f in frames[:1000] for ms in f.stage_ms for name in ms or ()})
    columns = ['bag', 'frame', 'stamp_ns', 'recorded_ns', 'width', 'height', 'has_truth',
               'lost_before', 'error']
    for w in plan.weights:
        end = f'_{w.label.lower()}' if several else ''
        columns += [f'{name}{end}' for name in (
            'dice', 'wrong_pixels', 'cones', 'with_position', 'pitch_deg', *w.table.names[1:],
            'flickering', *(f'{s}_ms' for s in stages))]
    with written_beside(path) as beside, open(beside, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for f in frames:
            height, width = f.size or ('', '')
            row = [plan.bags[f.bag].label, f.index, f.stamp, f.time, width, height,
                   int(f.has_truth), f.lost_before, f.error]
            for k in range(len(plan.weights)):
                cones, ms = f.cones[k], f.stage_ms[k] or {}
                row += rounded([
                    f.dice[k], f.wrong[k], None if cones is None else sum(cones), f.placed[k],
                    f.pitch[k], *(cones or [None] * (len(plan.weights[k].classes) - 1)),
                    f.flickering[k], *map(ms.get, stages)], 6)
            writer.writerow(row)   # None as an empty field
