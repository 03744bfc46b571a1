# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Light and weather of a scene; shadows in one map (height, width) uint8, 255 = black."""
from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from eunet_ros.training.renderer.camera import Camera, project
from eunet_ros.training.renderer.profiles import Profile
import numpy as np

Colour = tuple[float, float, float] | np.ndarray  # BGR
_LOWEST_SUN = 0.12  # sine of the elevation below which shadows get no longer
_WEAK_SUN = 0.12  # share of the light below which the sun casts no shadows
_NEAR = 0.25  # metres of depth: closer points are not projected
_SHADE = 0.85  # share of the sun's light that an object blocks from the ground behind it
_CONTACT = 0.5  # share of light that an object blocks from the ground below it


@dataclass(frozen=True)
class Light:
    """One sun, one sky. Gains are per BGR channel; a fully lit white surface is about 1."""

    azimuth: float  # of the sun, world frame, radians
    elevation: float  # radians
    ambient: Colour
    sun: Colour
    zenith: Colour  # sky colours, 0 to 255
    horizon: Colour
    clouds: float  # 0 clear to 1 overcast
    haze: float  # extinction per metre
    softness: float  # of cast shadows, 0 sharp to 1 blurred

    @property
    def direction(self) -> np.ndarray:
        c = math.cos(self.elevation)
        return np.array([c * math.cos(self.azimuth), c * math.sin(self.azimuth),
                         math.sin(self.elevation)])

    @property
    def sun_share(self) -> float:
        """How much of the light on level ground comes from the sun."""
        direct = self.sun[1] * math.sin(self.elevation)
        return direct / (direct + self.ambient[1])


def sample_light(rng: np.random.Generator, profile: Profile) -> Light:
    elevation = math.radians(rng.uniform(*profile.sun_elevation_deg))
    overcast = rng.random() < profile.overcast
    strength = rng.uniform(0.0, 0.12) if overcast else rng.uniform(*profile.sun_strength)
    clouds = rng.uniform(0.7, 1.0) if overcast else rng.uniform(*profile.clear_clouds)
    tint = rng.normal(0, profile.tint, 3)
    if rng.random() < profile.strong_tint:  # lamps, dusk
        tint += rng.normal(0, 0.25) * np.array([1.0, 0.1, -1.0])
    tint = np.clip(1 + tint - tint.mean(), 0.55, 1.5)
    low_sun = max(0.0, 1 - elevation / 0.5)
    warm = np.array([1 - 0.35 * low_sun, 1 - 0.1 * low_sun, 1 + 0.05 * low_sun])
    sun = strength * warm * tint
    ambient = (1 - 0.75 * strength) * np.array([1 + 0.1 * (1 - clouds), 1.0, 0.97]) * tint
    # Low sun lights the ground little, and the camera's exposure makes up for it.
    total = ambient[1] + sun[1] * math.sin(elevation)
    ambient, sun = ambient / total, sun / total
    grey = rng.uniform(165, 240)
    blue = np.array([rng.uniform(170, 220), rng.uniform(112, 158), rng.uniform(62, 112)])
    veiled = clouds if overcast else 0.5 * clouds ** 2
    zenith = (grey * 0.85 * veiled + blue * (1 - veiled)) * tint
    horizon = (grey * veiled + np.array([240, 226, 208]) * (1 - veiled)) * tint
    return Light(
        azimuth=rng.uniform(-math.pi, math.pi), elevation=elevation, ambient=tuple(ambient),
        sun=tuple(sun), zenith=tuple(np.clip(zenith, 0, 255)),
        horizon=tuple(np.clip(horizon, 0, 255)), clouds=clouds,
        haze=rng.uniform(*profile.haze_per_m) * rng.random(), softness=1 - strength)


def sun_in_vehicle(light: Light, yaw: float) -> np.ndarray:
    """Return the unit vector to the sun in a vehicle frame that is turned left by `yaw`."""
    c, s = math.cos(yaw), math.sin(yaw)
    x, y, z = light.direction
    return np.array([c * x + s * y, -s * x + c * y, z])


def ground_polygon(camera: Camera, points: np.ndarray) -> np.ndarray | None:
    """Project a ground polygon (n, 2), vehicle metres, to pixels; None if it is behind."""
    forward = camera.rotation[2]
    full = np.zeros((len(points), 3))
    full[:, :2] = points
    depth = full @ forward - camera.mount_height * forward[2] - _NEAR
    if (depth > 0).all():
        return project(camera, full)[0]
    kept = []  # cut where it comes too close
    for i in range(len(full)):
        j = (i + 1) % len(full)
        if depth[i] > 0:
            kept.append(full[i])
        if (depth[i] > 0) != (depth[j] > 0):
            kept.append(full[i] + (full[j] - full[i]) * depth[i] / (depth[i] - depth[j]))
    return project(camera, np.array(kept))[0] if len(kept) >= 3 else None


def _fixed(outline: np.ndarray) -> np.ndarray:
    """Turn pixels (n, 2) into the fixed point, 4 fractional bits, that cv2.fillPoly takes."""
    return np.rint(np.minimum(np.maximum(outline, -20000), 20000) * 16).astype(np.int32)


def fill_window(shape: tuple[int, int], outlines: list[np.ndarray], value: int = 255,
                soften: float = 0.0) -> tuple[int, int, np.ndarray] | None:
    """Rasterise polygons (n, 2) [px]; returns (top, left, alpha uint8), None if outside."""
    margin = 2 + int(3 * soften)
    stacked = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
    left, top = (max(int(x) - margin, 0) for x in stacked.min(axis=0))
    right, bottom = (int(x) + margin + 2 for x in stacked.max(axis=0))
    width, height = min(right, shape[1]) - left, min(bottom, shape[0]) - top
    if width <= 0 or height <= 0:
        return None
    alpha = np.zeros((height, width), np.uint8)
    fixed = [_fixed(outline - (left, top)) for outline in outlines]
    cv2.fillPoly(alpha, fixed, value, cv2.LINE_AA, 4)
    if soften > 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), soften)
    return top, left, alpha


def _add_shadow(shade: np.ndarray, pixels: np.ndarray, strength: float, soften: float) -> None:
    """Darken `shade` in place within a polygon (n, 2), pixels, blurred by `soften` pixels."""
    value = int(255 * strength)
    if soften <= 0.3:
        cv2.fillPoly(shade, [_fixed(pixels)], value, cv2.LINE_AA, 4)
        return
    found = fill_window(shade.shape, [pixels], value, min(soften, 12.0))
    if found is not None:
        top, left, alpha = found
        window = shade[top:top + alpha.shape[0], left:left + alpha.shape[1]]
        cv2.max(window, alpha, window)


def _add_on_ground(shade: np.ndarray, camera: Camera, outline: np.ndarray, strength: float,
                   soften: float) -> None:
    """As `_add_shadow`, of an outline (n, 2) on the ground, vehicle metres."""
    pixels = ground_polygon(camera, outline)
    if pixels is not None:
        _add_shadow(shade, pixels, strength, soften)


def add_cone_shadows(shade: np.ndarray, camera: Camera, points: np.ndarray, heights: list[float],
                     light: Light, yaw: float) -> None:
    """Add shadows of cones with hulls `points` (cones, n, 3), vehicle frame, and heights [m]."""
    sun, strength = sun_in_vehicle(light, yaw), light.sun_share
    sunny = strength > _WEAK_SUN
    under = points * (1, 1, 0)
    cast = under.copy()
    cast[..., :2] -= points[..., 2:] * sun[:2] / max(sun[2], _LOWEST_SUN)
    both = np.concatenate([under, cast], axis=1)
    pixels, depth = project(camera, both)
    pixels = pixels.astype(np.float32)
    count = points.shape[1]
    for i in range(len(points)):
        scale = camera.focal / max(float(depth[i, 0]), 0.3)  # pixels per metre
        small = heights[i] * scale < 9  # then one shape is enough
        if depth[i].min() < _NEAR:
            hull = cv2.convexHull(both[i, :, :2].astype(np.float32))[:, 0].astype(float)
            _add_on_ground(shade, camera, hull, 0.8 * max(strength, 0.3), 0.01 * scale)
            continue
        if not (small and sunny):
            hull = cv2.convexHull(pixels[i, :count])[:, 0]
            _add_shadow(shade, hull, _CONTACT, 0.0 if small else 0.022 * scale)
        if sunny:
            hull = cv2.convexHull(pixels[i])[:, 0]
            soft = 0.0 if small else (0.004 + 0.02 * light.softness) * scale
            _add_shadow(shade, hull, 0.92 * strength, soft)


def add_wall_shadow(shade: np.ndarray, camera: Camera, foot: np.ndarray, wide: float,
                    tall: float, light: Light, yaw: float) -> None:
    """Add the shadow of an upright picture at `foot` (x, y), vehicle metres, facing the camera."""
    distance = math.hypot(*foot)
    if not 0.5 < distance < 60:
        return
    across = np.array([-foot[1], foot[0]]) / distance * 0.5 * wide
    away = foot / distance * min(0.3, 0.3 * wide)
    scale = camera.focal / distance
    left, right = foot - across, foot + across
    if distance < 25:
        _add_on_ground(shade, camera, np.stack([left, right, right + away, left + away]),
                       0.9 * _CONTACT, min(0.05 * scale, 9))
    if light.sun_share <= _WEAK_SUN:
        return
    sun = sun_in_vehicle(light, yaw)
    drop = -sun[:2] * tall / max(sun[2], 0.2)
    # Straight edges bend in a lens: many corners follow the bend.
    share = np.linspace(0, 1, 9)[:, None]
    cast = np.concatenate([left + share * (right - left), right + share * drop,
                           right + drop + share * (left - right), left + drop - share * drop])
    _add_on_ground(shade, camera, cast, _SHADE * light.sun_share, min(0.03 * scale, 9))


def add_ground_shadow(shade: np.ndarray, camera: Camera, outline: np.ndarray,
                      light: Light) -> None:
    """Add a shadow on the ground of outline (n, 2), vehicle metres, cast by something unseen."""
    if light.sun_share > _WEAK_SUN:
        _add_on_ground(shade, camera, outline, _SHADE * light.sun_share, 1.0 + 4 * light.softness)


def share_of_sun(shade: np.ndarray, camera: Camera, feet: np.ndarray, light: Light) -> np.ndarray:
    """Return the share (n,) of the sun's light that `shade` leaves on the ground at `feet`."""
    if not len(feet) or light.sun_share <= _WEAK_SUN:
        return np.ones(len(feet))
    pixels, _ = project(camera, feet * (1, 1, 0))
    column, row = np.rint(np.clip(pixels, -1, 1 << 15)).astype(int).T
    inside = (row >= 0) & (column >= 0) & (row < shade.shape[0]) & (column < shade.shape[1])
    dark = np.zeros(len(feet))
    dark[inside] = shade[row[inside], column[inside]]
    return 1 - np.minimum(dark / (255 * _SHADE * light.sun_share), 1)


def apply_shade(image: np.ndarray, shade: np.ndarray, top: int) -> None:
    if top < image.shape[0]:
        keep = cv2.bitwise_not(shade[top:])
        cv2.multiply(image[top:], cv2.merge([keep] * 3), image[top:], scale=1 / 255)
