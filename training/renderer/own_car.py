# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The car that carries the camera, at the image's lower edge: nose, wheels, cockpit, stickers."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
from eunet_ros.training.renderer.canvas import paint, Points
from eunet_ros.training.renderer.ground import stamp
from eunet_ros.training.renderer.light import Colour, Light
import numpy as np

_STRIPS = 22  # across the nose


@dataclass(frozen=True)
class Sticker:
    """A patch on the nose: shares of its width and length, paint, and words on it."""

    across: float  # -1 to 1
    down: float  # 0 to 1
    wide: float
    tall: float
    colour: tuple[float, float, float]
    words: str
    ink: tuple[float, float, float]


@dataclass(frozen=True)
class OwnCar:
    """Shares of the image's width (across) and height (down), and paint (BGR)."""

    centre: float
    nose_top: float  # row of the nose's tip
    nose_wide: float  # at the image's edge
    nose_tip: float
    wheels: bool
    wheel_top: float
    wheel_wide: float
    wheel_gap: float  # between nose and wheel
    body: tuple[float, float, float]
    stripe: tuple[float, float, float]
    stripe_wide: float = 0.16
    cockpit: float = 0.0  # height of the dark opening at the image's edge
    wing: float = 0.0  # half the width of the front wing
    mast: float = 0.0  # height of a pitot tube or an antenna
    stickers: tuple[Sticker, ...] = ()
    parts: tuple[tuple[Points, Colour], ...] = ()  # outlines (n, 2) and paint, back to front
    sheen: np.ndarray | None = None  # coarse (rows, columns), light that is mirrored or missing


def _sample_stickers(rng: np.random.Generator) -> tuple[Sticker, ...]:
    letters = 'ABCDEFGHIKLMNOPRSTUVXZ0123456789'
    return tuple(Sticker(
        rng.uniform(-0.7, 0.7), rng.uniform(0.15, 0.95), rng.uniform(0.1, 0.6),
        rng.uniform(0.05, 0.2), paint(rng, 0.7),
        ''.join(rng.choice(list(letters), rng.integers(0, 7))), paint(rng, 0.3))
        for _ in range(rng.integers(0, 8)))


def _disc(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    u, v = rx * np.cos(angle), ry * np.sin(angle)
    c, s = np.cos(turn), np.sin(turn)
    return np.stack([x + u * c - v * s, y + u * s + v * c], 1)


def _round_tyre(rng: np.random.Generator, x: float, y: float, wide: float,
                rim: Colour) -> list[tuple[Points, Colour]]:
    """Draw a whole tyre from behind and above, steered: tread lit on one side, flank, rim."""
    tall, turn, side = wide * rng.uniform(1.6, 2.8), rng.normal(0, 0.12), 1 if x < 0.5 else -1
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    c, s = (np.sign(f(angle)) * np.abs(f(angle)) ** rng.uniform(0.5, 0.9)
            for f in (np.cos, np.sin))
    dark, lit, shift = rng.uniform((14, 45, -0.14 * wide), (34, 120, 0.14 * wide))
    y += tall / 2

    def outline(u: float, grow_x: float, grow_y: float) -> np.ndarray:
        return np.stack([x + u + 0.5 * wide * grow_x * c + 0.5 * tall * grow_y * s * turn,
                         y + 0.5 * tall * grow_y * s], 1)
    parts = []
    for share in np.linspace(0, 1, 6):
        tone = dark + (lit - dark) * share
        parts.append((outline(share * shift, 1 - 0.6 * share, 1 - 0.25 * share),
                      (tone + 2, tone, tone)))
    flank = side * wide * rng.uniform(0.25, 0.45)
    return parts + [
        (outline(flank, rng.uniform(0.2, 0.6) * grow, 0.9 * grow), colour)
        for grow, colour in ((1.0, (dark,) * 3), (0.6, tuple(0.4 * np.array(rim) + 15)))]


def _sample_cockpit(rng: np.random.Generator, centre: float, top: float, wide: float, body: Colour,
                    stripe: Colour) -> list[tuple[Points, Colour]]:
    """Draw hull, dashboard, steering wheel, hands and fittings, as seen from the roll hoop."""
    parts = []
    dash = top + rng.uniform(0.06, 0.16)
    low, high = wide * rng.uniform(0.9, 1.5), wide * rng.uniform(0.35, 0.6)
    for share, colour in ((1.0, body), (0.95, stripe if rng.random() < 0.5 else body),
                          (0.9, body), (0.8, (24, 22, 22))):
        drop = dash + 0.12 * (1 - share)
        parts.append(([(centre - share * low, 1.05), (centre - share * high, drop),
                       (centre, drop - 0.03), (centre + share * high, drop),
                       (centre + share * low, 1.05)], colour))
    if rng.random() < 0.4:  # a lit floor between the legs
        parts.append((_disc(centre + rng.normal(0, 0.03), 1.0, 0.4 * high, 0.12),
                      tuple(rng.uniform((50, 60, 80), (120, 150, 180)))))
    panel = dash + rng.uniform(0.08, 0.3)  # of the dashboard, with its buttons and its display
    colour = body if rng.random() < 0.5 else (40, 36, 34)
    parts.append(([(centre - high, dash + 0.02), (centre + high, dash + 0.02),
                   (centre + 1.15 * high, panel), (centre - 1.15 * high, panel)], colour))
    if rng.random() < 0.6:
        x, y = centre + rng.normal(0, 0.04), rng.uniform(dash + 0.02, panel)
        for grow, shade in ((1.0, paint(rng, 0.3)), (0.85, tuple(rng.uniform(120, 240, 3)))):
            parts.append((np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * grow
                          * (0.05, 0.045) + (x, y), shade))
    for _ in range(rng.integers(0, 18)):  # buttons, switches, tape
        size = rng.uniform(0.003, 0.016)
        parts.append((_disc(centre + rng.uniform(-1.1, 1.1) * high, rng.uniform(dash, panel + 0.1),
                            size, size * rng.uniform(1, 2)), paint(rng, 0.8)))
    if rng.random() < 0.8:  # steering wheel
        x, y, turn = centre + rng.normal(0, 0.01), panel + rng.uniform(0, 0.12), rng.normal(0, 0.4)
        size = rng.uniform(0.5, 0.8) * high
        ring, inner = ((30, 29, 28), (52, 50, 49)) if rng.random() < 0.8 else (stripe, (40,) * 3)
        parts += [(_disc(x, y, size, 1.2 * size, turn), ring),
                  (_disc(x, y, 0.75 * size, 0.8 * size, turn), inner)]
        parts += [(_disc(x + rng.normal(0, 0.4) * size, y + rng.normal(0, 0.4) * size, 0.006,
                         0.01), paint(rng, 0.9)) for _ in range(rng.integers(0, 6))]
        suit, glove = paint(rng, 0.4), paint(rng, 0.6)
        for side in (-1, 1) if rng.random() < 0.6 else ():
            u, v = x + side * size, y + rng.normal(0, 0.06)
            parts += [([(u - 0.03, v), (u + 0.03, v), (u + side * 0.08 + 0.05, 1.05),
                        (u + side * 0.08 - 0.05, 1.05)], suit),
                      (_disc(u, v, rng.uniform(0.02, 0.045), rng.uniform(0.04, 0.1),
                             rng.normal(0, 0.5)), glove)]
    for _ in range(rng.integers(0, 6)):  # stripes and edges of the nose, lettering, mirrors
        x, y = centre + rng.normal(0, 0.3) * high, rng.uniform(top + 0.04, dash + 0.08)
        turn, along = rng.uniform(-1.2, 1.2), rng.uniform(0.01, 0.07)
        parts.append((_disc(x, y, along, rng.uniform(0.004, 0.02), turn), paint(rng, 0.7)))
    for _ in range(rng.integers(0, 4)):  # antennas, tubes
        x, tall = centre + rng.normal(0, 0.4) * high, rng.uniform(0.02, 0.13)
        thin = rng.uniform(0.001, 0.004)
        parts.append(([(x - thin, top + 0.06), (x - thin, top - tall), (x + thin, top - tall),
                       (x + thin, top + 0.06)],
                      (35, 35, 35) if rng.random() < 0.6 else paint(rng, 0.5)))
    return parts


def _onboard_car(rng: np.random.Generator) -> OwnCar:
    top, wide = rng.uniform(0.45, 0.72), rng.uniform(0.12, 0.42)
    centre = 0.5 + rng.normal(0, 0.05)
    body = paint(rng, 0.6) if rng.random() < 0.7 else (38, 36, 35)
    stripe, gap = paint(rng, 0.8), rng.uniform(0.02, 0.2)
    wheel_wide, wheel_top = rng.uniform(0.08, 0.2), top + rng.uniform(-0.01, 0.15)
    parts, whole = [], rng.random() < 0.7
    for side in (-1, 1):  # lettering on the tyres, covers and arms of the suspension
        x = centre + side * (wide / 2 + gap)
        if whole:
            for height, thick in rng.uniform((0.0, 0.004), (0.25, 0.02), (2, 2)):  # arms
                y = wheel_top + height
                parts.append(([(centre, y), (x, y + 0.02), (x, y + 0.02 + thick),
                               (centre, y + thick)],
                              (38, 36, 36) if rng.random() < 0.8 else paint(rng, 0.4)))
            parts += _round_tyre(rng, x, wheel_top, wheel_wide, paint(rng, 0.5))
        for _ in range(rng.integers(0, 5)):
            parts.append((_disc(x + rng.normal(0, 0.25) * wheel_wide, wheel_top + rng.uniform(
                0.03, 0.25), rng.uniform(0.003, 0.03), rng.uniform(0.003, 0.02),
                rng.uniform(-1, 1)), paint(rng, 0.8)))
    parts += _sample_cockpit(rng, centre, top, max(wide, 0.2), body, stripe)
    return OwnCar(
        centre, top, wide, rng.uniform(0.05, 0.16), not whole, wheel_top,
        wheel_wide, gap, body, stripe, rng.uniform(0.05, 0.5) * (rng.random() < 0.6),
        wing=rng.uniform(0.1, 0.35) if rng.random() < 0.2 else 0.0,
        stickers=_sample_stickers(rng) if rng.random() < 0.7 else (), parts=tuple(parts),
        sheen=np.exp(rng.normal(0, 0.35, (5, 9))).astype(np.float32))


def sample_own_car(rng: np.random.Generator, onboard: bool = False) -> OwnCar:
    if onboard:
        return _onboard_car(rng)
    large = rng.random() < 0.4  # seen from the roll hoop, it fills much of the image
    top = rng.uniform(0.5, 0.8) if large else rng.uniform(0.76, 0.95)
    body = paint(rng, 0.5) if rng.random() < 0.7 else (38, 36, 35)  # or bare carbon
    wide = rng.uniform(0.24, 0.5) if large else rng.uniform(0.16, 0.34)
    return OwnCar(
        0.5 + rng.normal(0, 0.05 if large else 0.03), top, wide, rng.uniform(0.03, 0.08),
        bool(rng.random() < 0.65), min(top + rng.uniform(-0.02, 0.15), 0.96),
        rng.uniform(0.07, 0.16 if large else 0.11), rng.uniform(0.08, 0.2), body, paint(rng, 0.7),
        rng.uniform(0.05, 0.5) * (rng.random() < 0.8),
        rng.uniform(0.1, 0.6) * (1 - top) if large and rng.random() < 0.6 else 0.0,
        rng.uniform(0.1, 0.35) if rng.random() < 0.3 else 0.0,
        rng.uniform(0.03, 0.15) if rng.random() < 0.3 else 0.0,
        _sample_stickers(rng) if rng.random() < 0.7 else ())


def _tyre(fill: Callable, x: float, y: float, wide: float, rim: Colour) -> None:
    """Draw a tyre seen from behind and above: round shoulders, lit tread, dark grooves."""
    angle = np.linspace(0, np.pi / 2, 6)
    radius = 0.22 * wide
    left = np.stack([-wide / 2 + radius * (1 - np.cos(angle)), 1.6 * radius * (1 - np.sin(angle))],
                    axis=1)
    crown = np.concatenate([left, left[::-1] * (-1, 1)])
    for k, tone in enumerate((24, 32, 41, 48, 43, 36, 30)):
        lowered = crown * (1 - 0.03 * k, 1) + (x, y + 0.016 * k)
        outline = np.concatenate([lowered, [(lowered[-1, 0], 1.05), (lowered[0, 0], 1.05)]])
        fill(outline, (tone + 1, tone, tone))
    for share in (-0.2, 0.03, 0.24):
        fill([(x + share * wide, y + 0.035), (x + share * wide + 0.003, y + 0.035),
              (x + share * wide + 0.003, 1.05), (x + share * wide, 1.05)], (25, 25, 25))
    side = 1 if x < 0.5 else -1  # the rim shows on the inner flank
    flank = x + side * 0.5 * wide
    fill([(flank, y + 0.09), (flank - side * 0.02, y + 0.13), (flank - side * 0.02, 1.05),
          (flank, 1.05)], rim)


def _draw_nose(fill: Callable, car: OwnCar) -> tuple[np.ndarray, np.ndarray]:
    """Draw the nose; returns half its width and the row at ten places down its length."""
    centre, tip = car.centre, car.nose_top
    down = np.linspace(0, 1, 10)
    half = 0.5 * (car.nose_tip + (car.nose_wide - car.nose_tip) * down ** 0.75)
    half *= np.clip(down / 0.06 + 0.55, 0, 1)  # the tip is blunt
    row = tip + (1.04 - tip) * down
    for left in np.linspace(-1, 1, _STRIPS + 1)[:-1]:
        # The nose is round: light from above, dark flanks, a highlight beside its crest.
        right = left + 2 / _STRIPS
        middle = 0.5 * (left + right)
        shade = 0.32 + 0.7 * np.sqrt(1 - 0.97 * middle ** 2) + 0.3 * np.exp(
            -((middle + 0.28) / 0.12) ** 2)
        colour = np.array(car.stripe if abs(middle) < car.stripe_wide else car.body) * shade
        sides = [np.stack([centre + side * half, row - 0.014 * (1 - middle ** 2)], 1)
                 for side in (left, min(right + 0.03, 1.0))]
        fill(np.concatenate([sides[0], sides[1][::-1]]), colour)
    return half, row


def _draw_cockpit(fill: Callable, car: OwnCar) -> None:
    angle = np.linspace(0, np.pi, 14)
    wide, tall = 0.42 * car.nose_wide, car.cockpit

    def arch(grow: float) -> np.ndarray:
        return np.stack([car.centre - grow * wide * np.cos(angle),
                         1.02 - grow * tall * np.sin(angle) ** 0.6], 1)
    fill(arch(1.12), tuple(0.9 * np.array(car.body) + 12))
    fill(arch(1.0), (22, 21, 21))
    for across, down, colour in ((0.4, 0.25, (48, 46, 45)), (0.2, 0.13, car.stripe)):
        fill(np.stack([car.centre - across * wide * np.cos(2 * angle),
                       1.0 - 0.35 * tall - down * tall * np.sin(2 * angle)], 1), colour)


def draw_own_car(image: np.ndarray, mask: np.ndarray, instances: np.ndarray, car: OwnCar,
                 light: Light) -> None:
    """Draw the car over `image`, and erase hidden cones from the masks, in place."""
    height, width = image.shape[:2]
    mast = max(car.mast, 0.13 if car.parts else 0.0)
    top = max(0, int(height * (min(car.nose_top, car.wheel_top) - mast - 0.02)) - 4)
    layer, alpha = np.zeros_like(image[top:]), np.zeros_like(mask[top:])
    lit = np.array(light.ambient) * 0.8 + np.array(light.sun) * 0.5

    def fill(points: Points, colour: Colour) -> None:
        shape = np.rint((np.array(points) * (width, height) - (0, top)) * 16).astype(np.int32)
        for plane, value in ((layer, tuple(np.clip(np.array(colour) * lit, 0, 255))),
                             (alpha, 255)):
            cv2.fillPoly(plane, [shape], value, cv2.LINE_AA, 4)

    centre, tip = car.centre, car.nose_top
    if car.wing:
        left, right = centre - car.wing, centre + car.wing
        for low, high, colour in ((0.05, 0.015, car.stripe), (0.07, 0.045, car.body)):
            fill([(left, tip + low), (left, tip + high), (right, tip + high), (right, tip + low)],
                 colour)
    if car.mast:
        fill([(centre - 0.003, tip + 0.05), (centre - 0.002, tip - car.mast),
              (centre + 0.002, tip - car.mast), (centre + 0.003, tip + 0.05)], (40, 40, 42))
    if car.wheels:
        for side in (-1, 1):
            x, y = centre + side * (car.nose_wide / 2 + car.wheel_gap), car.wheel_top
            for start, end in ((0.55, 0.35), (0.9, 0.5)):  # wishbones
                low, high = y + (1.05 - y) * start, y + (1.05 - y) * end
                fill([(centre, low), (x, high), (x, high + 0.011), (centre, low + 0.014)],
                     (36, 35, 35))
            _tyre(fill, x, y, car.wheel_wide, tuple(0.6 * np.array(car.stripe)))
    nose = _draw_nose(fill, car)
    for sticker in car.stickers:
        wide, y = (float(np.interp(sticker.down, np.linspace(0, 1, 10), row)) for row in nose)
        x, reach = centre + sticker.across * wide, sticker.wide * wide
        low = y + sticker.tall * (1 - tip)
        fill([(x - reach, y), (x + reach, y), (x + 1.1 * reach, low), (x - 1.1 * reach, low)],
             sticker.colour)
        if sticker.words:
            scale = (low - y) * height / 34
            ink = tuple(np.clip(np.array(sticker.ink) * lit, 0, 255))
            at = int((x - 0.9 * reach) * width), int((low - 0.15 * (low - y)) * height) - top
            cv2.putText(layer, sticker.words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink,
                        max(1, round(2.5 * scale)), cv2.LINE_AA)
    if car.cockpit:
        _draw_cockpit(fill, car)
    for outline, colour in car.parts:
        fill(outline, colour)
    if car.sheen is not None:
        sheen = cv2.resize(car.sheen, alpha.shape[::-1], interpolation=cv2.INTER_CUBIC)
        sheen = np.clip(sheen * 64, 0, 255).astype(np.uint8)
        layer = cv2.multiply(layer, cv2.merge([sheen] * 3), scale=1 / 64)
    layer = cv2.GaussianBlur(layer, (0, 0), max(0.5, width / 1100))
    share = alpha * np.float32(1 / 255)
    cv2.blendLinear(layer, image[top:], share, 1 - share, image[top:])
    _, hidden = cv2.threshold(alpha, 127, 1, cv2.THRESH_BINARY)
    stamp(mask[top:], hidden, 0)
    stamp(instances[top:], hidden, 0)
