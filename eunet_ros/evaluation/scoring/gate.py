# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits that a report must keep, and an older report that it must not fall behind."""
from __future__ import annotations

from collections.abc import Sequence
import difflib
from pathlib import Path
from typing import Any, NamedTuple

from eunet_ros.evaluation.run.folder import read_report
from eunet_ros.evaluation.run.plan import BagPlan
from eunet_ros.evaluation.scoring.score import HEIGHT_BINS

# Of a baseline: how much worse is still the same. Scores repeat to the digit on one machine; on
# another, with other rounding, nearly. Milliseconds differ from run to run.
SCORE_SLACK, TIME_SLACK = 0.002, 0.25
_LESS_IS_BETTER = ('false_cones', 'blink_rate', 'class_change_rate')


class Gate(NamedTuple):
    """A limit of a figure."""

    name: str
    limit: float


class Verdict(NamedTuple):
    """A figure, what it is held up to, and whether it fails; found None: it was not measured."""

    name: str
    found: float | None
    limit: float | None
    before: float | None
    failed: bool


def less_is_better(name: str) -> bool:
    """Return whether a figure is the better the less it is."""
    return name.endswith('_ms') or name in _LESS_IS_BETTER


def figures(report: dict[str, Any]) -> dict[str, float | None]:
    """Return the figures of the first weights by the names that gates use."""
    weights = report['weights'][0]
    scores, speed = weights['scores'] or {}, report['speed'][weights['label']]
    found: dict[str, float | None] = {
        'dice': scores.get('dice'), 'miou': scores.get('miou'), 'recall': scores.get('recall'),
        'false_cones': scores.get('false_cones_per_image')}
    for name in weights['classes'][1:]:
        found[f'iou_{name}'] = scores.get('classes', {}).get(name, {}).get('iou')
    for name in HEIGHT_BINS:
        found[f'recall_{name}px'] = scores.get('recall_by_height', {}).get(name, {}).get('found')
    for name in ('blink_rate', 'class_change_rate'):
        found[name] = weights['steadiness'][name]
    live = report.get('live', {}).get(weights['label'])
    if live:
        found['masked'] = live['masked_share']
    for name in ('p50', 'p90', 'p99', 'max'):
        found[f'{name}_ms'] = (live or speed)['latency_ms'][name]
    return found


def known_names() -> set[str]:
    """Return the names that every report has; those of classes come with the weights."""
    return {'dice', 'miou', 'recall', 'false_cones', 'blink_rate', 'class_change_rate', 'masked',
            *(f'recall_{name}px' for name in HEIGHT_BINS),
            *(f'{name}_ms' for name in ('p50', 'p90', 'p99', 'max'))}


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """Return the gates of --fail-under; raises ValueError for what is none."""
    gates = []
    for text in texts:
        name, _, value = text.partition('=')
        try:
            limit = float(value)
            if limit != limit:
                raise ValueError
        except ValueError:
            raise ValueError(f'Expected --fail-under NAME=VALUE such as dice=0.9, found {text!r}.'
                             ) from None
        if name not in known_names() and not name.startswith('iou_'):
            near = difflib.get_close_matches(name, known_names(), 1)
            hint = f'did you mean {near[0]}?' if near else (
                f'expected one of {", ".join(sorted(known_names()))} or iou_<class>.')
            raise ValueError(f'There is no figure {name!r} to hold up to a limit; {hint}')
        gates.append(Gate(name, limit))
    return gates


def read_baseline(path: Path | None) -> dict[str, Any] | None:
    """Return the report of --baseline, None for none; raises ValueError for what is none."""
    if path is None:
        return None
    if path.is_dir():
        path = path / 'report.json'
    if not path.is_file():
        raise ValueError(f'There is no report at {path}: --baseline takes the report.json of an '
                         'evaluation.')
    report = read_report(path)
    if report is None:
        raise ValueError(f'{path} is not the report.json of an evaluation: choose another '
                         '--baseline.')
    return report


def check(report: dict[str, Any], gates: Sequence[Gate],
          baseline: dict[str, Any] | None) -> list[Verdict]:
    """
    Return a verdict of each gate, and of each figure that the baseline has.

    Raises ValueError where a gate's class is unknown.
    """
    now, rows = figures(report), []
    check_names(gates, report['weights'][0]['classes'])
    for name, limit in gates:
        found = now.get(name)
        failed = found is None or (found > limit if less_is_better(name) else found < limit)
        rows.append(Verdict(name, found, limit, None, failed))
    if baseline is not None:
        before = figures(baseline)
        rows += [_held_up(name, now.get(name), before[name])
                 for name in before if before[name] is not None]
    return rows


def check_names(gates: Sequence[Gate], classes: Sequence[str]) -> None:
    """Raise ValueError where a gate's class is none of the weights'."""
    for name, _ in gates:
        if name.startswith('iou_') and name[4:] not in classes[1:]:
            raise ValueError(f'The weights have no class {name[4:]!r}, expected one of '
                             f'{", ".join(classes[1:])}.')


def check_frames(baseline: dict[str, Any], bags: Sequence[BagPlan]) -> None:
    """Raise ValueError where a baseline is of other frames than these bags."""
    theirs = sorted((b['label'], b['image_topic'], b['frames_done']) for b in baseline['bags'])
    ours = sorted((b.label, b.image_topic, b.frames) for b in bags)
    if ours != theirs:
        raise ValueError(f'The baseline is of other frames, {_words(theirs)} instead of '
                         f'{_words(ours)}: evaluate the same bags, or choose another --baseline.')


def _words(rows: Sequence[tuple[str, str, int]]) -> str:
    return ', '.join(f'{frames} of {label} ({topic})' for label, topic, frames in rows)


def _held_up(name: str, found: float | None, before: float) -> Verdict:
    if found is None:
        return Verdict(name, None, None, before, True)
    if name.endswith('_ms'):
        # A single slow frame says little, so the maximum is told and never fails.
        limit = before * (1 + TIME_SLACK)
        return Verdict(name, found, limit, before, found > limit and name != 'max_ms')
    limit = before + SCORE_SLACK if less_is_better(name) else before - SCORE_SLACK
    return Verdict(name, found, limit, before,
                   found > limit if less_is_better(name) else found < limit)


def table_lines(rows: Sequence[Verdict]) -> list[str]:
    """Return the verdicts as lines of a table: those that fail, then how many hold."""
    failed = [row for row in rows if row.failed]
    lines = []
    if failed:
        lines.append(f'{"figure":<24}{"found":>10}{"limit":>12}{"before":>10}')
    for row in failed:
        sign = '<=' if less_is_better(row.name) else '>='
        limit = '-' if row.limit is None else f'{sign} {_short(row.limit)}'
        lines.append(f'{row.name:<24}{_short(row.found):>10}{limit:>12}{_short(row.before):>10}')
        if row.found is None:
            lines[-1] += '   not measured' + (
                ': no ground truth' if row.name.startswith(('dice', 'miou', 'iou', 'recall',
                                                            'false')) else '')
    lines.append(f'{len(failed)} of {len(rows)} figures fail.' if failed
                 else f'All {len(rows)} figures hold.')
    return lines


def _short(value: float | None) -> str:
    return '-' if value is None else f'{value:.4g}'
