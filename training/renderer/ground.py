# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground plane: surfaces anchored to the world, painted lines, rubber, puddles, shadows."""
from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
from eunet_ros.training.renderer import textures
from eunet_ros.training.renderer.camera import Camera
from eunet_ros.training.renderer.light import fill_window, ground_polygon, Light
from eunet_ros.training.renderer.textures import Pyramid, SIZE
import numpy as np

_STRIP = 24  # rows of a mark that are painted at once

Pose = tuple[float, float, float]  # x, y in metres, yaw in radians: vehicle in world


@dataclass(frozen=True)
class Border:
    """A second surface where nx * x + ny * y > offset (world metres), with a ragged edge."""

    kind: str
    number: int
    nx: float
    ny: float
    offset: float
    rag: float


@dataclass(frozen=True)
class Mark:
    """Flat shapes on the ground: `lines` of (n, 2) world metres; ribbons if `width` > 0."""

    lines: tuple[np.ndarray, ...]
    width: float
    colour: tuple[float, float, float]  # BGR
    opacity: float
    worn: float = 0.0


@dataclass(frozen=True)
class Ground:
    """Surfaces and marks of the ground plane."""

    kind: str
    number: int
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)  # BGR
    grain: float = 1.0  # contrast of the detail texture
    wetness: float = 0.0
    borders: tuple[Border, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class GroundView:
    """The ground point of every pixel of rows [top, height)."""

    top: int
    mixed: int  # number of its first rows that also show sky
    x: np.ndarray  # world metres, float32 (rows, width)
    y: np.ndarray
    distance: np.ndarray  # optical depth in metres
    row_depth: np.ndarray  # typical depth of a row


def look_at_ground(camera: Camera, rays: np.ndarray, pose: Pose) -> GroundView:
    """Intersect pixel rays (3, height, width), in world axes, with the ground plane."""
    # Three columns suffice: along a row the horizon is monotonic, except for distortion.
    probe = rays[2][:, [0, camera.width // 2, -1]]
    falls = probe.min(axis=1) < -1e-3
    top = int(np.argmax(falls)) if falls.any() else camera.height
    depth = np.float32(-camera.mount_height) / np.minimum(rays[2, top:], np.float32(-1e-3))
    x = depth * rays[0, top:]
    x += np.float32(pose[0])
    y = depth * rays[1, top:]
    y += np.float32(pose[1])
    level = probe[top:].max(axis=1) < -1e-3
    mixed = int(np.argmax(level)) if level.any() else len(level)
    return GroundView(top, mixed, x, y, depth, depth[:, camera.width // 2])


def _levels(view: GroundView, camera: Camera, texel: float) -> np.ndarray:
    """Return the pyramid level per row whose texel is about as large as a pixel's footprint."""
    # Across: depth / f. Along: depth^2 / (height f). Their geometric mean serves both.
    footprint = view.row_depth ** 1.5 / (camera.focal * np.sqrt(camera.mount_height))
    return np.clip(np.floor(np.log2(footprint / texel) + 0.25), 0, textures.LEVELS - 1).astype(int)


def _wrapped(metres: np.ndarray, tile: float) -> np.ndarray:
    shares = metres * np.float32(1 / tile)
    shares -= np.floor(shares)
    return shares


def _sample(levels: Pyramid, rows: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Look up positions u, v within a tile in a pyramid, with one level per row."""
    out = np.empty(u.shape + levels[0].shape[2:], np.uint8)
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    for start, stop in zip(starts, np.append(starts[1:], len(rows))):
        level = levels[rows[start]]
        size = np.float32(level.shape[0])
        out[start:stop] = cv2.remap(level, u[start:stop] * size, v[start:stop] * size,
                                    cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return out


def _noise(name: str, octaves: int, x: np.ndarray, y: np.ndarray, tile: float) -> np.ndarray:
    """Look up noise (mean 128) at world positions; it repeats every `tile` metres."""
    u, v = (_wrapped(metres, tile) * np.float32(SIZE) for metres in (x, y))
    return cv2.remap(textures.noise_map(name, 0, octaves), u, v, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_WRAP)


def _textured(kind: str, number: int, view: GroundView, camera: Camera,
              grain: float) -> np.ndarray:
    tone, fine = textures.surface(kind, number)
    macro = _sample(tone, _levels(view, camera, textures.MACRO_TILE / SIZE),
                    *(_wrapped(metres, textures.MACRO_TILE) for metres in (view.x, view.y)))
    rows = _levels(view, camera, textures.DETAIL_TILE / SIZE)
    # Beyond the coarsest levels the grain has averaged out: leave those rows as they are.
    close = rows < textures.LEVELS - 2
    if close.any():
        near = int(np.argmax(close))
        detail = _sample(fine, rows[near:], *(_wrapped(metres[near:], textures.DETAIL_TILE)
                                              for metres in (view.x, view.y)))
        if grain != 1.0:
            detail = cv2.convertScaleAbs(detail, alpha=grain, beta=128 * (1 - grain))
        cv2.multiply(macro[near:], cv2.merge([detail] * 3), macro[near:], scale=1 / 128)
    return macro


def blend(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> None:
    """Blend `colour` (h, w, 3) uint8 over `image` in place by alpha (h, w) float32 in [0, 1]."""
    cv2.blendLinear(colour, image, alpha, 1 - alpha, image)


def stamp(plane: np.ndarray, solid: np.ndarray, value: int) -> None:
    """Set `plane` (h, w) uint8 to a value in place where `solid` (h, w) uint8 is 1, not 0."""
    # Twenty times as fast as indexing with a boolean array.
    plane *= 1 - solid
    if value:
        plane += np.uint8(value) * solid


def _draw_borders(texture: np.ndarray, ground: Ground, view: GroundView, camera: Camera) -> None:
    for border in ground.borders:
        # Two pixels are fine enough for an edge that is never sharper than that.
        x, y = (np.ascontiguousarray(part[::2, ::2]) for part in (view.x, view.y))
        side = x * np.float32(border.nx) + y * np.float32(border.ny)
        ragged = _noise('border', 6, x, y, 17.0).astype(np.float32)
        side += (ragged - 128) * np.float32(border.rag / 100) - np.float32(border.offset)
        side /= 0.12 + view.distance[::2, ::2] * np.float32(2.5 / camera.focal)
        alpha = np.clip(side + 0.5, 0, 1)
        shown = np.flatnonzero(alpha.max(axis=1) > 0.004)
        if len(shown) == 0:
            continue
        rows = slice(2 * int(shown[0]), min(2 * int(shown[-1]) + 2, len(view.row_depth)))
        alpha = cv2.resize(alpha[shown[0]:shown[-1] + 1], (camera.width, rows.stop - rows.start))
        part = replace(view, x=view.x[rows], y=view.y[rows], row_depth=view.row_depth[rows])
        blend(texture[rows], _textured(border.kind, border.number, part, camera, 1.0), alpha)


def to_vehicle(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Turn world points (n, 2) into vehicle points (n, 2)."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return (points - np.asarray(pose[:2])) @ np.array([[c, -s], [s, c]])


def _outline(line: np.ndarray, width: float) -> np.ndarray:
    if width <= 0:
        return line
    normal = np.empty(line.shape)
    along = normal[:, ::-1]  # as np.gradient, but five times as fast
    along[1:-1] = (line[2:] - line[:-2]) / 2
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    normal[:, 0] *= -1
    squares = normal * normal
    length = np.sqrt(squares[:, :1] + squares[:, 1:])
    normal *= 0.5 * width / np.maximum(length, 1e-9)
    return np.concatenate([line + normal, (line - normal)[::-1]])


def _draw_marks(texture: np.ndarray, ground: Ground, view: GroundView, camera: Camera,
                pose: Pose) -> None:
    for mark in ground.marks:
        places = [to_vehicle(_outline(line, mark.width), pose) for line in mark.lines]
        outlines = [ground_polygon(camera, place) for place in places if place[:, 0].max() > 0.2]
        outlines = [outline - (0, view.top) for outline in outlines if outline is not None]
        found = fill_window(texture.shape[:2], outlines) if outlines else None
        if found is None:
            continue
        top, left, filled = found
        # A ribbon across the image fills little of its window: most of each strip is skipped.
        for row in range(0, len(filled), _STRIP):
            x, y, wide, tall = cv2.boundingRect(filled[row:row + _STRIP])
            y += row
            if wide:
                window = np.s_[top + y:top + y + tall, left + x:left + x + wide]
                _paint(texture, mark, filled[y:y + tall, x:x + wide], view, window)


def _paint(texture: np.ndarray, mark: Mark, alpha: np.ndarray, view: GroundView,
           window: tuple[slice, slice]) -> None:
    """Paint a mark's colour on a window of the texture, in place, by alpha (h, w) uint8."""
    if mark.worn > 0:
        wear = _noise('wear', 8, view.x[window], view.y[window], 3.1)
        # Noise below the worn share lets the ground through, with soft edges.
        level = 128 - 90 * (0.9 - mark.worn)
        wear = cv2.convertScaleAbs(np.maximum(wear, np.uint8(level + 6)), alpha=255 / 40,
                                   beta=-255 / 40 * level)
        alpha = cv2.multiply(alpha, wear, scale=1 / 255)
    colour = np.full((*alpha.shape, 3), mark.colour, np.uint8)
    blend(texture[window], colour, alpha * np.float32(mark.opacity / 255))


def _draw_water(texture: np.ndarray, ground: Ground, view: GroundView, light: Light) -> None:
    noise = _noise('water', 4, view.x, view.y, 23.0).astype(np.float32)
    alpha = np.clip((noise - np.float32(215 - 110 * ground.wetness)) / 14, 0, 1)
    # A film everywhere, mirrors in hollows; both stronger at grazing angles.
    alpha = (np.float32(0.25 * ground.wetness) + np.float32(0.75) * alpha) * np.clip(
        view.distance / 25, 0.25, 0.85)
    colour = np.clip(0.75 * np.array(light.horizon) + 0.2 * np.array(light.zenith), 0, 255)
    blend(texture, np.full(texture.shape, colour, np.uint8), alpha)


def _draw_haze(texture: np.ndarray, view: GroundView, light: Light) -> None:
    near = view.row_depth * light.haze < 0.012  # less is invisible
    rows = int(np.argmax(near)) if near.any() else len(near)
    if rows == 0:
        return
    # Depth changes slowly along a row.
    veil = 1 - np.exp(view.distance[:rows, ::8] * np.float32(-light.haze))
    veil = cv2.resize(veil, (texture.shape[1], rows))
    blend(texture[:rows], np.full((rows, *texture.shape[1:]), light.horizon, np.uint8), veil)


def draw_ground(image: np.ndarray, ground: Ground, view: GroundView, camera: Camera, pose: Pose,
                light: Light) -> None:
    """Draw the ground into `image` (height, width, 3) uint8, in place, below the horizon."""
    if view.top >= camera.height:
        return
    texture = _textured(ground.kind, ground.number, view, camera, ground.grain)
    _draw_borders(texture, ground, view, camera)
    _draw_marks(texture, ground, view, camera, pose)
    lit = np.array(light.ambient) + np.array(light.sun) * np.sin(light.elevation)
    lit = lit * np.array(ground.gain) * 0.92 * (1 - 0.45 * ground.wetness)
    table = np.clip(np.arange(256)[:, None] * lit, 0, 255).astype(np.uint8)[:, None]
    texture = cv2.LUT(texture, table)
    if ground.wetness > 0:
        _draw_water(texture, ground, view, light)
    _draw_haze(texture, view, light)
    # Rows that hold the horizon also show sky: only rays that fall belong to the ground.
    part = image[view.top:view.top + view.mixed]
    falls = (view.distance[:view.mixed] < 999 * camera.mount_height)[..., None]
    np.copyto(part, texture[:view.mixed], where=falls)
    image[view.top + view.mixed:] = texture[view.mixed:]
