# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Gates: limits for a report, and a baseline that it must not be worse than."""
from __future__ import annotations

from collections.abc import Sequence
import difflib
from pathlib import Path
from typing import Any, NamedTuple

from eunet_ros.evaluation.run.folder import read_report
from eunet_ros.evaluation.run.plan import BagPlan, FORMAT
from eunet_ros.evaluation.scoring.metric_table import entry_of, Metric, metrics_of

# Tolerances of a baseline: absolute for scores, which differ slightly between machines, and a
# share for times.
SCORE_SLACK, TIME_SLACK = 0.002, 0.25

Gate = tuple[str, float]   # the name of a metric and its limit


class Verdict(NamedTuple):
    """The result of a gate; found: None if it was not measured, before: of the baseline."""

    metric: Metric
    found: float | None
    limit: float | None
    before: float | None
    failed: bool


def figures(report: dict[str, Any]) -> dict[str, float | None]:
    """Return the metrics of the first weights by name, None if not measured."""
    entry = entry_of(report, 0)
    return {metric.name: metric.value(entry) for metric in metrics_of(entry['classes'])}


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """Return the gates of --fail-under; raises ValueError for other text."""
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
        known = [metric.name for metric in metrics_of()]  # without those of classes
        if name not in known and not name.startswith('iou_'):
            near = difflib.get_close_matches(name, known, 1)
            hint = f'did you mean {near[0]}?' if near else (
                f'expected one of {", ".join(known)} or iou_<class>.')
            raise ValueError(f'There is no figure {name!r} to hold up to a limit; {hint}')
        gates.append((name, limit))
    return gates


def read_baseline(path: Path | None) -> dict[str, Any] | None:
    """Return the report of --baseline, None for none; raises ValueError for another file."""
    if path is None:
        return None
    path = path / 'report.json' if path.is_dir() else path
    if not path.is_file():
        raise ValueError(f'There is no report at {path}: --baseline takes the report.json of an '
                         'evaluation.')
    report = read_report(path)
    if report is None:
        raise ValueError(f'{path} is not the report.json of an evaluation: choose another '
                         '--baseline.')
    if report['format'] != FORMAT:
        raise ValueError(f'{path} has the format {report["format"]}, expected {FORMAT}: other '
                         'versions define some metrics differently. Evaluate those weights again.')
    return report


def check(report: dict[str, Any], gates: Sequence[Gate],
          baseline: dict[str, Any] | None) -> list[Verdict]:
    """Return a verdict for each gate and each metric of the baseline; raises ValueError."""
    now, classes = figures(report), report['weights'][0]['classes']
    metrics = {metric.name: metric for metric in metrics_of(classes)}
    check_names(gates, classes)
    rows = [Verdict(metrics[name], now[name], limit, None,
                    now[name] is None or _is_worse(metrics[name], now[name], limit))
            for name, limit in gates]
    if baseline is not None:
        before = figures(baseline)
        rows += [_held_up(metric, now.get(metric.name), before[metric.name])
                 for metric in metrics_of(baseline['weights'][0]['classes'])
                 if before[metric.name] is not None]
    return rows


def check_names(gates: Sequence[Gate], classes: Sequence[str]) -> None:
    """Raise ValueError if a gate names a class that the weights do not have."""
    for name, _ in gates:
        if name.startswith('iou_') and name[4:] not in classes[1:]:
            raise ValueError(f'The weights have no class {name[4:]!r}, expected one of '
                             f'{", ".join(classes[1:])}.')


def check_frames(baseline: dict[str, Any], bags: Sequence[BagPlan]) -> None:
    """Raise ValueError if a baseline has other frames than these bags."""
    theirs = sorted((b['label'], b['image_topic'], b['frames_done']) for b in baseline['bags'])
    ours = sorted((b.label, b.image_topic, b.frames) for b in bags)
    if ours != theirs:
        theirs, ours = (', '.join(f'{n} of {label} ({topic})' for label, topic, n in rows)
                        for rows in (theirs, ours))
        raise ValueError(f'The baseline is of other frames, {theirs} instead of {ours}: evaluate '
                         'the same bags, or choose another --baseline.')


def _is_worse(metric: Metric, found: float, limit: float) -> bool:
    return found > limit if metric.less_is_better else found < limit


def _held_up(metric: Metric, found: float | None, before: float) -> Verdict:
    if found is None:
        return Verdict(metric, None, None, before, True)
    slack = before * TIME_SLACK if metric.unit == 'ms' else SCORE_SLACK
    limit = before + slack if metric.less_is_better else before - slack
    # The maximum never fails, as it depends on a single frame.
    failed = _is_worse(metric, found, limit) and metric.name != 'max_ms'
    return Verdict(metric, found, limit, before, failed)


def table_lines(rows: Sequence[Verdict]) -> list[str]:
    """Return a table of the failed metrics, and a summary, as lines."""
    failed = [row for row in rows if row.failed]
    lines = [f'{"figure":<24}{"found":>10}{"limit":>12}{"before":>10}'] if failed else []
    for metric, found, limit, before, _ in failed:
        sign = '<=' if metric.less_is_better else '>='
        bound = '-' if limit is None else f'{sign} {_short(limit)}'
        lines.append(f'{metric.name:<24}{_short(found):>10}{bound:>12}{_short(before):>10}')
        if found is None:
            lines[-1] += '   not measured'
            lines[-1] += ': no ground truth' if metric.path[0] == 'scores' else ''
    lines.append(f'{len(failed)} of {len(rows)} figures fail.' if failed
                 else f'All {len(rows)} figures hold.')
    return lines


def _short(value: float | None) -> str:
    return '-' if value is None else f'{value:.4g}'
