# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A drawing board for things around a track, and its colours."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
from eunet_ros.training.renderer.light import Colour
from eunet_ros.training.renderer.textures import noise_map, SIZE
import numpy as np

Points = Sequence[tuple[float, float]] | np.ndarray  # (n, 2) metres
ROWS = 320  # painted at this many rows, stored at half, with halvings for far away

WORDS = ('RACING', 'FORMULA STUDENT', 'TYRES', 'ENGINEERING', 'TECHNIK', 'MOTORSPORT', 'BOXEN',
         'START', 'E-DRIVE', 'SAFETY', 'P2', 'TEAM', 'UNIVERSITY', 'OIL', 'STEEL', '2026', 'EV')


@dataclass(frozen=True)
class Sprite:
    """BGRA pictures from large to small, and their size in metres."""

    levels: tuple[np.ndarray, ...]
    width: float
    height: float
    natural: bool  # plants keep their colours


def paint(rng: np.random.Generator, vivid: float = 0.6) -> np.ndarray:
    """Draw a BGR colour, with probability `vivid` one that cones or their bands have."""
    if rng.random() < vivid:
        base = ((170, 85, 20), (20, 195, 238), (30, 90, 238), (40, 40, 205), (235, 235, 235),
                (35, 33, 33), (190, 120, 50), (25, 120, 245))[rng.integers(8)]
        return np.clip(np.array(base) * rng.uniform(0.65, 1.1) + rng.normal(0, 9, 3), 0, 255)
    return np.clip(rng.uniform(30, 220) + rng.normal(0, 8, 3), 0, 255)


class Canvas:
    """A drawing board, transparent, in metres: origin at the bottom left, y up."""

    def __init__(self, width: float, height: float) -> None:
        self.size, self.scale = (width, height), ROWS / height
        columns = int(np.clip(round(width * self.scale), 16, 1600))
        self.scale_x = columns / width
        self.bgr = np.zeros((ROWS, columns, 3), np.uint8)
        self.alpha = np.zeros((ROWS, columns), np.uint8)

    def pixels(self, points: Points) -> np.ndarray:
        """Convert metres (n, 2) to fixed point with 4 fractional bits."""
        points = np.asarray(points, float)
        return np.rint(np.stack([points[:, 0] * self.scale_x,
                                 ROWS - points[:, 1] * self.scale], 1) * 16).astype(np.int32)

    def polygon(self, points: Points, colour: Colour) -> None:
        for target, value in ((self.bgr, tuple(colour)), (self.alpha, 255)):
            cv2.fillPoly(target, [self.pixels(points)], value, cv2.LINE_AA, 4)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.polygon(np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1), colour)

    def cylinder(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        edges = np.linspace(x0, x1, 10)
        for i in range(9):
            lit = 0.6 + 0.45 * np.cos((i + 0.5) / 9 * 2.4 - 0.7)
            self.box(edges[i], y0, edges[i + 1] + 0.2 * (x1 - x0) / 9, y1,
                     np.clip(np.array(colour) * lit, 0, 255))

    def text(self, words: str, x: float, y: float, tall: float, colour: Colour) -> None:
        """Write capitals `tall` metres high, from x, y, over the painted area."""
        scale = tall * self.scale / 22  # the font's capitals are 22 pixels high
        place = round(x * self.scale_x), round(ROWS - y * self.scale)
        cv2.putText(self.bgr, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale,
                    tuple(float(c) for c in colour), max(1, round(3.2 * scale)), cv2.LINE_AA)

    def foliage(self, rng: np.random.Generator, cover: np.ndarray, colour: Colour) -> None:
        """Draw leaves where `cover` (rows, columns) is high."""
        noise, depth = (board_noise(rng, self.alpha.shape, cells) for cells in (8, 6))
        leaf = (cover + 0.22 * noise) > 0.5
        rows = np.linspace(1.15, 0.6, ROWS)[:, None]
        tone = np.clip((1 + 0.24 * depth + 0.1 * noise) * rows, 0.25, 1.7)[..., None]
        self.bgr[leaf] = np.clip(np.array(colour) * tone, 0, 255)[leaf]
        self.alpha[leaf] = 255

    def finish(self, rng: np.random.Generator, natural: bool = False,
               relief: float = 0.0) -> Sprite:
        """Weather the picture and store its pyramid; relief: how strongly parts bulge."""
        shape = self.alpha.shape
        tone = 1 + 0.05 * board_noise(rng, shape, 4)
        tone += np.linspace(0.06, -0.12, shape[0], dtype=np.float32)[:, None]
        streaks = cv2.GaussianBlur(rng.normal(0, 0.06, (1, shape[1])), (0, 0), 1.5)
        streaks += rng.uniform(-0.12, 0.12) * np.linspace(-1, 1, shape[1])
        tone += streaks.astype(np.float32)
        if relief:
            tone += relief * self._bulge(rng.choice([-1, 1]))
        tone = np.clip(128 * tone, 0, 255).astype(np.uint8)
        bgr = cv2.multiply(self.bgr, cv2.merge([tone] * 3), scale=1 / 128)
        solid = self.alpha > 128
        # Transparent texels take the mean colour, or edges would get dark fringes.
        bgr[~solid] = cv2.mean(bgr, solid.view(np.uint8))[:3]
        picture = np.dstack([bgr, self.alpha])
        levels = []
        while min(picture.shape[:2]) >= 4 and len(levels) < 6:
            half = (max(2, picture.shape[1] // 2), max(2, picture.shape[0] // 2))
            picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
            levels.append(picture)
        return Sprite(tuple(levels), *self.size, natural)

    def _bulge(self, side: int) -> np.ndarray:
        """Return light (rows, columns), about -1 to 1, on shapes that rise from their edges."""
        grey = cv2.cvtColor(self.bgr, cv2.COLOR_BGR2GRAY)
        inside = ((self.alpha > 128) & (cv2.Laplacian(grey, cv2.CV_16S) == 0)).view(np.uint8)
        rise = np.sqrt(np.minimum(cv2.distanceTransform(inside, cv2.DIST_L2, 3), 26))
        rise = cv2.GaussianBlur(rise, (0, 0), 2.5)
        slope = side * cv2.Sobel(rise, cv2.CV_32F, 1, 0) + 0.8 * cv2.Sobel(rise, cv2.CV_32F, 0, 1)
        return np.clip(0.7 * slope, -1, 1)


def board_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Return noise of unit deviation and any shape, about `cells` patches down its side."""
    side = min(SIZE, 64 * cells)  # the map has a patch every 64 texels or so
    wide = min(SIZE, max(8, round(side * shape[1] / shape[0])))
    top, left = int(rng.integers(SIZE - side + 1)), int(rng.integers(SIZE - wide + 1))
    crop = noise_map('sprite', 0, 7, 16, 0.85)[top:top + side, left:left + wide]
    fine = cv2.resize(crop, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return (fine.astype(np.float32) - 128) * np.float32(1 / 42)
