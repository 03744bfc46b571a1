# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""The nose and front wheels of the car that carries the camera, at the image's lower edge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
from eunet_ros.training.data.synthetic.canvas import paint, Points
from eunet_ros.training.data.synthetic.light import Colour, Light
import numpy as np

_STRIPS = 22  # across the nose


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
    body: tuple[float, float, float]
    stripe: tuple[float, float, float]


def sample_own_car(rng: np.random.Generator) -> OwnCar:
    """Draw a car."""
    top = rng.uniform(0.76, 0.95)
    body = paint(rng, 0.5) if rng.random() < 0.7 else (38, 36, 35)  # or bare carbon
    return OwnCar(0.5 + rng.normal(0, 0.03), top, rng.uniform(0.16, 0.34), rng.uniform(0.03, 0.08),
                  bool(rng.random() < 0.6), min(top + rng.uniform(-0.02, 0.1), 0.96),
                  rng.uniform(0.07, 0.11), body, paint(rng, 0.7))


def _tyre(fill: Callable, x: float, y: float, wide: float, inner: float) -> None:
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


def draw_own_car(image: np.ndarray, mask: np.ndarray, instances: np.ndarray, car: OwnCar,
                 light: Light) -> None:
    """Draw the car over `image`, and erase what it hides from the masks, in place."""
    height, width = image.shape[:2]
    top = max(0, int(height * min(car.nose_top, car.wheel_top)) - 4)
    rows = height - top
    layer = np.zeros((rows, width, 3), np.uint8)
    alpha = np.zeros((rows, width), np.uint8)
    lit = np.array(light.ambient) * 0.8 + np.array(light.sun) * 0.5

    def fill(points: Points, colour: Colour):
        shape = np.rint((np.array(points) * (width, height) - (0, top)) * 16).astype(np.int32)
        cv2.fillPoly(layer, [shape], tuple(np.clip(np.array(colour) * lit, 0, 255)),
                     cv2.LINE_AA, 4)
        cv2.fillPoly(alpha, [shape], 255, cv2.LINE_AA, 4)

    centre, tip = car.centre, car.nose_top
    if car.wheels:
        for side in (-1, 1):
            x, y = centre + side * (car.nose_wide / 2 + 0.16), car.wheel_top
            for start, end in ((0.55, 0.35), (0.9, 0.5)):  # wishbones
                low, high = y + (1.05 - y) * start, y + (1.05 - y) * end
                fill([(centre, low), (x, high), (x, high + 0.011), (centre, low + 0.014)],
                     (36, 35, 35))
            _tyre(fill, x, y, car.wheel_wide, side)
    down = np.linspace(0, 1, 10)
    half = 0.5 * (car.nose_tip + (car.nose_wide - car.nose_tip) * down ** 0.75)
    half *= np.clip(down / 0.06 + 0.55, 0, 1)  # the tip is blunt
    row = tip + (1.04 - tip) * down
    edges = np.linspace(-1, 1, _STRIPS + 1)
    for left in edges[:-1]:
        # The nose is round: light from above, dark flanks, a highlight off its crest.
        right = left + 2 / _STRIPS
        middle = 0.5 * (left + right)
        shade = 0.32 + 0.7 * np.sqrt(1 - 0.97 * middle ** 2) + 0.3 * np.exp(
            -((middle + 0.28) / 0.12) ** 2)
        colour = np.array(car.stripe if abs(middle) < 0.16 else car.body) * shade
        bulge = 0.014 * (1 - middle ** 2)
        right = min(right + 0.03, 1.0)
        fill(np.concatenate([np.stack([centre + left * half, row - bulge], 1),
                             np.stack([centre + right * half, row - bulge], 1)[::-1]]), colour)
    layer = cv2.GaussianBlur(layer, (0, 0), max(0.5, width / 1100))
    share = alpha * np.float32(1 / 255)
    cv2.blendLinear(layer, image[top:], share, 1 - share, image[top:])
    hidden = alpha >= 128
    mask[top:][hidden] = 0
    instances[top:][hidden] = 0
