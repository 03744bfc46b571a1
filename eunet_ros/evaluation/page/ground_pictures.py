# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of the page with cones on the ground: the image and the view from above."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.drawing import draw_cones, draw_from_above
from eunet_ros.evaluation.page.frame_pictures import draw_mask
from eunet_ros.evaluation.page.pictures import data_uri, Shown, shown_frames
from eunet_ros.evaluation.run.plan import Plan
from eunet_ros.evaluation.scoring.summary import FrameFigures
from eunet_ros.model.common.classes import IGNORE_ID
import numpy as np

SHOWN = 3
_WIDE, _HIGH = 960, 540     # pixels of the image; the ground has its height
_MOST_REACH, _LEAST_REACH = 30.0, 10.0   # m shown ahead
_NEAR = 0.95                # share of the cones that must be shown


@dataclass
class GroundFrame:
    """A frame of the page; views: (weights' label, image, ground from above) as data URIs."""

    bag: str
    index: int
    stamp: int
    placed: list[int | None]
    has_truth: bool
    views: list[tuple[str, str, str]] = field(default_factory=list)


def choose_frames(frames: Sequence[FrameFigures], count: int = SHOWN) -> list[int]:
    """Return the frame with the most cones on the ground in each part of the drive."""
    placed = np.array([sum(n or 0 for n in frame.placed) for frame in frames])
    parts = [part for part in np.array_split(np.arange(len(frames)), count) if len(part)]
    best = [int(part[placed[part].argmax()]) for part in parts]
    return [place for place in best if placed[place]]


def ground_frames(plan: Plan, journal: Path, frames: Sequence[FrameFigures]) -> list[GroundFrame]:
    """Return the frames with their pictures; images that cannot be read again are left out."""
    chosen = choose_frames(frames)
    return [_one(plan, shown) for _, shown in shown_frames(plan, journal, frames, chosen)]


def _one(plan: Plan, shown: Shown) -> GroundFrame:
    frame, image, places, known = shown.frame, shown.image, shown.places, []
    p = places.parameters
    if shown.truth is not None:
        mask = np.where(shown.truth == IGNORE_ID, 0, shown.truth).astype(np.uint8)
        cones = places.place_true(find_cones(mask), mask.shape).located
        known = [(x, y, kind) for (x, y, _), kind in zip(
            cones.xyz.tolist(), cones.cones.class_id.tolist())] if cones else []
    out = GroundFrame(plan.bags[frame.bag].label, frame.index, frame.stamp, frame.placed,
                      bool(known))
    for k, mask in enumerate(shown.masks):
        located = None if mask is None else places.place(
            k, find_cones(mask, None, p.cone_min_pixels, p.cone_min_height), mask.shape).located
        if located is None:
            continue
        table = plan.weights[k].table.table_bgr
        drawn = cv2.resize(draw_mask(image, mask, table), (_WIDE, round(
            _WIDE * image.shape[0] / image.shape[1])), interpolation=cv2.INTER_AREA)
        # Drawn after resizing, so that the distances are readable.
        draw_cones(drawn, located.scaled(_WIDE / image.shape[1]), table)
        far = np.concatenate([located.distance, [np.hypot(x, y) for x, y, _ in known]])
        reach = float(np.quantile(far, _NEAR)) + 1.0 if far.size else _LEAST_REACH
        above = draw_from_above(located, table, (_HIGH, _HIGH),
                                float(np.clip(reach, _LEAST_REACH, _MOST_REACH)), known)
        out.views.append((plan.weights[k].label, data_uri(drawn), data_uri(above)))
    return out
