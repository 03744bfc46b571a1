# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""index.html: the report as one page that needs no other file, no script and no network."""
from __future__ import annotations

from collections.abc import Sequence
import html
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.page import charts
from eunet_ros.evaluation.page.ground_pictures import GroundFrame
from eunet_ros.evaluation.page.ground_section import ground_section
from eunet_ros.evaluation.page.pictures import WorstFrame
from eunet_ros.evaluation.page.style import STYLE
from eunet_ros.evaluation.page.tables import (
    bags_section,
    both,
    classes_section,
    color_key,
    comparison_section,
    confusion_section,
    escape,
    live_section,
    made_section,
    number,
    sizes_section,
    title_of,
)
from eunet_ros.evaluation.run.plan import Plan
from eunet_ros.evaluation.scoring.metric_table import entry_of, metrics_of
from eunet_ros.evaluation.scoring.summary import FrameFigures
from eunet_ros.model.common.files import written_beside

_NAN = float('nan')
_COLORS = ('var(--a)', 'var(--b)')


def write_page(path: Path, plan: Plan, report: dict[str, Any], frames: Sequence[FrameFigures],
               worst: Sequence[WorstFrame], ground: Sequence[GroundFrame],
               files: Sequence[str]) -> None:
    """Write the page; files: names in the folder to link to. Raises OSError."""
    title = title_of(report)
    parts = [
        f'<h1>{escape(title)}</h1>', _under_title(report, files), _partial(report),
        _tiles(report), classes_section(plan, report), sizes_section(report),
        confusion_section(plan, report), comparison_section(report),
        live_section(report), _latency(plan, report, frames), _cones(plan, frames),
        ground_section(report, ground), _attitude(report, frames), _worst(plan, report, worst),
        bags_section(report), made_section(report)]
    text = ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f'<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n'
            + '\n'.join(part for part in parts if part) + '\n</body></html>\n')
    with written_beside(path) as beside:
        beside.write_text(text, encoding='utf-8')


def _under_title(report: dict[str, Any], files: Sequence[str]) -> str:
    weights = ' &nbsp; '.join(
        f'<span class="{w["label"].lower()}">{w["label"]}</span> '
        f'{escape(Path(w["weights"]).name)} ({escape(w["variant"])} on '
        f'{escape(str(w.get("engine", "-")))}, {escape(str(w.get("precision", "-")))})'
        for w in report['weights'])
    links = ' · '.join(f'<a href="{html.escape(name)}">{escape(name)}</a>' for name in files)
    return (f'<p>{weights}</p><p class="faint small">{escape(report["run"]["started"])}, '
            f'{report["frames_done"]} of {report["frames"]} frames, '
            f'{report["frames_with_truth"]} with ground truth. {links}</p>')


def _partial(report: dict[str, Any]) -> str:
    if report['complete']:
        return ''
    items = ''.join(f'<li>{escape(text)}</li>' for text in report['partial_because'])
    return f'<div class="note"><b>This report is partial.</b><ul>{items}</ul></div>'


def _tile(name: str, values: Sequence[str]) -> str:
    shown = ''.join(f'<b{_tint(k, values)}>{escape(v)}</b>' for k, v in enumerate(values))
    return f'<div class="tile"><span class="faint small">{escape(name)}</span>{shown}</div>'


def _tint(k: int, values: Sequence[str]) -> str:
    return f' class="{"ab"[k]}"' if len(values) > 1 else ''


def _tiles(report: dict[str, Any]) -> str:
    entries, tiles = [entry_of(report, k) for k in range(len(report['weights']))], []
    for metric in metrics_of():
        values = [metric.value(entry) for entry in entries]
        if metric.as_tile and any(value is not None for value in values):
            tiles.append(_tile(metric.title, [*map(metric.text, values)]))
    if not report.get('live') and report['run'].get('images_per_s'):
        tiles.append(_tile('evaluated', [f'{report["run"]["images_per_s"]:.1f} images/s']))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _starts(frames: Sequence[FrameFigures]) -> list[int]:
    return [i for i in range(1, len(frames)) if frames[i].bag != frames[i - 1].bag]


def _total(frame: FrameFigures, k: int) -> float:
    return (frame.stage_ms[k] or {}).get('total', _NAN)


def _latency(plan: Plan, report: dict[str, Any], frames: Sequence[FrameFigures]) -> str:
    totals = [[_total(f, k) for f in frames] for k in range(len(plan.weights))]
    labels = [w.label if len(plan.weights) > 1 else '' for w in plan.weights]
    known = [(color, label, [v for v in values if v == v])
             for color, label, values in zip(_COLORS, labels, totals)]
    known = [entry for entry in known if entry[2]]
    lost = [i for i, f in enumerate(frames) if f.lost_before or (not any(
        c is not None for c in f.cones) and not f.error)]
    bad = [i for i, f in enumerate(frames) if f.error]
    shapes = charts.histogram(known, 'ms', 'Histogram of latency') if known else ''
    line = charts.timeline(
        [(color, values) for color, values in zip(_COLORS, totals)], 'ms',
        'Latency over frames', sorted({*lost, *bad}), starts=_starts(frames))
    if not shapes and not line:
        return ''
    live = report['mode'] != 'offline'
    what = ("From the image's stamp to the mask in another process." if live else
            'Decoding, pre-processing, network, post-processing; '
            + ('nothing ran beside it.' if report['run'].get('one_at_a_time') else
               'the next frames were decoded meanwhile, so an idle machine is a little faster '
               '(--one-at-a-time).'))
    marked = (f' Red marks: {len(lost)} frames before or at which images were lost'
              f'{f", {len(bad)} that could not be used" if bad else ""}.' if lost or bad else
              ' No image was lost.')
    stages = _stages(report)
    return (f'<h2>Latency</h2><p class="small faint">{what}{marked}</p><div class="two">'
            f'<div><h3>Histogram</h3>{shapes}</div><div><h3>Over the drive (largest of those '
            f'that fall together)</h3>{line}</div></div>{stages}')


def _stages(report: dict[str, Any]) -> str:
    rows = []
    for w in report['weights']:
        for name, values in report['speed'][w['label']]['stage_ms'].items():
            label = f'{w["label"]} {name}' if len(report['weights']) > 1 else name
            rows.append(f'<tr><td>{escape(label)}</td>' + ''.join(
                f'<td>{number(values[p], 2)}</td>' for p in ('p50', 'p90', 'p99', 'max'))
                + '</tr>')
    if not rows:
        return ''
    return ('<div class="two"><div class="wide"><table><tr><th>stage, ms</th><th>p50</th>'
            f'<th>p90</th><th>p99</th><th>max</th></tr>{"".join(rows)}</table></div></div>')


def _cones(plan: Plan, frames: Sequence[FrameFigures]) -> str:
    drawn = []
    for k, weights in enumerate(plan.weights):
        table = weights.table
        series, keys = [], []
        for i, (name, color) in enumerate(zip(table.names[1:], table.colors[1:])):
            values = [_NAN if f.cones[k] is None else float(f.cones[k][i]) for f in frames]
            if any(v > 0 for v in values):
                series.append((f'rgb{color}', values))
                keys.append(color_key(name, color))
        flickering = [_NAN if f.flickering[k] is None else float(f.flickering[k])
                      for f in frames]
        label = f' ({weights.label})' if len(plan.weights) > 1 else ''
        starts = _starts(frames)
        lines = charts.timeline(series, 'cones', 'Cones over frames', how='mean', starts=starts)
        flicker = charts.timeline([(_COLORS[k], flickering)], 'cones',
                                  'Flickering cones over frames', starts=starts)
        if lines:
            drawn.append(f'<div><h3>Cones of each class{label}</h3>'
                         f'<p class="small">{" ".join(keys)}</p>{lines}</div>')
        if flicker:
            drawn.append(f'<div><h3>Flickering cones{label}</h3><p class="small faint">Found in '
                         f'the frame before and the frame after, not between.</p>{flicker}</div>')
    if not drawn:
        return ''
    return f'<h2>Cones over the drive</h2><div class="two">{"".join(drawn)}</div>'


def _attitude(report: dict[str, Any], frames: Sequence[FrameFigures]) -> str:
    told = [w['positions'] and w['positions']['pitch_deg'] for w in report['weights']]
    if not any(told):
        return ''
    series = [(color, [_NAN if f.pitch[k] is None else f.pitch[k] for f in frames])
              for k, color in zip(range(len(told)), _COLORS)]

    def cell(key: str) -> str:
        return both([number(t and t[key], 2) for t in told])
    return ('<h2>Pitch of the car</h2><p class="small faint">Against the mounting, from the cones '
            f'of each image alone: mean {cell("mean")}°, 5 % below {cell("p5")}°, 5 % above '
            f'{cell("p95")}°. It moves cones beyond 10 m by '
            f'{both([number(t and t["moves_far_cones"], percent=True) for t in told])} of their '
            'distance (median). Where the mean is not 0, measure the mounting again; where the '
            'rest is wide, set the parameter attitude to cones. Positive: the front is low.</p>'
            '<div class="two"><div>' + charts.timeline(
                series, '°', 'Pitch over frames', how='mean', starts=_starts(frames))
            + '</div></div>')


def _worst(plan: Plan, report: dict[str, Any], worst: Sequence[WorstFrame]) -> str:
    if not worst:
        return ''
    table = plan.weights[0].table
    keys = ' '.join(color_key(*pair) for pair in zip(table.names[1:], table.colors[1:]))
    figures = []
    for place, frame in enumerate(worst, start=1):
        columns = f'style="grid-template-columns:repeat({len(frame.pictures)},1fr)"'

        def row(kind: str, which: int, frame: WorstFrame = frame, columns: str = columns) -> str:
            cells = ''.join(
                f'<div><img src="{p[which]}" alt="{escape(p[0])}">'
                f'<span>{escape(p[0])}</span></div>' for p in frame.pictures)
            return f'<div class="row {kind}" {columns}>{cells}</div>'
        zoomed = row('zoom', 2) if all(p[2] for p in frame.pictures) else ''
        figures.append(
            f'<figure><figcaption><b>{place}.</b> {escape(frame.bag)}, frame {frame.index} '
            f'<span class="faint">({frame.stamp / 1e9:.3f} s)</span>: {escape(frame.why)}'
            f'</figcaption>{row("whole" if zoomed else "whole only", 1)}{zoomed}</figure>')
    order = ('lowest Dice first' if report['frames_with_truth']
             else 'most flickering cones first: there is no ground truth')
    return (f'<h2>The {len(worst)} worst frames</h2><p class="small faint">{order}; below each '
            f'the part with the largest error, enlarged.</p><p class="small">{keys}</p>'
            f'{"".join(figures)}')
