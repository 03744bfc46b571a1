# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How steady masks are on drives: what is counted, and the command."""
import json

from eunet_ros.model.common.metrics.cones import MISSED
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.tools import steadiness
from eunet_ros.training.tools.steadiness import seen_cones, Steadiness
import numpy as np
import pytest


def rows(*frames):
    counts = Steadiness()
    for frame in frames:
        counts.add(frame)
    return counts.to_report()['by_height']


def test_a_cone_that_stays_is_steady():
    row = rows({7: (1, 30)}, {7: (1, 31)}, {7: (1, 33)})['20-39']
    assert (row['in_view_twice'], row['seen_twice'], row['seen_before_and_after']) == (2, 2, 1)
    assert (row['flicker_rate'], row['class_change_rate'], row['detection_change_rate']) == (
        0, 0, 0)


def test_changes_of_class_and_of_detection_and_flicker_are_told_apart():
    row = rows({7: (1, 30)}, {7: (2, 30)}, {7: (MISSED, 30)}, {7: (2, 30)})['20-39']
    assert (row['class_changes'], row['seen_twice']) == (1, 1)
    assert (row['detection_changes'], row['in_view_twice']) == (2, 3)
    assert (row['flickering'], row['seen_before_and_after']) == (1, 1)


def test_a_cone_that_stays_missed_does_not_flicker():
    row = rows({7: (1, 30)}, {7: (MISSED, 30)}, {7: (MISSED, 30)})['20-39']
    assert (row['flickering'], row['seen_before_and_after'], row['flicker_rate']) == (0, 0, None)
    assert row['detection_changes'] == 1


def test_a_cone_that_goes_out_of_view_does_not_flicker():
    row = rows({7: (1, 30)}, {}, {7: (1, 30)})['20-39']
    assert (row['in_view_twice'], row['seen_before_and_after']) == (0, 0)
    assert row['detection_change_rate'] is None


def test_heights_and_drives_are_kept_apart():
    counts = Steadiness()
    counts.add({1: (1, 9), 2: (1, 10), 3: (1, 40)})
    counts.add({1: (1, 9), 2: (MISSED, 19), 3: (1, 400)})
    by_height = counts.to_report()['by_height']
    assert [row['in_view_twice'] for row in by_height.values()] == [1, 1, 0, 1]
    counts.start()
    counts.add({2: (1, 19)})
    assert counts.to_report()['by_height'] == by_height


def test_the_height_of_a_flickering_cone_is_that_of_the_frame_it_is_missed_in():
    by_height = rows({7: (1, 18)}, {7: (MISSED, 19)}, {7: (1, 20)})
    assert [row['flickering'] for row in by_height.values()] == [0, 1, 0, 0]


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
    by_height = report['steadiness']['by_height']
    assert list(by_height) == ['<10', '10-19', '20-39', '>=40']
    assert by_height['10-19']['in_view_twice'] > 0
    assert 'class change' in capsys.readouterr().out
    assert steadiness.main(arguments) == 1
    assert 'exists: choose another --json' in capsys.readouterr().err
    assert json.loads(path.read_text()) == report


@pytest.mark.parametrize('more, strip', [([], [32, 192]), (['--input-size', '64', '96'], None)])
def test_the_strip_of_the_weights_goes_with_their_own_input(tmp_path, weights_with_strip, more,
                                                            strip):
    path = tmp_path / 'steady.json'
    assert steadiness.main([
        '--weights', str(weights_with_strip), '--drives', '1', '--frames', '2', '--size', '96',
        '160', '--engine', 'torch', '--json', str(path), *more]) == 0
    report = json.loads(path.read_text())
    assert (report['input_size'], report['strip_size']) == ([64, 96], strip)


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--drives', '0'], '--drives must be at least 1'),
    (['--hz', '0'], '--hz must be above 0'),
    (['--size', '0', '96'], '--size must be at least 16'),
    (['--weights', 'eunet_x'], 'eunet_x')])
def test_wrong_arguments_are_a_sentence(arguments, words, capsys):
    assert steadiness.main(['--weights', 'eunet_n', *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1
