# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plot of the loss and the scores of a run."""
from __future__ import annotations

import csv
from pathlib import Path

_SCORES = ('dice', 'miou')


def read_curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) of loss, dice and miou from all logs of a run, in order of steps."""
    curves: dict[str, dict[int, float]] = {name: {} for name in ('loss', *_SCORES)}
    # A resumed run has several logs; repeated steps count once.
    for path in sorted(folder.glob('logs*/metrics.csv'), key=lambda p: p.stat().st_mtime_ns):
        with open(path, newline='') as file:
            for row in csv.DictReader(file):
                for name in curves:
                    if row.get(name):
                        curves[name][int(row['step'])] = float(row[name])
    return {name: sorted(values.items()) for name, values in curves.items()}


def plot_curves(folder: Path) -> Path:
    from matplotlib.figure import Figure
    curves = read_curves(folder)
    figure = Figure(figsize=(9, 3.4), dpi=120, layout='constrained')
    left, right = figure.subplots(1, 2)
    if curves['loss']:
        left.plot(*zip(*curves['loss']), linewidth=1)
    left.set(title='loss', xlabel='step')
    for name in _SCORES:
        if curves[name]:
            right.plot(*zip(*curves[name]), marker='o', markersize=3, label=name)
    right.set(title='validation crops', xlabel='step', ylim=(0, 1))
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    path = folder / 'curves.png'
    figure.savefig(path)
    return path
