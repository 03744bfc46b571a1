# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""index.html: its charts and figures; page.html is the template, style.css the style."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.page import charts
from eunet_ros.evaluation.page.ground_pictures import GroundFrame
from eunet_ros.evaluation.page.pictures import WorstFrame
from eunet_ros.evaluation.page.text import bag_notes, number
from eunet_ros.evaluation.run.plan import Plan
from eunet_ros.evaluation.scoring.metric_table import entry_of, metrics_of
from eunet_ros.evaluation.scoring.summary import FrameFigures
from eunet_ros.model.common.files import written_beside
from eunet_ros.model.common.metrics.false_cones import MIN_FALSE_PIXELS
from jinja2 import ChainableUndefined, Environment, FileSystemLoader
import numpy as np

_COLORS = ('var(--a)', 'var(--b)')


def write_page(path: Path, plan: Plan, report: dict[str, Any], frames: Sequence[FrameFigures],
               worst: Sequence[WorstFrame], ground: Sequence[GroundFrame],
               files: Sequence[str]) -> None:
    """Write the page; files: names in the folder to link to. Raises OSError."""
    # Undefined: weights without positions and bags that were not played have no figures.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        undefined=ChainableUndefined, extensions=['jinja2.ext.do'])
    environment.filters.update(
        number=number, pair=_pair, of=_of, interval=_interval, counts=_counts,
        basename=lambda name: Path(name).name, filled=lambda row, form: form.format(**row))
    text = environment.get_template('page.html').render(
        report=report, weights=report['weights'], several=len(plan.weights) > 1, files=files,
        title=_title(report), tiles=_tiles(report), compared=_compared(report),
        latency=_latency(plan, frames), cones=_cones(plan, frames), pitch=_pitch(plan, frames),
        worst=worst, ground=ground,
        class_names=list(dict.fromkeys(n for w in report['weights'] for n in w['classes'])),
        colors={name: color for w in plan.weights
                for name, color in zip(w.table.names, w.table.colors)},
        bag_notes=bag_notes, min_false_pixels=MIN_FALSE_PIXELS)
    with written_beside(path) as beside:
        beside.write_text(text, encoding='utf-8')


def _of(row: Mapping[str, Any] | None, key: str) -> Any:
    return row.get(key) if row else None


def _pair(row: Mapping[str, Any] | None, first: str, second: str, digits: int) -> str:
    return f'{number(_of(row, first), digits)}, {number(_of(row, second), digits)}'


def _interval(name: str) -> str:
    """Return the name of a bin of sizes or distances with typographic signs."""
    return name.replace('>=', '≥ ').replace('<', '< ').replace('-', ' – ')


def _counts(counts: Mapping[str, int] | None) -> str:
    """Return the node's counts that are not 0, and the images received and masked."""
    return ', '.join(f'{name.replace("_", " ")} {count}' for name, count in (counts or {}).items()
                     if count or name in ('received', 'masked')) or '–'


def _title(report: dict[str, Any]) -> str:
    names = [b['label'] for b in report['bags']]
    bags = ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')
    weights = ' against '.join(Path(w['weights']).stem for w in report['weights'])
    live = {'live': ' live', 'recorded': ' as recorded'}.get(report['mode'], '')
    return f'{weights} on {bags}{live}'


def _tiles(report: dict[str, Any]) -> list[tuple[str, list[str]]]:
    entries = [entry_of(report, k) for k in range(len(report['weights']))]
    tiles = [(metric.title, [metric.text(metric.value(entry)) for entry in entries])
             for metric in metrics_of() if metric.as_tile
             and any(metric.value(entry) is not None for entry in entries)]
    if not report.get('live') and report['run'].get('images_per_s'):
        tiles.append(('evaluated', [f'{report["run"]["images_per_s"]:.1f} images/s']))
    return tiles


def _compared(report: dict[str, Any]) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return title, figures and chart of each metric of A against B."""
    rows = [(metric.title, (report['comparison'] or {}).get(metric.name))
            for metric in metrics_of()]
    return [(title, entry, charts.interval(*entry['interval_95'], entry['difference']))
            for title, entry in rows
            if entry and entry['difference'] is not None and entry['interval_95']]


def _starts(frames: Sequence[FrameFigures]) -> list[int]:
    return [i for i in range(1, len(frames)) if frames[i].bag != frames[i - 1].bag]


def _latency(plan: Plan, frames: Sequence[FrameFigures]) -> dict[str, Any]:
    """Return the charts of latency, and the frames that are marked in them."""
    totals = [[(f.stage_ms[k] or {}).get('total') for f in frames]
              for k in range(len(plan.weights))]
    labels = [w.label if len(plan.weights) > 1 else '' for w in plan.weights]
    known = [(color, label, [v for v in values if v is not None])
             for color, label, values in zip(_COLORS, labels, totals)]
    lost = [i for i, f in enumerate(frames) if f.lost_before or (
        all(c is None for c in f.cones) and not f.error)]
    bad = [i for i, f in enumerate(frames) if f.error]
    return {
        'lost': lost, 'bad': bad,
        'histogram': charts.histogram([entry for entry in known if entry[2]], 'ms',
                                      'Histogram of latency'),
        'timeline': charts.timeline(list(zip(_COLORS, totals)), 'ms', 'Latency over frames',
                                    sorted({*lost, *bad}), starts=_starts(frames))}


def _cones(plan: Plan, frames: Sequence[FrameFigures]) -> list[dict[str, Any]]:
    """Return the charts of each weights' cones, and the classes in them."""
    drawn, starts = [], _starts(frames)
    for k, weights in enumerate(plan.weights):
        table = weights.table
        none = [None] * (len(table.names) - 1)
        counts = np.array([f.cones[k] or none for f in frames], float)
        seen = [i for i in range(len(none)) if frames and (counts[:, i] > 0).any()]
        drawn.append({
            'label': weights.label, 'names': [table.names[i + 1] for i in seen],
            'lines': charts.timeline(
                [(f'rgb{table.colors[i + 1]}', counts[:, i]) for i in seen], 'cones',
                'Cones over frames', how='mean', starts=starts),
            'flicker': charts.timeline([(_COLORS[k], [f.flickering[k] for f in frames])], 'cones',
                                       'Flickering cones over frames', starts=starts)})
    return drawn


def _pitch(plan: Plan, frames: Sequence[FrameFigures]) -> charts.Chart | None:
    """Return the chart of the pitch of the car, None if it was not estimated."""
    series = [(_COLORS[k], [f.pitch[k] for f in frames]) for k in range(len(plan.weights))]
    return charts.timeline(series, '°', 'Pitch over frames', how='mean', starts=_starts(frames))
