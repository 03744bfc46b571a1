# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Light and weather of a scene."""
from __future__ import annotations

from dataclasses import dataclass
import math

from eunet_ros.training.renderer.profiles import Profile
import numpy as np

Colour = tuple[float, float, float] | np.ndarray  # BGR


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
