# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits and baselines of an evaluation."""
import copy
import json
from pathlib import Path

from eunet_ros.evaluation.run.plan import BagPlan, FORMAT
from eunet_ros.evaluation.scoring.gate import (
    check,
    check_frames,
    check_names,
    figures,
    parse_gates,
    read_baseline,
    table_lines,
)
from eunet_ros.evaluation.scoring.metric_table import metrics_of
from eunet_ros.model.common.metrics.cones import HEIGHT_BINS
import pytest

REPORT = {
    'format': FORMAT, 'mode': 'offline',
    'bags': [{'label': 'drive', 'image_topic': '/cam', 'frames_done': 10}],
    'weights': [{
        'label': 'A', 'classes': ['background', 'blue_cone'],
        'scores': {'dice': 0.91, 'miou': 0.8, 'recall': {'recall': 0.7},
                   'false_cones_per_image': 0.5, 'iou': {'blue_cone': 0.8},
                   'recall_by_height': {h: {'recall': 0.5} for h in HEIGHT_BINS}},
        'steadiness': {'flicker_rate': 0.02, 'class_change_rate': None}}],
    'speed': {'A': {'latency_ms': {'p50': 20.0, 'p90': 25.0, 'p99': 30.0, 'max': 90.0}}}}


def judged(*texts, report=REPORT, baseline=None):
    return {row.metric.name: row.failed for row in check(report, parse_gates(texts), baseline)}


def test_gates():
    assert judged('dice=0.9', 'iou_blue_cone=0.81', 'p99_ms=40', 'p50_ms=19', 'false_cones=0.5',
                  'recall_10-19px=0.6', 'flicker_rate=0.01') == {
        'dice': False, 'iou_blue_cone': True, 'p99_ms': False, 'p50_ms': True,
        'false_cones': False, 'recall_10-19px': True, 'flicker_rate': True}


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
    (tmp_path / 'old.json').write_text(json.dumps({**REPORT, 'format': 1}))
    for path, words in (('other.json', 'is not the report.json'), ('none', 'There is no report'),
                        ('old.json', f'has the format 1, expected {FORMAT}')):
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
    assert list(figures(REPORT)) == [m.name for m in metrics_of(['background', 'blue_cone'])]
    assert [name for name, value in figures(REPORT).items() if value is None] == [
        'class_change_rate', 'masked']
    with pytest.raises(ValueError, match="no class 'red_cone', expected one of blue_cone"):
        check_names(parse_gates(['iou_red_cone=0.5']), ['background', 'blue_cone'])


def test_a_class_that_new_weights_no_longer_know_fails():
    fewer = copy.deepcopy(REPORT)
    fewer['weights'][0].update(classes=['background'])
    rows = check(fewer, [], REPORT)
    assert [row.metric.name for row in rows if row.failed] == ['iou_blue_cone']


def test_a_metric_as_people_read_it():
    shown = {metric.name: metric for metric in metrics_of(['background', 'blue_cone'])}
    assert len(shown) == len(metrics_of()) + 1
    assert shown['dice'].text(0.91) == '0.9100'
    assert shown['flicker_rate'].text(0.0242) == '2.42 %'
    assert shown['p99_ms'].text(30.04) == '30.0 ms'
    assert shown['iou_blue_cone'].text(None) == '–'


def test_live_figures_are_those_of_the_node():
    live = {'latency_ms': {'p50': 50.0, 'p99': 70.0}, 'masked_share': 0.99}
    found = figures({**REPORT, 'live': {'A': live}})
    assert (found['p50_ms'], found['p90_ms'], found['masked']) == (50.0, None, 0.99)


def test_the_documentation_names_every_metric():
    page = (Path(__file__).parents[2] / 'docs' / 'evaluation.md').read_text(encoding='utf-8')
    assert [metric.name for metric in metrics_of() if f'`{metric.name}`' not in page] == []
