# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Ranges that the renderer draws from, one record per use.

A pair is a uniform range (low, high), a single number a probability or a bound, a mapping relative
weights. Code never branches on a profile's name: another setting is another record.
"""
from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from eunet_ros.model.common.classes import cone_classes
import numpy as np

Range = tuple[float, float]

# Class ids of the cones.
Cone = IntEnum('Cone', {name.upper(): cone_classes().id_of(f'{name}_cone') for name in (
    'blue', 'yellow', 'orange', 'large_orange', 'unknown')})


@dataclass(frozen=True)
class Profile:
    """Everything a scene is drawn from; lengths in metres, angles in degrees."""

    name: str
    # Mixed into every random seed, so that two profiles never share a scene, a texture or a track.
    salt: int
    layouts: dict[str, float] = field(default_factory=lambda: {
        'track': 0.52, 'scatter': 0.15, 'rows': 0.09, 'gate': 0.08, 'skidpad': 0.07, 'none': 0.16})
    # Class weights (blue, yellow, orange, large orange, unknown) where no rule fixes the colour.
    scatter_classes: tuple[float, ...] = (0.31, 0.33, 0.17, 0.10, 0.09)
    stray_unknown: float = 0.02  # share of cones of any layout that are of no known class

    # Camera
    mount_height: Range = (0.2, 1.6)
    pitch_deg: Range = (-4.0, 14.0)
    roll_deg: Range = (-5.0, 5.0)
    canted: float = 0.0  # share of images from a camera that leans, as on a helmet
    canted_deg: Range = (5.0, 22.0)
    hfov_deg: Range = (45.0, 120.0)
    telephoto: float = 0.12  # share of images taken from the side of the track, by hand
    telephoto_hfov_deg: Range = (14.0, 45.0)
    k1: Range = (-0.28, 0.06)
    onboard: float = 0.0  # share of images from a roll hoop or a helmet: much of the own car shows
    fisheye: float = 0.0  # share of onboard cameras with a fisheye lens
    principal_shift: float = 0.03

    # Track
    track_width: Range = (3.0, 4.6)
    cone_spacing: Range = (2.0, 5.0)
    track_radius: Range = (22.0, 55.0)
    lateral_offset: Range = (-1.6, 1.6)
    heading_error_deg: Range = (-35.0, 35.0)
    wrong_way: float = 0.12
    knocked_over: float = 0.04
    tilted: float = 0.08
    min_height_px: float = 3.1  # at a width of 640 pixels; smaller cones are left out

    # Cone looks
    hue_jitter: float = 7.0
    fade: Range = (0.0, 0.45)
    dirt: Range = (0.0, 0.55)
    sticker_missing: float = 0.06
    sticker_damaged: float = 0.12
    dented: float = 0.12
    lettered: float = 0.3  # of bands of small cones
    glint: float = 0.0  # maximum reflection of a low sun by a plate, as a share of white
    orange_hue_deg: Range = (0.0, 0.0)  # added to the hue of orange cones
    plain_band: float = 0.0  # share of grey bands, other places of bands and tall slim large cones
    unlit: float = 0.0  # share of cones that are darker than the light on them says

    # Light and weather
    sun_elevation_deg: Range = (6.0, 65.0)
    overcast: float = 0.42
    sun_strength: Range = (0.4, 0.95)  # on a day that is not overcast
    clear_clouds: Range = (0.0, 0.6)
    haze_per_m: Range = (0.0, 0.006)
    tint: float = 0.035
    strong_tint: float = 0.08
    wet: float = 0.12
    shaded: float = 0.25  # share of scenes with shadows of things outside the image
    indoor: float = 0.07

    # Ground
    surfaces: dict[str, float] = field(default_factory=lambda: {
        'asphalt': 0.66, 'concrete': 0.12, 'paving': 0.08, 'gravel': 0.06, 'grass': 0.08})
    textures: tuple[int, ...] = (0, 1, 2, 3, *range(30, 34))
    ground_tone: Range = (-0.25, 0.25)  # natural logarithm of its brightness
    second_surface: float = 0.6
    marks: Range = (0, 8)
    yellow_lines: float = 0.0  # share of painted lines

    # Surroundings
    backdrops: tuple[int, ...] = (*range(8), *range(30, 46))
    far_props: Range = (2, 16)
    near_props: Range = (0, 13)
    sprites: tuple[int, ...] = (*range(12), *range(30, 54))  # pictures of each kind of prop
    swapped_colours: float = 0.2  # of props
    own_car: float = 0.38
    oddments: float = 0.0  # share of scenes with reflector posts, weeds and the like

    # Camera pipeline
    exposure_stops: Range = (-0.75, 0.65)
    gamma: Range = (0.8, 1.3)
    contrast: Range = (0.8, 1.25)
    saturation: Range = (0.65, 1.3)
    white_balance: float = 0.06
    motion_blur: float = 0.16
    defocus: Range = (0.0, 1.0)
    read_noise: Range = (0.0, 4.0)
    shot_noise: Range = (0.0, 0.045)
    vignette: Range = (0.0, 0.45)
    flare: float = 0.10
    glare: float = 0.0  # share of images into the light: dark and veiled, with little colour
    overexposed: float = 0.0  # share of clipped and washed out images
    video: float = 0.0  # share of frames of videos: coarse colour, halos, few details
    smudges: float = 0.06  # scenes seen through a dirty lens
    bayer: float = 0.2
    rescale: float = 0.1
    sharpen: float = 0.45
    jpeg: float = 0.6
    jpeg_quality: Range = (40, 95)


# The base of the other profiles.
_PLAIN = Profile('plain', 0)

TRAIN = replace(_PLAIN, name='train', salt=11, canted=0.12, lettered=0.45, glint=1.0,
                oddments=0.35, glare=0.12, onboard=0.2, fisheye=0.6, orange_hue_deg=(-28.0, 8.0),
                plain_band=0.25, sticker_missing=0.12, unlit=0.2, yellow_lines=0.15,
                overexposed=0.08, video=0.45, motion_blur=0.22)

# Settings that training does not use: other textures, backdrops and props, and another camera.
BENCHMARK = replace(
    _PLAIN, name='benchmark', salt=23,
    layouts={'track': 0.8, 'scatter': 0.07, 'gate': 0.05, 'none': 0.08},
    mount_height=(0.7, 1.25), pitch_deg=(1.0, 9.0), roll_deg=(-2.5, 2.5), hfov_deg=(65.0, 100.0),
    telephoto=0.0, heading_error_deg=(-18.0, 18.0), textures=(4, 5), backdrops=(8, 9, 10),
    sprites=(12, 13, 14, 15), near_props=(0, 10), wrong_way=0.0)

# No cones, and many things in their colours: every detection is false.
CLUTTER = replace(
    BENCHMARK, name='clutter', salt=53, layouts={'none': 1.0}, textures=(6,), backdrops=(12, 13),
    sprites=(16, 17, 18, 19), far_props=(8, 20), near_props=(6, 16), marks=(2, 9))

# The objects of training, arranged as in CLUTTER: for hard examples, never for scores.
HARD = replace(
    TRAIN, name='hard', salt=71, layouts={'none': 1.0}, far_props=(8, 20), near_props=(6, 16),
    marks=(2, 9))

# One fixed camera on one car; `Drive` varies what changes from frame to frame.
DRIVE = replace(
    _PLAIN, name='drive', salt=37, textures=(7,), backdrops=(11,), sprites=(20, 21, 22, 23),
    surfaces={'asphalt': 1.0}, second_surface=1.0, marks=(4, 9), overcast=0.0,
    sun_strength=(0.6, 0.66), ground_tone=(0.2, 0.25), clear_clouds=(0.25, 0.4),
    swapped_colours=0.0, sun_elevation_deg=(28.0, 42.0), haze_per_m=(0.001, 0.002),
    tint=0.02, strong_tint=0.0, wet=0.0, hue_jitter=3.0, fade=(0.0, 0.18), dirt=(0.05, 0.4),
    sticker_missing=0.015, sticker_damaged=0.06, dented=0.02, lettered=0.0, telephoto=0.0,
    shaded=0.0, indoor=0.0, smudges=0.0, knocked_over=0.01, tilted=0.02, cone_spacing=(2.6, 4.6),
    far_props=(70, 80), near_props=(26, 34), track_radius=(34.0, 42.0), min_height_px=2.8,
    stray_unknown=0.0, exposure_stops=(0.3, 0.36), gamma=(0.97, 1.03), contrast=(1.02, 1.1),
    saturation=(0.95, 1.05), white_balance=0.02, motion_blur=0.0, defocus=(0.0, 0.0),
    read_noise=(1.5, 2.0), shot_noise=(0.01, 0.015), vignette=(0.12, 0.18), flare=0.0, bayer=0.0,
    rescale=0.0, sharpen=0.0, jpeg=0.0, own_car=1.0)

PROFILES = {profile.name: profile for profile in (TRAIN, BENCHMARK, CLUTTER, HARD, DRIVE)}


def get_profile(name: str) -> Profile:
    """Return the profile of that name; raises ValueError."""
    if name not in PROFILES:
        raise ValueError(
            f'Expected a profile among {sorted(PROFILES)}, found {name!r}; choose one of them.')
    return PROFILES[name]


def choose(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """Draw one key of `weights` with a probability proportional to its value."""
    draw = rng.random() * sum(weights.values())
    for key, weight in weights.items():
        draw -= weight
        if draw <= 0:
            return key
    return key
