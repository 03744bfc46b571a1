# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, percentiles, lost and late images, and what diagnostics say of them."""
from eunet_ros import health
from eunet_ros.node_statistics import NodeStatistics, Rate, StreamMonitor
import pytest

MS = 1_000_000
S = 1000 * MS


def test_rate_over_the_last_seconds():
    rate = Rate()
    assert rate.hz(0) == 0
    for i in range(60):
        rate.tick(i * 50 * MS)
    assert rate.hz(59 * 50 * MS) == pytest.approx(20)
    assert rate.hz(100 * S) == 0


@pytest.mark.parametrize('stamps_ms, lost', [
    ([i * 50 for i in range(1, 40)], 0),
    ([i * 50 for i in range(1, 40) if i not in (20, 30, 31)], 3),
    ([i * 50 + (i % 3) * 8 for i in range(1, 40)], 0),             # jitter
    ([i * 50 for i in range(1, 20)] * 2, 0),                       # a bag that loops
    ([i * 50 for i in range(1, 20)] + [60_000 + i * 50 for i in range(9)], 0),  # a pause
    ([0] * 30, 0)])
def test_lost_images_are_estimated_from_stamps(stamps_ms, lost):
    monitor = StreamMonitor(late_ns=500 * MS)
    for stamp in stamps_ms:
        monitor.observe(stamp * MS, stamp * MS + MS)
    assert (monitor.lost, monitor.late) == (lost, 0)


@pytest.mark.parametrize('age_ms, late', [(499, 0), (501, 1), (-5, 0), (10 ** 9, 0)])
def test_late_images(age_ms, late):
    monitor = StreamMonitor(late_ns=500 * MS)
    monitor.observe(10 ** 15 * MS, 10 ** 15 * MS + age_ms * MS)
    assert monitor.late == late


def _statistics(received=20, skip=(), age_ms=5, masked=None):
    statistics = NodeStatistics()
    for i in range(received):
        if i not in skip:
            stamp = (i + 1) * 50 * MS
            statistics.received(stamp, stamp + age_ms * MS, stamp)
    for i in range(received if masked is None else masked):
        statistics.masked((i + 1) * 50 * MS, {'inference': 10.0 + i})
    return statistics


NOW = 20 * 50 * MS


def _assess(statistics, now=NOW, active=True, enabled=True):
    return health.assess(statistics.snapshot(now), active, enabled, 1.0, '/cam')


def test_percentiles():
    state = _statistics().snapshot(NOW)
    assert state.stage_ms['inference'] == pytest.approx((19.5, 28.81), abs=0.01)
    assert state.counts == {'received': 20, 'masked': 20}
    assert health.table(state)['inference p99 [ms]'] == '28.81'


@pytest.mark.parametrize('level, said, arguments', [
    (health.OK, '20.0 masks/s', {}),
    (health.OK, 'inactive', {'active': False}),
    (health.OK, 'disabled', {'enabled': False}),
    (health.WARN, 'no image on /cam for 3.0 s', {'now': NOW + 3 * S})])
def test_levels(level, said, arguments):
    got = _assess(_statistics(), **arguments)
    assert got[0] == level and said in got[1]


def test_no_image_at_all():
    assert _assess(NodeStatistics())[0] == health.WARN


def test_transport_that_loses_or_delays():
    lossy = _statistics(received=40, skip=range(20, 26))
    level, said = _assess(lossy, now=40 * 50 * MS)
    assert level == health.WARN and '6 of 40' in said and 'fastdds_large_images.xml' in said
    level, said = _assess(_statistics(age_ms=700))
    assert level == health.WARN and '20 of 20 images arrived late' in said


def test_errors_show_and_pass():
    statistics = _statistics()
    statistics.error('The device was lost.', NOW)
    assert _assess(statistics) == (health.ERROR, 'The device was lost.')
    statistics.received(NOW, NOW, NOW + 6 * S)
    assert _assess(statistics, now=NOW + 6 * S)[0] == health.OK


def test_idle_when_nobody_listens():
    statistics = _statistics(masked=0)
    for _ in range(20):
        statistics.dropped('unwatched')
    assert 'nobody subscribes' in _assess(statistics)[1]


def test_reset_forgets():
    statistics = _statistics()
    statistics.reset()
    assert statistics.snapshot(NOW).counts == {}
