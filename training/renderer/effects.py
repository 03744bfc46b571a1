# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera effects: exposure, colour, blur, noise, vignetting, flare, compression."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import cv2
from eunet_ros.training.renderer.profiles import Profile
from eunet_ros.training.renderer.textures import texture_rng
import numpy as np

_NOISE_STD = 32.0


@dataclass(frozen=True)
class Effects:
    """Settings of the camera pipeline; a strength of zero leaves a step out."""

    table: np.ndarray  # (256, 1, 3) uint8: exposure, white balance, contrast, gamma
    saturation: float
    defocus: float  # standard deviation in pixels
    motion: tuple[float, float]  # pixels (right, down)
    read_noise: float  # grey levels
    shot_noise: float  # share of the signal
    coarse_noise: bool
    chroma_noise: bool
    vignette: float
    flare: tuple[float, float, float] | None  # u, v as shares of the size, strength
    bayer: bool
    rescale: float  # size at which the picture once was stored
    sharpen: float
    jpeg_quality: int  # 0: not compressed
    ghosts: tuple[tuple[float, ...], ...] = ()  # of the flare: place along its axis, radius, BGR
    smudges: tuple[tuple[float, float, float, float], ...] = ()  # u, v, radius, share of light
    video: tuple[float, float, float, float] | None = None  # see `_as_video`


def sample_effects(rng: np.random.Generator, profile: Profile, width: int) -> Effects:
    """Draw the settings for an image `width` pixels wide."""
    # Exposed for the sky: things on the ground are dark, veiled and nearly grey.
    dimmed, veiled, vivid = 1.0, 0.0, 1.0
    if profile.glare and rng.random() < profile.glare:
        dimmed, veiled = 2.0 ** rng.uniform(-1.4, 0), rng.uniform(0, 0.3)
        vivid = rng.uniform(0.35, 0.9)
    gain = 2.0 ** rng.uniform(*profile.exposure_stops)
    balance = np.exp(rng.normal(0, profile.white_balance, 3) * (1, 0.4, 1))
    if vivid == 1 and profile.overexposed and rng.random() < profile.overexposed:
        gain, dimmed, veiled = 2.0 ** rng.uniform(0.3, 1.3), 1.0, rng.uniform(0, 0.35)
        vivid = rng.uniform(0.4, 1)
        balance = balance * (1 + rng.uniform(0, 0.12, 3) * (1, 0, 1.5))  # more so for pink
    contrast, gamma = rng.uniform(*profile.contrast), rng.uniform(*profile.gamma)
    lift = rng.uniform(0, 0.06) * rng.random()
    level = np.linspace(0, 1, 256)[:, None] * balance * (gain * dimmed)
    # A soft shoulder, as every camera has: highlights roll off before they clip.
    level = np.where(level > 0.75, 0.75 + 0.25 * np.tanh((level - 0.75) / 0.25), level)
    level = np.clip(0.45 + contrast * (level ** gamma - 0.45), 0, 1) * (1 - lift) + lift
    level = level * (1 - veiled) + veiled * rng.uniform(0.5, 1) if veiled else level
    table = np.clip(level * 255, 0, 255).astype(np.uint8)[:, None]
    scale = width / 640
    motion, flare, ghosts, smudges = (0.0, 0.0), None, [], []
    if rng.random() < profile.motion_blur:
        angle = rng.normal(0, 0.5) + (math.pi / 2 if rng.random() < 0.25 else 0)
        length = rng.uniform(1.5, 7) * scale
        motion = (length * math.cos(angle), length * math.sin(angle))
    noisy = rng.random() ** 1.5
    if rng.random() < profile.flare:
        flare = (rng.uniform(0, 1), rng.uniform(-0.1, 0.5), rng.uniform(0.2, 0.9))
    if dimmed < 1:  # the sky is overexposed
        flare = (rng.uniform(0, 1), rng.uniform(-0.1, 0.4), rng.uniform(0.5, 1.5))
    if flare is not None and rng.random() < 0.6:
        for _ in range(rng.integers(1, 6)):
            colour = rng.uniform(0, 1, 3) ** 2
            ghosts.append((rng.uniform(0.4, 2.2), rng.uniform(0.015, 0.12),
                           *(rng.uniform(20, 120) * colour / colour.max()).tolist()))
    if rng.random() < profile.smudges:
        smudges = [(rng.random(), rng.random(), rng.uniform(0.01, 0.12), rng.uniform(0.5, 1.1))
                   for _ in range(rng.integers(1, 9))]
    video, quality = None, profile.jpeg_quality
    if profile.video and rng.random() < profile.video:
        video = (rng.uniform(1, 5.5) * scale, rng.uniform(1, 12), rng.uniform(0, 1.4),
                 rng.uniform(0.8, 2.2) * math.sqrt(scale))
        quality = (22, 80)
    return Effects(
        table, vivid * rng.uniform(*profile.saturation),
        rng.uniform(*profile.defocus) * math.sqrt(rng.random() * scale),
        motion, rng.uniform(*profile.read_noise) * noisy, rng.uniform(*profile.shot_noise) * noisy,
        rng.random() < 0.4, rng.random() < 0.5, rng.uniform(*profile.vignette) * rng.random(),
        flare, rng.random() < profile.bayer,
        rng.uniform(0.5, 0.9) if rng.random() < profile.rescale else 1.0,
        rng.uniform(0.2, 0.9) if rng.random() < profile.sharpen else 0.0,
        int(rng.integers(*quality)) if rng.random() < profile.jpeg else 0,
        tuple(ghosts), tuple(smudges), video)


@lru_cache(maxsize=4)
def _noise_field(coarse: bool, chroma: bool) -> np.ndarray:
    """Return noise (1024, 1536, 3) uint8 around 128 with standard deviation 32."""
    rng = texture_rng('noise', coarse, chroma)
    shape = (1024, 1536, 3 if chroma else 1)
    field = rng.standard_normal(shape, dtype=np.float32)
    if chroma:
        field = 0.6 * field + 0.8 * rng.standard_normal(shape[:2] + (1,), dtype=np.float32)
    if coarse:
        field = cv2.GaussianBlur(field, (0, 0), 0.9).reshape(shape)
        field /= field.std()
    field = np.clip(128 + _NOISE_STD * field, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(field, shape[:2] + (3,)))


def _noise(rng: np.random.Generator, shape: tuple[int, ...], effects: Effects) -> np.ndarray:
    field = _noise_field(effects.coarse_noise, effects.chroma_noise)
    more = [max(0, shape[k] - field.shape[k]) for k in (0, 1)]
    if any(more):
        field = np.pad(field, ((0, more[0]), (0, more[1]), (0, 0)), 'wrap')
    top, left = (int(rng.integers(field.shape[k] - shape[k] + 1)) for k in (0, 1))
    return field[top:top + shape[0], left:left + shape[1]]


def _mosaic(image: np.ndarray) -> np.ndarray:
    """Sample one colour per pixel and interpolate, as a sensor with a Bayer filter does."""
    raw = image[..., 1].copy()
    raw[0::2, 0::2] = image[0::2, 0::2, 2]
    raw[1::2, 1::2] = image[1::2, 1::2, 0]
    return cv2.cvtColor(raw, cv2.COLOR_BayerBG2BGR)


def _motion_kernel(motion: tuple[float, float]) -> np.ndarray:
    reach = math.ceil(max(abs(motion[0]), abs(motion[1])) / 2) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    ends = [[round((reach + sign * pixels / 2) * 16) for pixels in motion] for sign in (-1, 1)]
    cv2.line(kernel, *ends, 1.0, 1, cv2.LINE_8, 4)
    return kernel / kernel.sum()


def _falloff(height: int, width: int, strength: float) -> np.ndarray:
    """Return the share of light (height, width) uint8 that a lens passes, 255 = all."""
    y = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, 32, dtype=np.float32)
    radius = (x ** 2 + y ** 2) / 2
    coarse = np.clip(255 * (1 - np.float32(strength) * radius), 0, 255)
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return fine.clip(0, 255).astype(np.uint8)


def _flared(image: np.ndarray, flare: tuple[float, float, float],
            ghosts: tuple[tuple[float, ...], ...]) -> np.ndarray:
    y = np.linspace(0, 1, 36, dtype=np.float32)[:, None] - np.float32(flare[1])
    x = np.linspace(0, 1.6, 64, dtype=np.float32) - np.float32(1.6 * flare[0])
    radius = np.sqrt(x ** 2 + y ** 2)
    glow = flare[2] * (150 * np.exp(-radius * 3.2) + 120 * np.exp(-(radius * 9) ** 2) + 18)
    glow = np.dstack([0.85 * glow, 0.95 * glow, glow]).clip(0, 255).astype(np.uint8)
    size = image.shape[1::-1]
    glow = cv2.resize(glow, size, interpolation=cv2.INTER_LINEAR)
    for along, wide, *colour in ghosts:  # reflections between lenses, mirrored at the middle
        place = [round((flare[i] + along * (0.5 - flare[i])) * size[i]) for i in (0, 1)]
        disc = np.zeros_like(glow)
        cv2.circle(disc, place, max(1, round(wide * size[0])), colour, -1, cv2.LINE_AA)
        glow = cv2.add(glow, cv2.blur(disc, (5, 5)))
    return cv2.add(image, glow)


def _smudged(image: np.ndarray, smudges: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """Look through drops and dirt on the lens, out of focus."""
    rows, columns = 48, 80
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    share, blur = np.ones((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for u, v, radius, light in smudges:
        away = np.hypot(x - u * columns, y - v * rows) / (radius * columns)
        spot = np.clip(1.6 - 1.3 * away, 0, 1)
        share *= 1 - spot * np.float32(1 - light)
        blur = np.maximum(blur, spot)
    blur, share = (cv2.resize(part, image.shape[1::-1]) for part in (blur, share))
    soft = cv2.blur(image, (max(3, image.shape[1] // 70),) * 2)
    image = cv2.blendLinear(soft, image, blur, 1 - blur)
    share = np.clip(share * 128, 0, 255).astype(np.uint8)
    return cv2.multiply(image, cv2.merge([share] * 3), scale=1 / 128)


def _as_video(image: np.ndarray, coarse: float, step: float, halo: float,
              reach: float) -> np.ndarray:
    """
    Store the colours `coarse` times as coarsely, in steps of `step` levels, as video codecs do.

    halo, reach: how strongly the brightness was sharpened before, and how far (pixels).
    """
    luma, *chroma = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    luma = cv2.addWeighted(luma, 1 + halo, cv2.GaussianBlur(luma, (0, 0), reach), -halo, 0)
    size = luma.shape[::-1]
    small = tuple(max(2, round(side / coarse)) for side in size)
    steps = 128 + step * np.rint((np.arange(256) - 128) / step)
    steps = np.clip(steps, 0, 255).astype(np.uint8)
    chroma = [cv2.resize(cv2.LUT(cv2.resize(part, small, interpolation=cv2.INTER_AREA), steps),
                         size) for part in chroma]
    return cv2.cvtColor(cv2.merge((luma, *chroma)), cv2.COLOR_YCrCb2BGR)


def apply_effects(image: np.ndarray, effects: Effects, rng: np.random.Generator) -> np.ndarray:
    """Return `image` (height, width, 3) BGR uint8 as the camera stores it."""
    height, width = image.shape[:2]
    if effects.flare is not None:
        image = _flared(image, effects.flare, effects.ghosts)
    if effects.smudges:
        image = _smudged(image, effects.smudges)
    if effects.defocus > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), effects.defocus)
    if effects.motion != (0.0, 0.0):
        image = cv2.filter2D(image, -1, _motion_kernel(effects.motion))
    image = cv2.LUT(image, effects.table)
    if abs(effects.saturation - 1) > 0.02:
        grey = (1 - effects.saturation) * np.array([0.114, 0.587, 0.299])
        image = cv2.transform(image, np.float32(np.eye(3) * effects.saturation + grey))
    if effects.vignette > 0.03:
        share = _falloff(height, width, effects.vignette)
        image = cv2.multiply(image, cv2.merge([share] * 3), scale=1 / 255)
    if effects.bayer:
        image = _mosaic(image)
    if effects.shot_noise > 0.004:
        # Shot noise grows with the root of the signal; here it is proportional to the signal.
        noise = _noise(rng, image.shape, effects)
        share = effects.shot_noise * 128 / _NOISE_STD
        noise = cv2.convertScaleAbs(noise, alpha=share, beta=128 * (1 - share))
        image = cv2.multiply(image, noise, scale=1 / 128)
    if effects.read_noise > 0.4:
        share = effects.read_noise / _NOISE_STD
        image = cv2.addWeighted(image, 1.0, _noise(rng, image.shape, effects), share, -128 * share)
    if effects.rescale < 1:
        small = (max(8, int(width * effects.rescale)), max(8, int(height * effects.rescale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if effects.sharpen > 0:
        soft = cv2.GaussianBlur(image, (3, 3), 0)
        image = cv2.addWeighted(image, 1 + effects.sharpen, soft, -effects.sharpen, 0)
    if effects.video:
        image = _as_video(image, *effects.video)
    if effects.jpeg_quality:
        data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, effects.jpeg_quality])[1]
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return image
