# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0

"""Rendered ground: its fast paths draw what the plain ones do."""

import hashlib
from types import SimpleNamespace

from eunet_ros.training.renderer import ground, render_scene
from eunet_ros.training.renderer.ground import _outline, Mark, stamp
import numpy as np
import pytest


def image_bytes(seed: int, strip: int, monkeypatch) -> str:
    monkeypatch.setattr(ground, '_STRIP', strip)
    return hashlib.sha256(render_scene(seed, 192, 320).image.tobytes()).hexdigest()


@pytest.mark.parametrize('seed', range(8))
def test_marks_painted_in_strips_are_those_painted_at_once(seed, monkeypatch):
    assert image_bytes(seed, ground._STRIP, monkeypatch) == image_bytes(seed, 10000, monkeypatch)


@pytest.mark.parametrize('worn', [0.0, 0.5])
def test_a_mark_of_a_single_pixel(worn):
    view = SimpleNamespace(x=np.ones((9, 9), np.float32), y=np.ones((9, 9), np.float32))
    texture = np.full((9, 9, 3), 90, np.uint8)
    mark = Mark((), 0.1, (10.0, 20.0, 250.0), 1.0, worn)
    ground._paint(texture, mark, np.full((1, 1), 255, np.uint8), view, np.s_[4:5, 6:7])
    changed = np.argwhere((texture != 90).any(axis=2))
    assert changed.tolist() == [[4, 6]] or (worn > 0 and len(changed) == 0)
    assert worn > 0 or texture[4, 6].tolist() == [10, 20, 250]


def test_an_outline_is_half_a_width_from_its_line():
    rng = np.random.default_rng(5)
    line = np.cumsum(rng.uniform(0.1, 1, (9, 2)), axis=0)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    normal *= 0.1 / np.linalg.norm(normal, axis=1, keepdims=True)
    expected = np.concatenate([line + normal, (line - normal)[::-1]])
    assert np.allclose(_outline(line, 0.2), expected, rtol=0, atol=1e-12)
    assert np.array_equal(_outline(line, 0), line)


@pytest.mark.parametrize('value', [0, 3, 255])
def test_stamp_sets_what_is_solid_and_nothing_else(value):
    rng = np.random.default_rng(6)
    plane = rng.integers(0, 256, (20, 30)).astype(np.uint8)
    solid = rng.integers(0, 2, (6, 7)).astype(np.uint8)
    expected = plane.copy()
    expected[2:8, 3:10][solid == 1] = value
    stamp(plane[2:8, 3:10], solid, value)
    assert np.array_equal(plane, expected)
