# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The result as text in the terminal."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.scoring.metric_table import entry_of, metrics_of
from eunet_ros.model.common.errors import sentence


def number(value: Any, digits: int = 3, percent: bool = False) -> str:
    """Return a number as text, – for None and for undefined values."""
    if not isinstance(value, (int, float)):
        return '–'
    return f'{100 * value:.1f} %' if percent else f'{value:.{digits}f}'


def result_lines(report: dict[str, Any], folder: Path) -> list[str]:
    """Return the main figures, one column for each weights, and the files of the folder."""
    rows = [['', *(f'{w["label"]}: {Path(w["weights"]).stem}' for w in report['weights'])]]
    entries = [entry_of(report, k) for k in range(len(report['weights']))]
    # Each class once, in the order of the first weights that have it.
    names = dict.fromkeys(name for entry in entries for name in entry['classes'][1:])
    for metric in metrics_of(['', *names]):
        values = [metric.value(entry) for entry in entries]
        if metric.in_terminal and any(value is not None for value in values):
            rows.append([metric.title, *map(metric.text, values)])
    placed = [entry['positions'] or {} for entry in entries]
    if any(placed):
        rows.append(['cones with a position, an image', *(
            number(p.get('cones_per_image'), 1) for p in placed)])
    pitches = [p.get('pitch_deg') for p in placed]
    if any(pitches):
        rows.append(['pitch against the mounting, mean', *(
            f'{number(pitch["mean"], 2)}°' if pitch else '-' for pitch in pitches)])
    if 'live' in report:
        live = [report['live'][w['label']] for w in report['weights']]
        rows.append(['images dropped', *(str(x['dropped']) for x in live)])
        for label in live[0]['bags']:
            waits = [x['bags'][label].get('queueing_ms') or {} for x in live]
            rows.append(['queueing p50, p99', *(
                f'{number(q.get("p50"), 1)}, {number(q.get("p99"), 1)} ms' for q in waits)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    if report['comparison']:
        dice = report['comparison']['dice']
        if dice['difference'] is not None and dice['interval_95']:
            low, high = dice['interval_95']
            lines.append(f'B - A: Dice {dice["difference"]:+.4f}, 95 % of draws from '
                         f'{low:+.4f} to {high:+.4f}')
    of = f'{report["frames_done"]} of {report["frames"]} frames'
    lines.append(f'{of}, {report["frames_with_truth"]} with ground truth'
                 + ('' if report['complete'] else ' (partial)'))
    lines += [note for bag in report['bags'] for note in bag_notes(bag)]
    lines.append(f'Written to {folder}: {", ".join(sorted(n for n in os.listdir(folder)))}')
    return lines


def bag_notes(bag: dict[str, Any]) -> list[str]:
    """Return a sentence for each problem of a bag."""
    label, notes = bag['label'], [bag['warning']] if bag.get('warning') else []
    notes += [f'{label}: {bag[key]} {words}.' for key, words in (
        ('images_lost_in_recording', 'images are missing between the stamps'),
        ('recorded_late', 'images were recorded more than half a second after their stamp'),
        ('stamps_going_back', 'images have a stamp before that of their predecessor'),
        ('images_without_stamp', 'images have no stamp, and so no ground truth')) if bag[key]]
    if len(bag['sizes']) > 1:
        notes.append(f'{label}: the image size changes ({", ".join(bag["sizes"])}).')
    notes += [f'{label}: {e["frames"]} images could not be used: {sentence(e["sentence"])}'
              for e in bag['errors']]
    notes += [f'{label}: cones of {e["frames"]} images have no position: {sentence(e["sentence"])}'
              for e in bag['positions_withheld']]
    return notes + [f'{label}: {sentence(text)}' for text in truth_notes(bag['truth'])]


def truth_notes(truth: dict[str, Any] | None) -> list[str]:
    """Return the problems of a bag's ground truth."""
    if truth is None:
        return []
    notes = []
    if truth['frames_without_truth']:
        notes.append(f'{truth["frames_without_truth"]} images have no ground truth, '
                     f'{truth["frames_with_truth"]} have')
    notes += [f'{truth[key]} {words}' for key, words in (
        ('masks_of_no_frame', 'masks of the ground truth are of no image'),
        ('files_without_stamp', 'files of the ground truth have no stamp in their name'))
        if truth[key]]
    if truth.get('only_ignored'):
        notes.append('the ground truth has no cone, only 0 and 255, which means ignore: if 255 is '
                     'where the cones are, write the id of their class instead')
    if not truth['frames_with_truth'] and truth['nearest_ms']:
        notes.append(f'the nearest mask is {truth["nearest_ms"]:g} ms away from its image in the '
                     'median: --truth-tolerance says how far is still the same')
    notes += [f'{e["frames"]} masks of the ground truth cannot be used: {e["sentence"]}'
              for e in truth['errors']]
    return notes + ([truth['error']] if truth['error'] else [])
