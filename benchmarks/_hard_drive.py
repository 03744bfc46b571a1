# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered drives that are less ideal: a fisheye lens, a camera that leans, uneven ground."""
from __future__ import annotations

from dataclasses import replace
import math
from typing import Any

import cv2
from eunet_ros.training.renderer import Drive
from eunet_ros.training.renderer.camera import Camera
import numpy as np

HFOV_DEG = 110.0      # from edge to edge
LEAN_DEG = (2.0, 6.0)  # of the horizon, least and most
HILL_M = 0.25         # the ground rises and falls by so much, over some 15 m
_NOD = (0.03, 0.02)   # pitch and roll on the springs, on top of those of a drive [rad]
_LARGER = 1.5         # what is bent is rendered larger, so that its middle stays sharp


class HardDrive(Drive):
    """
    A drive whose cones do not fit one straight line of height against base row.

    Cones and car stand on hills; the ground is drawn flat. The lens is equidistant (r = f * a),
    made from the pinhole image: corners that it does not show stay black.
    """

    def __init__(self, seed: int, height: int = 720, width: int = 1280) -> None:
        """Build the world of a seed; height and width of the bent image [px]."""
        super().__init__(seed, round(_LARGER * height), round(_LARGER * width),
                         hfov_deg=HFOV_DEG)
        rng = np.random.default_rng((7, seed))
        lean = math.radians(rng.uniform(*LEAN_DEG)) * rng.choice((-1, 1))
        self.camera = replace(self.camera, roll=lean, D=np.zeros(5))
        self._hills = rng.uniform(0, 2 * math.pi, 4)
        cones = self.world.cones
        xyz = cones.xyz.copy()
        xyz[:, 2] += self.ground(xyz[:, 0], xyz[:, 1])
        self.world = replace(self.world, cones=replace(cones, xyz=xyz))
        # Where each pixel of the bent image is in the pinhole image.
        focal = 0.5 * width / math.radians(HFOV_DEG / 2)
        x = (np.arange(width) - 0.5 * (width - 1)) / focal
        y = ((np.arange(height) - 0.5 * (height - 1)) / focal)[:, None]
        angle = np.minimum(np.hypot(x, y), 1.5)
        scale = self.camera.focal * np.tan(angle) / np.maximum(angle, 1e-9)
        self._map = ((x * scale + self.camera.K[0, 2]).astype(np.float32),
                     (y * scale + self.camera.K[1, 2]).astype(np.float32))

    def ground(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        """Return the height of the ground [m] at places in the world [m]."""
        p = self._hills
        return HILL_M * 0.5 * (np.sin(0.42 * x + p[0]) * np.cos(0.31 * y + p[1])
                               + np.sin(0.19 * x - 0.23 * y + p[2]))

    def camera_at(self, t: float) -> Camera:
        """Return the camera at `t` seconds; its body nods as under braking and over bumps."""
        camera, (x, y, _) = super().camera_at(t), self.pose(t)
        return replace(
            camera, pitch=camera.pitch + _NOD[0] * math.sin(2.9 * t + self._hills[3]),
            roll=camera.roll + _NOD[1] * math.sin(4.3 * t),
            mount_height=camera.mount_height + float(self.ground(x, y)))

    def render(self, t: float) -> Any:
        """Render the view at `t` seconds; its camera is that of the pinhole image."""
        scene = super().render(t)

        def bent(image: np.ndarray, how: int) -> np.ndarray:
            return cv2.remap(image, *self._map, how, borderMode=cv2.BORDER_CONSTANT)
        instances = bent(scene.instances, cv2.INTER_NEAREST)
        cones, table = [], np.zeros(len(scene.cones) + 1, np.uint16)
        for number, cone in enumerate(scene.cones, start=1):
            own = np.flatnonzero((instances == number).any(axis=1))
            if len(own):
                columns = np.flatnonzero((instances == number).any(axis=0))
                box = (int(columns[0]), int(own[0]), int(columns[-1]) + 1, int(own[-1]) + 1)
                cones.append(replace(cone, box=box, height_px=box[3] - box[1]))
                table[number] = len(cones)
        return replace(scene, image=bent(scene.image, cv2.INTER_LINEAR), cones=cones,
                       mask=bent(scene.mask, cv2.INTER_NEAREST), instances=table[instances])
