# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans and racing cars for the bank of things that stand around a track."""
from __future__ import annotations

from eunet_ros.training.renderer.canvas import Canvas, paint, Sprite, WORDS
import numpy as np


def car(rng: np.random.Generator) -> Sprite:
    """Side view of a car or a van."""
    van = rng.random() < 0.4
    wide, height = (5.2, 2.3) if van else (4.4, 1.5)
    canvas = Canvas(wide, height)
    colour = paint(rng, 0.5)
    top = 0.97 * height
    if van:
        canvas.polygon([(0.05, 0.3), (0.05, top), (3.7, top), (4.5, 1.3), (5.15, 1.1),
                        (5.15, 0.3)], colour)
        canvas.polygon([(3.0, 1.3), (3.0, 2.0), (3.6, 2.0), (4.25, 1.3)], (60, 50, 45))
    else:
        canvas.polygon([(0.05, 0.25), (0.1, 0.85), (0.7, 0.95), (1.3, top), (2.7, top),
                        (3.4, 0.95), (4.3, 0.75), (4.35, 0.25)], colour)
        canvas.polygon([(0.85, 0.95), (1.4, 0.92 * top), (2.6, 0.92 * top), (3.2, 0.95)],
                       (70, 58, 50))
        canvas.box(1.95, 0.9, 2.05, top, colour)
    canvas.box(0.05, 0.25, wide - 0.06, 0.42, 0.55 * colour)
    for x in (0.2 * wide, 0.79 * wide):
        canvas.disc(x, 0.32, 0.34, 0.32, (28, 28, 28))
        canvas.disc(x, 0.32, 0.19, 0.19, (120, 118, 115))
    canvas.box(wide - 0.3, 0.62, wide - 0.08, 0.75, (200, 225, 235))  # lamps
    canvas.box(0.06, 0.6, 0.2, 0.8, (35, 30, 200))
    for x in np.linspace(0.3, 0.7, 2):
        canvas.box(x * wide, 0.42, x * wide + 0.015, 0.55 * height, 0.6 * colour)
    if van and rng.random() < 0.5:
        canvas.text(WORDS[rng.integers(len(WORDS))], 0.5, 1.1, 0.4, paint(rng))
    return canvas.finish(rng, relief=0.2)


def car_end(rng: np.random.Generator) -> Sprite:
    """Front or rear view."""
    wide, height = rng.uniform(1.7, 2.1), rng.uniform(1.35, 2.3)
    canvas = Canvas(wide, height)
    colour = paint(rng, 0.5)
    canvas.polygon([(0.04, 0.25), (0.02, 0.55 * height), (0.2, 0.62 * height),
                    (0.32, 0.98 * height), (wide - 0.32, 0.98 * height),
                    (wide - 0.2, 0.62 * height), (wide - 0.02, 0.55 * height),
                    (wide - 0.04, 0.25)], colour)
    glass = rng.uniform((40, 35, 30), (130, 110, 90))
    canvas.polygon([(0.26, 0.63 * height), (0.37, 0.94 * height), (wide - 0.37, 0.94 * height),
                    (wide - 0.26, 0.63 * height)], glass)
    lamp = (35, 30, 205) if rng.random() < 0.5 else (215, 230, 240)
    for x in (0.08, wide - 0.38):
        canvas.box(x, 0.42 * height, x + 0.3, 0.53 * height, lamp)
        canvas.box(x + 0.08, 0, x + 0.26, 0.3, (28, 28, 28))
    canvas.box(0.08, 0.22, wide - 0.08, 0.32 * height, 0.5 * colour)
    canvas.box(0.5 * wide - 0.26, 0.33, 0.5 * wide + 0.26, 0.44,
               (225, 230, 230) if rng.random() < 0.7 else (30, 200, 230))
    return canvas.finish(rng, relief=0.25)


def racing_car_end(rng: np.random.Generator) -> Sprite:
    canvas = Canvas(1.5, 1.2)
    colour, wing = paint(rng, 0.8), paint(rng, 0.6)
    for x in (0.02, 1.26):
        canvas.box(x, 0.0, x + 0.22, 0.47, (27, 26, 26))
    for y in (0.2, 0.34):
        canvas.polygon([(0.2, y), (1.3, y), (1.3, y + 0.025), (0.2, y + 0.025)], (45, 44, 44))
    canvas.polygon([(0.48, 0.12), (0.5, 0.5), (0.62, 0.62), (0.88, 0.62), (1.0, 0.5),
                    (1.02, 0.12)], colour)
    canvas.polygon([(0.6, 0.55), (0.66, 1.12), (0.84, 1.12), (0.9, 0.55)], (38, 38, 40))
    canvas.disc(0.75, 0.78, 0.13, 0.15, paint(rng))
    canvas.box(0.68, 0.74, 0.82, 0.83, (45, 40, 38))
    if rng.random() < 0.7:
        canvas.box(0.15, 0.06, 1.35, 0.13, wing)
    if rng.random() < 0.6:
        canvas.box(0.22, 0.88, 1.28, 0.95, wing)
        for x in (0.2, 1.26):
            canvas.box(x, 0.7, x + 0.04, 1.12, wing)
    if rng.random() < 0.6:
        canvas.text(str(rng.integers(1, 300)), 0.62, 0.3, 0.15, paint(rng))
    return canvas.finish(rng, relief=0.25)


def racing_car(rng: np.random.Generator) -> Sprite:
    canvas = Canvas(2.9, 1.25)
    colour, wing = paint(rng, 0.8), paint(rng, 0.6)
    canvas.polygon([(0.3, 0.15), (0.35, 0.55), (1.0, 0.7), (1.5, 0.45), (2.75, 0.3),
                    (2.8, 0.12)], colour)
    canvas.polygon([(0.75, 0.5), (0.95, 1.15), (1.05, 1.15), (1.3, 0.5)], (40, 40, 40))
    canvas.disc(1.15, 0.8, 0.13, 0.14, paint(rng))
    canvas.box(0.02, 0.85, 0.5, 0.93, wing)
    canvas.box(0.05, 0.6, 0.12, 1.15, wing)
    canvas.box(2.5, 0.08, 2.9, 0.16, wing)
    for x in (0.45, 2.15):
        canvas.disc(x, 0.24, 0.235, 0.235, (26, 26, 26))
        canvas.disc(x, 0.24, 0.12, 0.12, (90, 88, 86))
    canvas.text(str(rng.integers(1, 300)), 1.25, 0.27, 0.17, paint(rng))
    for _ in range(rng.integers(0, 4)):
        x = rng.uniform(0.6, 2.2)
        canvas.box(x, rng.uniform(0.2, 0.3), x + rng.uniform(0.1, 0.4), 0.38, paint(rng))
    return canvas.finish(rng, relief=0.25)
