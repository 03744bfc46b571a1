# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data of the charts that page.html draws, in pixels; as wide as the screen of a phone."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import math

import numpy as np

WIDTH, HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 20, 30
_POINTS = 260   # of a line; more cannot be distinguished
_MARKS = 300


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers from low to high, about `count` of them."""
    span = high - low
    if not span > 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 2.5, 5, 10) if span / (step * m) <= count + 0.5)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _ticks(reach: tuple[float, float],
           at: Callable[[float], float]) -> list[tuple[float, str]]:
    return [(at(v), f'{v:,.0f}' if abs(v) >= 1000 else f'{v:.3g}') for v in nice_ticks(*reach)]


@dataclass
class Chart:
    """Axes with their ranges of values, and shapes in pixels."""

    title: str
    x_name: str
    y_name: str
    x: tuple[float, float]
    y: tuple[float, float]
    lines: list[tuple[str, str]] = field(default_factory=list)      # colour, path of SVG
    # x, y, width, height, colour
    bars: list[tuple[float, float, float, float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)    # x on the x axis, colour
    rules: list[tuple[float, str]] = field(default_factory=list)    # x of a vertical line, label
    left, right, top, bottom = _LEFT, WIDTH - _RIGHT, _TOP, HEIGHT - _BOTTOM
    width, height = WIDTH, HEIGHT

    @property
    def x_ticks(self) -> list[tuple[float, str]]:
        return _ticks(self.x, self.at_x)

    @property
    def y_ticks(self) -> list[tuple[float, str]]:
        return _ticks(self.y, self.at_y)

    def at_x(self, value: float) -> float:
        low, high = self.x
        return self.left + (value - low) / max(high - low, 1e-9) * (self.right - self.left)

    def at_y(self, value: float) -> float:
        low, high = self.y
        return self.bottom - (value - low) / max(high - low, 1e-9) * (self.bottom - self.top)

    def add_line(self, color: str, xs: Sequence[float], ys: Sequence[float]) -> None:
        """Add a line, with gaps at values that are NaN."""
        path, pen = [], 'M'
        for x, y in zip(xs, ys):
            if not math.isnan(y):
                path.append(f'{pen}{self.at_x(x):.1f} {self.at_y(y):.1f}')
            pen = 'M' if math.isnan(y) else 'L'
        self.lines.append((color, ''.join(path)))

    def add_bar(self, color: str, x0: float, x1: float, y: float) -> None:
        """Add a bar from zero."""
        left, top = self.at_x(x0), self.at_y(y)
        self.bars.append((left, top, max(0.6, self.at_x(x1) - left - 0.6),
                          max(0.0, self.bottom - top), color))


def histogram(series: Sequence[tuple[str, str, Sequence[float]]], unit: str,
              title: str) -> Chart | None:
    """Return a histogram of (colour, label, values); p50 and p99 of the first are marked."""
    everything = np.concatenate([np.asarray(values, float) for *_, values in series] or [[]])
    if not everything.size:
        return None
    # The last bin includes values above the 99.5th percentile.
    low, high = float(everything.min()), float(np.percentile(everything, 99.5))
    edges = np.linspace(low, max(high, low * 1.01 + 1e-6), 41)
    counted = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
               for *_, values in series]
    chart = Chart(title, unit, 'frames', (edges[0], edges[-1]),
                  (0, max(1, max(c.max() for c in counted))))
    width = (edges[1] - edges[0]) / len(series)
    for number, (color, *_) in enumerate(series):
        for left, count in zip(edges[:-1], counted[number]):
            if count:
                chart.add_bar(color, left + number * width, left + (number + 1) * width, count)
    first = np.asarray(series[0][2], float)
    for share in (50, 99):
        value = float(np.percentile(first, share))
        if edges[0] <= value <= edges[-1]:
            chart.rules.append((chart.at_x(value), f'{series[0][1]} p{share} {value:.1f}'.strip()))
    return chart


def _thinned(values: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and values, at most _POINTS; how: 'max' or 'mean' of merged values."""
    step = max(1, math.ceil(len(values) / _POINTS))
    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[:len(values)] = values
    rows = padded.reshape(-1, step)
    known = ~np.isnan(rows).all(1)
    out = np.full(len(rows), np.nan)
    if known.any():
        out[known] = (np.nanmax if how == 'max' else np.nanmean)(rows[known], axis=1)
    return np.arange(len(rows)) * step + (step - 1) / 2, out


def timeline(series: Sequence[tuple[str, Sequence[float | None]]], y_name: str, title: str,
             marks: Sequence[int] = (), how: str = 'max',
             starts: Sequence[int] = ()) -> Chart | None:
    """Return lines over frames: (colour, values or None); starts: of further bags."""
    arrays = [np.asarray(values, float) for _, values in series]
    length = max((len(a) for a in arrays), default=0)
    if not length or all(np.isnan(a).all() for a in arrays):
        return None
    known = np.concatenate([[0.0], *(a[~np.isnan(a)] for a in arrays)])
    reach = 1.08 * known.min(), 1.08 * known.max() or 1.0
    chart = Chart(title, 'frame', y_name, (0, max(1, length - 1)), reach)
    chart.rules = [(chart.at_x(start), '') for start in starts]
    for (color, _), values in zip(series, arrays):
        chart.add_line(color, *_thinned(values, how))
    chart.marks = [(chart.at_x(at), 'var(--bad)')
                   for at in marks[::max(1, len(marks) // _MARKS)]]
    return chart


def interval(low: float, high: float, middle: float) -> dict[str, float | list[float]]:
    """Return the positions of a difference and its interval on an axis around zero."""
    reach = 1.15 * max(abs(low), abs(high), abs(middle), 1e-4)
    ticks = nice_ticks(-reach, reach, 3)
    places = [10 + (value + reach) / (2 * reach) * (WIDTH - 20)
              for value in (low, high, middle, 0.0, *ticks)]
    return dict(zip(('low', 'high', 'middle', 'zero'), places), ticks=list(zip(places[4:], ticks)))
