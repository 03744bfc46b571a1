# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A lap of a rendered track: one world, one camera on a car, frame after frame."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import math

from eunet_ros.training.renderer.camera import Camera, make_camera
from eunet_ros.training.renderer.effects import sample_effects
from eunet_ros.training.renderer.layouts import Layout, make_cone_set
from eunet_ros.training.renderer.own_car import sample_own_car
from eunet_ros.training.renderer.profiles import get_profile
from eunet_ros.training.renderer.scene import render_world, Scene
from eunet_ros.training.renderer.track import make_track
from eunet_ros.training.renderer.world import sample_world
import numpy as np

_START_M = -14.0  # on the loop from the start line, at time 0


class Drive:
    """A car that laps a closed track; the same arguments and time give the same bytes."""

    def __init__(self, seed: int = 0, height: int = 720, width: int = 1280,
                 hfov_deg: float = 86.0, own_car: bool = True):
        self.profile, self.seed, self.speed_mps = get_profile('drive'), seed, 8.0
        rng = np.random.default_rng((self.profile.salt, seed))
        self.track = make_track(rng, self.profile)
        cones = make_cone_set(rng, self.track.cone_class, self.track.cone_xy, self.profile)
        layout = Layout('track', cones, self.track.pose(_START_M), self.track)
        self.world = sample_world(rng, self.profile, layout, seed)
        self.camera = make_camera(height, width, math.radians(hfov_deg), 1.05, math.radians(5.0),
                                  0.0, (-0.045, 0.004, 0.0, 0.0, 0.0))
        self._effects = sample_effects(rng, self.profile, width)
        self._own_car = sample_own_car(rng) if own_car else None
        self._phase = rng.uniform(0, 2 * math.pi, 8)

    @property
    def length_m(self) -> float:
        return self.track.length

    def pose(self, t: float) -> tuple[float, float, float]:
        """Return the vehicle's x, y (metres) and yaw (radians) in the world at `t` seconds."""
        at = _START_M + self.speed_mps * t
        x, y, _ = self.track.pose(at)
        # A car looks where it is about to be: the yaw is smooth over a wheelbase.
        ahead, behind = self.track.pose(at + 1.2), self.track.pose(at - 0.8)
        yaw = math.atan2(ahead[1] - behind[1], ahead[0] - behind[0])
        side = 0.25 * math.sin(0.06 * at + self._phase[0]) + 0.12 * math.sin(
            0.17 * at + self._phase[1])
        return x - side * math.sin(yaw), y + side * math.cos(yaw), yaw

    def camera_at(self, t: float) -> Camera:
        """Return the camera at `t` seconds: mounted rigidly on a body that moves on springs."""
        p = self._phase
        pitch = 0.0035 * math.sin(2 * math.pi * 1.7 * t + p[2]) + 0.0018 * math.sin(
            2 * math.pi * 5.3 * t + p[3])
        roll = 0.005 * math.sin(2 * math.pi * 1.1 * t + p[4]) + 0.0015 * math.sin(
            2 * math.pi * 6.1 * t + p[5])
        _, _, before = self.pose(t - 0.15)
        _, _, after = self.pose(t + 0.15)
        turn = (after - before + math.pi) % (2 * math.pi) - math.pi
        lateral = self.speed_mps * turn / 0.3  # m/s^2, the body leans outwards
        bounce = 0.006 * math.sin(2 * math.pi * 2.3 * t + p[6])
        return replace(self.camera, pitch=self.camera.pitch + pitch,
                       roll=self.camera.roll + roll + 0.0022 * lateral,
                       mount_height=self.camera.mount_height + bounce)

    def render(self, t: float) -> Scene:
        rng = np.random.default_rng((self.profile.salt, self.seed, round(t * 1e6) % 2 ** 32))
        return render_world(self.world, self.camera_at(t), self.pose(t), self._effects, rng,
                            self._own_car)

    def frames(self, n: int, hz: float = 30.0) -> Iterator[Scene]:
        """Yield `n` views, `hz` a second."""
        return (self.render(k / hz) for k in range(n))
