# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Surroundings: sky, skyline and props; or a hall with lamps."""
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
import math

import cv2
from eunet_ros.training.renderer.camera import Camera, project
from eunet_ros.training.renderer.canvas import paint
from eunet_ros.training.renderer.ground import blend, Pose, stamp
from eunet_ros.training.renderer.light import Colour, Light
from eunet_ros.training.renderer.sprites import sprite
from eunet_ros.training.renderer.textures import fractal, noise_map, SIZE, texture_rng
import numpy as np

_LAMPS = ((175, 225, 255), (215, 240, 250), (255, 240, 225), (120, 190, 255), (190, 255, 215))
_STRIP = (192, 4096)  # rows, columns of a skyline: elevation 0 to _TALL, azimuth once around
_GREYS = np.arange(256.0)[:, None]
_TALL = 0.30  # tangent of the elevation at the strip's top row


@dataclass(frozen=True)
class Prop:
    """An upright picture in the world that always faces the camera."""

    kind: str
    number: int
    x: float
    y: float
    size: float = 1.0
    flip: bool = False
    order: tuple[int, int, int] = (0, 1, 2)  # channels swapped for other colours
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Skyline:
    """Distant surroundings: one strip all around, turned, scaled and tinted."""

    number: int
    turn: float = 0.0
    scale: float = 1.0  # of its height
    far: float = 120.0  # metres, for haze
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    cloud_shift: tuple[float, float] = (0.0, 0.0)


@lru_cache(maxsize=26)
def skyline_strip(number: int) -> np.ndarray:
    """Return skyline `number`, BGRA (192, 4097, 4) uint8, row 0 on top."""
    rng = texture_rng('skyline', number)
    rows, columns = _STRIP
    strip = np.zeros(_STRIP + (4,), np.float32)
    up = np.linspace(_TALL, 0, rows, dtype=np.float32)[:, None]

    def layer(profile: np.ndarray, colour: Colour, rough: float, leafy: float = 1.0) -> None:
        noise = fractal(rng, _STRIP, 24, 3, 0.9)
        tone = fractal(rng, _STRIP, 12, 4, 0.8)
        cover = up + rough * noise < profile
        shade = np.clip(1 + leafy * (0.2 * tone + 0.13 * noise), 0.3, 1.6)[..., None]
        shade = shade * (0.75 + 0.35 * np.clip(up / np.maximum(profile, 0.01), 0, 1))[..., None]
        strip[..., :3][cover] = (np.float32(colour) * shade)[cover]
        strip[..., 3][cover] = 255

    def ridge(first: int, octaves: int, low: float, high: float) -> np.ndarray:
        line = fractal(rng, (8, columns), 1, 1)[:1] * 0
        for octave in range(octaves):
            cells = first * 2 ** octave
            at = np.arange(columns) * cells / columns
            line += 0.55 ** octave * np.interp(at, np.arange(cells), rng.standard_normal(cells),
                                               period=cells)[None]
        line = (line - line.min()) / np.ptp(line)
        return (low + (high - low) * line).astype(np.float32)

    if rng.random() < 0.6:
        layer(ridge(5, 4, 0.0, rng.uniform(0.03, 0.09)),
              rng.uniform((120, 105, 85), (170, 150, 130)), 0.001, 0.2)
    if rng.random() < 0.85:
        layer(ridge(14, 7, rng.uniform(0, 0.02), rng.uniform(0.04, 0.16)),
              rng.uniform((30, 55, 38), (70, 95, 80)), 0.006)
    for _ in range(rng.integers(2, 14)):
        _distant_building(rng, strip)
    layer(ridge(30, 6, -0.02, rng.uniform(0.01, 0.05)),
          rng.uniform((28, 55, 38), (65, 105, 85)), 0.004)
    for _ in range(rng.integers(0, 14)):  # masts
        x, tall = int(rng.integers(0, columns)), rng.uniform(0.05, 0.22)
        strip[int(rows * (1 - tall / _TALL)):, x:x + 2] = (95, 95, 95, 255)
    strip = cv2.GaussianBlur(strip, (0, 0), 0.6).clip(0, 255).astype(np.uint8)
    return np.concatenate([strip, strip[:, :1]], axis=1)  # so that interpolation closes the ring


def _distant_building(rng: np.random.Generator, strip: np.ndarray) -> None:
    rows, columns = strip.shape[:2]
    wide, tall = int(rng.uniform(30, 340)), rng.uniform(0.02, 0.11)
    left = int(rng.integers(0, columns - wide))
    top = int(rows * (1 - tall / _TALL))
    wall = np.array(paint(rng, 0.25))
    strip[top:, left:left + wide, :3] = wall * np.linspace(1.05, 0.85, rows - top)[:, None, None]
    strip[top:, left:left + wide, 3] = 255
    strip[top:top + 3, left:left + wide, :3] = 0.6 * wall
    if rng.random() < 0.7:
        glass = rng.uniform((60, 50, 40), (150, 130, 115))
        step, height = int(rng.integers(6, 22)), max(2, int(0.22 * (rows - top)))
        for y in range(top + 4, rows - height, 2 * height):
            for x in range(left + 3, left + wide - step, step):
                strip[y:y + height, x:x + step // 2 + 1, :3] = glass
    if rng.random() < 0.35:
        strip[top + 3:top + 8, left:left + wide, :3] = paint(rng, 0.9)


def draw_sky(image: np.ndarray, rays: np.ndarray, light: Light, skyline: Skyline,
             bottom: int) -> None:
    """Fill rows [0, bottom) of `image` with sky seen along `rays` (3, h, w), in place."""
    if bottom <= 0:
        return
    # The sky is soft: half the resolution shows all of it.
    x, y, up = (np.ascontiguousarray(plane[:bottom:2, ::2]) for plane in rays)
    flat = cv2.magnitude(x, y)
    slope = np.clip(up / flat, 0.0, 3.0)
    index = (255 - 255 * np.exp(-3 * slope)).astype(np.uint8)
    ramp = np.linspace(0, 1, 256)[:, None]
    table = np.array(light.horizon) * (1 - ramp) + np.array(light.zenith) * ramp
    sky = cv2.LUT(cv2.merge([index] * 3), np.clip(table, 0, 255).astype(np.uint8)[:, None])
    # Clouds lie on a plane high above; its pattern shrinks and fades towards the horizon.
    over = np.float32(110) / ((slope + np.float32(0.12)) * flat)
    u = x * over + np.float32(skyline.cloud_shift[0] + 4 * SIZE)
    v = y * over + np.float32(skyline.cloud_shift[1] + 4 * SIZE)
    for place in (u, v):  # modulo a power of two, exactly; np.remainder takes five times as long
        place -= np.floor(place * np.float32(1 / SIZE)) * np.float32(SIZE)
    noise = cv2.remap(noise_map('cloud', 0, 8, 3), u, v, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_WRAP).astype(np.float32)
    if light.clouds > 0.65:
        shade = 1 + (noise - 128) * (np.float32(0.0016) * np.minimum(1, slope * 6))
        sky = np.clip(sky * shade[..., None], 0, 255).astype(np.uint8)
    elif light.clouds > 0.05:
        cover = np.clip((noise - np.float32(190 - 120 * light.clouds)) / 60, 0, 0.9)
        cover *= np.clip(slope * 9, 0, 1)
        white = np.clip(np.array(light.horizon) * 1.03 + 6, 0, 255)
        blend(sky, np.full(sky.shape, white, np.uint8), cover)
    image[:bottom] = cv2.resize(sky, (image.shape[1], bottom))


def draw_skyline(image: np.ndarray, rays: np.ndarray, light: Light, skyline: Skyline,
                 horizon_row: int) -> None:
    """Draw the skyline where rays (3, h, w) rise less than its top, in place."""
    tall = _TALL * skyline.scale
    # Three columns give the rows of the strip, with a margin for the distortion of the lens.
    probe = rays[:, :, [0, rays.shape[2] // 2, -1]]
    slopes = (probe[2] / np.hypot(probe[0], probe[1])).min(axis=1)
    rises = probe[2].max(axis=1) > 0
    first = max(0, int(np.argmax(slopes < tall)) - 4) if (slopes < tall).any() else len(slopes)
    last = int(len(rises) - np.argmax(rises[::-1])) if rises.any() else 0
    last = min(image.shape[0], max(last, horizon_row) + 2)
    if first >= last:
        return
    flat, azimuth = cv2.cartToPolar(rays[0, first:last], rays[1, first:last])
    rows, columns = _STRIP
    u = azimuth * np.float32(columns / (2 * math.pi))
    u += np.float32(skyline.turn * columns / (2 * math.pi))
    u -= np.float32(columns) * (u >= columns)
    v = rays[2, first:last] / flat
    v *= np.float32(-rows / tall)
    v += np.float32(rows - 0.5)
    picture = cv2.remap(skyline_strip(skyline.number), u, v, cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_CONSTANT)
    alpha = cv2.extractChannel(picture, 3) * np.float32(1 / 255)
    lit = _lit_table(light, skyline.far, skyline.gain)
    blend(image[first:last], cv2.LUT(cv2.cvtColor(picture, cv2.COLOR_BGRA2BGR), lit), alpha)


def _lit_table(light: Light, distance: float, gain: Colour) -> np.ndarray:
    """Return the lookup table (256, 1, 3) of light, tint and haze for upright things."""
    veil = 1 - math.exp(-light.haze * distance)
    lit = (0.85 * np.array(light.ambient) + 0.55 * np.array(light.sun)) * np.array(gain)
    values = _GREYS * lit * (1 - veil) + np.array(light.horizon) * veil
    return np.minimum(np.maximum(values, 0), 255).astype(np.uint8)[:, None]


def prop_size(prop: Prop) -> tuple[float, float]:
    thing = sprite(prop.kind, prop.number)
    return thing.width * prop.size, thing.height * prop.size


def too_close(prop: Prop, distance: float) -> bool:
    """Return whether a prop is too close for a flat picture."""
    wide, tall = prop_size(prop)
    return distance < 1.0 + 1.1 * max(wide, 0.6 * tall)


def draw_prop(image: np.ndarray, mask: np.ndarray, instances: np.ndarray, prop: Prop,
              camera: Camera, light: Light, x: float, y: float) -> None:
    """Draw a prop at x, y (vehicle metres) over the arrays in place."""
    distance = math.hypot(x, y)
    thing = sprite(prop.kind, prop.number)
    wide, tall = prop_size(prop)
    a, b = (side / max(distance, 1e-6) * 0.5 * wide for side in (-y, x))  # half, across the view
    # Bottom left, right and middle, then top: it stays on the ground in any lens.
    corners = np.array([(x + a, y + b, 0.0), (x - a, y - b, 0.0), (x, y, 0.0), (x, y, tall)])
    pixels, depth = project(camera, corners)
    # Far from the optical axis a flat picture would be distorted.
    if depth.min() < 0.35 * distance or too_close(prop, distance):
        return
    rise = pixels[3] - pixels[2]
    box = np.concatenate([pixels[:2], pixels[:2] + rise])
    low = [max(math.floor(least) - 1, 0) for least in box.min(axis=0).tolist()]
    high = [min(math.ceil(most) + 2, size)
            for most, size in zip(box.max(axis=0).tolist(), (camera.width, camera.height))]
    width, height = high[0] - low[0], high[1] - low[1]
    if width <= 0 or height <= 0:
        return
    rows_px = math.hypot(*rise.tolist())
    picture = next((level for level in thing.levels if level.shape[0] <= 1.4 * rows_px),
                   thing.levels[-1])
    h, w = picture.shape[:2]
    left, right = (w - 0.5, -0.5) if prop.flip else (-0.5, w - 0.5)
    source = np.float32([(left, h - 0.5), (right, h - 0.5), (left, -0.5)])
    matrix = cv2.getAffineTransform(source, np.float32(box[:3] - low))
    # (h, w, 4) -> (height, width, 4)
    warped = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_TRANSPARENT,
                            dst=np.zeros((height, width, 4), np.uint8))
    cover = cv2.extractChannel(warped, 3)
    colour = (cv2.cvtColor(warped, cv2.COLOR_BGRA2BGR) if prop.order == (0, 1, 2)
              else np.ascontiguousarray(warped[..., list(prop.order)]))
    colour = cv2.LUT(colour, _lit_table(light, distance, prop.gain))
    window = np.s_[low[1]:high[1], low[0]:high[0]]
    blend(image[window], colour, cover * np.float32(1 / 255))
    _, hidden = cv2.threshold(cover, 127, 1, cv2.THRESH_BINARY)
    stamp(mask[window], hidden, 0)
    stamp(instances[window], hidden, 0)


@dataclass(frozen=True)
class Hall:
    """A box around the camera, metres in the world; its colours are BGR."""

    x: float  # of its middle
    y: float
    yaw: float
    half_length: float
    half_width: float
    height: float
    wall: tuple[float, float, float]
    panel: tuple[float, float, float]  # gates, doors and posters along the walls
    pitch: float  # metres from one panel to the next
    share: float  # of the wall that panels cover
    ceiling: tuple[float, float, float]
    lamps: float  # metres from one row of lamps to the next
    beams: float

    def holds(self, points: np.ndarray, margin: float = 0.5) -> np.ndarray:
        """Return which points (n, 2 or 3) are inside, `margin` metres from the walls."""
        x, y = self.local(points[:, 0] - self.x, points[:, 1] - self.y)
        return (np.abs(x) < self.half_length - margin) & (np.abs(y) < self.half_width - margin)

    def local(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return c * x + s * y, c * y - s * x


def sample_hall(rng: np.random.Generator, pose: Pose) -> Hall:
    length, width = rng.uniform(9, 32), rng.uniform(6, 20)
    back, side = rng.uniform(0.1, 0.6), rng.uniform(-0.6, 0.6)
    yaw = pose[2] + rng.normal(0, 0.3)
    ahead = length * (1 - back)
    x = pose[0] + ahead * math.cos(yaw) - side * width * math.sin(yaw)
    y = pose[1] + ahead * math.sin(yaw) + side * width * math.cos(yaw)
    return Hall(x, y, yaw, length, width, rng.uniform(2.4, 9), paint(rng, 0.25), paint(rng, 0.7),
                rng.uniform(1.5, 9), rng.uniform(0.0, 0.7), paint(rng, 0.1),
                rng.uniform(2.0, 6.0), rng.uniform(1.5, 5.0))


def lamp_light(rng: np.random.Generator) -> Light:
    """Draw the light of lamps: from above, diffuse, often coloured and often poor."""
    colour = np.array(_LAMPS[rng.integers(len(_LAMPS))]) / 235 * np.exp(rng.normal(0, 0.06, 3))
    level = np.exp(rng.uniform(-0.65, 0.15))
    direct = rng.uniform(0.05, 0.3)
    sky = tuple(np.clip(150 * level * colour, 0, 255))
    return Light(rng.uniform(-math.pi, math.pi), rng.uniform(1.0, 1.5),
                 tuple(level * (1 - direct) * colour), tuple(level * direct * colour), sky, sky,
                 0.8, 0.0, 1.0)


def draw_hall(image: np.ndarray, rays: np.ndarray, hall: Hall, camera: Camera, pose: Pose,
              light: Light) -> None:
    # Walls are plain: half the resolution shows all of it.
    rx, ry, rz = (np.ascontiguousarray(plane[::2, ::2]) for plane in rays)
    rx, ry = hall.local(rx, ry)
    px, py = hall.local(pose[0] - hall.x, pose[1] - hall.y)
    far = np.float32(1e4)

    def reach(direction: np.ndarray, half: float, at: float) -> np.ndarray:
        ahead = np.where(direction > 0, np.float32(half - at), np.float32(-half - at))
        distance = ahead / np.where(np.abs(direction) < 1e-5, np.float32(1e-5), direction)
        return np.where(distance > 0, distance, far)

    tx, ty = reach(rx, hall.half_length, px), reach(ry, hall.half_width, py)
    wall = np.minimum(tx, ty)
    floor = np.where(rz < 0, -camera.mount_height / np.minimum(rz, np.float32(-1e-5)), far)
    up = (hall.height - camera.mount_height) / np.maximum(rz, np.float32(1e-5))
    above = up < wall
    x, y = px + np.minimum(wall, up) * rx, py + np.minimum(wall, up) * ry
    z = camera.mount_height + wall * rz
    along = np.where(tx < ty, y + 40, x).astype(np.float32)
    noise = cv2.remap(noise_map('wall', 0, 7), (along * 60) % SIZE, (z * 60) % SIZE,
                      cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32)
    tone = 0.72 + 0.3 * np.clip(z / hall.height, 0, 1) + (noise - 128) * np.float32(0.0016)
    panel = ((along / hall.pitch) % 1 < hall.share) & (z < 0.55 * hall.height) & (z > 0.02)
    colour = np.where(panel[..., None], np.float32(hall.panel), np.float32(hall.wall))
    colour = colour * (tone * np.where(tx < ty, 1.0, 0.85))[..., None]
    row = np.abs((x / hall.lamps) % 1 - 0.5) < 0.06
    lamp = row & (np.abs((y / (1.4 * hall.lamps)) % 1 - 0.5) < 0.3)
    beam = (y / hall.beams) % 1 < 0.12
    roof = np.float32(hall.ceiling) * np.where(beam, 0.35, 0.5)[..., None]
    colour = np.where(above[..., None], roof, colour)
    colour = colour * (np.float32(light.ambient) + np.float32(0.5) * np.float32(light.sun))
    bright = np.clip(np.float32(330) * np.float32(light.ambient) / max(light.ambient), 0, 255)
    colour = np.where((above & lamp)[..., None], bright, colour)
    seen = (np.minimum(wall, up) < floor).astype(np.float32)
    cover, colour = (cv2.resize(plane, image.shape[1::-1])
                     for plane in (seen, np.clip(colour, 0, 255).astype(np.uint8)))
    blend(image, colour, cover)
