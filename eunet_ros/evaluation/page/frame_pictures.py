# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's picture: a camera image with its mask, a legend, and a comparison to the truth."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
from eunet_ros.cones.drawing import draw_cones
from eunet_ros.cones.ground import Located
from eunet_ros.images.blending import blend_overlay
from eunet_ros.model.common.classes import IGNORE_ID
import numpy as np

_PAPER, _INK, _FAINT = (28, 24, 22), (240, 240, 240), (165, 160, 155)  # BGR
_MISSED, _INVENTED, _CONFUSED = (60, 60, 255), (255, 80, 235), (255, 255, 255)
_MARGIN, _STRIP, _WIDTH = 24, 44, 1280  # pixels
_FONT, _SHARPER = cv2.FONT_HERSHEY_DUPLEX, 3  # text is drawn larger and reduced
_OPACITY = 0.55


def draw_mask(image: np.ndarray, mask: np.ndarray, table_bgr: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) BGR: the image, tinted and outlined in the colours of the classes."""
    out = blend_overlay(image, mask, table_bgr, _OPACITY)
    cones = (mask > 0).view(np.uint8)
    # The outline is outside, so that a far cone of a few pixels keeps its colours.
    edge = (cv2.dilate(mask, np.ones((3, 3), np.uint8)) * (1 - cones)).astype(np.uint8)
    return blend_overlay(out, edge, table_bgr, 0.9)


def draw_comparison(image: np.ndarray, mask: np.ndarray, truth: np.ndarray,
                    table_bgr: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) BGR: correct pixels in the colour of the class, errors; not 255."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    out = (grey * 0.45).astype(np.uint8)
    known = truth != IGNORE_ID
    right = known & (truth > 0) & (mask == truth)
    out[right] = table_bgr[mask[right]]
    out[known & (truth > 0) & (mask == 0)] = _MISSED
    out[known & (truth == 0) & (mask > 0)] = _INVENTED
    out[known & (truth > 0) & (mask > 0) & (mask != truth)] = _CONFUSED
    return out


def draw_sheet(image: np.ndarray, mask: np.ndarray, truth: np.ndarray | None,
               names: Sequence[str], table_bgr: np.ndarray, title: str,
               note: str, located: Located | None = None) -> np.ndarray:
    """
    Return the demo's picture, BGR: image and mask, a legend, and a comparison to the truth.

    image: (h, w, 3) uint8 BGR; mask, truth: (h, w) class ids. located: cones to draw, too.
    """
    size = (_WIDTH, max(1, round(image.shape[0] * _WIDTH / image.shape[1])))
    classes = [(name.replace('_', ' '), tuple(table_bgr[i].tolist()))
               for i, name in enumerate(names) if i]
    overlay = draw_mask(image, mask, table_bgr)
    if located is not None:
        draw_cones(overlay, located, table_bgr)
    head = [(title, 0, _INK), (note, _WIDTH - _text_width(note, 0.55) - 1, _FAINT)]
    rows = [_strip(head), _panel(overlay, size), _legend(classes)]
    if truth is not None:
        rows += [_panel(draw_comparison(image, mask, truth, table_bgr), size),
                 _legend([('class colour: mask and ground truth agree', None),
                          ('missed', _MISSED), ('invented', _INVENTED),
                          ('wrong class', _CONFUSED)])]
    sheet = np.vstack(rows)
    return cv2.copyMakeBorder(sheet, 0, _MARGIN // 2, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT,
                              value=_PAPER)


def _panel(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = image.shape[1] > size[0]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _strip(draw: Sequence[tuple[str, float, tuple[int, int, int]]],
           boxes: Sequence[tuple[float, tuple[int, int, int]]] = (), scale: float = 0.55,
           ) -> np.ndarray:
    """Return (_STRIP, _WIDTH, 3) with texts and boxes at their x in pixels."""
    large = np.full((_STRIP * _SHARPER, _WIDTH * _SHARPER, 3), _PAPER, np.uint8)
    middle = _STRIP * _SHARPER // 2
    for text, x, color in draw:
        height = cv2.getTextSize(text, _FONT, scale * _SHARPER, _SHARPER)[0][1]
        cv2.putText(large, text, (int(x * _SHARPER), middle + height // 2), _FONT,
                    scale * _SHARPER, color, _SHARPER, cv2.LINE_AA)
    for x, color in boxes:
        half, left = 8 * _SHARPER, int(x * _SHARPER)
        cv2.rectangle(large, (left, middle - half), (left + 2 * half, middle + half), color, -1)
    return cv2.resize(large, (_WIDTH, _STRIP), interpolation=cv2.INTER_AREA)


def _text_width(text: str, scale: float) -> float:
    return cv2.getTextSize(text, _FONT, scale * _SHARPER, _SHARPER)[0][0] / _SHARPER


def _legend(entries: Sequence[tuple[str, tuple[int, int, int] | None]]) -> np.ndarray:
    texts, boxes, x, scale = [], [], 0.0, 0.5
    for text, color in entries:
        if color is not None:
            boxes.append((x, color))
            x += 24
        texts.append((text, x, _FAINT))
        x += _text_width(text, scale) + 30
    return _strip(texts, boxes, scale)
