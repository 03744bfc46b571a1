# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Indoor scenes: a hall or a car park with lamps instead of a sky."""
from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from eunet_ros.training.renderer.camera import Camera
from eunet_ros.training.renderer.canvas import paint
from eunet_ros.training.renderer.ground import blend, Pose
from eunet_ros.training.renderer.light import Light
from eunet_ros.training.renderer.textures import noise_map, SIZE
import numpy as np

_LAMPS = ((175, 225, 255), (215, 240, 250), (255, 240, 225), (120, 190, 255), (190, 255, 215))


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
        """Tell which points (n, 2 or 3) are inside, `margin` metres off the walls."""
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

    def reach(direction: np.ndarray, low: float, high: float):
        ahead = np.where(direction > 0, np.float32(high), np.float32(low))
        return ahead / np.where(np.abs(direction) < 1e-5, np.float32(1e-5), direction)

    tx = reach(rx, -hall.half_length - px, hall.half_length - px)
    ty = reach(ry, -hall.half_width - py, hall.half_width - py)
    tx, ty = np.where(tx > 0, tx, far), np.where(ty > 0, ty, far)
    wall = np.minimum(tx, ty)
    floor = np.where(rz < 0, -camera.mount_height / np.minimum(rz, np.float32(-1e-5)), far)
    up = (hall.height - camera.mount_height) / np.maximum(rz, np.float32(1e-5))
    above = up < wall
    x, y = px + np.minimum(wall, up) * rx, py + np.minimum(wall, up) * ry
    z = camera.mount_height + wall * rz
    along = np.where(tx < ty, y + 40, x).astype(np.float32)
    noise = cv2.remap(noise_map('wall', 0, 7), (along * 60) % SIZE, (z * 60) % SIZE,
                      cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32)
    tone = (0.72 + 0.3 * np.clip(z / hall.height, 0, 1) + (noise - 128) * np.float32(0.0016))
    panel = ((along / hall.pitch) % 1 < hall.share) & (z < 0.55 * hall.height) & (z > 0.02)
    colour = np.where(panel[..., None], np.float32(hall.panel), np.float32(hall.wall))
    colour = colour * (tone * np.where(tx < ty, 1.0, 0.85))[..., None]
    row = np.abs((x / hall.lamps) % 1 - 0.5) < 0.06
    lamp = row & (np.abs((y / (1.4 * hall.lamps)) % 1 - 0.5) < 0.3)
    beam = (y / hall.beams) % 1 < 0.12
    roof = np.float32(hall.ceiling) * np.where(beam, 0.35, 0.5)[..., None]
    colour = np.where(above[..., None], roof, colour)
    lit = np.float32(light.ambient) + np.float32(0.5) * np.float32(light.sun)
    colour = colour * lit
    bright = np.clip(np.float32(330) * np.float32(light.ambient) / max(light.ambient), 0, 255)
    colour = np.where((above & lamp)[..., None], bright, colour)
    size = (image.shape[1], image.shape[0])
    cover = cv2.resize((np.minimum(wall, up) < floor).astype(np.float32), size)
    blend(image, cv2.resize(np.clip(colour, 0, 255).astype(np.uint8), size), cover)
