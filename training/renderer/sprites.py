# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Things around a Formula Student track, painted once per process from kind and number.

Many have the colours of cones, none the outline: a network must learn the cone, not the colour.
"""
from __future__ import annotations

from functools import lru_cache

from eunet_ros.training.renderer.canvas import board_noise, Canvas, paint, ROWS, Sprite, WORDS
from eunet_ros.training.renderer.textures import texture_rng
from eunet_ros.training.renderer.vehicles import car, car_end, racing_car, racing_car_end
import numpy as np

_CACHED = 36  # pictures of each kind, as many as training uses


def _tree(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(5, 14)
    canvas = Canvas(height * rng.uniform(0.5, 1.0), height)
    wide = canvas.size[0]
    canvas.box(0.47 * wide, 0, 0.53 * wide, 0.4 * height, (50, 62, 72))
    y, x = np.mgrid[0:1:ROWS * 1j, -1:1:canvas.alpha.shape[1] * 1j]
    taper = rng.uniform(0, 1)  # round crown to fir
    half = (1 - taper) * np.sqrt(np.clip(1 - ((y - 0.42) / 0.44) ** 2, 0, 1)) + taper * y
    cover = np.clip(1.4 - np.abs(x) / np.maximum(0.8 * half, 0.02), 0, 1) * (y < 0.84)
    green = rng.uniform((22, 60, 35), (60, 115, 95))
    if rng.random() < 0.2:
        green = rng.uniform((25, 75, 110), (50, 130, 190))  # autumn
    canvas.foliage(rng, cover, green)
    return canvas.finish(rng, True)


def _bush(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(0.8, 2.5)
    canvas = Canvas(height * rng.uniform(1, 4), height)
    profile = 0.55 + 0.2 * board_noise(rng, canvas.alpha.shape, 4)[40]
    x = np.linspace(-1, 1, canvas.alpha.shape[1])
    profile *= 1.2 * (1 - x ** 4) ** 0.5
    y = np.linspace(1, 0, ROWS)[:, None]
    canvas.foliage(rng, np.clip(0.5 + 4 * (profile - y), 0, 1) * (profile > 0.1),
                   rng.uniform((25, 60, 40), (65, 120, 100)))
    return canvas.finish(rng, True)


def _building(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(4, 12)
    wide = height * rng.uniform(1.2, 5)
    canvas = Canvas(wide, height)
    wall = paint(rng, 0.25)
    roof = 0.12 * height * rng.random()
    canvas.box(0, 0, wide, height - roof, wall)
    canvas.polygon([(0, height - roof), (wide / 2, height), (wide, height - roof)], 0.6 * wall)
    for x in np.arange(0, wide, rng.uniform(0.5, 1.5)):  # sheet metal
        canvas.box(x, 0, x + 0.06, height - roof, 0.9 * wall)
    storeys = int(rng.integers(1, 4))
    if rng.random() < 0.7:
        glass = rng.uniform((60, 50, 40), (170, 150, 130))
        step = rng.uniform(1.5, 4)
        for storey in range(storeys):
            y = (storey + 0.45) * (height - roof) / storeys
            for x in np.arange(0.4, wide - step * 0.6, step):
                canvas.box(x, y, x + 0.6 * step, y + 0.35 * (height - roof) / storeys, glass)
    for _ in range(rng.integers(0, 4)):
        x = rng.uniform(0, 0.85 * wide)
        canvas.box(x, 0, x + rng.uniform(1, 5), rng.uniform(2.0, 3.6), paint(rng, 0.4))
    if rng.random() < 0.4:
        canvas.box(0, 0.75 * height, wide, 0.85 * height, paint(rng, 0.9))
    if rng.random() < 0.4:
        canvas.text(WORDS[rng.integers(len(WORDS))], 0.2 * wide, 0.7 * (height - roof),
                    0.12 * height, paint(rng, 0.8))
    return canvas.finish(rng)


def _container(rng: np.random.Generator) -> Sprite:
    wide = float(rng.choice([2.4, 6.1, 12.2]))
    canvas = Canvas(wide, 2.6)
    colour = paint(rng, 0.8)
    for i, x in enumerate(np.arange(0, wide, 0.14)):
        canvas.box(x, 0, x + 0.15, 2.6, tuple(colour * (0.82 if i % 2 else 1.0)))
    canvas.box(0, 2.48, wide, 2.6, 0.75 * colour)
    canvas.box(0, 0, wide, 0.14, 0.6 * colour)
    if rng.random() < 0.5:
        canvas.box(0.3 * wide, 1.5, 0.7 * wide, 2.1, paint(rng))
        canvas.text(WORDS[rng.integers(len(WORDS))], 0.32 * wide, 1.65, 0.3, paint(rng))
    return canvas.finish(rng)


def _tent(rng: np.random.Generator) -> Sprite:
    wide = rng.uniform(3, 9)
    canvas = Canvas(wide, 3.4)
    colour = paint(rng, 0.8)
    for x in np.linspace(0.05, wide - 0.1, 4):
        canvas.box(x, 0, x + 0.06, 2.3, (150, 150, 150))
    if rng.random() < 0.6:
        canvas.box(0.1, 0, wide - 0.1, 2.3, 0.35 * colour + 20)
    peaks = int(max(1, wide // 3))
    for k in range(peaks):
        left, right = k * wide / peaks, (k + 1) * wide / peaks
        canvas.polygon([(left, 2.3), (0.5 * (left + right), 3.35), (right, 2.3)], colour)
        canvas.polygon([(0.5 * (left + right), 3.35), (right, 2.3),
                        (0.6 * right + 0.4 * left, 2.3)], 0.85 * colour)
    canvas.box(0, 2.05, wide, 2.35, 0.92 * colour)
    return canvas.finish(rng)


def _person(rng: np.random.Generator) -> Sprite:
    canvas = Canvas(0.8, 1.85)
    trousers, shirt = paint(rng, 0.35), paint(rng, 0.65)
    skin = tuple(rng.uniform(0.4, 1.0) * np.array((150, 180, 225)))
    spread = rng.uniform(0.02, 0.14)
    for side in (-1, 1):
        foot = 0.4 + side * (0.07 + spread)
        canvas.polygon([(0.4 + side * 0.01, 0.9), (0.4 + side * 0.17, 0.9), (foot + 0.06, 0.02),
                        (foot - 0.06, 0.02)], trousers)
        canvas.box(foot - 0.08, 0, foot + 0.1, 0.07, (40, 40, 45))
        hand = 0.4 + side * rng.uniform(0.2, 0.36)
        canvas.polygon([(0.4 + side * 0.16, 1.48), (0.4 + side * 0.24, 1.42),
                        (hand + 0.05, rng.uniform(0.8, 1.15)), (hand - 0.04, 0.85)],
                       0.85 * shirt)
    canvas.polygon([(0.22, 0.85), (0.18, 1.42), (0.3, 1.53), (0.5, 1.53), (0.62, 1.42),
                    (0.58, 0.85)], shirt)
    if rng.random() < 0.4:  # reflective stripes of a vest
        for y in (1.02, 1.2):
            canvas.box(0.2, y, 0.6, y + 0.05, (215, 220, 220))
    canvas.disc(0.4, 1.66, 0.1, 0.13, skin)
    canvas.polygon([(0.29, 1.68), (0.32, 1.82), (0.48, 1.82), (0.51, 1.68)],
                   paint(rng, 0.3) if rng.random() < 0.5 else (35, 45, 60))
    return canvas.finish(rng, relief=0.35)


def _tyres(rng: np.random.Generator) -> Sprite:
    columns, rows = int(rng.integers(1, 7)), int(rng.integers(2, 6))
    canvas = Canvas(0.62 * columns, 0.2 * rows)
    painted = rng.random() < 0.5
    for column in range(columns):
        for row in range(rows):
            colour = np.array(paint(rng, 0.9) if painted and (row + column) % 2 else (38, 38, 40))
            x = 0.62 * column + rng.uniform(-0.015, 0.015)
            canvas.cylinder(x + 0.01, 0.2 * row, x + 0.61, 0.2 * row + 0.19, colour)
            canvas.box(x + 0.02, 0.2 * row + 0.165, x + 0.6, 0.2 * row + 0.2, 0.45 * colour)
    return canvas.finish(rng)


def _barrier(rng: np.random.Generator) -> Sprite:
    pieces = int(rng.integers(1, 7))
    canvas = Canvas(1.2 * pieces, rng.uniform(0.6, 1.05))
    height = canvas.size[1]
    colours = (paint(rng, 0.95), paint(rng, 0.95))
    for k in range(pieces):
        colour, left = colours[k % 2], 1.2 * k
        canvas.polygon([(left + 0.01, 0), (left + 0.05, 0.3 * height), (left + 0.08, height),
                        (left + 1.12, height), (left + 1.15, 0.3 * height), (left + 1.19, 0)],
                       colour)
        canvas.box(left + 0.01, 0, left + 1.19, 0.28 * height, 0.78 * colour)
    return canvas.finish(rng)


def _board(rng: np.random.Generator) -> Sprite:
    """Striped board or advertising banner."""
    wide, height = np.exp(rng.uniform(-0.2, 2.4)), rng.uniform(0.4, 1.2)
    canvas = Canvas(wide, height)
    first, second = paint(rng, 0.9), paint(rng, 0.7)
    canvas.box(0, 0, wide, height, first)
    if rng.random() < 0.5:
        step = rng.uniform(0.2, 0.6)
        lean = rng.choice([-1, 0, 1]) * height
        for x in np.arange(-height, wide + height, 2 * step):
            canvas.polygon([(x, 0), (x + step, 0), (x + step + lean, height), (x + lean, height)],
                           second)
    elif rng.random() < 0.6:  # banners side by side
        x = 0.0
        while x < wide:
            part = rng.uniform(1.2, 3.5) * height
            canvas.box(x, 0, x + part, height, first)
            words = WORDS[rng.integers(len(WORDS))]
            canvas.text(words, x + 0.1 * part, 0.32 * height,
                        min(0.4 * height, 1.1 * part / len(words)), second)
            x += part
            first, second = paint(rng, 0.8), paint(rng, 0.6)
    else:
        x = 0.08 * wide
        while x < 0.9 * wide:  # lettering, unreadable
            letter = rng.uniform(0.1, 0.35) * height
            low = rng.uniform(0.2, 0.3) * height
            canvas.box(x, low, x + letter, 0.75 * height, second)
            if rng.random() < 0.6:
                canvas.box(x + 0.3 * letter, 0.35 * height, x + 0.7 * letter,
                           rng.uniform(0.5, 0.8) * height, first)
            x += letter * rng.uniform(1.2, 1.6) + (0.2 * height if rng.random() < 0.2 else 0)
    return canvas.finish(rng)


def _fence(rng: np.random.Generator) -> Sprite:
    wide, height = rng.uniform(3, 8), rng.uniform(1.1, 2.0)
    canvas = Canvas(wide, height)
    colour = tuple(rng.uniform(90, 190) + rng.normal(0, 5, 3))
    for x in np.arange(0.02, wide, rng.uniform(0.12, 0.25)):
        canvas.box(x, 0.15, x + 0.025, height - 0.05, colour)
    for x in np.arange(0, wide, 2.2):
        canvas.box(x, 0, x + 0.06, height, colour)
    for y in (0.15, height - 0.06):
        canvas.box(0, y, wide, y + 0.05, colour)
    if rng.random() < 0.5:
        left = rng.uniform(0, 0.5 * wide)
        canvas.box(left, 0.25 * height, left + rng.uniform(1, 3), 0.85 * height, paint(rng, 0.9))
    return canvas.finish(rng)


def _pole(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(0.7, 5)
    canvas = Canvas(0.5, height)
    radius = rng.uniform(0.02, 0.06)
    first, second = paint(rng, 0.8), paint(rng, 0.8)
    step = rng.uniform(0.15, 0.5)
    striped = rng.random() < 0.6
    for k, y in enumerate(np.arange(0, height, step)):
        canvas.cylinder(0.25 - radius, y, 0.25 + radius, min(y + step, height),
                        second if striped and k % 2 else first)
    canvas.box(0.12, 0, 0.38, 0.05, (50, 50, 50))
    return canvas.finish(rng)


def _flag(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(2.2, 4.5)
    canvas = Canvas(0.9, height)
    colour = paint(rng, 0.9)
    canvas.box(0.04, 0, 0.08, height, (60, 60, 60))
    y = np.linspace(0.25 * height, 0.99 * height, 20)
    belly = 0.08 + rng.uniform(0.45, 0.75) * np.sin(np.linspace(0.5, np.pi, 20)) ** 0.5
    canvas.polygon(np.concatenate([np.stack([np.full(20, 0.08), y], 1),
                                   np.stack([belly, y], 1)[::-1]]), colour)
    canvas.box(0.15, 0.4 * height, 0.45, 0.75 * height, paint(rng, 0.7))
    return canvas.finish(rng)


def _barrel(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(0.5, 1.0)
    canvas = Canvas(0.65 * height, height)
    wide = canvas.size[0]
    colour, band = paint(rng, 1.0), paint(rng, 0.7)
    canvas.cylinder(0.02, 0, wide - 0.02, height, colour)
    if rng.random() < 0.5:
        for y in rng.uniform(0.1, 0.7, rng.integers(1, 3)):
            canvas.cylinder(0.02, y * height, wide - 0.02, (y + 0.16) * height, band)
    canvas.disc(wide / 2, height * 0.97, wide / 2 - 0.02, 0.03 * height, 0.6 * colour)
    return canvas.finish(rng)


def _box(rng: np.random.Generator) -> Sprite:
    wide, height = rng.uniform(0.25, 1.5), rng.uniform(0.2, 1.1)
    canvas = Canvas(wide, height)
    colour = paint(rng, 0.85)
    split = rng.uniform(0.3, 0.8) * wide
    canvas.box(0, 0, split, 0.9 * height, colour)
    canvas.box(split, 0, wide, 0.86 * height, 0.6 * colour)
    canvas.polygon([(0, 0.9 * height), (0.1 * wide, height), (0.95 * wide, height),
                    (wide, 0.86 * height), (split, 0.9 * height)],
                   np.minimum(1.15 * colour + 10, 255))
    if rng.random() < 0.4:
        canvas.box(0.1 * split, 0.3 * height, 0.8 * split, 0.6 * height, paint(rng))
    return canvas.finish(rng)


def _tube(rng: np.random.Generator) -> Sprite:
    wide, height = rng.uniform(0.5, 3), rng.uniform(0.1, 0.3)
    canvas = Canvas(wide, height)
    colour = paint(rng, 0.95)
    for k in range(8):
        canvas.box(0, k * height / 8, wide, (k + 1.2) * height / 8,
                   tuple(np.minimum(colour * (0.55 + 0.6 * np.sin((k + 1) / 9 * 2.6)), 255)))
    for x in np.arange(0.05, wide, 0.08):
        canvas.box(x, 0, x + 0.02, height, 0.6 * colour)
    return canvas.finish(rng)


def _grandstand(rng: np.random.Generator) -> Sprite:
    wide, rows = rng.uniform(8, 20), int(rng.integers(4, 9))
    canvas = Canvas(wide, 0.55 * rows + 1.2)
    seat = paint(rng, 0.7)
    for row in range(rows):
        y = 0.5 + 0.55 * row
        canvas.box(0, y - 0.5, wide, y + 0.2, tuple(seat * (0.6 + 0.05 * row)))
        for x in np.arange(0.3, wide - 0.3, 0.6):
            if rng.random() < 0.5:
                canvas.box(x, y, x + 0.42, y + 0.6, paint(rng, 0.6))
                canvas.disc(x + 0.21, y + 0.74, 0.11, 0.14, (120, 150, 190))
    return canvas.finish(rng)


def _sign(rng: np.random.Generator) -> Sprite:
    canvas = Canvas(0.8, 2.2)
    canvas.box(0.37, 0, 0.43, 1.6, (130, 130, 130))
    colour = paint(rng, 0.9)
    kind = rng.integers(3)
    if kind == 0:
        canvas.disc(0.4, 1.75, 0.36, 0.36, colour)
        canvas.disc(0.4, 1.75, 0.25, 0.25, paint(rng, 0.7))
    elif kind == 1:
        canvas.box(0.05, 1.4, 0.75, 2.1, colour)
        canvas.polygon([(0.2, 1.6), (0.6, 1.75), (0.2, 1.9)], paint(rng, 0.7))
    else:  # pointing down, unlike a cone
        canvas.polygon([(0.02, 2.1), (0.78, 2.1), (0.4, 1.42)], colour)
        canvas.polygon([(0.16, 2.02), (0.64, 2.02), (0.4, 1.58)], (235, 235, 235))
    return canvas.finish(rng)


def _post(rng: np.random.Generator) -> Sprite:
    height, radius = rng.uniform(0.35, 1.1), rng.uniform(0.03, 0.09)
    canvas = Canvas(4 * radius, height)
    body = paint(rng, 0.5)
    canvas.cylinder(radius, 0, 3 * radius, height, body)
    for y in rng.uniform(0.3, 0.85, rng.integers(0, 4)) * height:
        canvas.cylinder(radius, y, 3 * radius, y + rng.uniform(0.04, 0.14) * height,
                        paint(rng, 0.9))
    if rng.random() < 0.5:
        canvas.box(0.2 * radius, 0, 3.8 * radius, 0.04, 0.6 * body)
    return canvas.finish(rng)


def _weed(rng: np.random.Generator) -> Sprite:
    height = rng.uniform(0.12, 0.6)
    wide = height * rng.uniform(0.7, 2.2)
    canvas = Canvas(wide, height)
    dry = rng.random() ** 2
    green = rng.uniform((20, 70, 40), (80, 170, 150))
    colour = (1 - dry) * green + dry * rng.uniform((60, 130, 150), (130, 190, 210))
    for _ in range(rng.integers(8, 30)):
        foot, tip = rng.normal(0.5, 0.07) * wide, np.clip(rng.normal(0.5, 0.25), 0, 1) * wide
        tall, leaf = height * rng.uniform(0.35, 0.99), wide * rng.uniform(0.02, 0.1)
        middle = 0.4 * foot + 0.6 * tip
        canvas.polygon([(foot - 0.01 * wide, 0), (middle - leaf, 0.6 * tall), (tip, tall),
                        (middle + leaf, 0.6 * tall), (foot + 0.01 * wide, 0)],
                       tuple(np.clip(colour * rng.uniform(0.6, 1.25), 0, 255)))
    return canvas.finish(rng, True)


_KINDS = {
    'tree': _tree, 'bush': _bush, 'building': _building, 'container': _container, 'tent': _tent,
    'car': car, 'car_end': car_end, 'racing_car': racing_car,
    'racing_car_end': racing_car_end, 'person': _person, 'tyres': _tyres,
    'barrier': _barrier, 'board': _board, 'fence': _fence, 'pole': _pole, 'flag': _flag,
    'barrel': _barrel, 'box': _box, 'tube': _tube, 'grandstand': _grandstand, 'sign': _sign,
    'post': _post, 'weed': _weed}

FAR_KINDS = {
    'tree': 5.0, 'bush': 2.0, 'building': 2.5, 'container': 2.0, 'tent': 2.0, 'car': 2.0,
    'car_end': 1.5, 'person': 2.5, 'fence': 1.5, 'grandstand': 0.6, 'flag': 1.5, 'board': 1.5,
    'barrier': 1.5, 'pole': 1.0, 'racing_car': 0.6, 'racing_car_end': 0.6, 'sign': 0.6,
    'tyres': 0.8}
NEAR_KINDS = {
    'tyres': 2.0, 'barrier': 2.5, 'board': 2.0, 'box': 2.5, 'barrel': 2.0, 'tube': 1.5,
    'pole': 2.0, 'person': 2.5, 'flag': 0.8, 'fence': 1.0, 'sign': 1.0, 'racing_car': 0.8,
    'racing_car_end': 1.0, 'bush': 0.6, 'car': 0.6, 'car_end': 0.6, 'container': 0.3}
ODD_KINDS = {'post': 2.0, 'weed': 1.0}


@lru_cache(maxsize=len(_KINDS) * _CACHED)
def sprite(kind: str, number: int) -> Sprite:
    return _KINDS[kind](texture_rng('sprite', kind, number))
