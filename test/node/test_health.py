# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates, percentiles, lost and late images, and what diagnostics say of them."""
from eunet_ros.images.conversions import ConversionError
from eunet_ros.model.engines import NotFiniteError
from eunet_ros.node import health
from eunet_ros.node.drop_reasons import DropReason
from eunet_ros.node.stream_statistics import NodeStatistics, Rate, StreamMonitor
from eunet_ros.parameters import LEVELS, NodeParameters
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


def test_a_camera_that_becomes_slower_loses_nothing_for_long():
    monitor = StreamMonitor(late_ns=500 * MS)
    stamps = [i * 10 for i in range(1, 60)] + [600 + i * 33 for i in range(90)]
    lost = []
    for stamp in stamps:
        monitor.observe(stamp * MS, stamp * MS)
        lost.append(monitor.lost)
    assert lost[58] == 0 and lost[80] == lost[-1]
    for stamp in (3600, 3700):   # and at the new rate losses are noticed
        monitor.observe(stamp * MS, stamp * MS)
    assert monitor.lost > lost[-1]


@pytest.mark.parametrize('age_ms, late', [(499, 0), (501, 1), (-5, 0), (10 ** 9, 0)])
def test_late_images(age_ms, late):
    monitor = StreamMonitor(late_ns=500 * MS)
    monitor.observe(10 ** 15 * MS, 10 ** 15 * MS + age_ms * MS)
    assert monitor.late == late


@pytest.mark.parametrize('stamp_ms, arrival_ms, found', [
    (0, 50, {'zero': 1}), (5000, 1000, {'future': 1}), (5000, 4600, {}),
    (5000, 0, {}),                 # a simulated clock that stands still
    (900, 1000, {'back': 1}), (1000, 1000, {'back': 1}), (1050, 1060, {}),
    (1050, 1600, {'late': 1})])
def test_odd_stamps(stamp_ms, arrival_ms, found):
    monitor = StreamMonitor(late_ns=500 * MS)
    monitor.observe(1000 * MS, 1000 * MS)
    assert monitor.observe(stamp_ms * MS, arrival_ms * MS) == found


HZ = 20
STEP = S // HZ


class Stream:
    """A camera of 20 Hz and a node; `now` goes on with each image."""

    def __init__(self, **parameters):
        self.statistics, self.now = NodeStatistics(), 100 * S
        self.parameters = NodeParameters(**parameters)
        self.statistics.reset(self.now)
        self.where = {}

    def run(self, seconds, mask=lambda i: True, total_ms=20.0, age_ms=5, stamp=None,
            drop=DropReason.NEWER):
        """Let images come; each is masked, or dropped where mask(i) is false."""
        for i in range(round(seconds * HZ)):
            self.now += STEP
            given = self.now if stamp is None else stamp(self.now)
            self.statistics.received(given, self.now + age_ms * MS, self.now)
            if mask(i):
                self.statistics.masked(self.now, {'total': total_ms})
            elif drop:
                self.statistics.error('The device was lost.', self.now)
                self.statistics.dropped(drop, self.now)
        return self

    def wait(self, seconds):
        self.now += round(seconds * S)
        return self

    def health(self):
        where = health.Situation(**{'topic': '/cam', **self.where})
        return health.assess(self.statistics.snapshot(self.now), where, self.parameters)


def told(stream):
    got = stream.health()
    return got.level, got.message


def test_percentiles():
    statistics = NodeStatistics()
    for i in range(20):
        statistics.received((i + 1) * STEP, 0, i)
        statistics.masked(i, {'inference': 10.0 + i})
    state = statistics.snapshot(20)
    assert state.stage_ms['inference'] == pytest.approx((19.5, 28.81), abs=0.01)
    assert state.counts == {'received': 20, 'masked': 20}
    assert health.table(state)['inference p99 [ms]'] == '28.81'


def test_every_image_is_accounted_for():
    statistics, seen = NodeStatistics(), []
    statistics.trace = lambda event, stamp: seen.append((event, stamp))
    images = len(DropReason) + 2    # one of each, one masked, one in work
    for i in range(1, images + 1):
        statistics.received(i, i, i)
    statistics.masked(10, {'total': 1.0}, 1)
    for i, reason in enumerate(DropReason, 2):
        statistics.dropped(reason, 10, i)
    rows = health.table(statistics.snapshot(20))
    assert int(rows['received']) == sum(
        int(rows[n]) for n in ('masked', 'in work', *(r.counter for r in DropReason))) == images
    assert rows['in work'] == '1'
    assert seen[images:] == [('masked', 1)] + [(r.counter, i) for i, r in enumerate(DropReason, 2)]


@pytest.mark.parametrize('error, reason', [
    (ConversionError('damaged'), DropReason.BAD), (NotFiniteError(), DropReason.ENGINE),
    (ValueError('of our own'), DropReason.INTERNAL)])
def test_an_error_has_a_reason(error, reason):
    assert DropReason.of(error) is reason


def test_a_healthy_stream_is_ok():
    got = Stream().run(5).health()
    assert (got.level, got.status_level) == (health.OK, health.OK)
    assert got.message == '20.0 masks/s'


@pytest.mark.parametrize('seconds, level', [
    (0.45, health.OK), (0.55, health.WARN), (2.1, health.ERROR)])
def test_no_image(seconds, level):
    assert told(Stream().wait(seconds))[0] == level           # none since activation
    stream = Stream().run(3).wait(seconds)
    assert told(stream)[0] == level
    assert level == health.OK or f'no image on /cam for {seconds:.1f} s' in told(stream)[1]
    assert 'no image' not in told(stream.run(0.05))[1]
    assert told(stream.run(2.1))[0] == health.OK              # by itself


@pytest.mark.parametrize('images, where, said', [
    (0, {'source': 'no camera publishes /cam'}, 'no camera publishes /cam'),
    (0, {'loss': 'raw 2.8 MB images are lost'}, 'raw 2.8 MB images are lost'),
    (0, {}, 'a camera is connected and sends nothing'),
    (3, {'loss': 'raw 2.8 MB images are lost'}, 'raw 2.8 MB images are lost'),
    (900, {'loss': 'raw 2.8 MB images are lost'}, 'no image on /cam'),     # it stopped
    (900, {'source': 'no camera publishes /cam'}, 'no image on /cam')])
def test_why_no_image_comes_stands_first(images, where, said):
    stream = Stream().run(images / HZ).wait(2.5)
    stream.where = where
    level, text = told(stream)
    assert level == health.ERROR and text.startswith(said)


def test_masks_that_stop_are_told_within_a_second():
    stream = Stream().run(3)
    assert told(stream.run(0.4, lambda i: False, drop=''))[0] == health.OK
    assert told(stream.run(0.2, lambda i: False, drop=''))[0] == health.WARN
    level, said = told(stream.run(0.4, lambda i: False, drop=''))
    assert level >= health.WARN and 'images come and no mask' in said
    assert told(stream.run(0.2, lambda i: False, drop=''))[0] == health.ERROR
    assert told(stream.run(3))[0] == health.OK


def test_masks_that_fall_behind():
    stream = Stream().run(3)
    level, said = told(stream.run(2, lambda i: i % 4 == 0))
    assert level == health.WARN and '11 of the last 41' in said
    assert told(Stream(mask_share_error=0.3).run(3, lambda i: i % 4 == 0))[0] == health.ERROR
    assert told(stream.run(2.1))[0] == health.OK


def test_masks_that_are_late():
    stream = Stream().run(3)
    assert told(stream.run(0.5, total_ms=300))[0] == health.WARN
    level, said = told(stream.run(0.5, total_ms=1500))
    assert level == health.ERROR and 'p99 1.50 s' in said
    assert told(stream.run(2.1))[0] == health.OK


@pytest.mark.parametrize('drop', [DropReason.ENGINE, DropReason.BAD])
def test_errors_rise_and_pass(drop):
    stream = Stream().run(3)
    level, said = told(stream.run(0.05, lambda i: False, drop=drop))
    assert level == health.WARN and '1 of the last 41' in said and 'The device was lost' in said
    stream = Stream().run(3).run(0.9, lambda i: i % 2, drop=drop)
    assert told(stream)[0] == health.ERROR
    assert told(stream.run(2.1))[0] == health.OK
    assert told(Stream(error_share_warn=0.5).run(3, lambda i: i % 4, drop=drop))[0] == health.ERROR


def test_transport_that_loses_or_delays():
    stream = Stream().run(3)
    for _ in range(3):
        stream.wait(0.1).run(0.3)
    level, said = told(stream)
    assert level == health.WARN and '6 of the last' in said
    assert 'smaller images' in said                           # another RMW: no profile helps
    stream.where = {'loss': 'raw 2.8 MB images are lost'}
    assert told(stream)[1].startswith('raw 2.8 MB images are lost; 6 of')
    assert told(stream.run(2.1))[0] == health.OK
    level, said = told(Stream().run(1, age_ms=700))
    assert level == health.WARN and '20 of the last 20' in said
    assert told(Stream(level_transport='error').run(1, age_ms=700))[0] == health.ERROR
    assert told(Stream(level_transport='ok').run(1, age_ms=700))[0] == health.OK


@pytest.mark.parametrize('stamp, said', [
    (lambda now: 0, 'carry no time stamp'), (lambda now: now + 5 * S, 'in the future'),
    (lambda now: 10 * S - now // 100, 'stamped before the one')])
def test_stamps_that_cannot_be_are_told(stamp, said):
    stream = Stream(level_transport='ok').run(3, stamp=stamp)
    level, words = told(stream)
    assert level == health.WARN and said in words
    ignored = Stream(level_transport='ok', level_stamps='ok')
    assert told(ignored.run(3, stamp=stamp))[0] == health.OK
    assert told(stream.run(2.3))[0] == health.OK


@pytest.mark.parametrize('where, parameter', [
    ({'cameras': 2}, 'level_stamps'), ({'throttled': 'hot'}, 'level_throttled'),
    ({'fallback': 'torch stands in'}, 'level_fallback'), ({'no_engine': 'none'}, None)])
def test_what_else_is_told(where, parameter):
    stream = Stream().run(3)
    stream.where = where
    assert told(stream)[0] == (health.WARN if parameter else health.ERROR)
    for level, name in enumerate(LEVELS if parameter else ()):
        stream.parameters = NodeParameters(**{parameter: name})
        assert told(stream)[0] == level


def test_a_camera_that_was_started_again_is_not_two():
    now = [0.0]
    cameras = health.SteadyCount(lambda: now[0])
    seen = []
    for now[0], count in ((0, 1), (1, 2), (20, 2), (20.5, 1), (21, 2), (43, 2), (44, 1)):
        seen.append(cameras.of(count))
    assert seen == [1, 1, 1, 1, 1, 2, 1]


def test_the_worst_is_said_first_and_all_of_it():
    stream = Stream().run(3)
    stream.where = {'fallback': 'torch stands in', 'no_engine': 'none works', 'throttled': 'hot'}
    assert told(stream) == (health.ERROR, 'none works; torch stands in; hot')


def test_status_is_stale_where_no_masks_come_by_choice():
    assert Stream().health().status_level == health.STALE     # not yet
    stream = Stream().run(3)
    stream.where = {'active': False}
    assert (stream.health().level, stream.health().status_level) == (health.OK, health.STALE)
    assert stream.health().message == 'inactive'
    disabled = Stream(enabled=False).run(3, lambda i: False, drop=DropReason.DISABLED)
    assert (disabled.health().status_level, 'disabled' in told(disabled)[1]) == (
        health.STALE, True)
    idle = Stream().run(3, lambda i: False, drop=DropReason.UNWATCHED)
    assert idle.health().status_level == health.STALE and 'nobody subscribes' in told(idle)[1]
    assert Stream().run(3).wait(1).health().status_level == health.WARN


def test_a_listener_that_leaves_is_no_fault():
    stream = Stream().run(3)
    for _ in range(6):
        assert told(stream.run(0.5, lambda i: False, drop=DropReason.UNWATCHED))[0] == health.OK
    assert told(stream.run(0.5))[0] == health.OK


def test_reset_forgets():
    stream = Stream().run(1)
    stream.statistics.reset(stream.now)
    assert stream.statistics.snapshot(stream.now).counts == {}


MASKING = health.Health(health.OK, '30.0 masks/s', True)


@pytest.mark.parametrize(('found', 'withheld', 'failed', 'said'), [
    (MASKING, '', {}, (health.OK, '30.0 masks/s')),
    (MASKING, 'no tf', {}, (health.WARN, '30.0 masks/s; positions of cones are withheld: no tf')),
    (MASKING, '', {'cones': 2}, (health.WARN, '30.0 masks/s; cones failed 2 times lately: odd')),
    (health.Health(health.ERROR, 'no image', True), 'no tf', {}, (health.ERROR, 'no image')),
    # The last listener has left: what was withheld from it is nobody's worry.
    (health.Health(health.OK, 'idle', False), 'no tf', {}, (health.OK, 'idle'))])
def test_what_fails_beside_the_mask_is_a_warning_for_people_only(found, withheld, failed, said):
    state = NodeStatistics().snapshot(0)
    state.outputs_failed, state.output_errors = failed, dict.fromkeys(failed, 'odd')
    told = health.with_outputs(found, state, withheld)
    assert (told.diagnostics_level, told.diagnostics_message) == said
    assert (told.status_level, told.message) == (found.status_level, found.message)


def test_failures_of_outputs_are_forgotten_and_their_error_is_kept():
    statistics = NodeStatistics(recent_ns=10)
    statistics.output_failed('overlay', 'odd', 1)
    assert statistics.snapshot(5).outputs_failed == {'overlay': 1}
    assert statistics.snapshot(20).outputs_failed == {}
    assert health.table(statistics.snapshot(20))['last error of overlay'] == 'odd'
