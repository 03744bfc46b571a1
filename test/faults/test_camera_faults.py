# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera that is too fast, stops, changes, has a wrong clock, or is one of two."""
import signal
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402,I100
from eunet_ros.node.outputs import status_qos  # noqa: E402
from eunet_ros.parameters import NodeParameters  # noqa: E402
from rclpy.event_handler import SubscriptionEventCallbacks  # noqa: E402
from rig import ERROR, LONG, OK, SECOND, seen, WARN  # noqa: E402

pytestmark = pytest.mark.slow

NS = 1_000_000_000


@pytest.fixture
def node(rig):
    """Return a rig whose node masks a camera of 30 Hz."""
    if rig.process is None:
        rig.start()
    camera = rig.camera()
    rig.level(OK, within=60.0)
    yield rig, camera
    assert rig.process.poll() is None, rig.log.read_text()


def test_camera_five_times_too_fast(node):
    rig, camera = node
    rig.stop(camera)
    rig.faults(slow=0.05)
    fast = rig.camera(100.0)
    rig.mask()
    seconds = 20.0 if LONG else 2.0
    rig.wait(seconds)
    rig.level(WARN, said='were masked, the camera is faster than the engine')
    rig.diagnostics.clear()
    rig.until(lambda: rig.diagnostics, 'diagnostics')
    rows = rig.diagnostics[-1][3]
    # The wait is at most one image's work, however long it goes on.
    assert float(rows['wait p99 [ms]']) < 250
    rig.stop(fast)
    rig.faults()
    fates = rig.check_accounts()
    assert sum('dropped_newer' in events for events in fates.values()) > 5 * seconds
    seen(f'100 Hz into a node of 20 Hz for {seconds:.0f} s: wait p50 {rows["wait p50 [ms]"]} ms, '
         f'p99 {rows["wait p99 [ms]"]} ms')


def test_camera_stops_and_comes_back(node):
    rig, camera = node
    rig.stop(camera)
    warned = rig.level(WARN, said='no image on /camera/image_raw')
    failed = rig.level(ERROR, said='no image on /camera/image_raw', within=8.0)
    rig.camera()
    back = rig.mask(2.0 if LONG else 5.0)
    rig.level(OK, within=5.0)
    seen(f'WARN {warned:.2f} s after the camera stopped, ERROR {warned + failed:.2f} s, masks '
         f'again {back:.2f} s after it came back')


def test_camera_restarts_with_another_size(node):
    rig, camera = node
    rig.stop(camera)
    rig.camera(size=(48, 80))
    taken = rig.mask(2.0 if LONG else 5.0, size=(48, 80))
    seen(f'the first mask of the new size after {taken:.2f} s')


@pytest.mark.parametrize('case, said', [
    ('zero', 'carry no time stamp'), ('future', 'stamped in the future'),
    ('back', 'stamped before the one that came before')])
def test_stamps_that_cannot_be(node, case, said):
    rig, camera = node
    rig.stop(camera)
    first = []

    def stamp(now):
        first.append(now)
        return {'zero': 0, 'future': now + 3600 * NS,
                'back': now - len(first) % 10 * NS // 10}[case]
    before = len(rig.masks)
    odd = rig.camera(stamp=stamp)
    rig.level(WARN, said=said)
    rig.until(lambda: len(rig.masks) >= before + 10, 'masks all the same')
    rig.stop(odd)
    assert {s for _, s, _ in rig.masks[before + 5:before + 10]} <= {*odd.sent, *camera.sent}
    rig.camera()
    rig.level(OK, within=8.0)


def test_a_bag_that_loops(node):
    rig, camera = node
    rig.stop(camera)
    start = []

    def stamp(now):
        start.append(now)
        return 1_700_000_000 * NS + (now - start[0]) % NS
    before = len(rig.masks)
    rig.camera(stamp=stamp)
    rig.level(WARN, said='stamped before the one', within=6.0)
    rig.until(lambda: len(rig.masks) >= before + 45, 'masks from three turns')


def test_two_cameras_on_one_topic(node):
    rig, _ = node
    other = rig.camera(size=(48, 80))
    rig.mask(size=(48, 80))
    rig.mask(size=(64, 96))
    if LONG:     # one that was killed is a publisher for 20 s, too
        told = rig.level(WARN, said='2 publishers send images', within=30.0)
        seen(f'two cameras were told after {told:.1f} s')
    rig.stop(other)
    rig.level(OK, within=8.0)


def test_bad_images_among_good_ones(node):
    rig, camera = node
    camera._message.step = 7
    rig.level(ERROR, said='expected a step of at least')
    camera._message.step = 96 * 3
    taken = rig.mask(2.0 if LONG else 5.0)
    rig.level(OK, within=8.0)
    seen(f'masks again {taken:.2f} s after the last bad image')


def test_a_simulated_clock_that_stands_still(rig):
    if rig.process:
        rig.process.kill()
        rig.process.wait()
    rig.start('-p', 'use_sim_time:=true')
    camera = rig.camera()
    rig.level(OK, within=60.0)
    rig.mask()
    rig.stop(camera)
    rig.level(WARN, said='no image')          # the watchdog does not stand still
    code, output = rig.end()
    assert code == 0 and 'Traceback' not in output


def test_silence_means_dead(rig):
    """A listener with the deadline of ~/status is told when the node stands still."""
    missed, heard = [], []
    rig.start()
    rig.camera()
    rig.level(OK, within=60.0)
    subscription = rig.peer.create_subscription(
        DiagnosticStatus, '/eunet/status', heard.append, status_qos(NodeParameters()),
        event_callbacks=SubscriptionEventCallbacks(
            deadline=lambda event: missed.append(time.monotonic())))
    rig.until(lambda: len(heard) > 3, 'the status')
    missed.clear()
    began = time.monotonic()
    rig.process.send_signal(signal.SIGSTOP)
    rig.until(lambda: missed, 'the deadline', 10.0)
    told = missed[0] - began
    rig.process.kill()
    rig.process.wait()
    rig.peer.destroy_subscription(subscription)
    assert told < SECOND
    seen(f'the deadline was missed {told:.2f} s after the node stood still')
