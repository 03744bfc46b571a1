# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Player and recorder as processes over DDS."""

import json
import signal
import subprocess
import sys
import time

from bag_making import make_bag, picture, START
from conftest import Driver
import cv2
from eunet_ros.bags.mask_store import MaskReader, MASKS_FILE
from eunet_ros.bags.messages import COMPRESSED_IMAGE, IMAGE
from eunet_ros.images.conversions import compressed_to_bgr
from image_making import fill_image
import numpy as np
import pytest

node = pytest.importorskip('rclpy.node', reason='rclpy is not installed')
qos = pytest.importorskip('rclpy.qos')
diagnostic = pytest.importorskip('diagnostic_msgs.msg')
rosgraph = pytest.importorskip('rosgraph_msgs.msg')
sensor = pytest.importorskip('sensor_msgs.msg')
services = pytest.importorskip('std_srvs.srv')

from eunet_ros.replay.player import Player  # noqa: E402,I100

pytestmark = pytest.mark.process

PERIOD = 1 / 15


def start(module, *arguments):
    return subprocess.Popen(
        [sys.executable, '-m', f'eunet_ros.{module}', *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process, seconds=30):
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


def stamp(msg):
    return msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec


@pytest.fixture
def listener(ros):
    listening = node.Node('listener')
    yield listening
    listening.destroy_node()


def test_an_image_waits_for_the_mask_of_the_one_before(listener, tmp_path):
    for i in range(4):
        cv2.imwrite(str(tmp_path / f'{i}.png'), picture(i))
    masks = listener.create_publisher(sensor.Image, '/eunet/mask', 10)
    images = []
    listener.create_subscription(sensor.CompressedImage, '/cam/compressed', images.append, 10)
    driver = Driver(listener)
    player = start('play_bag', '--images', tmp_path, '--publish-as', '/cam', '--restamp', '--hz',
                   1000, '--log', '-', '--wait-for-mask', '/eunet/mask', '--delay', 1)
    answered = []
    try:
        driver.until(masks.get_subscription_count, 'the player as listener of masks')
        for count in range(1, 5):
            driver.until(lambda n=count: len(images) >= n, f'image {count}')
            answered.append(time.time_ns())
            masks.publish(sensor.Image(header=images[count - 1].header))
    finally:
        code, log, err = end(player)
    assert code == 0, err
    assert len(log) == 4
    assert all(line['at'] >= at for line, at in zip(log[1:], answered))


@pytest.mark.parametrize('reliability', ['BEST_EFFORT', 'RELIABLE'])
def test_player(listener, tmp_path, reliability):
    bag = make_bag(tmp_path / 'bag', 8)
    images, infos = [], []
    profile = qos.QoSProfile(depth=10, reliability=qos.ReliabilityPolicy[reliability])
    listener.create_subscription(
        sensor.CompressedImage, '/cam/image/compressed', images.append, profile)
    listener.create_subscription(sensor.CameraInfo, '/cam/camera_info', infos.append, profile)
    driver = Driver(listener)
    player = start('play_bag', bag, '--publish-as', '/cam/image', '--restamp', '--log', '-')
    try:
        # Best effort may lose some: the first go out before this side has found the player.
        least = 8 if reliability == 'RELIABLE' else 4
        driver.until(lambda: len(images) >= least, 'images of the player')
        driver.until(lambda: len(infos) >= least - 1, 'camera_info of the player')
    finally:
        code, log, err = end(player)
    assert code == 0, err
    assert [line['bag_stamp'] for line in log] == [START + round(i * 1e9 / 15) for i in range(8)]
    sent = [line['sent_stamp'] for line in log]
    assert {stamp(m) for m in images} <= set(sent)
    if reliability == 'BEST_EFFORT':
        return
    assert [stamp(m) for m in images] == sent
    assert {stamp(m) for m in infos} <= {stamp(m) for m in images}
    assert abs(stamp(images[0]) - time.time_ns()) < 60e9
    # Absolute deadlines: the whole lasts as long as in the bag, however late one frame is.
    lasted = (stamp(images[-1]) - stamp(images[0])) / 1e9
    assert lasted > 7 * PERIOD - 0.02
    blue = [np.flatnonzero(compressed_to_bgr(m)[14, :, 2] < 45)[0] for m in images]
    assert blue == pytest.approx(range(8), abs=1)


def test_player_keeps_stamps(listener, tmp_path):
    images = []
    listener.create_subscription(sensor.Image, '/camera/image_raw', images.append, 10)
    player = start('play_bag', make_bag(tmp_path / 'bag', 4, compressed=False), '--rate', 4)
    try:
        Driver(listener).until(lambda: len(images) == 4, 'images of the player')
    finally:
        code, _, err = end(player)
    assert code == 0, err
    assert [stamp(m) for m in images] == [START + round(i * 1e9 / 15) for i in range(4)]
    assert (images[0].encoding, images[0].height, images[0].width) == ('bgr8', 48, 64)


def test_player_loops_a_part_and_publishes_its_clock(listener, tmp_path):
    images, clocks = [], []
    listener.create_subscription(sensor.CompressedImage, '/camera/image_raw/compressed',
                                 lambda m: images.append((stamp(m), time.monotonic())), 50)
    listener.create_subscription(
        rosgraph.Clock, '/clock', lambda m: clocks.append(m.clock.sec * 10**9 + m.clock.nanosec),
        200)
    player = start('play_bag', make_bag(tmp_path / 'bag', 12), '--loop', '--start', 0.2,
                   '--duration', 0.2, '--clock', 200)
    try:
        Driver(listener).until(lambda: len(images) >= 9 and len(clocks) > 20, 'three rounds')
        player.send_signal(signal.SIGINT)
    finally:
        code, _, err = end(player)
    assert code == 0, err
    played = [s for s, _ in images]
    numbers = [round((s - START) / 1e9 * 15) for s in played]
    assert set(numbers) == {3, 4, 5}
    assert numbers[-6:] == [*numbers[-3:]] * 2
    # Rounds follow each other at the usual step, and /clock is within the part.
    assert images[-1][1] - images[0][1] > (len(images) - 1) / 15 - 0.1
    assert START + 0.19e9 < min(clocks) and max(clocks) < START + 0.46e9


def test_player_is_held_and_goes_on(listener, tmp_path):
    images = []
    listener.create_subscription(
        sensor.CompressedImage, '/camera/image_raw/compressed', images.append, 50)
    client = listener.create_client(services.SetBool, '/eunet_player/set_paused')
    driver = Driver(listener)

    def pause(value):
        driver.until(client.service_is_ready, 'the service')
        done = client.call_async(services.SetBool.Request(data=value))
        driver.until(done.done, 'its answer')
        assert done.result().success
        return done.result().message
    player = start('play_bag', make_bag(tmp_path / 'bag', 10), '--paused', '--log', '-')
    try:
        assert pause(True) == 'paused'
        assert images == []
        assert pause(False) == 'playing'
        driver.until(lambda: len(images) >= 3, 'images')
        pause(True)
        held = time.monotonic()
        driver.until(lambda: time.monotonic() > held + 0.4, 'a moment')
        count = len(images)
        assert count < 10
        pause(False)
        driver.until(lambda: len(images) == 10, 'the rest')
    finally:
        code, log, err = end(player)
    assert code == 0, err
    # What was held is not late: time stood still.
    assert max(line['late_ms'] for line in log) < 150


def test_player_waits_for_a_recorder(listener, tmp_path):
    images, masks = [], []
    listener.create_subscription(
        sensor.CompressedImage, '/camera/image_raw/compressed', images.append, 10)
    wanted = ['--wait-for-recorder-of', '/eunet/mask']
    player = start('play_bag', make_bag(tmp_path / 'bag', 2), *wanted)
    driver = Driver(listener)
    driver.until(lambda: listener.count_publishers('/camera/image_raw/compressed'), 'the player')
    assert not images
    listener.create_subscription(sensor.Image, '/eunet/mask', masks.append, 10)
    code, _, err = end(player)
    assert code == 0 and 'sent 2 images' in err, err


@pytest.fixture
def waiting(ros):
    """Return a function that makes a player, in this process."""
    players = []

    def make(*arguments):
        players.append(Player(*arguments, with_info=False))
        return players[-1]
    yield make
    for player in players:
        player.destroy_node()


# The time to wait is over at once, and begins when the nodes have found each other.
def test_player_names_the_topic_that_nobody_records(listener, waiting):
    listener.create_subscription(sensor.Image, '/image', lambda m: None, 10)
    player = waiting('/image', IMAGE)
    Driver(listener).until(player._images.get_subscription_count, 'the listener')
    with pytest.raises(ValueError, match='Nobody subscribed to /eunet/mask within 0 s'):
        player.wait_for_subscribers(0, '/eunet/mask')


@pytest.mark.parametrize(('topic', 'msgtype', 'other', 'kind', 'said'), [
    ('/image/compressed', COMPRESSED_IMAGE, '/image', 'Image', 'image_transport:=compressed'),
    ('/image', IMAGE, '/image/compressed', 'CompressedImage', 'image_transport:=raw')])
def test_player_names_a_node_of_another_transport(listener, waiting, topic, msgtype, other, kind,
                                                  said, capsys):
    listener.create_subscription(getattr(sensor, kind), other, lambda m: None, 10)
    player = waiting(topic, msgtype)
    Driver(listener).until(lambda: player.count_subscribers(other), 'the listener')
    words = f'a node subscribes to {other}: start it with {said}.'
    with pytest.raises(ValueError, match=f'Nobody subscribed to {topic} within 0 s: {words}'):
        player.wait_for_subscribers(0, '')
    assert words in capsys.readouterr().err      # at once, not only at the end


@pytest.mark.parametrize('published', ['/pylon/image_compressed', '/cam/image/compressed'])
def test_player_publishes_compressed_images_of_any_name(listener, tmp_path, published):
    images = []
    listener.create_subscription(sensor.CompressedImage, published, images.append, 10)
    player = start('play_bag', make_bag(tmp_path / 'bag', 2), '--publish-as', published)
    try:
        Driver(listener).until(lambda: images, 'an image')
    finally:
        code, _, err = end(player)
    assert code == 0, err


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_player_interrupted(listener, tmp_path, number):
    images = []
    listener.create_subscription(
        sensor.CompressedImage, '/camera/image_raw/compressed', images.append, 10)
    player = start('play_bag', make_bag(tmp_path / 'bag', 60, hz=0.5))
    try:
        Driver(listener).until(lambda: images, 'the first image')
        player.send_signal(number)
    finally:
        code, _, err = end(player, 10)
    assert code == 0, err
    assert 'Traceback' not in err


@pytest.mark.parametrize(('arguments', 'code', 'words'), [
    (['{tmp}/nothing'], 1, 'play_bag: There is no bag at'),
    (['--images', '{tmp}'], 1, 'holds no images'),
    (['{bag}', '--image-topic', '/front'], 1, 'no images on /front'),
    (['{bag}', '--wait-for-subscribers', '0.2'], 1, 'Nobody subscribed to /camera/image_raw/comp'),
    (['{bag}', '--publish-as', 'a b'], 1, 'play_bag: Invalid topic name'),
    (['{bag}', '--rate', '0'], 2, '--rate must be'),
    ([], 2, 'required'),
    (['{bag}', '--start', '99', '--wait-for-subscribers', '0'], 1, 'No frame lies at 99 s'),
    (['{bag}', '--clock', '--restamp'], 2, 'exclude each other'),
    (['{bag}', '--duration', '0'], 2, '--duration must be above 0'),
])
def test_player_errors(tmp_path, arguments, code, words):
    bag = make_bag(tmp_path / 'bag', 2)
    got, _, err = end(start('play_bag', *(a.format(tmp=tmp_path, bag=bag) for a in arguments)))
    assert got == code, err
    assert words in err
    assert 'Traceback' not in err


def test_recorder(listener, tmp_path):
    masks = listener.create_publisher(sensor.Image, '/eunet/mask', 5)
    diagnostics = listener.create_publisher(diagnostic.DiagnosticArray, '/diagnostics', 5)
    driver = Driver(listener)
    recorder = start('replay.recorder', tmp_path / 'out', '--count', 3, '--log', '-')
    sent = []
    try:
        driver.until(lambda: masks.get_subscription_count() and (
            diagnostics.get_subscription_count()), 'the recorder')
        status = diagnostic.DiagnosticStatus(
            level=b'\x01', name='/eunet: segmentation', message='well',
            values=[diagnostic.KeyValue(key='engine', value='torch')])
        diagnostics.publish(diagnostic.DiagnosticArray(status=[status]))
        for i in range(4):
            msg = sensor.Image(encoding='rgb8')  # the first one is no mask
            if i:
                fill_image(msg, np.full((48, 64), i, np.uint8), 'mono8')
            msg.header.stamp.sec = 100 + i
            masks.publish(msg)
            sent.append(time.time_ns())
    finally:
        code, log, err = end(recorder)
    assert code == 0, err
    assert 'expected a mask of encoding' in err
    kinds = [line['event'] for line in log]
    assert kinds[0] == 'ready'
    assert kinds.count('mask') == 3
    told = next(line for line in log if line['event'] == 'diagnostics')
    assert (told['values'], told['level']) == ({'engine': 'torch'}, 1)
    reader = MaskReader(tmp_path / 'out' / MASKS_FILE)
    assert list(reader.arrivals) == [101 * 10**9, 102 * 10**9, 103 * 10**9]
    assert all(arrival >= sent[0] for arrival in reader.arrivals.values())
    assert [int(reader.read(i).mask[5, 5]) for i in range(3)] == [1, 2, 3]


def test_recorder_ends_when_idle(tmp_path):
    code, log, err = end(start('replay.recorder', tmp_path / 'out', '--idle', 0.3, '--log', '-'))
    assert code == 0, err
    assert [line['event'] for line in log] == ['ready']
    assert len(MaskReader(tmp_path / 'out' / MASKS_FILE)) == 0
