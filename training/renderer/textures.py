# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Procedural, tileable textures, made once per process and seeded by their own names."""
from __future__ import annotations

from functools import lru_cache
import zlib

import cv2
import numpy as np

SIZE = 1024  # texels along a side of every ground texture
MACRO_TILE = 48.0  # metres: tone, patches, seams, tyre marks
DETAIL_TILE = 4.2  # metres: grain, stones, cracks, blades
LEVELS = 8

Pyramid = tuple[np.ndarray, ...]


def texture_rng(*key: object) -> np.random.Generator:
    """Return the generator that belongs to a texture's name, the same in every process."""
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def fractal(rng: np.random.Generator, size: int | tuple[int, int], first: int, octaves: int,
            persistence: float = 0.55) -> np.ndarray:
    """Return tileable noise of unit deviation, float32; `first` cells down the coarsest octave."""
    rows, columns = (size, size) if isinstance(size, int) else size
    total = np.zeros((rows, columns), np.float32)
    for octave in range(octaves):
        cells = first * 2 ** octave
        across = max(1, cells * columns // rows)
        if cells > rows:
            break
        grid = rng.standard_normal((cells, across), dtype=np.float32)
        grid = cv2.copyMakeBorder(grid, 2, 2, 2, 2, cv2.BORDER_WRAP)
        sy, sx = rows // cells, columns // across
        fine = cv2.resize(grid, ((across + 4) * sx, (cells + 4) * sy),
                          interpolation=cv2.INTER_CUBIC)[2 * sy:, 2 * sx:]
        fine = cv2.copyMakeBorder(fine, 0, max(0, rows - fine.shape[0]), 0,
                                  max(0, columns - fine.shape[1]), cv2.BORDER_REPLICATE)
        total += persistence ** octave * fine[:rows, :columns]
    return (total - total.mean()) / (total.std() + 1e-6)


def _pyramid(values: np.ndarray) -> Pyramid:
    """Return a texture and its halvings; averaging 2x2 keeps a tileable texture tileable."""
    levels = [_to_texture(values)]
    for size in (SIZE >> level for level in range(1, LEVELS)):
        levels.append(cv2.resize(levels[-1], (size, size), interpolation=cv2.INTER_AREA))
    return tuple(levels)


def _wrapped_polyline(canvas: np.ndarray, points: np.ndarray, value: int, thickness: int) -> None:
    for dx in (-SIZE, 0, SIZE):
        for dy in (-SIZE, 0, SIZE):
            shifted = np.rint((points + (dx, dy)) * 8).astype(np.int32)
            cv2.polylines(canvas, [shifted], False, value, thickness, cv2.LINE_AA, 3)


def _walk(rng: np.random.Generator, steps: int, step: float, wander: float) -> np.ndarray:
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, wander, steps))
    start = rng.uniform(0, SIZE, 2)
    return start + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * step, axis=0)


def _to_texture(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _asphalt_macro(rng: np.random.Generator) -> np.ndarray:
    tone = rng.uniform(82, 150)
    tint = np.array([rng.uniform(-7, 7), 0, rng.uniform(-6, 6)])
    image = np.float32(tone + tint) + 7 * fractal(rng, SIZE, 4, 6)[..., None]
    image += 3 * fractal(rng, SIZE, 128, 3)[..., None]
    marks = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(2, 6)):  # repaired patches
        patch = np.zeros((SIZE, SIZE), np.uint8)
        x, y = rng.uniform(0, SIZE, 2)
        box = cv2.boxPoints(((x, y), tuple(rng.uniform(40, 260, 2)),
                             float(rng.choice([0, 0, 90, 12]))))
        cv2.fillConvexPoly(patch, np.int32(box), 255, cv2.LINE_AA)
        image += (patch / np.float32(255) * rng.uniform(-20, 14))[..., None]
        cv2.polylines(marks, [np.int32(box)], True, 90, 1, cv2.LINE_AA)
    for _ in range(rng.integers(3, 10)):  # sealed cracks
        _wrapped_polyline(marks, _walk(rng, 60, 9, 0.25), 110, 1)
    for seam in np.arange(0, SIZE, SIZE / rng.integers(4, 10)):  # paver lanes
        cv2.line(marks, (int(seam), 0), (int(seam), SIZE), 70, 1, cv2.LINE_AA)
    rubber = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(4, 16)):
        path = _walk(rng, 50, 10, 0.06)
        for side in (0, 30):  # two wheels, 1.4 m apart
            _wrapped_polyline(rubber, path + (side, 0), int(rng.integers(40, 200)), 5)
    rubber = cv2.GaussianBlur(rubber, (0, 0), 1.6) * np.clip(
        0.6 + 0.5 * fractal(rng, SIZE, 8, 5), 0, 1)
    stains = np.clip(fractal(rng, SIZE, 6, 5) - 1.5, 0, 1)
    image -= (0.25 * marks + 0.14 * rubber + 26 * stains)[..., None]
    return image


def _concrete_macro(rng: np.random.Generator) -> np.ndarray:
    tone = rng.uniform(125, 180)
    image = np.float32([tone - 8, tone, tone + 3]) + 8 * fractal(rng, SIZE, 4, 7)[..., None]
    slabs = int(rng.integers(6, 13))
    shade = rng.normal(0, 6, (slabs, slabs)).astype(np.float32)
    image += cv2.resize(shade, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)[..., None]
    joints = np.zeros((SIZE, SIZE), np.uint8)
    for at in np.arange(0, SIZE, SIZE / slabs):
        cv2.line(joints, (int(at), 0), (int(at), SIZE), 200, 2, cv2.LINE_AA)
        cv2.line(joints, (0, int(at)), (SIZE, int(at)), 200, 2, cv2.LINE_AA)
    for _ in range(8):
        _wrapped_polyline(joints, _walk(rng, 50, 8, 0.4), 120, 1)
    return image - 0.3 * joints[..., None]


def _paving_macro(rng: np.random.Generator) -> np.ndarray:
    tone = rng.uniform(100, 160)
    warm = rng.uniform(0, 22)
    return np.float32([tone - warm, tone, tone + warm]) + 10 * fractal(rng, SIZE, 4, 7)[..., None]


def _grass_macro(rng: np.random.Generator) -> np.ndarray:
    low = (rng.uniform(20, 50), rng.uniform(70, 105), rng.uniform(55, 95))
    high = (rng.uniform(50, 95), rng.uniform(115, 150), rng.uniform(105, 160))
    share = np.clip(0.5 + 0.25 * fractal(rng, SIZE, 6, 8, 0.7), 0, 1)[..., None]
    image = np.float32(low) * (1 - share) + np.float32(high) * share
    bare = np.clip(fractal(rng, SIZE, 5, 6) - 1.4, 0, 1)[..., None]
    return image * (1 - bare) + np.float32([85, 115, 140]) * bare


def _gravel_macro(rng: np.random.Generator) -> np.ndarray:
    tone = rng.uniform(115, 165)
    noise = fractal(rng, SIZE, 6, 8, 0.7)[..., None]
    return np.float32([tone - 22, tone - 6, tone + 6]) + 9 * noise


def _asphalt_detail(rng: np.random.Generator) -> np.ndarray:
    grain = 128 + rng.uniform(8, 15) * fractal(rng, SIZE, 128, 4, 1.1)
    grain += 5 * fractal(rng, SIZE, 8, 4)
    stones = rng.random((SIZE, SIZE)) < rng.uniform(0.004, 0.02)
    grain += cv2.GaussianBlur(stones.astype(np.float32), (0, 0), 0.9) * rng.uniform(90, 220)
    return grain


def _smooth_detail(rng: np.random.Generator) -> np.ndarray:
    grain = 128 + 7 * fractal(rng, SIZE, 32, 6, 0.9)
    pits = rng.random((SIZE, SIZE)) < 0.002
    return grain - 150 * cv2.GaussianBlur(pits.astype(np.float32), (0, 0), 1.2)


def _paving_detail(rng: np.random.Generator) -> np.ndarray:
    rows, columns = int(rng.choice([16, 32, 40])), int(rng.choice([16, 20, 32]))
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    row = np.floor(y * rows / SIZE)
    along = x * columns / SIZE + 0.5 * (row % 2)
    tone = rng.normal(0, 11, (rows, columns + 1)).astype(np.float32)
    tone[:, -1] = tone[:, 0]
    brick = tone[row.astype(int) % rows, np.floor(along).astype(int) % columns]
    gap_y = np.abs((y * rows / SIZE) % 1 - 0.5) > 0.5 - 1.6 * rows / SIZE
    gap_x = np.abs(along % 1 - 0.5) > 0.5 - 1.6 * columns / SIZE
    joints = cv2.GaussianBlur((gap_x | gap_y).astype(np.float32), (0, 0), 0.8)
    return 128 + brick + 7 * fractal(rng, SIZE, 64, 5, 0.9) - 45 * joints


def _grass_detail(rng: np.random.Generator) -> np.ndarray:
    blades = np.full((SIZE, SIZE), 118, np.uint8)
    root, angle = rng.uniform(0, SIZE, (9000, 2)), rng.uniform(0, np.pi, (9000, 1))
    tip = root + np.hstack([np.cos(angle), np.sin(angle)]) * rng.uniform(6, 22, (9000, 1))
    tones = rng.integers(60, 190, 9000).tolist()
    for start, end, tone in zip(root.astype(int).tolist(), tip.astype(int).tolist(), tones):
        cv2.line(blades, start, end, tone, 1, cv2.LINE_AA)
    return blades + 13 * fractal(rng, SIZE, 8, 6, 0.8)


def _gravel_detail(rng: np.random.Generator) -> np.ndarray:
    stones = np.full((SIZE, SIZE), 80, np.uint8)
    places, axes = rng.integers(0, SIZE, (9000, 2)).tolist(), rng.integers(2, 8, (9000, 2))
    turns, tones = rng.uniform(0, 180, 9000).tolist(), rng.integers(85, 190, 9000).tolist()
    for place, axis, turn, tone in zip(places, axes.tolist(), turns, tones):
        cv2.ellipse(stones, place, axis, turn, 0, 360, tone, -1, cv2.LINE_AA)
    return stones + 6 * fractal(rng, SIZE, 128, 3, 1.0)


_SURFACES = {
    'asphalt': (_asphalt_macro, _asphalt_detail),
    'concrete': (_concrete_macro, _smooth_detail),
    'paving': (_paving_macro, _paving_detail),
    'grass': (_grass_macro, _grass_detail),
    'gravel': (_gravel_macro, _gravel_detail),
}


@lru_cache(maxsize=48)
def surface(kind: str, number: int) -> tuple[Pyramid, Pyramid]:
    """
    Return ground texture `number` of a kind: asphalt, concrete, paving, grass or gravel.

    Colour (SIZE, SIZE, 3) over MACRO_TILE and grain (SIZE, SIZE), 128 = neutral, over DETAIL_TILE.
    """
    rng = texture_rng('surface', kind, number)
    return tuple(_pyramid(draw(rng)) for draw in _SURFACES[kind])


@lru_cache(maxsize=16)
def noise_map(name: str, number: int = 0, octaves: int = 6, first: int = 4,
              persistence: float = 0.55) -> np.ndarray:
    """Return tileable noise (SIZE, SIZE) uint8, mean 128, standard deviation about 42."""
    rng = texture_rng(name, number)
    return _to_texture(128 + 42 * fractal(rng, SIZE, first, octaves, persistence))
