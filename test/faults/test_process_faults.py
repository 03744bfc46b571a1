# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Listeners that come and go, lifecycles, parameters, kills, and a full disk."""
import signal
import time

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from rcl_interfaces.msg import Parameter, ParameterValue  # noqa: E402,I100
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rig import (  # noqa: E402
    ACTIVATE,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    LONG,
    OK,
    seen,
    STALE,
)
from sensor_msgs.msg import Image  # noqa: E402

pytestmark = pytest.mark.slow

AGAIN = 2.0 if LONG else 6.0


@pytest.fixture
def node(rig):
    if rig.process is None:
        rig.start()
    rig.camera()
    rig.level(OK, within=60.0)
    yield rig
    assert rig.process.poll() is None, rig.log.read_text()


def flat(before, after, what, memory=8.0):
    """Memory [MiB], threads and handles are those of before; a count that varies may by two."""
    seen(f'{what}: memory {before[0]:.1f} to {after[0]:.1f} MiB, threads {before[1]} to '
         f'{after[1]}, handles {before[2]} to {after[2]}')
    assert after[0] - before[0] < memory
    assert after[1] <= before[1] + 2 and after[2] <= before[2] + 2


def test_listeners_that_come_and_go(node):
    """Each asks for another output, and leaves at once."""
    def listen(count):
        for i in range(count):
            name = ('overlay', 'color_mask', 'confidence', 'mask')[i % 4]
            subscription = node.peer.create_subscription(
                Image, f'/eunet/{name}', lambda msg: None, 5)
            node.driver.executor.spin_once(timeout_sec=0.005)
            node.peer.destroy_subscription(subscription)
    listen(8)
    before = node.usage()
    listen(1000 if LONG else 60)
    node.mask(AGAIN)
    flat(before, node.usage(), f'{1000 if LONG else 60} listeners', 16.0)
    node.level(OK, within=8.0)


def test_a_slow_listener_on_a_reliable_topic(node):
    """It holds back nobody: the node drops what it cannot send, others get their masks."""
    slow = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE,
                      history=HistoryPolicy.KEEP_LAST)
    node.faults()
    subscription = node.peer.create_subscription(
        Image, '/eunet/overlay', lambda msg: time.sleep(0.15), slow)
    node.wait(8.0 if LONG else 2.0)
    node.peer.destroy_subscription(subscription)
    before = len(node.masks)
    node.wait(1.0)
    assert len(node.masks) - before > 10
    rows = node.diagnostics[-1][3]
    assert float(rows['publish p50 [ms]']) < 20
    node.level(OK, within=8.0)


def test_parameters_at_100_hz(node):
    client = node.peer.create_client(SetParameters, '/eunet/set_parameters')
    node.until(client.service_is_ready, 'the service')
    count, futures, due = 2000 if LONG else 150, [], time.monotonic()
    for i in range(count):
        # Every third one is refused.
        value = ParameterValue(type=3, double_value=(i % 3) * 0.6)
        futures.append(client.call_async(SetParameters.Request(
            parameters=[Parameter(name='overlay_opacity', value=value)])))
        due += 0.01
        while time.monotonic() < due:
            node.driver.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))
    node.until(lambda: all(f.done() for f in futures), 'the answers', 30)
    results = [f.result().results[0] for f in futures]
    assert [r.successful for r in results] == [i % 3 < 2 for i in range(count)]
    assert 'overlay_opacity' in results[2].reason
    node.mask(AGAIN)
    node.level(OK, within=8.0)
    node.check_accounts()


def test_lifecycle_round_and_round(node):
    def turn():
        node.change(DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE)
    for _ in range(3):
        turn()
    before = node.usage()
    count = 200 if LONG else 15
    for _ in range(count):
        turn()
    flat(before, node.usage(), f'{count} turns')
    node.mask(AGAIN)
    node.change(DEACTIVATE)
    node.level(STALE, said='inactive')
    node.change(ACTIVATE)
    node.mask(AGAIN)


@pytest.mark.parametrize('transitions', [(), (CONFIGURE,), (CONFIGURE, ACTIVATE)],
                         ids=['unconfigured', 'inactive', 'active'])
def test_killed_and_started_again(rig, transitions):
    if rig.process:
        rig.process.kill()
        rig.process.wait()
    rig.camera()
    rig.start('-p', 'autostart:=false')
    assert rig.state() == 'unconfigured'
    rig.change(*transitions)
    if len(transitions) == 2:
        rig.mask()
    rig.process.kill()
    rig.process.wait()
    before = len(rig.masks)
    rig.start()
    began = time.monotonic()
    rig.until(lambda: len(rig.masks) > before, 'a mask', 60)
    seen(f'killed {["unconfigured", "inactive", "active"][len(transitions)]}: masks '
         f'{time.monotonic() - began:.1f} s after it was started again')
    rig.level(OK, within=10.0)


def test_a_full_disk(rig, tmp_path):
    """Nothing of the log, nor of the cache of engines, can be written: masks come all the same."""
    if rig.process:
        rig.process.kill()
        rig.process.wait()
    cache = tmp_path / 'cache'
    cache.mkdir()
    (cache / 'eunet_ros').symlink_to('/proc/self')    # where nobody can write
    with open('/dev/full', 'w') as full:
        rig.start(engine='openvino', stdout=full,
                  env={'XDG_CACHE_HOME': str(cache), 'ROS_LOG_DIR': '/dev/full/log'})
    rig.camera()
    rig.level(OK, within=60.0)
    rig.mask()
    code, _ = rig.end(signal.SIGINT)
    assert code == 0


def test_the_recorder_on_a_full_disk(tmp_path, monkeypatch):
    """It ends with a sentence, and what was written can be read."""
    import errno

    from eunet_ros.bags import mask_store
    import numpy as np
    writer = mask_store.MaskWriter(tmp_path / 'masks.bin')
    writer.append(1, 2, np.zeros((4, 5), np.uint8))
    writer.close()
    with open('/dev/full', 'wb', buffering=0) as full:
        monkeypatch.setattr(writer, '_file', full)
        with pytest.raises(OSError, match='No space left') as caught:
            writer.append(3, 4, np.zeros((4, 5), np.uint8))
    assert caught.value.errno == errno.ENOSPC
    assert len(mask_store.MaskReader(tmp_path / 'masks.bin')) == 1
