# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts as inline SVG in the page's colours, drawn for the width of a phone."""
from __future__ import annotations

from collections.abc import Sequence
import html
import math

from markupsafe import Markup
import numpy as np

WIDTH, HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 20, 30
_POINTS = 260   # of a line; more would not be seen
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


def _label(value: float) -> str:
    return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.3g}'


def _svg(height: int, title: str, content: str) -> Markup:
    return Markup(f'<svg viewBox="0 0 {WIDTH} {height}" role="img" '
                  f'aria-label="{html.escape(title)}">{content}</svg>')


class _Frame:
    """Axes of a chart, and what is drawn in them."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], x_name: str,
                 y_name: str, title: str) -> None:
        self._x, self._y = (x[0], max(x[1], x[0] + 1e-9)), (y[0], max(y[1], y[0] + 1e-9))
        self._parts: list[str] = []
        self._title = title
        for tick in nice_ticks(*self._x):
            self._text(self.at_x(tick), HEIGHT - _BOTTOM + 13, _label(tick), 'middle')
        for tick in nice_ticks(*self._y):
            at = self.at_y(tick)
            self._parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{WIDTH - _RIGHT}"/>')
            self._text(_LEFT - 5, at + 3.5, _label(tick), 'end')
        self._text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 4, x_name, 'middle')
        self._text(4, 11, y_name, 'start')

    def at_x(self, value: float) -> float:
        low, high = self._x
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def at_y(self, value: float) -> float:
        low, high = self._y
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    def _text(self, x: float, y: float, text: str, anchor: str) -> None:
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
                           f'{html.escape(text)}</text>')

    def line(self, xs: Sequence[float], ys: Sequence[float], color: str, faint: bool = False,
             ) -> None:
        """Draw a line; where a value is NaN it is interrupted."""
        path, pen = [], 'M'
        for x, y in zip(xs, ys):
            if math.isnan(y):
                pen = 'M'
                continue
            path.append(f'{pen}{self.at_x(x):.1f} {self.at_y(y):.1f}')
            pen = 'L'
        kind = ' class="faint"' if faint else ''
        self._parts.append(f'<path{kind} d="{"".join(path)}" fill="none" stroke="{color}" '
                           'stroke-width="1.4" stroke-linejoin="round"/>')

    def bar(self, x0: float, x1: float, y: float, color: str) -> None:
        left, right, top = self.at_x(x0), self.at_x(x1), self.at_y(y)
        self._parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.6, right - left - 0.6):.1f}" '
            f'height="{max(0.0, HEIGHT - _BOTTOM - top):.1f}" fill="{color}"/>')

    def mark(self, x: float, color: str) -> None:
        at = self.at_x(x)
        self._parts.append(f'<path d="M{at:.1f} {HEIGHT - _BOTTOM}v-8" stroke="{color}" '
                           'stroke-width="1.6"/>')

    def rule(self, x: float, text: str) -> None:
        """Draw a vertical line with a word beside it."""
        at = self.at_x(x)
        self._parts.append(f'<path class="rule" d="M{at:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>')
        near_end = at > WIDTH - 70
        self._text(at + (-3 if near_end else 3), _TOP + 10, text, 'end' if near_end else 'start')

    def svg(self) -> Markup:
        return _svg(HEIGHT, self._title, ''.join(self._parts))


def histogram(series: Sequence[tuple[str, str, Sequence[float]]], unit: str, title: str) -> str:
    """Return a histogram of (colour, label, values); p50 and p99 of the first are marked."""
    everything = np.concatenate([np.asarray(values, float) for *_, values in series] or [[]])
    if not everything.size:
        return ''
    low, high = float(everything.min()), float(np.percentile(everything, 99.5))
    edges = np.linspace(low, max(high, low * 1.01 + 1e-6), 41)
    counted = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
               for *_, values in series]
    frame = _Frame((edges[0], edges[-1]), (0, max(1, max(c.max() for c in counted))), unit,
                   'frames', title)
    for number, (color, *_) in enumerate(series):
        width = (edges[1] - edges[0]) / len(series)
        for left, count in zip(edges[:-1], counted[number]):
            if count:
                frame.bar(left + number * width, left + (number + 1) * width, count, color)
    first = np.asarray(series[0][2], float)
    for share, name in ((50, 'p50'), (99, 'p99')):
        value = float(np.percentile(first, share))
        if edges[0] <= value <= edges[-1]:
            frame.rule(value, f'{series[0][1]} {name} {value:.1f}'.strip())
    return frame.svg()


def _thinned(values: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Return places and values, at most _POINTS; how: max or mean of those put together."""
    step = max(1, math.ceil(len(values) / _POINTS))
    padded = np.full(-(-len(values) // step) * step, np.nan)
    padded[:len(values)] = values
    rows = padded.reshape(-1, step)
    known = ~np.isnan(rows).all(1)
    out = np.full(len(rows), np.nan)
    if known.any():
        out[known] = (np.nanmax if how == 'max' else np.nanmean)(rows[known], axis=1)
    return np.arange(len(rows)) * step + (step - 1) / 2, out


def timeline(series: Sequence[tuple[str, Sequence[float]]], y_name: str, title: str,
             marks: Sequence[int] = (), mark_color: str = 'var(--bad)',
             how: str = 'max', starts: Sequence[int] = ()) -> str:
    """Return lines over frames: (colour, values, NaN for none); starts: of further bags."""
    arrays = [np.asarray(values, float) for _, values in series]
    length = max((len(a) for a in arrays), default=0)
    if not length or all(np.isnan(a).all() for a in arrays):
        return ''
    top = max(float(np.nanmax(a)) for a in arrays if not np.isnan(a).all())
    frame = _Frame((0, max(1, length - 1)), (0, top * 1.08 or 1), 'frame', y_name, title)
    for start in starts:
        frame.rule(start, '')
    for (color, _), values in zip(series, arrays):
        frame.line(*_thinned(values, how), color)
    step = max(1, len(marks) // _MARKS)
    for at in marks[::step]:
        frame.mark(at, mark_color)
    return frame.svg()


def interval(low: float, high: float, middle: float, title: str) -> str:
    """Return a difference with its interval on a line around zero."""
    reach = 1.15 * max(abs(low), abs(high), abs(middle), 1e-4)
    height, center = 62, 30

    def at(value: float) -> float:
        return 10 + (value + reach) / (2 * reach) * (WIDTH - 20)
    clear = low > 0 or high < 0
    color = 'var(--good)' if low > 0 else 'var(--bad)' if high < 0 else 'var(--faint)'
    ticks = ''.join(
        f'<text x="{at(t):.1f}" y="{height - 4}" text-anchor="middle">{t:+.4g}</text>'
        for t in nice_ticks(-reach, reach, 3))
    return _svg(
        height, title, f'<path class="grid" d="M10 {center}H{WIDTH - 10}"/>'
        f'<path class="rule" d="M{at(0):.1f} 8V{height - 16}"/>'
        f'<path d="M{at(low):.1f} {center}H{at(high):.1f}" stroke="{color}" '
        f'stroke-width="{7 if clear else 5}" stroke-linecap="round"/>'
        f'<circle cx="{at(middle):.1f}" cy="{center}" r="5" class="dot"/>{ticks}')
