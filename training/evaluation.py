# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Running weights over labelled images; the result as pictures and as one HTML page."""
from __future__ import annotations

import base64
from collections.abc import Sequence
import html
from pathlib import Path
from typing import Any

import cv2
from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.metrics.pixels import confusion_matrix, dice
from eunet_ros.training.data.sets import Labelled
from eunet_ros.training.image_set_scores import ImageSetScores
import numpy as np
import torch
from torchmetrics.classification import BinaryPrecisionRecallCurve

Bad = tuple[float, str, np.ndarray]  # Dice, name, and image, truth and mask side by side
_THRESHOLDS = 101
_WORST_WIDTH = 720  # pixels of a picture that is kept
_OPACITY = 0.55
_JPEG_QUALITY = 85
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem;
       color: #222; background: #fff; }
figure { margin: 0 0 1.5rem; } img { max-width: 100%; } figcaption { color: #555; }
.key span { display: inline-block; margin-right: 1.2em; }
.key i { display: inline-block; width: .9em; height: .9em; margin-right: .35em; }
"""


class Evaluation:
    """Scores of a network over images, its precision-recall curve, and its `worst` images."""

    def __init__(self, classes: ClassTable, worst: int = 20) -> None:
        self.scores = ImageSetScores(classes)
        self.curve = BinaryPrecisionRecallCurve(_THRESHOLDS, ignore_index=-1, validate_args=False)
        self.worst: list[Bad] = []  # the lowest Dice first
        self._most = worst

    def add(self, segmenter: Segmenter, item: Labelled) -> None:
        result = segmenter.segment(item.image)
        self.scores.update(result.mask, item.mask, item.instances)
        truth = np.where(item.mask == IGNORE_ID, -1, item.mask > 0)
        self.curve.update(torch.from_numpy(result.cone_probability()).reshape(-1),
                          torch.from_numpy(truth.astype(np.int64)).reshape(-1))
        self._keep(item, result.mask)

    def _keep(self, item: Labelled, mask: np.ndarray) -> None:
        counts = confusion_matrix(item.mask, mask, len(self.scores.classes.names))
        score = float(np.nan_to_num(dice(counts), nan=1.0))  # no cone and none found: perfect
        if len(self.worst) == self._most and score >= self.worst[-1][0]:
            return
        scale = min(1.0, _WORST_WIDTH / mask.shape[1])
        size = (round(mask.shape[1] * scale), round(mask.shape[0] * scale))
        image = cv2.resize(item.image, size, interpolation=cv2.INTER_AREA)
        small = (cv2.resize(m, size, interpolation=cv2.INTER_NEAREST_EXACT)
                 for m in (item.mask, mask))
        panels = [_tinted(image, m, self.scores.classes.table_bgr) for m in small]
        bad = score, item.name, np.hstack([image, *panels])
        self.worst = sorted([*self.worst, bad], key=lambda bad: bad[0])[:self._most]

    def precision_recall(self) -> dict[str, Any]:
        """Return lists of threshold, precision and recall of cone or not."""
        precision, recall, thresholds = self.curve.compute()
        return {'threshold': thresholds.tolist(), 'precision': precision[:-1].tolist(),
                'recall': recall[:-1].tolist()}


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


def write_worst_page(path: Path, worst: Sequence[Bad], classes: ClassTable, title: str) -> None:
    key = ''.join(
        f'<span><i style="background: rgb{color}"></i>{html.escape(name.replace("_", " "))}</span>'
        for name, color in zip(classes.names[1:], classes.colors[1:]))
    figures = []
    for score, name, panels in worst:
        jpeg = cv2.imencode('.jpg', panels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" '
            f'alt="image, truth and mask"><figcaption>{html.escape(name)}: Dice {score:.3f}'
            '</figcaption></figure>')
    path.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f'<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>'
        f'<h1>{html.escape(title)}</h1><p>The images with the lowest Dice of cone or not: image, '
        f'truth, mask.</p><p class="key">{key}</p>{"".join(figures)}</body></html>\n',
        encoding='utf-8')
