# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Estimates pitch and roll of the car's body from the cones in an image; no ROS.

From a camera at height h, a cone of height H whose base is seen at an angle b below the horizon
looks about b * H / h high. So its height and base row give the horizon, whatever the distance
(Hoiem, Efros and Hebert 2008, Putting Objects in Perspective, doi 10.1007/s11263-008-0137-5). One
pixel of height moves it by h / H pixels: the estimate needs many cones.

Angles (REP 103) are of the body against the level ground, about fixed axes, roll, then pitch:
pitch is positive if the front is low, roll if the right side is low. They add to the mounting. The
camera's height cannot be separated from the cones' size; both vary by a few percent.
"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
import math

from eunet_ros.cones.detection import Cones
from eunet_ros.cones.ground import EDGE_SHARE, Ground, levelled, Located, Pose
import numpy as np

_LEAST_PX = 8                  # of a cone's height; smaller ones are too inaccurate
_PIXELS, _SHARE = 0.8, 0.03    # standard deviation of a height in a mask: pixels, and share of it
_TALLER_PX, _TALLER = 0.45, 0.02  # by which masks of eunet_n are higher than the cones, the same
_SIZE_STDDEV = 0.004           # of the size of all cones and of the camera's height, as a share
_HEIGHT_STDDEV = 0.01          # of the camera while the car moves [m]
_TUKEY = 3.5                   # standard deviations from which a cone has no weight
_ROUNDS = 4                    # of reweighting
FEW = 4                        # cones; a frame of fewer is ignored if it is surprising
_PER_CONE = math.radians(0.1)  # greatest change of the pitch in a frame, per cone
_TAU_S = 0.25                  # in which the body returns to its mounting
_TURNED_TAU_S = 10.0           # the same of what the angular rates leave unknown
_DRIFT = math.radians(0.2) ** 2  # variance of that
# Variances of its angles: initial, with too few cones, least and greatest.
_FIRST, _USUAL, _CALM, _WIDE = np.radians((0.1, 0.5, 0.005, 2.0)) ** 2
_SYSTEMATIC = np.radians((0.06, 0.2)) ** 2  # of pitch and roll: what the masks have in common
_MEMORY_S = 1.0                # over which the variance of the body's angles is averaged
_EXCESS = 1.5                  # times the noise: larger angles are motion of the body
_SUDDEN = 2.0                  # standard deviations by which a sudden motion exceeds the noise
_WINDOW_S = 3.0                # of the mean of the pitch
_RATES, _GAP_S = 500, 0.05    # samples of an IMU that are kept; longest gap between them [s]
_PAUSE_S = 2.0                 # a longer pause, or a jump back in time, resets the filter
_PRIOR = np.diag((1 / _WIDE, 1 / _WIDE, _SIZE_STDDEV ** -2.0))


@dataclass(frozen=True)
class Attitude:
    """Pitch and roll of the body [rad]; see the module for axes."""

    pitch: float = 0.0
    roll: float = 0.0
    covariance: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))  # (2, 2) [rad²]
    cones: int = 0  # number that count in this frame
    mean_pitch: float = math.nan  # of the last 3 s [rad], NaN for few cones

    def applied(self, ground: Ground) -> Ground:
        """Return the ground as seen by the camera in this attitude."""
        pose = ground.pose
        return replace(ground, pose=Pose(levelled(self.pitch, self.roll) @ pose.rotation,
                                         pose.origin))

    def locate(self, cones: Cones, ground: Ground) -> tuple[Located, np.ndarray]:
        """Return `Ground.locate` in this attitude, with its variance; ground: of the mounting."""
        located, rows = self.applied(ground).locate(cones)
        heights, _ = ground.classes.sizes_of(located.cones.class_id)
        up = ground.pose.origin[2] - ground.ground_z - np.where(located.by_height, heights, 0.0)
        x, y = (located.xyz[:, :2] - ground.pose.origin[:2]).T
        moved = np.empty((len(x), 2, 3))   # by pitch, roll and height
        moved[:, 0] = np.stack([-up - x * x / up, x * y / up, x / up], axis=1)
        moved[:, 1] = np.stack([-x * y / up, up + y * y / up, y / up], axis=1)
        own = np.zeros((3, 3))
        own[:2, :2], own[2, 2] = self.covariance, _HEIGHT_STDDEV ** 2
        return replace(located, covariance=located.covariance
                       + moved @ own @ moved.transpose(0, 2, 1)), rows


def observe(cones: Cones, ground: Ground) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Compare the heights of cones in the image with those expected on this ground.

    Returns residuals (n,) [px], their derivatives (n, 3) by pitch, roll [1/rad] and size of all
    cones [1], and standard deviations (n,) [px]. Uses only whole, upright cones of sufficient
    height.
    """
    high = cones.box[:, 3] - cones.box[:, 1]
    usable = np.flatnonzero(~(cones.cut | cones.hidden | cones.topless | cones.knocked_over)
                            & (high >= _LEAST_PX))
    heights, plates = ground.classes.sizes_of(cones.class_id[usable])
    near, high, count = EDGE_SHARE * plates, high[usable].astype(np.float64), len(usable)
    rays = ground.camera.rays(np.concatenate([cones.base[usable], cones.tip[usable]]))
    x, y, z = ground.pose.rotation @ rays.T
    flat = np.hypot(x, y)
    dip = -z / flat                                           # tangent; of bases, then of tips
    turn = (1 + dip * dip) / flat * np.stack([x, -y])         # its derivatives by pitch and roll
    base, up = np.maximum(dip[:count], 1e-3), ground.pose.origin[2] - ground.ground_z
    pixels = high / np.maximum(dip[:count] - dip[count:], 1e-6)     # by tangent
    # The base is the nearest edge of the plate, the tip is above its middle.
    reach = up + near * base
    expected = (up - heights) * base / reach                  # of the tip
    slope = (up - heights) * up / reach ** 2
    by = np.stack([*(pixels * (slope * turn[:, :count] - turn[:, count:])), -high], axis=1)
    residual = pixels * (expected - dip[count:]) - _TALLER_PX - _TALLER * high
    known = np.isfinite(residual)
    return residual[known], by[known], np.hypot(_PIXELS, _SHARE * high)[known]


@dataclass(frozen=True)
class Frame:
    """Estimate of a frame, as changes (2,) of the predicted pitch and roll [rad]."""

    change: np.ndarray       # (2,), with a wide prior
    variance: np.ndarray     # (2,), of change
    information: np.ndarray  # (2, 2), of the cones alone
    vector: np.ndarray       # (2,), of the cones alone
    cones: float             # their number, weighted


def fit_frame(residual: np.ndarray, by: np.ndarray, stddev: np.ndarray) -> Frame:
    """Fit `observe` with Tukey's biweight (1974, doi 10.1080/00401706.1974.10489171)."""
    z, rows = residual / stddev, by / stddev[:, None]
    change = np.zeros(3)
    if len(z) > 2:
        change[0] = np.sort(-z / rows[:, 0])[len(z) // 2]   # the median
    for _ in range(_ROUNDS):
        off = z + rows @ change
        weight = np.maximum(1 - (off / _TUKEY) ** 2, 0) ** 2
        weighted = rows.T * weight
        information, vector = weighted @ rows, -(weighted @ z)
        change = np.linalg.solve(information + _PRIOR, vector)
    off, total = z + rows @ change, float(weight.sum())
    # Cones that scatter more than expected have less weight.
    share = max(1.0, float(weight @ (off * off)) / max(total - 1, 1.0))
    information, vector = information / share, vector / share
    # The size of all cones is marginalised.
    across = information[:2, 2] / (information + _PRIOR)[2, 2]
    angles = information[:2, :2] - across[:, None] * information[2, :2]
    variance = np.diag(_inverse(angles + _PRIOR[:2, :2]))
    return Frame(change[:2], variance, angles, vector[:2] - across * vector[2], total)


def attitude_of_frame(cones: Cones, ground: Ground) -> Attitude:
    """Return the attitude from the cones of one image alone; ground: of the mounting."""
    found, frame = np.zeros(2), None
    for _ in range(2):   # it is not linear
        frame = fit_frame(*observe(cones, Attitude(*found.tolist()).applied(ground)))
        found = found + frame.change
    return Attitude(*found.tolist(), np.diag(frame.variance + _SYSTEMATIC), round(frame.cones))


class AngularRates:
    """An IMU's last `most` rates of the body; one thread may add, another read."""

    def __init__(self, most: int = _RATES) -> None:
        self._samples: deque[tuple[int, float, float]] = deque(maxlen=most)

    def add(self, stamp: int, pitch: float, roll: float) -> None:
        """Add a sample: rates about y and x of base_link [rad/s]; stamp: in ns."""
        if self._samples and stamp <= self._samples[-1][0]:
            self._samples.clear()
        self._samples.append((stamp, pitch, roll))

    def turned(self, begin: int, end: int) -> np.ndarray | None:
        """Return the changes (2,) of pitch and roll [rad], None if samples are missing."""
        samples = np.array(self._samples.copy(), np.float64).reshape(-1, 3)
        times = (samples[:, 0] - begin) / 1e9
        wanted = (end - begin) / 1e9
        within = times[(times > -_GAP_S) & (times < wanted + _GAP_S)]
        # An image is about as new as the newest sample.
        if (len(within) < 2 or within[0] > 0 or within[-1] < wanted - _GAP_S
                or np.diff(within).max() > _GAP_S):
            return None
        steps = np.diff(np.clip(np.append(times, math.inf), 0, wanted))
        return steps @ samples[:, 1:]     # each rate holds until the next one


def _inverse(m: np.ndarray) -> np.ndarray:
    """Return the inverse of a symmetric (2, 2): NumPy's may wait for the threads of its BLAS."""
    (a, b), (_, d) = m.tolist()
    return np.array([[d, -b], [-b, a]]) / (a * d - b * b)


class AttitudeFilter:
    """
    Tracks the attitude of one car from image to image; not thread-safe.

    A Kalman filter of pitch and roll as an Ornstein-Uhlenbeck process about the mounting. Its
    strength is learned continuously, so that braking is followed at once and a smooth drive stays
    at the mounting. Without cones the estimate returns to the mounting.
    """

    def __init__(self) -> None:
        self._stamp: int | None = None
        self._forget()

    def _forget(self) -> None:
        self._state, self._power = np.zeros(2), np.full(2, _FIRST)
        self._covariance, self._before = np.diag(self._power), np.zeros(2)
        self._recent: deque[tuple[int, float]] = deque()

    def update(self, cones: Cones, ground: Ground, stamp: int,
               rates: AngularRates | None = None) -> Attitude:
        """Add an image's cones, stamp in ns; ground: of the mounting; rates: meanwhile."""
        seconds = 0.0 if self._stamp is None else (stamp - self._stamp) / 1e9
        turned = None
        if not 0 < seconds <= _PAUSE_S:
            self._forget()
            seconds = 0.0
        elif rates:
            turned = rates.turned(self._stamp, stamp)
        self._stamp = stamp
        left = math.exp(-seconds / (_TAU_S if turned is None else _TURNED_TAU_S))
        state = left * self._state + (0.0 if turned is None else turned)
        frame = fit_frame(*observe(cones, Attitude(*state.tolist()).applied(ground)))
        strength = self._strength(state + frame.change, frame, seconds)
        rest = np.diag(strength if turned is None else np.full(2, _DRIFT))
        covariance = rest + left * left * (self._covariance - rest)
        surprises = abs(frame.change[0]) > 3 * math.sqrt(frame.variance[0] + covariance[0, 0])
        if frame.cones > 0.5 and not (surprises and frame.cones < FEW):
            covariance = _inverse(_inverse(covariance) + frame.information)
            low, high = sorted((state[0], self._state[0]))
            state = state + covariance @ frame.vector
            reach = _PER_CONE * frame.cones
            state[0] = min(max(state[0], low - reach), high + reach)
        self._state, self._covariance = state, covariance
        return self._attitude(frame, stamp)

    def _strength(self, angles: np.ndarray, frame: Frame, seconds: float) -> np.ndarray:
        """Return the variances (2,) of the angles of the body, as the last frames have them."""
        noise, sudden, seen = frame.variance + _SYSTEMATIC, 0.0, np.full(2, _USUAL)
        if frame.cones >= FEW:
            seen = angles * angles - _EXCESS * noise
            sudden = angles * self._before - _SUDDEN ** 2 * noise  # in two frames, by one sign
            self._before = angles
        share = 1 - math.exp(-seconds / _MEMORY_S)
        self._power = np.maximum(self._power + share * (seen - self._power), 0)
        return np.clip(np.maximum(self._power, sudden), _CALM, _WIDE)

    def _attitude(self, frame: Frame, stamp: int) -> Attitude:
        recent, mean = self._recent, math.nan
        pitch, roll = self._state.tolist()
        if frame.cones >= FEW:
            recent.append((stamp, pitch))
        while recent and stamp - recent[0][0] > _WINDOW_S * 1e9:
            recent.popleft()
        if recent and recent[-1][0] - recent[0][0] > 0.8 * _WINDOW_S * 1e9:
            mean = sum(value for _, value in recent) / len(recent)
        return Attitude(pitch, roll, self._covariance + np.diag(_SYSTEMATIC),
                        round(frame.cones), mean)
