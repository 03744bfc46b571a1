# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of report.json."""

from datetime import datetime, timedelta, timezone
import json

from eunet_ros.model.common.files import write_json
from eunet_ros.replay.drive import DriveRecord
from eunet_ros.replay.figures import make_report, percentiles, rate_hz, stage_ms
import pytest

KEYS = {
    'frames_sent', 'frames_masked', 'frames_dropped', 'camera_hz', 'mask_hz', 'latency_ms',
    'stage_ms', 'dice', 'iou', 'miou', 'cones', 'engine', 'variant', 'weights_sha256', 'machine',
    'started', 'bag', 'image_topic', 'duration_s'}
NO_SCORES = {'dice': None, 'iou': {'blue_cone': None}, 'miou': None}
MS = 1_000_000


@pytest.mark.parametrize(('times', 'hz'), [
    ([], None), ([5], None), ([5, 5], None), ([0, 100 * MS, 200 * MS], 10.0),
    ([0, 50 * MS, 400 * MS], 5.0)])
def test_rate(times, hz):
    assert rate_hz(times) == hz


def test_latency():
    assert percentiles([]) == {'p50': None, 'p90': None, 'p99': None, 'max': None}
    assert percentiles(range(1, 102)) == {'p50': 51.0, 'p90': 91.0, 'p99': 100.0, 'max': 101.0}


def test_stages():
    rows = {'rate in [Hz]': '15.0', 'decode p50 [ms]': '3.25', 'decode p99 [ms]': '7.00',
            'inference p50 [ms]': '20.10', 'inference p99 [ms]': '31.00', 'last error': ''}
    assert stage_ms(rows) == {'decode': {'p50': 3.25, 'p99': 7.0},
                              'inference': {'p50': 20.1, 'p99': 31.0}}


def test_report(tmp_path):
    record = DriveRecord([(0, 7, 100 * MS), (1, 8, 200 * MS), (2, 9, 300 * MS)], 2,
                         {'engine': 'openvino', 'variant': 'eunet_n', 'weights sha256': 'abc'})
    started = datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    report = make_report(record, {100 * MS: 130 * MS, 300 * MS: 340 * MS}, NO_SCORES,
                         'drive', '/camera/image_raw', started)
    assert set(report) == KEYS
    assert (report['frames_sent'], report['frames_masked'], report['frames_dropped']) == (3, 2, 1)
    assert (report['camera_hz'], report['mask_hz'], report['duration_s']) == (10.0, 4.76, 0.2)
    assert report['latency_ms']['max'] == 40.0
    assert report['weights_sha256'] == 'abc'
    assert report['started'] == '2026-05-01T10:00:00+00:00'
    assert set(report['machine']) == {'cpu', 'cores', 'memory_gib', 'os', 'python', 'versions'}
    assert set(report['machine']['versions']) == {'torch', 'openvino', 'opencv', 'numpy', 'rclpy'}
    write_json(tmp_path / 'report.json', report)
    assert json.loads((tmp_path / 'report.json').read_text()) == report
    assert [p.name for p in tmp_path.iterdir()] == ['report.json']


def test_nothing_sent():
    report = make_report(DriveRecord(), {}, NO_SCORES, 'b', 't', datetime.now().astimezone())
    assert report['camera_hz'] is None
    assert report['duration_s'] == 0.0


def test_not_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match='JSON'):
        write_json(tmp_path / 'report.json', {'a': float('nan')})
    assert not list(tmp_path.iterdir())
