# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How steady masks are on drives: what is counted, and the command."""
import json

from eunet_ros.training.renderer import render_scene
from eunet_ros.training.tools import steadiness
from eunet_ros.training.tools.steadiness import MISSED, seen_cones, Steadiness
import numpy as np
import pytest


def rows(*frames):
    counts = Steadiness()
    for frame in frames:
        counts.add(frame)
    return {row['height_px']: row for row in counts.to_report()}


def test_a_cone_that_stays_is_steady():
    row = rows({7: (1, 30)}, {7: (1, 31)}, {7: (1, 33)})['20-39']
    assert (row['pairs'], row['both'], row['triples']) == (2, 2, 1)
    assert (row['flicker'], row['class_change'], row['gap']) == (0, 0, 0)


def test_a_change_of_class_and_a_gap_are_told_apart():
    row = rows({7: (1, 30)}, {7: (2, 30)}, {7: (MISSED, 30)}, {7: (2, 30)})['20-39']
    assert row['changes'] == 1 and row['both'] == 1
    assert row['flickers'] == 2 and row['pairs'] == 3
    assert row['gaps'] == 1 and row['triples'] == 2


def test_a_cone_that_goes_out_of_view_is_no_gap():
    row = rows({7: (1, 30)}, {}, {7: (1, 30)})['20-39']
    assert (row['pairs'], row['triples']) == (0, 0)
    assert row['flicker'] is None


def test_heights_and_drives_are_kept_apart():
    counts = Steadiness()
    counts.add({1: (1, 9), 2: (1, 10), 3: (1, 40)})
    counts.add({1: (1, 9), 2: (MISSED, 19), 3: (1, 400)})
    assert [row['pairs'] for row in counts.to_report()] == [1, 0, 1]
    counts.start()
    counts.add({2: (1, 19)})
    assert [row['pairs'] for row in counts.to_report()] == [1, 0, 1]


def test_what_a_cone_is_taken_for():
    scene = render_scene(8, 96, 160)
    cones = [c for c in scene.cones if c.visible_fraction >= 0.5]
    assert cones
    perfect = seen_cones(scene.mask, scene)
    assert perfect == {c.index: (c.class_id, c.height_px) for c in cones}
    assert all(found == MISSED for found, _ in seen_cones(np.zeros_like(scene.mask),
                                                          scene).values())


def test_command(tmp_path, capsys):
    path = tmp_path / 'steady.json'
    arguments = ['--weights', 'eunet_n', '--drives', '1', '--frames', '3', '--size', '192', '320',
                 '--input-size', '96', '160', '--engine', 'torch', '--json', str(path)]
    assert steadiness.main(arguments) == 0
    report = json.loads(path.read_text())
    assert [row['height_px'] for row in report['steadiness']] == ['10-19', '20-39', '40+']
    assert report['steadiness'][0]['pairs'] > 0
    assert 'class change' in capsys.readouterr().out
    assert steadiness.main(arguments) == 1
    assert 'exists: choose another --json' in capsys.readouterr().err
    assert json.loads(path.read_text()) == report


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--drives', '0'], '--drives must be at least 1'),
    (['--hz', '0'], '--hz must be above 0'),
    (['--size', '0', '96'], '--size must be at least 16'),
    (['--weights', 'eunet_x'], 'eunet_x')])
def test_wrong_arguments_are_a_sentence(arguments, words, capsys):
    assert steadiness.main(['--weights', 'eunet_n', *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1
