# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output of the demo in the terminal; needs rich."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eunet_ros.evaluation.page.text import number
from rich.console import Console
from rich.table import Table


def print_result(report: Mapping[str, Any], lines: list[str]) -> None:
    """Print the report's main figures as a table, and lines below it."""
    console = Console(highlight=False)
    console.print(result_table(report))
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def result_table(report: Mapping[str, Any]) -> Table:
    latency = report['latency_ms']
    table = Table(show_header=False, title=f'{report["variant"]} on {report["engine"]}')
    table.add_row('images sent, masked', f'{report["frames_sent"]}, {report["frames_masked"]}')
    table.add_row('camera, masks', f'{number(report["camera_hz"], 1)} Hz, '
                                   f'{number(report["mask_hz"], 1)} Hz')
    table.add_row('latency p50, p99, max', ', '.join(
        f'{number(latency[name], 1)} ms' for name in ('p50', 'p99', 'max')))
    cones = report.get('cones')
    if cones:
        table.add_row('cones an image, placed', f'{number(cones["per_image"], 1)}, '
                                                f'{number(cones["with_position_per_image"], 1)}')
        if cones['positions_withheld']:
            table.add_row('positions withheld', cones['positions_withheld'])
    if report['dice'] is not None:
        table.add_row('Dice, cone or not', number(report['dice']))
        table.add_row('mIoU', number(report['miou']))
        for name, value in report['iou'].items():
            table.add_row(f'IoU {name}', number(value))
    return table
