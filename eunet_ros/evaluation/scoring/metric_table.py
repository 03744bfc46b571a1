# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The metrics of a report by name; CONTRIBUTING.md explains how to add one."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eunet_ros.model.common.metrics.cones import HEIGHT_BINS


class Metric(NamedTuple):
    """A metric of the report."""

    name: str               # in gates
    title: str              # in the terminal and on the page
    path: tuple[str, ...]   # keys in the result of `entry_of`
    digits: int             # after the decimal point
    unit: str = ''          # 'ms', or '%' for a share
    less_is_better: bool = False
    in_terminal: bool = True
    as_tile: bool = True    # at the top of the page

    def value(self, entry: Mapping[str, Any]) -> float | None:
        """Return its value in a result of `entry_of`, None if it was not measured."""
        found: Any = entry
        for key in self.path:
            found = found.get(key) if found else None
        return found

    def text(self, value: float | None) -> str:
        if value is None:
            return '–'
        shown = f'{100 * value if self.unit == "%" else value:.{self.digits}f}'
        return f'{shown} {self.unit}'.rstrip()


_METRICS = (
    Metric('dice', 'Dice, cone or not', ('scores', 'dice'), 4),
    Metric('miou', 'mIoU over cone classes', ('scores', 'miou'), 4),
    Metric('recall', 'cones found', ('scores', 'recall', 'recall'), 1, '%'),
    *(Metric(f'recall_{name}px', f'cones of {name} px found',
             ('scores', 'recall_by_height', name, 'recall'), 1, '%', in_terminal=False,
             as_tile=False) for name in HEIGHT_BINS),
    Metric('false_cones', 'false cones an image', ('scores', 'false_cones_per_image'), 3, '',
           less_is_better=True),
    Metric('flicker_rate', 'flickering cones', ('steadiness', 'flicker_rate'), 2, '%',
           less_is_better=True),
    Metric('class_change_rate', 'cones that change class', ('steadiness', 'class_change_rate'), 2,
           '%', less_is_better=True, in_terminal=False, as_tile=False),
    Metric('masked', 'images masked', ('live', 'masked_share'), 1, '%'),
    *(Metric(f'{name}_ms', f'latency {name}', ('speed', 'latency_ms', name), 1, 'ms',
             less_is_better=True, in_terminal=name in ('p50', 'p99'),
             as_tile=name in ('p50', 'p99')) for name in ('p50', 'p90', 'p99', 'max')),
)


def metrics_of(classes: Sequence[str] = ()) -> list[Metric]:
    """Return the metrics of weights with these classes, background first."""
    by_class = [Metric(f'iou_{name}', f'IoU {name}', ('scores', 'iou', name), 4, as_tile=False)
                for name in classes[1:]]
    return [*_METRICS[:2], *by_class, *_METRICS[2:]]


def entry_of(report: Mapping[str, Any], k: int) -> dict[str, Any]:
    """Return a report's entry of weights k, with the speed measured live or else offline."""
    entry = report['weights'][k]
    live = report.get('live', {}).get(entry['label'])
    return {**entry, 'live': live, 'speed': live or report['speed'][entry['label']]}
