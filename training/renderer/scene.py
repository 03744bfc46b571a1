# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered images of cones with exact masks: single scenes, and drives through a world."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
import math

import cv2
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.training.renderer import light as lighting
from eunet_ros.training.renderer import surroundings
from eunet_ros.training.renderer.camera import Camera, make_camera, pixel_rays
from eunet_ros.training.renderer.cone_looks import ConeLook
from eunet_ros.training.renderer.cones import draw_cone, Drawn, view_cones
from eunet_ros.training.renderer.effects import apply_effects, Effects, sample_effects
from eunet_ros.training.renderer.ground import draw_ground, look_at_ground, Pose, to_vehicle
from eunet_ros.training.renderer.layouts import ConeSet, Layout, make_cone_set, sample_layout
from eunet_ros.training.renderer.own_car import draw_own_car, OwnCar, sample_own_car
from eunet_ros.training.renderer.profiles import get_profile, Profile
from eunet_ros.training.renderer.track import make_track
from eunet_ros.training.renderer.world import sample_world, World
import numpy as np

_FARTHEST = 90.0  # metres
_MOST_CONES = 255  # in one image, the nearest ones
_START_M = -14.0  # position of a drive on its track at time 0, from the start line


@dataclass(frozen=True)
class SceneCone:
    """A visible cone: its position in the vehicle frame [m] and in the image [px]."""

    index: int  # of the cone in its world, the same in every view
    class_id: int
    x: float
    y: float
    height_px: int  # of the visible part
    box: tuple[int, int, int, int]  # u0, v0, u1, v1 of the visible part; u1, v1 exclusive
    visible_fraction: float
    knocked_over: bool


@dataclass(frozen=True)
class Scene:
    """An image, its ground truth and its camera."""

    image: np.ndarray  # (height, width, 3) uint8 BGR
    mask: np.ndarray  # (height, width) uint8 class ids
    instances: np.ndarray  # (height, width) uint16, 0 none, k + 1 for cones[k]
    cones: list[SceneCone]
    camera: Camera


def cone_rotation(yaw: float, tilt: float, lean: float) -> np.ndarray:
    """Return the rotation (3, 3) of a cone turned by `yaw`, then tilted towards `lean`."""
    c, s = math.cos(lean), math.sin(lean)
    ct, st = math.cos(tilt), math.sin(tilt)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    fall = np.array([[ct, 0.0, st], [0.0, 1.0, 0.0], [-st, 0.0, ct]])
    c, s = math.cos(yaw - lean), math.sin(yaw - lean)
    return turn @ fall @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _pose_cone(cones: ConeSet, index: int, look: ConeLook, xy: np.ndarray,
               yaw: float) -> tuple[np.ndarray, np.ndarray]:
    """Return position (3,) [m] and rotation (3, 3) of a cone in a vehicle frame of that yaw."""
    tilt, own_yaw, lean = (float(values[index]) for values in (cones.tilt, cones.yaw, cones.lean))
    z = float(cones.xyz[index, 2])
    half = 0.5 * look.base
    if cones.knocked[index]:
        # It rests on an edge of its plate and on its tip, so one side of the plate is down.
        own_yaw = lean
        dip = math.atan2(half - look.radius_top, look.height)
        tilt, z = 0.5 * math.pi + dip, z + half * math.cos(dip)
    elif tilt > 0:
        z += half * math.sin(tilt)  # one edge of the plate stays on the ground
    return np.array([xy[0], xy[1], z]), cone_rotation(own_yaw - yaw, tilt, lean - yaw)


def _visible(world: World, camera: Camera, pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Return indices of cones in view that are large enough, and positions (n, 2) of all."""
    cones = world.cones
    xy = to_vehicle(cones.xyz[:, :2], pose)
    distance = np.hypot(xy[:, 0], xy[:, 1])
    heights, _ = cone_classes().sizes_of(cones.class_id)
    # Width of the view, with a margin for cones that its edge cuts.
    reach = camera.max_radius * np.maximum(xy[:, 0], 0) + 0.4 + 0.3 * np.abs(xy[:, 0])
    large = camera.focal * heights / np.maximum(xy[:, 0], 0.1) >= (
        world.profile.min_height_px * camera.width / 640)
    keep = (xy[:, 0] > 0.2) & (np.abs(xy[:, 1]) < reach) & large & (distance < _FARTHEST)
    found = np.flatnonzero(keep)
    return found[np.argsort(distance[found], kind='stable')[:_MOST_CONES]], xy


def render_world(world: World, camera: Camera, pose: Pose, effects: Effects,
                 rng: np.random.Generator, own_car: OwnCar | None = None) -> Scene:
    """Render a world from a vehicle at `pose`: x, y [m], yaw [rad]; rng: the sensor noise."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    # At most 255 cones are drawn, so their numbers fit into a byte.
    mask, instances, shade = (np.zeros(image.shape[:2], np.uint8) for _ in range(3))
    light, yaw = world.light, pose[2]
    rays = pixel_rays(camera, yaw)
    view = look_at_ground(camera, rays, pose)
    rises = rays[2][:, [0, camera.width // 2, -1]].max(axis=1) > -2e-3
    sky_rows = int(len(rises) - np.argmax(rises[::-1])) if rises.any() else 0
    surroundings.draw_sky(image, rays, light, world.skyline, sky_rows)
    surroundings.draw_skyline(image, rays, light, world.skyline, view.top)
    draw_ground(image, world.ground, view, camera, pose, light)
    if world.hall is not None:
        surroundings.draw_hall(image, rays, world.hall, camera, pose, light)

    indices, xy = _visible(world, camera, pose)
    looks = [world.look(int(i)) for i in indices]
    poses = [_pose_cone(world.cones, int(i), look, xy[i], yaw) for i, look in zip(indices, looks)]
    positions = np.array([position for position, _ in poses]).reshape(-1, 3)
    rotations = np.array([rotation for _, rotation in poses])
    props = to_vehicle(np.array([(prop.x, prop.y) for prop in world.props]).reshape(-1, 2), pose)
    stands = [(math.hypot(*place), 0.0, 'prop', k) for k, place in enumerate(props)
              if place[0] > 0.3 and abs(place[1]) < camera.max_radius * place[0] + 8]
    stands = [s for s in stands if not surroundings.too_close(world.props[s[3]], s[0])]
    for outline in world.shades:
        lighting.add_ground_shadow(shade, camera, to_vehicle(outline, pose), light)
    for _, _, _, k in stands:
        lighting.add_wall_shadow(shade, camera, props[k], *surroundings.prop_size(world.props[k]),
                                 light, yaw)
    sunlit = lighting.share_of_sun(shade, camera, positions, light)
    views, hulls = view_cones(camera, looks, positions, rotations, light, yaw, sunlit)
    lighting.add_cone_shadows(shade, camera, hulls, [look.height for look in looks], light, yaw)
    lighting.apply_shade(image, shade, view.top)
    stands += [(float(np.hypot(*xy[i])), -world.cones.xyz[i, 2], 'cone', k)
               for k, i in enumerate(indices) if views[k] is not None]
    stands.sort(key=lambda stand: (-stand[0], -stand[1]))
    drawn: dict[int, Drawn | None] = {}
    for distance, _, kind, k in stands:
        if kind == 'prop':
            surroundings.draw_prop(image, mask, instances, world.props[k], camera, light,
                                   *props[k])
        else:
            veil = 1 - math.exp(-light.haze * distance)
            drawn[k] = draw_cone(image, mask, instances, k + 1, views[k], light, veil)
    if own_car is not None:
        draw_own_car(image, mask, instances, own_car, light)
    cones, instances = _list_cones(world, indices, xy, drawn, instances)
    return Scene(apply_effects(image, effects, rng), mask, instances, cones, camera)


def _list_cones(world: World, indices: np.ndarray, xy: np.ndarray, drawn: dict[int, Drawn | None],
                instances: np.ndarray) -> tuple[list[SceneCone], np.ndarray]:
    """Describe cones that own pixels, nearest first, and renumber `instances` to match."""
    table = np.zeros(256, np.uint8)
    cones = []
    for k in sorted(drawn, key=lambda k: float(np.hypot(*xy[indices[k]]))):
        if drawn[k] is None:
            continue
        (rows, columns), whole = drawn[k]
        own = cv2.inRange(instances[rows, columns], k + 1, k + 1)
        area = cv2.countNonZero(own)
        if area:
            left, top, wide, tall = cv2.boundingRect(own)
            u0, v0, i = columns.start + left, rows.start + top, int(indices[k])
            cones.append(SceneCone(
                i, int(world.cones.class_id[i]), float(xy[i, 0]), float(xy[i, 1]), tall,
                (u0, v0, u0 + wide, v0 + tall), min(1.0, area / max(whole, 1.0)),
                bool(world.cones.knocked[i])))
            table[k + 1] = len(cones)
    return cones, cv2.LUT(instances, table).astype(np.uint16)


def sample_camera(rng: np.random.Generator, profile: Profile, height: int, width: int,
                  onboard: bool = False) -> Camera:
    """Draw a camera, with `onboard` one on a roll hoop or a helmet; wide lenses bend more."""
    if onboard:
        return _onboard_camera(rng, profile, height, width)
    tele = rng.random() < profile.telephoto
    hfov = math.radians(rng.uniform(*(profile.telephoto_hfov_deg if tele else profile.hfov_deg)))
    corner = math.tan(hfov / 2) ** 2 * (1 + (height / width) ** 2)
    # Not so strong that the polynomial folds back within the image.
    k1 = max(rng.uniform(*profile.k1) * rng.random(), -0.16 / corner)
    shift = rng.uniform(-1, 1, 2) * profile.principal_shift * np.array([width, height])
    mount = rng.uniform(*profile.mount_height) + (rng.uniform(0, 0.8) if tele else 0.0)
    pitch = math.radians(rng.uniform(*profile.pitch_deg))
    if tele:  # the horizon stays near the image
        pitch = rng.uniform(-0.25, 0.6) * hfov * height / width
    roll = math.radians(rng.uniform(*profile.roll_deg)) * rng.random()
    if profile.canted and rng.random() < profile.canted:
        roll = math.radians(rng.uniform(*profile.canted_deg)) * rng.choice([-1, 1])
    return make_camera(height, width, hfov, mount, pitch, roll,
                       (k1, 0.1 * k1 * k1, *(rng.normal(0, 4e-4, 2)), 0.0), tuple(shift))


def _onboard_camera(rng: np.random.Generator, profile: Profile, height: int, width: int) -> Camera:
    mount, pitch = rng.uniform(0.95, 1.5), math.radians(rng.uniform(-2, 16))
    roll = math.radians(rng.normal(0, 2.5))
    if rng.random() >= profile.fisheye:
        return make_camera(height, width, math.radians(rng.uniform(60, 115)), mount, pitch, roll)
    half = math.radians(rng.uniform(75, 104)) / 2
    # Equidistant: as far from the centre as the angle says. Here by the polynomial next to it.
    radius = np.linspace(0.02, math.tan(half * math.hypot(1, height / width)), 100)
    powers = radius[:, None] ** (3, 5, 7)
    k1, k2, k3 = np.linalg.lstsq(powers, np.arctan(radius) - radius, rcond=None)[0]
    return make_camera(height, width, 2 * math.atan(half), mount, pitch, roll,
                       (k1, k2, 0.0, 0.0, k3))


def render_scene(seed: int, height: int = 384, width: int = 640,
                 profile: str | Profile = 'train') -> Scene:
    """Render the scene of a seed: the same bytes on every call; raises ValueError."""
    chosen = profile if isinstance(profile, Profile) else get_profile(profile)
    if seed < 0:
        raise ValueError(f'Expected a seed of 0 or more, found {seed}; choose another one.')
    if min(height, width) < 16:
        raise ValueError(
            f'Expected an image of at least 16x16 pixels, found {width}x{height}; enlarge it.')
    rng = np.random.default_rng((chosen.salt, seed))
    layout = sample_layout(rng, chosen)
    world = sample_world(rng, chosen, layout, seed)
    onboard = bool(chosen.onboard) and rng.random() < chosen.onboard
    camera = sample_camera(rng, chosen, height, width, onboard)
    effects = sample_effects(rng, chosen, width)
    own_car = sample_own_car(rng, onboard) if onboard or rng.random() < chosen.own_car else None
    return render_world(world, camera, layout.pose, effects, rng, own_car)


class Drive:
    """A car that laps a closed track; the same arguments and time give the same bytes."""

    def __init__(self, seed: int = 0, height: int = 720, width: int = 1280,
                 hfov_deg: float = 86.0, own_car: bool = True) -> None:
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

    def travelled(self, t: float) -> float:
        """Return how far along the loop the vehicle is at `t` seconds [m]."""
        return _START_M + self.speed_mps * t

    def pose(self, t: float) -> tuple[float, float, float]:
        """Return the vehicle's x, y (metres) and yaw (radians) in the world at `t` seconds."""
        at = self.travelled(t)
        x, y, _ = self.track.pose(at)
        # The yaw is smoothed over a wheelbase.
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
        turn = self.pose(t + 0.15)[2] - self.pose(t - 0.15)[2]
        turn = (turn + math.pi) % (2 * math.pi) - math.pi
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
