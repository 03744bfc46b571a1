# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes and colours of Formula Student cones, as new, and as they are after some events."""
from __future__ import annotations

import colorsys
from dataclasses import dataclass
import math

from eunet_ros.model.common.classes import cone_classes
from eunet_ros.training.renderer.light import Colour
from eunet_ros.training.renderer.profiles import Cone, Profile
import numpy as np

# BGR of clean plastic in neutral light.
_BODY = {Cone.BLUE: (165, 78, 18), Cone.YELLOW: (18, 196, 238), Cone.ORANGE: (30, 88, 238),
         Cone.LARGE_ORANGE: (28, 84, 236)}
_WHITE, _BLACK = (232, 234, 232), (34, 32, 32)
_LETTERS = ('SG', 'FS', 'FSG', 'FSA', 'FSN', 'E7', '12', 'DV')
# In no colour of a class: without its band, too, a cone belongs to the class of its colour.
_UNKNOWN_BODY = ((60, 160, 40), (215, 215, 215), (40, 210, 190), (60, 60, 60), (150, 60, 120))


@dataclass(frozen=True)
class ConeLook:
    """One cone's shape (metres) and colours (BGR, 0 to 255)."""

    class_id: int
    height: float
    base: float  # side of the square plate
    plate: float  # its thickness
    radius_bottom: float
    radius_top: float
    rims: tuple[float, ...]  # six heights: bottom, first band, second band, top
    body: tuple[float, float, float]
    band: tuple[float, float, float]
    banded: bool
    peeled: np.ndarray | None  # (4, 2) fractions of the body's box, where a sticker is torn
    dirt: float
    dirt_at: tuple[int, int]
    gloss: float
    bend: tuple[float, float] = (0.0, 0.0)  # metres that the tip is off the axis
    squash: tuple[float, ...] = (1.0,) * 6  # of each rim's radius
    letters: str = ''  # on the band
    letters_at: float = 0.0  # sideways, -1 to 1 across the band
    glint: float = 0.0  # how much the plate mirrors the sun, as a share of white


def _aged(draws: list[float], colour: Colour, profile: Profile, fade: float,
          turn: float) -> tuple[float, ...]:
    """Return BGR after sun and weather; draws: three in [0, 1); turn: of the hue [degrees]."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour[::-1]))
    hue = (hue + ((2 * draws[0] - 1) * profile.hue_jitter + turn) / 360) % 1
    saturation = min(saturation * (1 - 0.75 * fade) * (0.92 + 0.13 * draws[1]), 1)
    value = min(value * (1 + 0.3 * fade) * (0.82 + 0.3 * draws[2]), 1)
    return tuple(255 * channel for channel in colorsys.hsv_to_rgb(hue, saturation, value)[::-1])


def _between(draw: float, bounds: tuple[float, float]) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * draw


def sample_look(rng: np.random.Generator, class_id: int, profile: Profile) -> ConeLook:
    """Draw one cone of a class."""
    # One call for all numbers: a scene has dozens of cones.
    d = rng.random(32).tolist()
    large = class_id == Cone.LARGE_ORANGE or (class_id == Cone.UNKNOWN and d[0] < 0.15)
    height, base = cone_classes().sizes[Cone.LARGE_ORANGE if large else Cone.ORANGE]
    if class_id == Cone.UNKNOWN and d[24] < 0.4:  # of other makers
        height, base = _between(d[25], (0.22, 0.75)), _between(d[26], (0.18, 0.36))
    plate = _between(d[1], (0.022, 0.032))
    if large:
        low, high = _between(d[2], (0.26, 0.36)), _between(d[3], (0.56, 0.66))
        rims = (low, low + _between(d[4], (0.14, 0.2)), high, high + _between(d[5], (0.12, 0.17)))
    else:
        low = _between(d[2], (0.32, 0.46))
        rims = (low, low + _between(d[4], (0.22, 0.3)), 1.0, 1.0)
    band = _BLACK if class_id == Cone.YELLOW else _WHITE
    banded = d[6] >= profile.sticker_missing
    if class_id == Cone.UNKNOWN:
        body = _UNKNOWN_BODY[int(d[7] * len(_UNKNOWN_BODY))]
        banded = d[8] < 0.5
        if d[9] > 0.7:
            band = (20 + 210 * d[10], 20 + 210 * d[11], 20 + 210 * d[12])
    else:
        body = _BODY[class_id]
        if class_id == Cone.BLUE:  # from navy to sky blue
            body = (body[0] + 45 * d[7], body[1] + 30 * d[7], body[2] + 14 * d[7])
    radius = 1.0
    hue = (_between(d[8], profile.orange_hue_deg)
           if class_id in (Cone.ORANGE, Cone.LARGE_ORANGE) else 0.0)
    if profile.plain_band and rng.random() < profile.plain_band:
        if large:
            height, radius = rng.uniform(0.45, 0.8), rng.uniform(0.7, 1)
        else:
            low = rng.uniform(0.25, 0.55)
            rims = (low, low + rng.uniform(0.18, 0.4), 1.0, 1.0)
        if class_id != Cone.YELLOW:
            band = (rng.uniform(90, 200),) * 3
    peeled = (rng.uniform(0.1, 0.9, 2) + rng.uniform(-0.35, 0.35, (4, 2))
              if d[13] < profile.sticker_damaged else None)
    tone = _between(d[14], (0.78, 1.06))
    bend, squash = (0.0, 0.0), (1.0,) * 6
    if d[27] < profile.dented:
        bend = tuple((rng.normal(0, 0.045, 2) * height).tolist())
        squash = tuple(np.clip(rng.normal(1, 0.09, 6), 0.72, 1.2).tolist())
    flare = _between(d[28], (1.0, 1.16))  # the foot of the cone widens into its plate
    squash = (squash[0] * flare,) + squash[1:]
    letters = (_LETTERS[int(d[30] * len(_LETTERS))]
               if d[29] < profile.lettered and banded and not large else '')
    glint = rng.uniform(0, profile.glint) if profile.glint else 0.0
    body = _aged(d[17:20], body, profile, _between(d[20], profile.fade) * d[21], hue)
    if profile.unlit and rng.random() < profile.unlit:
        dark = rng.uniform(0.45, 0.85)
        body, tone = tuple(dark * channel for channel in body), tone * math.sqrt(dark)
    return ConeLook(
        class_id, height, base, plate, radius * base * _between(d[15], (0.36, 0.42)),
        radius * base * _between(d[16], (0.085, 0.125)),
        (plate,) + tuple(plate + (height - plate) * rim for rim in rims) + (height,),
        body, tuple(min(channel * tone, 250) for channel in band), banded, peeled,
        _between(d[22], profile.dirt), (int(850 * d[23]), int(850 * d[5])), 0.8 * d[9], bend,
        squash, letters, 2 * d[31] - 1, glint)
