# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests of ROS nodes share: a domain of their own, and waiting for events with a limit."""
import atexit
import os
import random
import shutil
import signal
import tempfile
import time

# A shell starts what it runs in the background with SIGINT ignored. What tests start would inherit
# it, and not be interrupted by those that test an interruption.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Of networks this small, threads only wait for each other.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# Built engines are kept, but not in the home of who runs the tests.
_CACHES = tempfile.mkdtemp(prefix='eunet_ros_test_')
atexit.register(shutil.rmtree, _CACHES, ignore_errors=True)
os.environ['XDG_CACHE_HOME'] = _CACHES
# Before rclpy is imported: other ROS traffic on this machine must not reach the tests.
os.environ['ROS_LOCALHOST_ONLY'] = '1'                     # Humble
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'  # Iron and later

from eunet_ros.model.common.resources import share_file  # noqa: E402
import pytest  # noqa: E402

# A process that crashes says where.
os.environ['PYTHONFAULTHANDLER'] = '1'
# This process publishes large images.
os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] = str(share_file('config/fastdds_large_images.xml'))


@pytest.fixture(scope='session')
def tiny_weights(tmp_path_factory):
    """Random weights of eunet_n for an input of 64x96, as a file."""
    from eunet_ros.model.checkpoint import random_checkpoint, save_checkpoint
    from eunet_ros.model.common.classes import cone_classes
    import torch
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save_checkpoint(path, random_checkpoint('eunet_n', cone_classes(), (64, 96)))
    return path


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    """Return a folder for what training prepares."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='module')
def cone_project(tmp_path_factory):
    """Twelve rendered scenes of four cameras, as an FSOCO project."""
    from eunet_ros.training.data.fsoco_writer import write_project
    from eunet_ros.training.data.render_fsoco import items
    folder = tmp_path_factory.mktemp('data') / 'fsoco'
    write_project(folder, items(12, 5, 72, 108, sources=4), 'team')
    return folder


@pytest.fixture
def ros():
    """Initialise rclpy for one test, in a domain of its own."""
    rclpy = pytest.importorskip('rclpy', reason='rclpy is not installed')
    # rclpy frees a lifecycle node's services late: an earlier test's must not be found.
    os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randint(1, 100))
    rclpy.init()
    yield rclpy
    from eunet_ros.ros.process import shut_down
    shut_down()


@pytest.fixture(scope='module')
def module_rig(tmp_path_factory, tiny_weights):
    """Return the node in its own process, and who watches it, for the tests of a file."""
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    from rig import Rig
    rig = Rig(tmp_path_factory.mktemp('node'), tiny_weights)
    yield rig
    rig.close()


@pytest.fixture
def rig(module_rig):
    """Return the file's rig; faults and cameras end with the test."""
    yield module_rig
    module_rig.clear()


class Driver:
    """Spins nodes until something is true."""

    def __init__(self, *nodes):
        from rclpy.executors import SingleThreadedExecutor
        self.executor = SingleThreadedExecutor()
        for node in nodes:
            self.executor.add_node(node)

    def until(self, condition, what, timeout=20.0):
        """Spin until condition() is true; fail, naming `what`, after timeout s."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f'Waited {timeout:.0f} s in vain for {what}.')
            self.executor.spin_once(timeout_sec=0.05)
