# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered drives whose car brakes, accelerates, leans and crosses bumps as a race car does."""
from __future__ import annotations

from dataclasses import replace
import math

from eunet_ros.training.renderer import Drive
from eunet_ros.training.renderer.camera import Camera
import numpy as np

G = 9.81
BRAKE_DEG = 1.5       # pitch of the body at 1 g
_ROLL_DEG = 1.2       # its roll at 1 g across
_SWAY_HZ, _SWAY = 1.0, (0.25, 0.4, 0.01)  # slow motion of the body: pitch, roll [deg], height [m]
_SPRING_HZ, _DAMPING = 1.7, 0.4         # of the body on its suspension, as a share of critical
_BUMPS_HZ = 0.8       # mean number of bumps a second
_BUMP = (0.8, 0.5, 0.02)                # what one kicks, at most: the same
_SLOWEST, _FASTEST, _BRAKES, _ACCELERATES = 5.0, 12.0, -9.0, 5.0  # m/s, m/s^2
_UNITS = np.array((math.radians(1), math.radians(1), 1.0))  # to rad and m
_STEP = 0.005         # s


class MovingDrive(Drive):
    """
    A drive whose camera pitches, rolls and heaves with the car's body; the geometry is rendered.

    moves: false for a body that is rigid, so that the mounting is constant and perfect. knock:
    seconds and degrees of pitch by which something then moves the camera.
    """

    def __init__(self, seed: int, height: int = 720, width: int = 1280, moves: bool = True,
                 seconds: float = 30.0, knock: tuple[float, float] = (math.inf, 0.0)) -> None:
        """Simulate the body for so many seconds, and build the world of a seed."""
        super().__init__(seed, height, width)
        rng = np.random.default_rng((11, seed))
        self._times = np.arange(-1.0, seconds + 1.0, _STEP)
        count, self._knock = len(self._times), knock
        acceleration, speed = np.zeros(count), np.full(count, self.speed_mps)
        wanted, until = 0.0, 1.5
        for k in range(1, count):
            if self._times[k] > until:  # the next one: brake, roll or accelerate
                wanted = float(rng.choice((_BRAKES, 0.0, _ACCELERATES)))
                until = self._times[k] + rng.uniform(0.5, 1.2)
            limit = speed[k - 1] <= _SLOWEST if wanted < 0 else speed[k - 1] >= _FASTEST
            acceleration[k] = 0.0 if limit else wanted
            speed[k] = speed[k - 1] + acceleration[k] * _STEP
        self._at = np.cumsum(speed) * _STEP
        self._at += super().travelled(0.0) - np.interp(0.0, self._times, self._at)
        self._body = np.zeros((count, 3))
        if moves:
            self._body = self._moved(rng, acceleration, speed)

    def _moved(self, rng: np.random.Generator, acceleration: np.ndarray,
               speed: np.ndarray) -> np.ndarray:
        """Return pitch, roll [rad] and height [m] of the body by time, off its rest."""
        headings = np.unwrap([Drive.pose(self, t)[2] for t in self._times[::20]])
        rate = np.interp(self._times, self._times[::20], np.gradient(headings, 20 * _STEP))
        force = np.stack([-acceleration * math.radians(BRAKE_DEG) / G,
                          speed * rate * math.radians(_ROLL_DEG) / G,
                          np.zeros(len(speed))], axis=1)
        omega = 2 * math.pi * _SPRING_HZ
        kick = np.zeros_like(force)  # of the speeds
        for k in np.flatnonzero(rng.random(len(force)) < _BUMPS_HZ * _STEP):
            kick[k] = omega * rng.uniform(-1, 1, 3) * _BUMP * _UNITS
        place, rates = np.zeros(3), np.zeros(3)
        body = np.zeros_like(force)
        for k in range(len(force)):  # a mass on a spring
            rates = rates + kick[k] + _STEP * (
                omega * omega * (force[k] - place) - 2 * _DAMPING * omega * rates)
            place = place + _STEP * rates
            body[k] = place
        return body + _UNITS * _SWAY * np.sin(
            2 * math.pi * _SWAY_HZ * self._times[:, None] + rng.uniform(0, 2 * math.pi, 3))

    def travelled(self, t: float) -> float:
        """Return how far along the loop the vehicle is at `t` seconds [m]."""
        return float(np.interp(t, self._times, self._at))

    def camera_at(self, t: float) -> Camera:
        """Return the camera at `t` seconds."""
        pitch, roll, rise = (float(np.interp(t, self._times, x)) for x in self._body.T)
        if t >= self._knock[0]:
            pitch += math.radians(self._knock[1])
        return replace(self.camera, pitch=self.camera.pitch + pitch,
                       roll=self.camera.roll + roll,
                       mount_height=self.camera.mount_height + rise)
