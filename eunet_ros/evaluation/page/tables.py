# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the page."""
from __future__ import annotations

from collections.abc import Sequence
import html
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.page import charts
from eunet_ros.evaluation.page.text import bag_notes, iou_in_truth
from eunet_ros.evaluation.run.plan import Plan


def escape(text: str) -> str:
    """Return text for HTML."""
    return html.escape(str(text))


def interval(name: str) -> str:
    """Return the name of a bin of sizes or distances as people write it."""
    return name.replace('>=', '≥ ').replace('<', '< ').replace('-', ' – ')


def number(value: float | None, digits: int = 3, percent: bool = False) -> str:
    """Return a number for people, – for none."""
    if value is None:
        return '–'
    return f'{100 * value:.1f} %' if percent else f'{value:.{digits}f}'


def color_key(name: str, color: Sequence[int]) -> str:
    """Return a class's name with its colour."""
    return (f'<span class="legend"><i class="key" style="background:rgb{tuple(color)}"></i>'
            f'{escape(name.replace("_", " "))}</span>')


def title_of(report: dict[str, Any]) -> str:
    """Return the page's title."""
    names = [b['label'] for b in report['bags']]
    bags = ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')
    weights = ' against '.join(Path(w['weights']).stem for w in report['weights'])
    live = {'live': ' live', 'recorded': ' as recorded'}.get(report['mode'], '')
    return f'{weights} on {bags}{live}'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = '') -> str:
    """Return a table; cells are HTML."""
    top = ''.join(f'<th>{cell}</th>' for cell in head)
    body = ''.join(f'<tr>{"".join(f"<td>{c}</td>" for c in row)}</tr>' for row in rows)
    first = f'<tr>{top}</tr>' if head else ''
    return f'<div class="wide"><table class="{kind}">{first}{body}</table></div>'


def both(cells: Sequence[str]) -> str:
    """Return the value of A, or of A and B in their colours."""
    if len(cells) == 1:
        return cells[0]
    return '<br>'.join(f'<span class="{"ab"[k]}">{c}</span>' for k, c in enumerate(cells))


def _colors(plan: Plan) -> dict[str, tuple[int, int, int]]:
    return {name: color for w in plan.weights for name, color in zip(
        w.table.names, w.table.colors)}


def classes_section(plan: Plan, report: dict[str, Any]) -> str:
    """Return scores by class."""
    scored = [w for w in report['weights'] if w['scores']]
    if not scored:
        return '' if report['frames_with_truth'] else (
            '<p class="note">There is no ground truth for these frames, so nothing is scored: '
            'record /ground_truth/mask, or give masks with --truth.</p>')
    colors, pixels, cones = _colors(plan), [], []
    for name in dict.fromkeys(n for w in scored for n in w['classes']):
        found = [w['scores']['classes'].get(name) for w in scored]

        def cell(key: str, digits: int = 3, found: Sequence[Any] = found) -> str:
            return both([number(f[key] if f else None, digits) for f in found])
        label = color_key(name, colors[name])
        iou = both([number(iou_in_truth(f)) for f in found])
        pixels.append([label, iou, cell('precision'), cell('recall')])
        if name != scored[0]['classes'][0]:
            cones.append([label, cell('cones', 0), cell('cones_found'),
                          cell('cones_right_class'), cell('false_cones', 0)])
    return ('<h2>Scores by class</h2><div class="two"><div><h3>Pixels</h3>'
            + table(['class', 'IoU', 'precision', 'recall'], pixels)
            + '</div><div><h3>Cones</h3>'
            + table(['class', 'in the truth', 'found', 'right class', 'false'], cones)
            + '<p class="small faint">Found: at least half of its pixels are taken for some cone. '
              'False: less than a tenth of its pixels lies on true cones.</p></div></div>')


def sizes_section(report: dict[str, Any]) -> str:
    """Return recall and blinking by the height of cones."""
    weights = report['weights']
    scored = [w for w in weights if w['scores']]
    rows = []
    for name in weights[0]['steadiness']['by_height']:
        label = f'{interval(name)} px'
        row = [escape(label)]
        if scored:
            found = [w['scores']['recall_by_height'][name] for w in scored]
            row += [f'{found[0]["cones"]}', both([number(f['found']) for f in found]),
                    both([number(f['right_class']) for f in found])]
        blinks = [w['steadiness']['by_height'][name] for w in weights]
        row.append(both([number(b['rate'], percent=True) for b in blinks]))
        rows.append(row)
    head = ['height in the image', *(['cones', 'found', 'right class'] if scored else []),
            'blinking']
    return f'<h2>By the size of cones</h2><div class="two"><div>{table(head, rows)}</div></div>'


def confusion_section(plan: Plan, report: dict[str, Any]) -> str:
    """Return the confusion of pixels, rows in percent."""
    drawn = []
    for w in report['weights']:
        if not w['scores']:
            continue
        names = [n.replace('_', ' ').replace(' cone', '') for n in w['classes']]
        rows = []
        for i, counts in enumerate(w['scores']['confusion'][:len(names)]):
            total = sum(counts)
            cells = []
            for j, count in enumerate(counts):
                share = 100 * count / total if total else 0.0
                hue = 'var(--good)' if i == j else 'var(--bad)'
                strength = min(60, round(share * (0.6 if i == j else 2)))
                text = '–' if not total else f'{share:.1f}' if share >= 0.05 or not count else '·'
                cells.append(f'<td style="background:color-mix(in srgb, {hue} {strength}%, '
                             f'transparent)">{text}</td>')
            rows.append(f'<tr><td>{escape(names[i])}</td>{"".join(cells)}</tr>')
        head = ''.join(f'<th>{escape(n)}</th>' for n in names)
        label = f'<h3>{w["label"]}</h3>' if len(report['weights']) > 1 else ''
        drawn.append(f'<div>{label}<div class="wide"><table class="heat"><tr><th>true</th>'
                     f'{head}</tr>{"".join(rows)}</table></div></div>')
    if not drawn:
        return ''
    return ('<h2>Confusion of pixels</h2><p class="small faint">Of the pixels of each true class '
            '(rows), the percentage taken for each class (columns).</p>'
            f'<div class="two">{"".join(drawn)}</div>')


def comparison_section(report: dict[str, Any]) -> str:
    """Return A against B."""
    compared = report['comparison']
    if not compared:
        return ''
    parts = []
    for name, title in (('dice', 'Dice, cone or not'), ('miou', 'mIoU')):
        entry = compared.get(name)
        if not entry or entry['difference'] is None or not entry['interval_95']:
            continue
        low, high = entry['interval_95']
        difference = entry['difference']
        if low == high == difference == 0:
            verdict = 'A and B are equal on every frame.'
        elif low > 0:
            verdict = 'B is better.'
        elif high < 0:
            verdict = 'A is better.'
        else:
            verdict = 'Which is better cannot be told from these frames.'
        single = entry['interval_95_of_single_frames']
        parts.append(
            f'<div><h3>{title}: B − A = {difference:+.4f}</h3>'
            f'{charts.interval(low, high, difference, title)}'
            f'<p>{verdict}</p><p class="small faint">A {number(entry["a"], 4)}, '
            f'B {number(entry["b"], 4)}; 95 % of draws from {low:+.4f} to {high:+.4f} '
            f'(of single frames: {single[0]:+.4f} to {single[1]:+.4f}).</p></div>')
    better = compared['frames_better']
    return (f'<h2>A against B</h2><div class="two">{"".join(parts)}</div><p class="small faint">'
            f'Paired bootstrap of {compared["frames"]} frames in {compared["runs"]} runs of a '
            f'second, {compared["draws"]} draws: neighbouring frames show the same cones and are '
            f'drawn together. A is better in {better["a"]} frames, B in {better["b"]}.</p>')


def live_section(report: dict[str, Any]) -> str:
    """Return what only live replay shows: drops, delays, queueing."""
    if 'live' not in report:
        return ''
    live = [report['live'][w['label']] for w in report['weights']]
    rows = [['images, masks', both([f'{x["frames"]}, {x["masked"]}' for x in live])],
            ['dropped', both([f'{x["dropped"]}, at most {x["longest_gap_frames"]} in a row'
                              for x in live])]]
    for label in live[0]['bags']:
        bags = [x['bags'][label] for x in live]

        def each(key: str, bags: Sequence[Any] = bags) -> str:
            return both([_p50_p99(b.get(key)) for b in bags])
        told = [('waiting in the node (queueing), p50 / p99', each('queueing_ms')),
                ('the player was late by, p50 / p99', each('player_late_ms')),
                ('Hz of images, of masks', both([
                    f'{number(b.get("sent_hz"), 1)}, {number(b.get("mask_hz"), 1)}'
                    for b in bags])),
                ('lost in transport (estimate)', both([
                    str(b.get('lost_in_transport', '–')) for b in bags])),
                ("the node's counts", both([escape(', '.join(
                    f'{k.replace("_", " ")} {v}' for k, v in b.get('node_counts', {}).items()
                    if v or k in ('received', 'masked')) or '–') for b in bags]))]
        prefix = f'{escape(label)}: ' if len(live[0]['bags']) > 1 else ''
        rows += [[prefix + escape(name), text] for name, text in told]
    return f'<h2>Through the running node</h2>{table([], rows, "left")}'


def _p50_p99(values: dict[str, Any] | None) -> str:
    if not values or values.get('p50') is None:
        return '–'
    return f'{values["p50"]:.1f} / {values["p99"]:.1f} ms'


def bags_section(report: dict[str, Any]) -> str:
    """Return what the bags hold and what was amiss in them."""
    parts = []
    for bag in report['bags']:
        sizes = ', '.join(f'{n} of {size}' for size, n in bag['sizes'].items())
        rate = f', {bag["camera_hz"]:.1f} Hz' if bag['camera_hz'] else ''
        rows = [['path', bag['path']], ['images', f'{bag["image_topic"]}, {sizes}'],
                ['frames', f'{bag["frames_done"]} of {bag["frames"]} in '
                           f'{bag["duration_s"]:.1f} s{rate}']]
        if bag['truth']:
            rows.append(['ground truth', f'{bag["truth"]["source"]}: '
                         f'{bag["truth"]["frames_with_truth"]} images have a mask'])
        rows += [['note', note.removeprefix(f'{bag["label"]}: ')] for note in bag_notes(bag)]
        if bag['error']:
            rows.append(['ended', bag['error']])
        parts.append(f'<div><h3>{escape(bag["label"])}</h3>' + table(
            [], [[escape(a), escape(b)] for a, b in rows], 'left') + '</div>')
    return f'<h2>Bags</h2><div class="two">{"".join(parts)}</div>'


def made_section(report: dict[str, Any]) -> str:
    """Return what the report was made with."""
    run, machine = report['run'], report['run']['machine']
    versions = ', '.join(f'{k} {v}' for k, v in machine['versions'].items() if v)
    rows = [['machine', f'{machine["cpu"]}, {machine["cores"]} cores, '
             f'{machine["memory_gib"]} GiB, {machine["os"]}'],
            ['versions', f'Python {machine["python"]}, {versions}']]
    for w in report['weights']:
        size = 'x'.join(map(str, w.get('input_size', ())))
        rows.append([f'weights {w["label"]}',
                     f'{w["weights"]}, input {size}, sha256 {w["sha256"][:16]}…'])
    changed = {k: v for k, v in report['node_parameters'].items()
               if k in ('engine', 'precision', 'classes', 'roi_top', 'roi_bottom')}
    rows.append(['node', ', '.join(f'{k}: {v!r}' for k, v in changed.items())])
    if run.get('resumed'):
        rows.append(['run', 'it was interrupted and gone on with'])
    return '<h2>How it was made</h2>' + table(
        [], [[escape(a), escape(b)] for a, b in rows], 'left')
