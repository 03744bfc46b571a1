# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The worst frames, which the page shows, and their pictures side by side."""
from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
from eunet_ros.bags.messages import deserialise, stamp_of
from eunet_ros.bags.reader import Bag, BagError, Topic
from eunet_ros.evaluation.page.frame_pictures import draw_mask
from eunet_ros.evaluation.run.journal import ScoreRow
from eunet_ros.evaluation.run.plan import bag_files, FrameMasks, Plan
from eunet_ros.evaluation.run.positions import Places
from eunet_ros.evaluation.scoring.score import find_truth
from eunet_ros.evaluation.scoring.summary import FrameFigures
from eunet_ros.evaluation.scoring.truth import as_binary, open_truth
from eunet_ros.images.conversions import to_bgr
from eunet_ros.model.common.classes import IGNORE_ID
import numpy as np

WORST = 20
_APART_NS = 300_000_000      # frames that are closer look alike
_FULL, _ZOOM = (480, 270), (320, 240)   # pixels of the pictures
_QUALITY = 80
_LEAST_CROP = 128            # minimum width of the enlarged part of an image in pixels


class Picture(NamedTuple):
    """A picture with its name and an enlarged part of it, or ''; data URIs."""

    name: str
    whole: str
    zoomed: str


@dataclass
class WorstFrame:
    """A frame of the page; why: the reason why it is one of the worst."""

    bag: str
    index: int
    stamp: int
    why: str
    pictures: list[Picture] = field(default_factory=list)


def choose_worst(frames: Sequence[FrameFigures], count: int = WORST) -> list[int]:
    """
    Return the positions of the worst frames in `frames`, the worst first.

    With truth, frames of the lowest Dice, then of the most wrong pixels; without, frames with the
    most flickering cones. Of frames close to each other only one is taken if there are enough.
    """
    def key(f: FrameFigures) -> tuple[float, float] | None:
        dice = [d for d in f.dice if d is not None]
        if dice:
            wrong = max(w for w in f.wrong if w is not None)
            return (min(dice), -wrong) if min(dice) < 1.0 else None
        flickering = max((n for n in f.flickering if n), default=0)
        return (2.0, -flickering) if flickering else None
    keys = [key(f) for f in frames]
    ranked = sorted((place for place, k in enumerate(keys) if k), key=keys.__getitem__)
    chosen: list[int] = []
    for place in ranked:
        if len(chosen) == count:
            return chosen
        if not any(frames[c].bag == frames[place].bag
                   and abs(frames[c].stamp - frames[place].stamp) < _APART_NS for c in chosen):
            chosen.append(place)
    chosen += [place for place in ranked if place not in chosen][:count - len(chosen)]
    return sorted(chosen, key=ranked.index)


def data_uri(image: np.ndarray) -> str:
    coded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return f'data:image/jpeg;base64,{base64.b64encode(coded.tobytes()).decode()}'


def crop_of(wrong: np.ndarray) -> tuple[int, int, int, int]:
    """Return u0, v0, u1, v1 of a 4:3 part of the image around its largest wrong area."""
    height, width = wrong.shape
    near = cv2.dilate(wrong.astype(np.uint8), np.ones((9, 9), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    if count < 2:
        return 0, 0, width, height
    left, top, w, h, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())]
    wide = min(width, max(_LEAST_CROP, int(2.2 * w), int(2.2 * h * 4 / 3)))
    tall = min(height, wide * 3 // 4)
    u = int(np.clip(left + w // 2 - wide // 2, 0, width - wide))
    v = int(np.clip(top + h // 2 - tall // 2, 0, height - tall))
    return u, v, u + wide, v + tall


def _fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    scale = min(size[0] / image.shape[1], size[1] / image.shape[0])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST if scale > 2 else cv2.INTER_LINEAR
    return cv2.resize(image, (max(1, round(image.shape[1] * scale)),
                              max(1, round(image.shape[0] * scale))), interpolation=how)


def draw_frame(image: np.ndarray, panels: Sequence[tuple[str, np.ndarray, np.ndarray]],
               crop: tuple[int, int, int, int] | None) -> list[Picture]:
    """Return pictures of the image and of each panel (name, mask, colours); crop: to enlarge."""
    pictures = []
    for name, drawn in [('image', image), *((n, draw_mask(image, m, t)) for n, m, t in panels)]:
        whole, zoomed = drawn, ''
        if crop:
            u0, v0, u1, v1 = crop
            zoomed = data_uri(_fitted(drawn[v0:v1, u0:u1], _ZOOM))
            whole = cv2.rectangle(drawn.copy(), (u0, v0), (u1 - 1, v1 - 1), (255, 255, 255),
                                  max(1, image.shape[1] // 400))
        pictures.append(Picture(name, data_uri(_fitted(whole, _FULL)), zoomed))
    return pictures


class Shown(NamedTuple):
    """A frame with its image, masks and true mask, or None."""

    frame: FrameFigures
    image: np.ndarray
    masks: list[np.ndarray | None]
    truth: np.ndarray | None
    places: Places


def shown_frames(plan: Plan, journal: Path, frames: Sequence[FrameFigures],
                 chosen: Sequence[int]) -> Iterator[tuple[int, Shown]]:
    """Yield (position in `frames`, frame); images that cannot be read again are left out."""
    for number, bag_plan in enumerate(plan.bags):
        places = [place for place in chosen if frames[place].bag == number]
        if not places:
            continue
        truth, cones = None, Places.of(plan, number)
        with suppress(ValueError):
            truth = open_truth(plan.truth, Path(bag_plan.path), plan.truth_classes)
        with closing(FrameMasks(bag_files(journal, number))) as masks, (
                closing(truth) if truth else nullcontext()), (
                suppress(BagError)), Bag(bag_plan.path) as bag:
            for place in places:
                frame = frames[place]
                image = _image_of(bag, bag.topics[bag_plan.image_topic], frame)
                if image is not None:
                    cones.follow(frame)
                    yield place, Shown(frame, image, masks.of(frame), find_truth(
                        ScoreRow(frame.index), truth, frame.stamp, image.shape[:2],
                        plan.truth['tolerance_ns']), cones)


def _image_of(bag: Bag, topic: Topic, frame: FrameFigures) -> np.ndarray | None:
    """Return the picture of a frame, None if it cannot be found or decoded."""
    for _, raw in bag.raw(topic, frame.time, frame.time + 1):
        if stamp_of(raw) == frame.stamp:
            with suppress(ValueError):
                return to_bgr(deserialise(raw, topic.msgtype))
    return None


def worst_frames(plan: Plan, journal: Path, frames: Sequence[FrameFigures]) -> list[WorstFrame]:
    """Return the worst frames with their pictures; images that cannot be read are left out."""
    chosen = choose_worst(frames)
    found = {place: _one(plan, shown)
             for place, shown in shown_frames(plan, journal, frames, chosen)}
    return [found[place] for place in chosen if place in found]


def _one(plan: Plan, shown: Shown) -> WorstFrame:
    frame, image, true = shown.frame, shown.image, shown.truth
    panels, wrong = [], np.zeros(image.shape[:2], bool)
    if true is not None:
        panels.append(('truth', np.where(true == IGNORE_ID, 0, true).astype(np.uint8),
                       plan.truth_classes.table_bgr))
    for weights, mask in zip(plan.weights, shown.masks):
        if mask is None:
            continue
        name, table = 'mask' if len(plan.weights) == 1 else f'mask {weights.label}', weights.table
        panels.append((name, mask, table.table_bgr))
        if true is not None:
            own = as_binary(true) if len(table.names) == 2 else true
            wrong |= (own != IGNORE_ID) & (own != mask)
    scores = [f'{f"{w.label} " if len(plan.weights) > 1 else ""}{d:.3f}'
              for w, d in zip(plan.weights, frame.dice) if d is not None]
    why = (f'Dice {", ".join(scores)}' if scores
           else f'{max(n for n in frame.flickering if n)} flickering cones')
    return WorstFrame(plan.bags[frame.bag].label, frame.index, frame.stamp, why, draw_frame(
        image, panels, crop_of(wrong) if wrong.any() else None))
