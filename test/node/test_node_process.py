# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own: start, images over DDS, signals, exit codes."""
import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from eunet_ros.images.conversions import fill_image, image_to_mask  # noqa: E402,I100
from eunet_ros.model import Segmenter  # noqa: E402
from eunet_ros.model.common.resources import share_file  # noqa: E402
from lifecycle_msgs.msg import State, Transition  # noqa: E402
from node_process import Process  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

pytestmark = pytest.mark.process


@pytest.fixture
def start(ros, tiny_weights):
    processes = []

    def run(*arguments):
        processes.append(Process('-p', f'weights:={tiny_weights}', '-p', 'engine:=torch',
                                 *arguments))
        return processes[-1]
    yield run
    for process in processes:
        process.close()


def test_two_processes_large_images(start, tiny_weights):
    """Every 720p image crosses to the node and its mask comes back, equal to a direct call."""
    process = start('-r', 'image:=/camera/image_raw')
    camera = process.peer.create_publisher(Image, '/camera/image_raw', 5)
    masks = []
    process.peer.create_subscription(Image, '/eunet/mask', masks.append, 5)
    process.until(lambda: camera.get_subscription_count()
                  and process.peer.count_publishers('/eunet/mask'), 'the node', 30)
    process.until(lambda: process.state() == State.PRIMARY_STATE_ACTIVE, 'the node to be active')
    bgr = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    expected = Segmenter(tiny_weights, 'torch')(bgr)
    for sec in range(1, 6):
        msg = fill_image(Image(), bgr, 'bgr8')
        msg.header.stamp.sec = sec
        camera.publish(msg)
        process.until(lambda sec=sec: len(masks) == sec, f'mask {sec}')
        assert masks[-1].header.stamp.sec == sec
        np.testing.assert_array_equal(image_to_mask(masks[-1]), expected)
    code, output = process.end(signal.SIGINT)
    assert code == 0 and 'Traceback' not in output, output


def test_raw_images_of_4k_come_best_effort(start):
    """24.9 MB with the package's DDS profile on both sides and the node's defaults."""
    process = start()
    camera = process.peer.create_publisher(Image, 'image', 5)
    masks = []
    process.peer.create_subscription(Image, '/eunet/mask', lambda raw: masks.append(len(raw)), 5,
                                     raw=True)
    process.until(lambda: camera.get_subscription_count(), 'the node', 60)
    process.until(lambda: process.state() == State.PRIMARY_STATE_ACTIVE, 'the node to be active')
    msg = fill_image(Image(), np.zeros((2160, 3840, 3), np.uint8), 'bgr8')
    for sec in range(1, 4):
        msg.header.stamp.sec = sec
        camera.publish(msg)
        process.until(lambda sec=sec: len(masks) == sec, f'mask {sec}', 30)
    assert min(masks) > 2160 * 3840


UNCONFIGURED, INACTIVE, ACTIVE = ((), (Transition.TRANSITION_CONFIGURE,), (
    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE))


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('transitions', [UNCONFIGURED, INACTIVE, ACTIVE], ids=str)
def test_clean_exit_in_every_state(start, transitions, number):
    process = start('-p', 'autostart:=false')
    assert process.state() == State.PRIMARY_STATE_UNCONFIGURED
    for transition in transitions:
        process.change(transition)
    code, output = process.end(number)
    assert code == 0 and 'Traceback' not in output, output


@pytest.mark.parametrize('arguments, said', [
    (('-p', 'weights:=/nowhere.safetensors'), 'There is no weights file /nowhere.safetensors'),
    (('-p', 'engine:=warp'), 'Parameter engine must be one of'),
    (('-p', 'enigne:=torch'), 'did you mean engine'),
    (('-p', 'overlay_opacity:=7.0'), 'overlay_opacity'),
    (('-p', 'jpeg_quality:=high'), 'jpeg_quality'),
    (('-p', 'nonsense'), 'nonsense'),
    (('--params-file', '/nowhere.yaml'), '/nowhere.yaml')])
def test_bad_parameter_ends_in_a_sentence(start, arguments, said):
    process = start(*arguments)
    output, _ = process.popen.communicate(timeout=60)
    assert process.popen.returncode == 1
    assert said in output and 'Traceback' not in output and '?.' not in output, output


def test_shipped_parameter_file_is_accepted(start, tiny_weights):
    process = start('--params-file', str(share_file('config/segmentation.yaml')),
                    '-p', f'weights:={tiny_weights}', '-p', 'autostart:=false')
    assert process.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert process.end(signal.SIGTERM)[0] == 0


def test_a_gpu_that_is_lost_ends_the_process(ros, tiny_weights):
    """Only a new process can use it: the node ends with an error, so that launch respawns it."""
    code = """
import sys, threading
from eunet_ros.model.engines import DeviceLostError
from eunet_ros.node.segmentation_node import _Frame, SegmentationNode
from eunet_ros.ros.process import run
start = SegmentationNode.start
def lost(self):
    error = DeviceLostError('The GPU cannot be used any more.')
    worker = threading.Thread(target=self._on_error, args=(_Frame(b'', 0, 0.0, None), error))
    self.create_timer(0.01, lambda: worker.is_alive() or worker.ident or worker.start())
    return start(self)
SegmentationNode.start = lost
run('eunet_ros.node.segmentation_node')
"""
    done = subprocess.run(
        [sys.executable, '-c', code, '--ros-args', '-p', f'weights:={tiny_weights}', '-p',
         'engine:=torch'], text=True, capture_output=True, timeout=60, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert 'cannot be used any more. The node ends; respawn:=true' in output
    assert 'Traceback' not in output
