# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Cones: geometry at real size, and drawing with exact coverage.

A cone is a frustum on a square plate with rounded corners. Slices of the frustum are convex: each
is drawn as the hull of its two rims, from the farthest along the axis to the nearest.
"""
from __future__ import annotations

from dataclasses import dataclass
import math

import cv2
from eunet_ros.training.renderer.camera import Camera, project
from eunet_ros.training.renderer.cone_looks import ConeLook
from eunet_ros.training.renderer.ground import stamp
from eunet_ros.training.renderer.light import Light, sun_in_vehicle
from eunet_ros.training.renderer.textures import noise_map
import numpy as np

RINGS, SPOKES, CORNER = 6, 18, 3
_BODY = RINGS * SPOKES  # points 0.._BODY are the rims, then the plate's outline below and above
_OUTLINE = 4 * CORNER
_ANGLES = np.arange(SPOKES) * 2 * math.pi / SPOKES
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)

# Labels of the parts in the supersampled picture; a band's label is odd, a body slice's is even.
_BAND, _BODY_LABEL, _TOP, _SIDES = 1, 2, 3, 4  # four sides
_RIM, _HOLE, _UNDER, _LETTER, _HOLLOW = 8, 9, 10, 11, 12
_FLANK = np.zeros(256, np.uint8)
_FLANK[[_BAND, _BODY_LABEL, _LETTER]] = 255
_SUBPIXEL = 4  # fractional bits that cv2.fillConvexPoly gets

# The window of the image that a cone touches, and its unhidden, uncut area in pixels.
Drawn = tuple[tuple[slice, slice], float]


@dataclass(frozen=True)
class ConeView:
    """A cone as a camera sees it in some light."""

    look: ConeLook
    pixels: np.ndarray  # (points, 2) float32, rims then plate
    spread: np.ndarray  # (2, 2): its axis' bottom and top in pixels
    eye: np.ndarray  # camera position in cone axes
    colours: np.ndarray  # (256, 1, 4) uint8: BGR of every part, and 255 where there is one
    shade: np.ndarray  # (256, 3) light on the frustum, from one edge to the other
    gloss: np.ndarray  # (256,) highlights, grey levels
    low: tuple[int, int]  # (u, v) of the window of pixels that it may touch
    high: tuple[int, int]  # exclusive
    lies: bool = False


def _plate_outline() -> np.ndarray:
    """Return the outline (12, 2) of a square of side 1, counter-clockwise from its +x side."""
    corner = 0.12  # radius of a rounded corner
    turns = np.arange(4)[:, None] * math.pi / 2 + np.linspace(0, math.pi / 2, CORNER)
    centre = (0.5 - corner) * math.sqrt(2)
    middles = (np.arange(4) * math.pi / 2 + math.pi / 4)[:, None]
    return np.stack([centre * f(middles) + corner * f(turns) for f in (np.cos, np.sin)],
                    axis=-1).reshape(-1, 2)


_PLATE = _plate_outline()


def cone_points(look: ConeLook) -> np.ndarray:
    """Return the surface points (rims, then plate) of a cone in its own axes, metres."""
    heights = np.array(look.rims)
    radii = look.radius_bottom + (look.radius_top - look.radius_bottom) * (
        (heights - look.plate) / (look.height - look.plate))
    radii = radii * np.array(look.squash)
    points = np.empty((_BODY + 2 * _OUTLINE, 3))
    rims = points[:_BODY].reshape(RINGS, SPOKES, 3)
    rims[..., :2] = radii[:, None, None] * _CIRCLE
    rims[..., 2] = heights[:, None]
    if look.bend != (0.0, 0.0):
        rims[..., :2] += ((heights / look.height) ** 2)[:, None, None] * np.array(look.bend)
    outline = look.base * _PLATE
    points[_BODY:, :2] = np.concatenate([outline, 0.97 * outline])
    points[_BODY:, 2] = np.repeat([0.0, look.plate], _OUTLINE)
    return points


def view_cones(camera: Camera, looks: list[ConeLook], positions: np.ndarray,
               rotations: np.ndarray, light: Light, yaw: float,
               sunlit: np.ndarray) -> tuple[list[ConeView | None], np.ndarray]:
    """
    Return views of cones, None if too close, and hull points (cones, n, 3) for shadows.

    positions: of the bases' centres (cones, 3) [m]. rotations: (cones, 3, 3) from cone to vehicle
    axes. sunlit: share of the sun's light on each.
    """
    if not looks:
        return [], np.zeros((0, 1, 3))
    local = np.stack([cone_points(look) for look in looks])  # (cones, points, 3)
    world = local @ rotations.transpose(0, 2, 1) + positions[:, None]
    pixels, depth = project(camera, world)
    pixels = pixels.astype(np.float32)
    eyes = np.array([0, 0, camera.mount_height]) - positions
    spread = np.stack([pixels[:, :SPOKES].mean(axis=1),
                       pixels[:, _BODY - SPOKES:_BODY].mean(axis=1)], axis=1)
    sun = sun_in_vehicle(light, yaw)
    direct = np.array(light.sun) * sunlit[:, None]  # (cones, 3)
    colours = _part_colours(looks, rotations, eyes, light, sun, direct)
    shade, gloss = _shade_tables(looks, rotations, eyes, spread, camera, light, sun, direct)
    eyes = np.einsum('nij,ni->nj', rotations, eyes)
    far_enough, lies = depth.min(axis=1) > 0.15, rotations[:, 2, 2] < 0.8
    low = np.floor(pixels.min(axis=1)).astype(int) - 1
    high = np.ceil(pixels.max(axis=1)).astype(int) + 2
    views = [ConeView(look, pixels[i], spread[i], eyes[i], colours[i], shade[i], gloss[i],
                      tuple(low[i].tolist()), tuple(high[i].tolist()), bool(lies[i]))
             if far_enough[i] else None for i, look in enumerate(looks)]
    hull = np.r_[0:SPOKES:3, _BODY - SPOKES:_BODY:3, _BODY:_BODY + 2 * _OUTLINE]
    return views, world[:, hull]


def _slices(cone: ConeView):
    """Return the indices of frustum slices, and None for the plate, back to front."""
    rims = cone.look.rims
    away = {None: abs(0.5 * cone.look.plate - cone.eye[2])}
    for ring in range(RINGS - 1):
        if rims[ring + 1] - rims[ring] > 1e-6:
            away[ring] = abs(0.5 * (rims[ring] + rims[ring + 1]) - cone.eye[2])
    return sorted(away, key=lambda ring: -away[ring])


def _fill(label: np.ndarray, points: np.ndarray, value: int) -> None:
    cv2.fillConvexPoly(label, cv2.convexHull(points), value, cv2.LINE_8, _SUBPIXEL)


def _draw_plate(label: np.ndarray, fixed: np.ndarray, cone: ConeView, rich: bool) -> None:
    below, above = fixed[_BODY:_BODY + _OUTLINE], fixed[_BODY + _OUTLINE:]
    _fill(label, fixed[_BODY:], _RIM)
    if rich:
        half = 0.5 * cone.look.base
        # Face k looks along +y, -x, -y, +x: it lies between corner k and corner k + 1.
        x, y = cone.eye[:2]
        for face, visible in enumerate((y > half, x < -half, y < -half, x > half)):
            if visible:
                ends = [CORNER * face + CORNER - 1, (CORNER * face + CORNER) % _OUTLINE]
                _fill(label, np.concatenate([below[ends], above[ends]]), _SIDES + face)
    if cone.eye[2] > cone.look.plate:
        _fill(label, above, _TOP)
    elif cone.eye[2] < 0:
        _fill(label, below, _UNDER)
        if rich:  # cones are hollow
            middle = below.mean(axis=0)
            _fill(label, np.rint(middle + 0.72 * (below - middle)).astype(np.int32), _HOLLOW)


def _paint_labels(cone: ConeView, shape: tuple[int, int], fixed: np.ndarray,
                  rich: bool) -> np.ndarray:
    look = cone.look
    label = np.zeros(shape, np.uint8)
    for ring in _slices(cone):
        if ring is None:
            _draw_plate(label, fixed, cone, rich)
        else:
            kind = _BAND if look.banded and ring % 2 == 1 else _BODY_LABEL
            _fill(label, fixed[ring * SPOKES:(ring + 2) * SPOKES], kind)
    if cone.eye[2] > look.height:
        _fill(label, fixed[(RINGS - 1) * SPOKES:_BODY], _HOLE)
    if look.letters and rich and not cone.lies:
        _write_letters(label, fixed, look)
    if rich and look.peeled is not None:
        # A piece of the sticker is missing: the body is visible, within the band only.
        low, high = fixed[:_BODY].min(axis=0), fixed[:_BODY].max(axis=0)
        torn = np.zeros(shape, np.uint8)
        _fill(torn, np.rint(low + look.peeled * (high - low)).astype(np.int32), 1)
        label[(torn > 0) & (label == _BAND)] = _BODY_LABEL
    return label


def _write_letters(label: np.ndarray, fixed: np.ndarray, look: ConeLook) -> None:
    """Write on the band of an upright cone, supersampled like `label`, in place."""
    rims = fixed[SPOKES:3 * SPOKES].astype(np.float32) / (1 << _SUBPIXEL)
    low, high = rims[:SPOKES].mean(axis=0), rims[SPOKES:].mean(axis=0)
    tall, wide = float(low[1] - high[1]), float(np.ptp(rims[:, 0]))
    lean = math.degrees(math.atan2(float(low[0] - high[0]), tall))
    if tall < 20 or abs(lean) > 35:
        return
    scale = 0.55 * tall / 22  # the font's capitals are 22 pixels high
    stroke = max(1, round(0.11 * tall))
    text_wide = cv2.getTextSize(look.letters, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)[0][0]
    x = 0.5 * (low[0] + high[0]) - 0.5 * text_wide + 0.4 * look.letters_at * wide
    y = 0.5 * (low[1] + high[1]) + 0.275 * tall
    ink = np.zeros(label.shape, np.uint8)
    cv2.putText(ink, look.letters, (round(float(x)), round(float(y))), cv2.FONT_HERSHEY_SIMPLEX,
                scale, 1, stroke)
    if abs(lean) > 3:  # the letters lean with the cone
        turn = cv2.getRotationMatrix2D((0.5 * (low + high)).tolist(), lean, 1.0)
        ink = cv2.warpAffine(ink, turn, ink.shape[::-1], flags=cv2.INTER_NEAREST)
    label[(ink > 0) & (label == _BAND)] = _LETTER


def _part_colours(looks: list[ConeLook], rotations: np.ndarray, eyes: np.ndarray, light: Light,
                  sun: np.ndarray, direct: np.ndarray) -> np.ndarray:
    """Return BGRA tables (cones, 256, 1, 4), lit; the frustum's own shading comes on top."""
    ambient = np.array(light.ambient)
    body = np.array([look.body for look in looks])
    band = np.array([look.band for look in looks])
    worn = 0.93 * body + 6  # plates are scuffed and dusty
    local = np.einsum('nij,i->nj', rotations, sun)  # the sun in cone axes
    up = rotations[:, 2]  # the direction up in cone axes
    colours = np.zeros((len(looks), 256, 1, 4), np.uint8)

    def put(label: int, colour: np.ndarray) -> None:
        colours[:, label, 0, :3] = np.clip(colour, 0, 255)

    put(_BODY_LABEL, body)
    put(_BAND, band)
    put(_LETTER, np.where(band.mean(axis=1, keepdims=True) > 110, 40, 215))
    for label, axis, sign, share in ((_TOP, 2, 1, 1.0), (_SIDES, 1, 1, 0.86),
                                     (_SIDES + 1, 0, -1, 0.86), (_SIDES + 2, 1, -1, 0.86),
                                     (_SIDES + 3, 0, 1, 0.86), (_UNDER, 2, -1, 0.68)):
        sky = 0.72 + 0.28 * sign * up[:, axis, None]
        put(label, share * worn * (ambient * sky + direct * np.maximum(
            sign * local[:, axis, None], 0)))
    # Worn plastic mirrors a low sun: against the light a plate is white.
    half_way = eyes / np.linalg.norm(eyes, axis=1, keepdims=True) + sun
    half_way /= np.linalg.norm(half_way, axis=1, keepdims=True) + 1e-9
    glint = np.array([look.glint for look in looks]) * np.maximum(
        np.sum(half_way * rotations[:, :, 2], axis=1), 0) ** 12
    for label in (_TOP, _RIM):
        put(label, colours[:, label, 0, :3] + 255 * glint[:, None] * direct)
    put(_RIM, 0.8 * worn * (ambient + 0.3 * direct))
    put(_HOLE, 0.3 * body * ambient)
    put(_HOLLOW, 0.62 * body * (0.7 * ambient + 0.35 * direct))
    colours[:, 1:, 0, 3] = 255
    return colours


def _shade_tables(looks: list[ConeLook], rotations: np.ndarray, eyes: np.ndarray,
                  spread: np.ndarray, camera: Camera, light: Light, sun: np.ndarray,
                  strength: np.ndarray):
    """Return shading (cones, 256, 3) and gloss (cones, 256) across the frustum, edge to edge."""
    axis = rotations[:, :, 2]
    view = eyes - axis * np.sum(eyes * axis, axis=1, keepdims=True)
    view /= np.linalg.norm(view, axis=1, keepdims=True) + 1e-9
    side = np.cross(axis, view)
    along = spread[:, 1] - spread[:, 0]
    seen = side @ camera.rotation.T
    # In the image, `across` grows towards (-along_y, along_x).
    flip = np.where(seen[:, 1] * along[:, 0] - seen[:, 0] * along[:, 1] < 0, -1.0, 1.0)
    side *= flip[:, None]
    across = np.linspace(-1, 1, 256, dtype=np.float32)
    facing = np.sqrt(1 - across ** 2)
    slope = np.array([(look.radius_bottom - look.radius_top) / look.height for look in looks])

    def mix(front: np.ndarray, edge: np.ndarray):
        return np.float32(front)[:, None] * facing + np.float32(edge)[:, None] * across

    direct = np.maximum(mix(view @ sun, side @ sun) + np.float32(slope * (axis @ sun))[:, None], 0)
    # Edges see more of the surroundings than of the sky behind the camera.
    sky = 0.66 + 0.22 * facing + 0.12 * mix(view[:, 2], side[:, 2])
    shade = sky[..., None] * np.float32(light.ambient) + (
        direct[..., None] * np.float32(strength)[:, None])
    half_way = view + sun
    half_way /= np.linalg.norm(half_way, axis=1, keepdims=True) + 1e-9
    shine = np.maximum(mix(np.sum(half_way * view, 1), np.sum(half_way * side, 1)), 0) ** 12
    gloss = np.float32(strength[:, 1:2]) * shine ** 5 + np.float32(0.12) * shine
    gloss *= np.float32([150 * look.gloss for look in looks])[:, None]
    return shade.astype(np.float32), gloss


def _surface_light(cone: ConeView, low: np.ndarray, shape: tuple[int, int], scale: float):
    """Return shading (h, w, 3) and gloss (h, w) of the frustum over a window of the image."""
    (x0, y0), (x1, y1) = (cone.spread - low).tolist()
    length = max(math.hypot(x1 - x0, y1 - y0), 1e-3)
    ax, ay = (x1 - x0) / length, (y1 - y0) / length
    wide, narrow = (0.5 * float(np.ptp(rim @ np.float32([-ay, ax])))
                    for rim in (cone.pixels[:SPOKES], cone.pixels[_BODY - SPOKES:_BODY]))
    u = np.arange(shape[1], dtype=np.float32) - np.float32(x0)
    v = (np.arange(shape[0], dtype=np.float32) - np.float32(y0))[:, None]
    along = u * np.float32(ax / length) + v * np.float32(ay / length)
    along = np.minimum(np.maximum(along, -0.1), 1.1)
    across = v * np.float32(127.5 * ax) - u * np.float32(127.5 * ay)
    across /= np.maximum(np.float32(wide) + np.float32(narrow - wide) * along, 0.3)
    index = np.minimum(np.maximum(across + 127.5, 0), 255).astype(np.uint8)
    shade = cone.shade.take(index, axis=0)
    tone = np.float32(0.9) + np.float32(0.1) * along
    if scale > 12:
        # Dirt keeps its place on the cone whatever the cone's size in the image.
        span = 90 + int(60 * cone.look.height)
        x, y = cone.look.dirt_at
        crop = noise_map('dirt', 0, 8)[y:y + span, x:x + span]
        dirt = cv2.resize(crop, (shape[1], shape[0])).astype(np.float32)
        tone *= 1 - np.float32(cone.look.dirt) * np.clip((dirt - 120) / 110, -0.12, 0.8)
    shade *= _thrice(tone)
    return shade, cone.gloss.take(index)


def _thrice(plane: np.ndarray) -> np.ndarray:
    """Repeat (h, w) for three channels: NumPy is slow at broadcasting over so short an axis."""
    return cv2.merge((plane, plane, plane))


def draw_cone(image: np.ndarray, mask: np.ndarray, instances: np.ndarray, number: int,
              cone: ConeView, light: Light, veil: float) -> Drawn | None:
    """Paint a cone in place, under a share `veil` of haze; None if it is outside the image."""
    low, high = cone.low, cone.high
    left, top = max(low[0], 0), max(low[1], 0)
    width, height = min(high[0], image.shape[1]) - left, min(high[1], image.shape[0]) - top
    if width <= 0 or height <= 0:
        return None
    scale = high[1] - low[1] - 3.0
    fine = int(min(max(round(100 / max(scale, 1.0)), 2), 8))
    corner = np.float32([left, top])
    fixed = ((cone.pixels - corner + 0.5) * fine - 0.5) * (1 << _SUBPIXEL)
    fixed = np.rint(np.minimum(np.maximum(fixed, -1e6), 1e6)).astype(np.int32)
    label = _paint_labels(cone, (height * fine, width * fine), fixed, scale > 14)

    # (h * fine, w * fine) -> (h, w, 4): lit colour premultiplied by coverage, and the coverage.
    fine_colours = cone.colours.view(np.uint32).reshape(256).take(label)  # faster than cv2.LUT
    painted = cv2.resize(fine_colours.view(np.uint8).reshape(*label.shape, 4), (width, height),
                         interpolation=cv2.INTER_AREA)
    flank = cv2.resize(cv2.LUT(label, _FLANK), (width, height), interpolation=cv2.INTER_AREA)
    flank = flank * np.float32(1 / 255)
    shade, gloss = _surface_light(cone, corner, (height, width), scale)
    covered = cv2.extractChannel(painted, 3)
    coverage = _thrice(covered * np.float32(1 / 255))
    lit = shade  # painted * (1 + flank * (shade - 1)) + flank * gloss
    lit -= 1
    lit *= _thrice(flank)
    lit += 1
    lit *= cv2.cvtColor(painted, cv2.COLOR_BGRA2BGR)
    lit += _thrice(flank * gloss)
    if veil > 0.003:
        lit = lit * np.float32(1 - veil) + coverage * (np.float32(light.horizon) * veil)
    window = np.s_[top:top + height, left:left + width]
    lit += image[window] * (1 - coverage)
    image[window] = np.minimum(lit, 255).astype(np.uint8)
    _, solid = cv2.threshold(covered, 127, 1, cv2.THRESH_BINARY)
    stamp(mask[window], solid, cone.look.class_id)
    stamp(instances[window], solid, number)
    whole = low == (left, top) and high == (left + width, top + height)
    if whole:
        return window, float(cv2.countNonZero(solid))
    body, plate = cv2.convexHull(cone.pixels[:_BODY]), cv2.convexHull(cone.pixels[_BODY:])
    both, _ = cv2.intersectConvexConvex(body, plate)
    return window, cv2.contourArea(body) + cv2.contourArea(plate) - both
