# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The executables as `ros2 run` starts them: DDS profile, files, home, help, Ctrl-C."""
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from eunet_ros.images.conversions import fill_compressed  # noqa: E402,I100
from node_process import Process  # noqa: E402
from rclpy.node import Node  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

TIMES = 10 if os.environ.get('EUNET_LONG') else 1
PROFILES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
LISTENER = """
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
rclpy.init()
node = Node('listener')
node.create_subscription(Image, '/eunet/mask', lambda raw: print('mask', flush=True),
                         qos_profile_sensor_data, raw=True)
rclpy.spin(node)
"""

STACK = """
stacks:
  own: {type: geometry_msgs/msg/PoseArray, cone: geometry_msgs/msg/Pose, position: position,
        list: poses, class_field: x, number: {blue_cone: 0}}
"""


@pytest.fixture
def light(tiny_weights):
    """Return the arguments for an engine that starts at once."""
    return ['-p', f'weights:={tiny_weights}', '-p', 'engine:=torch']


def ran(*arguments, module='segmentation_node', seconds=60, **environment):
    """Run an executable to its end; a value of None unsets a variable."""
    env = {n: v for n, v in {**os.environ, **environment}.items() if v is not None}
    return subprocess.run([sys.executable, '-m', f'eunet_ros.{module}', *map(str, arguments)],
                          capture_output=True, text=True, timeout=seconds, env=env)


@pytest.mark.process
def test_without_a_profile_best_effort_listeners_get_the_masks(ros, light, monkeypatch, tmp_path):
    """720p JPEG at 15 Hz; neither the node nor the listener finds a profile where it starts."""
    for name in PROFILES:
        monkeypatch.delenv(name, raising=False)
    output = tmp_path / 'masks.txt'
    process = listener = None
    try:
        process = Process(*light, '-p', 'image_transport:=compressed')
        with open(output, 'w') as file:
            listener = subprocess.Popen([sys.executable, '-c', LISTENER], stdout=file)
        camera = process.peer.create_publisher(CompressedImage, 'image/compressed', 5)
        process.until(lambda: camera.get_subscription_count()
                      and process.peer.count_subscribers('/eunet/mask'), 'node and listener', 60)
        bgr = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8),
                         (1280, 720))
        tables = []
        from diagnostic_msgs.msg import DiagnosticArray
        process.peer.create_subscription(
            DiagnosticArray, '/diagnostics',
            lambda m: tables.append({v.key: v.value for v in m.status[0].values}), 5)
        message, due = fill_compressed(CompressedImage(), bgr, 80), time.monotonic()
        end = due + 60
        # Not a fixed number: an image that comes while the node is busy is replaced in its queue.
        while not tables or int(tables[-1].get('received', 0)) < 90:
            assert time.monotonic() < end, f'90 images received within 60 s, found {tables[-1:]}'
            message.header.stamp.sec, due = message.header.stamp.sec + 1, due + 1 / 15
            camera.publish(message)
            process.until(lambda due=due: time.monotonic() > due, 'the next image')
        tables.clear()
        process.until(lambda: len(tables) > 1 and tables[-1]['in work'] == '0'
                      and tables[-1]['received'] == tables[-2]['received'],
                      'the account of all images')
        table = tables[-1]
        masked = int(table['masked'])
        assert masked > 45
        process.until(lambda: output.read_text().count('mask') >= 0.98 * masked,
                      f'98 % of {masked} masks, found {output.read_text().count("mask")}')
    finally:
        if listener:
            listener.kill()
        if process:
            process.close()


@pytest.mark.process
def test_without_a_home(ros, light):
    """As a service of systemd is: no log file, and the node runs."""
    end = ran('--ros-args', *light, '-p', 'classes:=pink_cone', HOME=None, ROS_LOG_DIR=None,
              ROS_HOME=None)
    assert 'no log file is kept' in end.stderr and 'HOME' in end.stderr
    assert 'pink_cone' in end.stderr and end.returncode == 1    # it came as far as its weights


@pytest.mark.process
@pytest.mark.parametrize('module', ['segmentation_node', 'cone_bridge', 'play_bag',
                                    'evaluate_bag', 'model.build_engine',
                                    'calibration.calibrate_mount', 'evaluation.cone_score'])
def test_help(module):
    name = module.rpartition('.')[2]
    end = ran('--help', module=module)
    assert end.returncode == 0
    assert end.stdout.startswith(f'usage: ros2 run eunet_ros {name} ')


@pytest.mark.process
@pytest.mark.parametrize('module', ['segmentation_node', 'cone_bridge', 'play_bag'])
def test_arguments_that_are_none_are_refused(module):
    end = ran('weights:=x', 'y', module=module)
    assert end.returncode == 2 and 'unrecognized arguments' in end.stderr


@pytest.mark.process
def test_parameter_files(ros, light, tmp_path):
    (tmp_path / 'other.yaml').write_text('/camera:\n  ros__parameters: {a: 1}')
    (tmp_path / 'mine.yaml').write_text('/eunet:\n  ros__parameters:\n    camera_height: 1\n'
                                        '    classes: pink_cone')
    # ~ is for whoever passes the arguments, where no shell has expanded it.
    end = ran('--ros-args', *light, '--params-file', '~/other.yaml', '--params-file',
              '~/mine.yaml', HOME=str(tmp_path))
    assert '/camera' in end.stderr and 'no parameters for the node /eunet' in end.stderr
    assert 'mine.yaml' not in end.stderr and 'pink_cone' in end.stderr


@pytest.mark.process
@pytest.mark.parametrize(('arguments', 'said'), [
    (['--params-file', '~/nowhere.yaml'], 'There is no parameter file {home}/nowhere.yaml: '),
    (['--params-file', '{home}'], 'There is no parameter file {home}: '),
    (['--params-file=x.yaml'], "found unknown ones, ['--params-file=x.yaml']"),
    (['-p', 'classes'], "'-p classes'"), (['--log-level', 'loud'], "'--log-level loud'")])
def test_arguments_of_ros_that_cannot_be_end_in_a_sentence(arguments, said, tmp_path):
    end = ran('--ros-args', *(a.format(home=tmp_path) for a in arguments), HOME=str(tmp_path))
    line = end.stderr.splitlines()[-1]
    assert end.returncode == 1 and line.startswith('eunet: ') and '.c:' not in line
    assert said.format(home=tmp_path) in line and '--params-file' in line


@pytest.mark.process
def test_an_unknown_parameter_of_the_bridge():
    end = ran('--ros-args', '-p', 'stak:=eufs_msgs', module='cone_bridge')
    assert end.returncode == 1 and 'did you mean stack?' in end.stderr


@pytest.mark.process
def test_debug_tells_decisions(ros, light):
    process = Process(*light, '--log-level', 'debug')
    try:
        process.until(lambda: process.peer.count_publishers('/eunet/mask'), 'the node', 60)
        camera = process.peer.create_publisher(CompressedImage, 'image/compressed', 5)
        process.until(lambda: process.peer.count_subscribers('/image'), 'the node', 60)
        code, output = process.end(signal.SIGTERM)
    finally:
        process.close()
    assert code == 0 and camera
    told = '\n'.join(line for line in output.splitlines()
                     if '[DEBUG]' in line and 'eunet]' in line)
    assert 'not at their defaults' in told and 'Subscribed to /image, BEST_EFFORT' in told


# --- Ctrl-C, twice ----------------------------------------------------------------------------

def started(module, *arguments):
    """Start an executable; returns once its first line of code has run."""
    process = subprocess.Popen(
        [sys.executable, '-m', f'eunet_ros.{module}', *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # Python itself leaves SIGTERM alone: a handler for it is ours.
    bit, status = 1 << (signal.SIGTERM - 1), Path(f'/proc/{process.pid}/status')
    end = time.monotonic() + 20
    while time.monotonic() < end:
        caught = [line.split()[1] for line in status.read_text().splitlines()
                  if line.startswith('SigCgt')]
        if caught and int(caught[0], 16) & bit:
            return process
        time.sleep(0.001)
    raise AssertionError('no handler')


def interrupted_twice(process, gap):
    process.send_signal(signal.SIGINT)
    time.sleep(gap)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and 'Traceback' not in output, output


@pytest.mark.parametrize(('module', 'after'), [
    pytest.param(module, after, marks=pytest.mark.process if module == 'segmentation_node' or (
        after == 0.1) else pytest.mark.slow)
    for module in ('segmentation_node', 'cone_bridge', 'play_bag')
    for after in (0.0, 0.1, 0.3, 1.0)])
def test_interrupted_twice_while_it_starts(ros, light, tmp_path, module, after):
    (tmp_path / 'stacks.yaml').write_text(STACK)
    arguments = {'segmentation_node': ['--ros-args', *light],
                 'cone_bridge': ['--ros-args', '-p', 'stack:=own', '-p',
                                 f'config:={tmp_path / "stacks.yaml"}'],
                 'play_bag': [Path(__file__).parents[1] / 'data' / 'sample_drive']}[module]
    for _ in range(TIMES):
        process = started(module, *arguments)
        time.sleep(after)
        interrupted_twice(process, 0.0)


@pytest.mark.process
@pytest.mark.parametrize('gap', [0.0, 0.1, 0.3, 1.0])
def test_interrupted_twice_while_it_runs(ros, light, gap):
    for _ in range(TIMES):
        process, peer = started('segmentation_node', '--ros-args', *light), Node('peer')
        end = time.monotonic() + 60
        while not peer.count_subscribers('/image'):
            assert time.monotonic() < end
            time.sleep(0.05)
        peer.destroy_node()
        interrupted_twice(process, gap)
