# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How processes end: exit codes, output that is not lost, nothing of DDS left running."""
import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')


def ran(code, **options):
    return subprocess.run(
        [sys.executable, '-c', f'from eunet_ros.ros.process import run\n{code}'],
        capture_output=True, text=True, **options)


@pytest.mark.process
@pytest.mark.parametrize('main, code', [
    ('lambda: 0', 0), ('lambda: 3', 3), ('lambda: sys.exit(2)', 2), ('lambda: sys.exit()', 0),
    ('lambda: sys.exit("no camera")', 1)])
def test_exit_code(main, code):
    # A destructor at the interpreter's end would crash it.
    end = ran('import atexit, os, sys\n'
              f'atexit.register(os.abort)\nprint("written", end="")\nrun({main})')
    assert (end.returncode, end.stdout) == (code, 'written'), end.stderr


@pytest.mark.process
def test_an_error_that_nobody_caught_is_shown():
    end = ran('run(lambda: 1 / 0)')
    assert end.returncode == 1 and 'ZeroDivisionError' in end.stderr


@pytest.mark.process
def test_a_user_without_a_home_gets_one_for_libraries():
    """As in a container that runs under a number: some ask for it when they are imported."""
    environment = {n: v for n, v in os.environ.items() if n not in ('HOME', 'ROS_LOG_DIR')}
    end = ran('import os, pathlib, pwd\n'
              'def unknown(*a): raise KeyError\n'
              'pwd.getpwuid = unknown\n'
              'from eunet_ros.ros.process import initialise\n'
              'initialise(["node"])\nprint(pathlib.Path.home())\nrun(lambda: 0)',
              env=environment)
    assert (end.returncode, end.stdout) == (0, '/\n'), end.stderr
    assert 'no log file is kept' in end.stderr


@pytest.mark.parametrize('args, own', [
    (['--help'], ['--help']), (['--ros-args', '-p', 'a:=1'], []),
    (['x', '--ros-args', '-p', 'a:=1', '--', 'y'], ['x', 'y']), (['--', 'y'], ['--', 'y'])])
def test_arguments_that_are_none_of_ros(args, own):
    from eunet_ros.ros.process import own_arguments
    assert own_arguments(['program', *args]) == own


def dds_threads():
    names = (Path(f'/proc/self/task/{t}/comm').read_text() for t in os.listdir('/proc/self/task'))
    # The watchdog of the shared memory belongs to the process.
    return [name for name in names if name.startswith('dds.') and 'wdog' not in name]


@pytest.mark.ros
def test_nothing_of_a_closed_node_goes_on(ros, tiny_weights):
    from eunet_ros.node.segmentation_node import SegmentationNode
    from eunet_ros.ros.process import shut_down
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.parameter import Parameter
    node = SegmentationNode(parameter_overrides=[
        Parameter('weights', value=str(tiny_weights)), Parameter('engine', value='torch')])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    assert dds_threads()
    node.close()
    executor.shutdown()
    node = executor = None
    shut_down()
    assert dds_threads() == []
