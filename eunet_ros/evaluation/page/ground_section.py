# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page's section about cones on the ground."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eunet_ros.evaluation.page.ground_pictures import GroundFrame
from eunet_ros.evaluation.page.tables import both, escape, interval, number, table


def ground_section(report: dict[str, Any], frames: Sequence[GroundFrame]) -> str:
    """Return it, or nothing where no cone has a place; why that is stands with the bags."""
    if not any(w['positions'] for w in report['weights']):
        return ''
    return (f'<h2>Cones on the ground</h2>{_distances(report)}'
            + ''.join(_figure(frame, len(report['weights']) > 1) for frame in frames))


def _distances(report: dict[str, Any]) -> str:
    told = [w['positions'] for w in report['weights']]
    placed = both([number(p and p['cones_per_image'], 1) for p in told])
    known = [p for p in told if p]
    rows = []
    for name in known[0]['by_distance']:
        bins = [p['by_distance'][name] if p else None for p in told]
        if not any(b and (b['cones'] or b['compared']) for b in bins):
            continue

        def cell(key: str, digits: int = 3, percent: bool = False,
                 bins: Sequence[Any] = bins) -> str:
            return both([number(b and b[key], digits, percent) for b in bins])
        errors = both([f'{number(b and b["error_m"]["p50"], 2)}, '
                       f'{number(b and b["error_m"]["p90"], 2)}' for b in bins])
        rows.append([f'{escape(interval(name))} m',
                     str(max(b['cones'] for b in bins if b)), cell('recall'),
                     cell('recall_right_class'), errors, cell('error_share_p50', percent=True)])
    text = (f'<p class="small faint">Flat ground, the camera mounted as told. Cones with a '
            f'position: {placed} an image.')
    if not rows:
        return text + '</p>'
    return (f'{text} Found and right class as above. Error: how far a cone of the mask is placed '
            'from that of the true mask, so without the errors of calibration and mounting.</p>'
            '<div class="two"><div>' + table(
                ['distance', 'true cones', 'found', 'right class', 'error p50, p90, m',
                 'p50 of the distance'], rows) + '</div></div>')


def _figure(frame: GroundFrame, several: bool) -> str:
    rows = []
    for label, image, above in frame.views:
        name = f'mask {label}' if several else 'mask'
        rows.append(
            f'<div class="row ground"><div><img src="{image}" alt="cones in the image">'
            f'<span>{name}, m</span></div><div><img src="{above}" alt="cones from above">'
            '<span>from above</span></div></div>')
    truth = ' Rings: the truth.' if frame.has_truth else ''
    counts = ' and '.join(str(n) for n in frame.placed if n is not None)
    return (f'<figure><figcaption>{escape(frame.bag)}, frame {frame.index} <span class="faint">'
            f'({frame.stamp / 1e9:.3f} s)</span>: {counts} cones with a position. <span '
            f'class="faint">Ellipses: two standard deviations of a pixel.{truth}</span>'
            f'</figcaption>{"".join(rows)}</figure>')
