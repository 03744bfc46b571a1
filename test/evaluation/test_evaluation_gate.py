# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits and baselines of an evaluation."""
import copy
import json

from eunet_ros.evaluation.run.plan import BagPlan
from eunet_ros.evaluation.scoring.gate import (
    check,
    check_frames,
    check_names,
    figures,
    known_names,
    parse_gates,
    read_baseline,
    table_lines,
)
import pytest

HEIGHTS = ('<10', '10-19', '20-39', '>=40')
REPORT = {
    'format': 1, 'mode': 'offline',
    'bags': [{'label': 'drive', 'image_topic': '/cam', 'frames_done': 10}],
    'weights': [{
        'label': 'A', 'classes': ['background', 'blue_cone'],
        'scores': {'dice': 0.91, 'miou': 0.8, 'recall': 0.7, 'false_cones_per_image': 0.5,
                   'classes': {'blue_cone': {'iou': 0.8}},
                   'recall_by_height': {h: {'found': 0.5} for h in HEIGHTS}},
        'steadiness': {'blink_rate': 0.02, 'class_change_rate': None}}],
    'speed': {'A': {'latency_ms': {'p50': 20.0, 'p90': 25.0, 'p99': 30.0, 'max': 90.0}}}}


def judged(*texts, report=REPORT, baseline=None):
    return {row.name: row.failed for row in check(report, parse_gates(texts), baseline)}


def test_gates():
    assert judged('dice=0.9', 'iou_blue_cone=0.81', 'p99_ms=40', 'p50_ms=19', 'false_cones=0.5',
                  'recall_10-19px=0.6', 'blink_rate=0.01') == {
        'dice': False, 'iou_blue_cone': True, 'p99_ms': False, 'p50_ms': True,
        'false_cones': False, 'recall_10-19px': True, 'blink_rate': True}


def test_what_was_not_measured_fails():
    report = copy.deepcopy(REPORT)
    report['weights'][0]['scores'] = None
    rows = check(report, parse_gates(['dice=0.1', 'p99_ms=40', 'masked=0.9']), None)
    assert [row.failed for row in rows] == [True, False, True]
    text = '\n'.join(table_lines(rows))
    assert 'not measured: no ground truth' in text and '2 of 3 figures fail' in text
    assert table_lines(rows[1:2]) == ['All 1 figures hold.']


def test_baseline(tmp_path):
    assert not any(judged(baseline=REPORT).values())
    worse = copy.deepcopy(REPORT)
    worse['weights'][0]['scores'].update(dice=0.9, false_cones_per_image=0.6)
    worse['speed']['A']['latency_ms'].update(p99=39.0, p50=24.0, max=900.0)
    failed = {name for name, fails in judged(report=worse, baseline=REPORT).items() if fails}
    assert failed == {'dice', 'false_cones', 'p99_ms'}
    text = '\n'.join(table_lines(check(worse, [], REPORT)))
    assert [line.split()[0] for line in text.splitlines()[1:-1]] == [
        'dice', 'false_cones', 'p99_ms']
    (tmp_path / 'report.json').write_text(json.dumps(REPORT))
    assert read_baseline(tmp_path) == read_baseline(tmp_path / 'report.json') == REPORT
    (tmp_path / 'other.json').write_text('{"dice": 1}')
    for path, words in (('other.json', 'is not the report.json'), ('none', 'There is no report')):
        with pytest.raises(ValueError, match=words):
            read_baseline(tmp_path / path)
    check_frames(REPORT, [BagPlan('drive', '/b', '/cam', 'x', 10, '')])
    with pytest.raises(ValueError, match=r'10 of drive .* instead of 11 of drive'):
        check_frames(REPORT, [BagPlan('drive', '/b', '/cam', 'x', 11, '')])


@pytest.mark.parametrize(('text', 'words'), [
    ('dice', 'NAME=VALUE such as dice=0.9'), ('dice=high', 'NAME=VALUE'),
    ('dice=nan', 'NAME=VALUE'), ('dise=0.9', 'did you mean dice'), ('x=1', 'expected one of')])
def test_gates_that_are_none(text, words):
    with pytest.raises(ValueError, match=words):
        parse_gates([text])


def test_names_are_those_of_the_figures():
    assert set(figures(REPORT)) - {'iou_blue_cone'} == known_names() - {'masked'}
    with pytest.raises(ValueError, match="no class 'red_cone', expected one of blue_cone"):
        check_names(parse_gates(['iou_red_cone=0.5']), ['background', 'blue_cone'])
