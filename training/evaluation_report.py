# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as pictures and as a page that needs no other file."""
from __future__ import annotations

import base64
from collections.abc import Sequence
import html
from pathlib import Path
from typing import Any

import cv2
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.training.evaluation import Bad
import numpy as np

_OPACITY = 0.55
_JPEG_QUALITY = 85
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem;
       color: #222; background: #fff; }
figure { margin: 0 0 1.5rem; } img { max-width: 100%; } figcaption { color: #555; }
.key span { display: inline-block; margin-right: 1.2em; }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; }
"""


def plot_confusion(path: Path, scores: dict[str, Any]) -> None:
    """Draw the confusion of pixels, rows (true) in percent; scores: of `ImageSetScores`."""
    from matplotlib.figure import Figure
    table = np.array(scores['confusion'], float)
    share = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    names = [name.replace('_', ' ') for name in scores['classes']]
    figure = Figure(figsize=(6.4, 5.4), dpi=120, layout='constrained')
    axes = figure.subplots()
    axes.imshow(share, cmap='Blues', vmin=0, vmax=100)
    axes.set_xticks(range(len(names)), names, rotation=35, ha='right')
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel='predicted', ylabel='true', title='pixels, % of each true class')
    for (row, column), value in np.ndenumerate(share):
        if table[row].sum():
            axes.text(column, row, f'{value:.1f}', ha='center', va='center', fontsize=9,
                      color='white' if value > 55 else 'black')
    figure.savefig(path)


def plot_curves(path: Path, scores: dict[str, Any], curve: dict[str, Any]) -> None:
    """Draw precision over recall of cone or not by pixel, and recall of cones by height."""
    from matplotlib.figure import Figure
    figure = Figure(figsize=(9.6, 4), dpi=120, layout='constrained')
    left, right = figure.subplots(1, 2)
    left.plot(curve['recall'], curve['precision'], linewidth=1.5)
    nearest = int(np.argmin(np.abs(np.array(curve['threshold']) - 0.5)))
    left.plot(curve['recall'][nearest], curve['precision'][nearest], 'o', label='at 0.5')
    left.legend(loc='lower left')
    left.set(xlabel='recall', ylabel='precision', title='cone or not, by pixel',
             xlim=(0, 1.01), ylim=(0, 1.01))
    rows = scores['recall_by_height']
    for key, label, width in (('recall', 'found', 0.75),
                              ('recall_right_class', 'right class', 0.4)):
        right.bar(range(len(rows)), [row[key] or 0 for row in rows.values()], width, label=label)
    right.set_xticks(range(len(rows)), [f'{name} px\n{row["cones"]} cones'
                                        for name, row in rows.items()])
    right.set(title='cones by height', ylim=(0, 1.01))
    right.legend(loc='upper left')
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path)


def _tinted(image: np.ndarray, mask: np.ndarray, table: np.ndarray) -> np.ndarray:
    out = image.copy()
    cones = mask > 0
    out[cones] = (image[cones] * (1 - _OPACITY) + table[mask[cones]] * _OPACITY).astype(np.uint8)
    return out


def _data_url(image: np.ndarray) -> str:
    coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return f'data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}'


def write_worst_page(path: Path, worst: Sequence[Bad], classes: ClassTable, title: str) -> None:
    key = ''.join(
        f'<span><i style="background: rgb{color}"></i>{html.escape(name.replace("_", " "))}</span>'
        for name, color in zip(classes.names[1:], classes.colors[1:]))
    figures = []
    for bad in worst:
        panels = np.hstack([bad.image, _tinted(bad.image, bad.truth, classes.table_bgr),
                            _tinted(bad.image, bad.mask, classes.table_bgr)])
        figures.append(
            f'<figure><img src="{_data_url(panels)}" alt="image, truth and mask"><figcaption>'
            f'{html.escape(bad.name)}: Dice {bad.dice:.3f}</figcaption></figure>')
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>'
        f'<h1>{html.escape(title)}</h1><p>The images with the lowest Dice of cone or not: image, '
        f'truth, mask.</p><p class="key">{key}</p>{"".join(figures)}</body></html>\n',
        encoding='utf-8')
