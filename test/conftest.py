# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The tiers of tests, and what tests share."""
import atexit
import gc
import os
import random
import shutil
import signal
import sys
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

# Each test has one of these marks (setup.cfg says what they mean): a file sets it for all its
# tests with `pytestmark = pytest.mark.ros`, or a test for itself with `@pytest.mark.ros`.
# A test without one is a unit test.
TIERS = {'unit', 'ros', 'process', 'train', 'slow'}


def tiers_of(item):
    return {mark.name for mark in item.iter_markers()} & TIERS


def over_dds(item):
    """Tell whether messages of a test go over DDS, in this process or in others."""
    files = ('test_demo.py', 'test_evaluation_live.py', 'test_player.py',
             'test_start_and_end.py')
    return {'ros', 'module_rig'} & set(item.fixturenames) or item.path.name in files


def pytest_configure(config):
    # `colcon test` runs the unit tests, unless --pytest-args has another -m. It names the package.
    if config.option.junitprefix == 'eunet_ros' and not config.option.markexpr:
        config.option.markexpr = 'unit'


@pytest.hookimpl(tryfirst=True)  # before pytest selects with -m
def pytest_collection_modifyitems(items):
    for item in items:
        tiers = tiers_of(item)
        if len(tiers) > 1:
            raise pytest.UsageError(f'{item.nodeid}: expected one tier, found {sorted(tiers)}')
        if not tiers:
            item.add_marker('unit')
        elif over_dds(item):
            item.add_marker('dds')


def pytest_collection_finish():
    # What is imported by now stays: without it, the garbage collections that the node asks for
    # take 1 ms instead of 250.
    gc.collect()
    gc.freeze()


ended = []  # the exit code of the tests


def pytest_sessionfinish(exitstatus):
    ended.append(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    """
    End at once, with pytest's exit code, after the summary, without Python's exit functions.

    At exit() the threads of Fast DDS's shared memory and of the log of ROS still run, beside the
    exit functions and destructors of every library that any test has loaded. Crashes of that kind
    are known (eProsima/Fast-DDS#6114), and would make a failure of tests that passed;
    eunet_ros/ros/process.py does the same for the node.
    """
    if ended and 'rclpy' in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        shutil.rmtree(_CACHES, ignore_errors=True)
        os._exit(ended[-1])


def refusing(real, tier):
    """Return what stands for a method that unit tests do not call."""
    def refuse(self, *given, **options):
        # Asked by platform, numpy, matplotlib's fonts and the import of PyTorch's CUDA build.
        if given and (given[0] in (['uname', '-p'], 'lscpu', ['/sbin/ldconfig', '-p'])
                      or given[0][0] == 'fc-list'):
            return real(self, *given, **options)
        return pytest.fail(f'No unit test: it needs the mark {tier}. {given}')
    return refuse


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Fail a unit test that starts, itself or by a fixture, what only other tiers do."""
    others = (('process', 'subprocess', 'Popen', '__init__'),
              ('process', 'multiprocessing.process', 'BaseProcess', 'start'),
              ('ros', 'rclpy.context', 'Context', 'init'),
              ('train', 'lightning.pytorch', 'Trainer', 'fit'))
    with pytest.MonkeyPatch.context() as patch:
        for tier, module, owner, method in others if 'unit' in tiers_of(item) else ():
            if module in sys.modules:  # a test that uses it has imported it
                owner = getattr(sys.modules[module], owner)
                patch.setattr(owner, method, refusing(getattr(owner, method), tier))
        return (yield)


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


@pytest.fixture(scope='session')
def weights_with_strip(tiny_weights):
    """Return the same weights with a strip of 32x192, as a file."""
    from dataclasses import replace

    from eunet_ros.model.checkpoint import load_checkpoint, save_checkpoint
    path = tiny_weights.with_name('strip.safetensors')
    save_checkpoint(path, replace(load_checkpoint(tiny_weights), strip_size=(32, 192)))
    return path


# Of the session: made once for all files. Who writes into a project or a run copies it first.
@pytest.fixture(scope='session')
def cache(tmp_path_factory):
    """Return a folder for what training prepares."""
    return tmp_path_factory.mktemp('cache')


@pytest.fixture(scope='session')
def cone_project(tmp_path_factory):
    """Twelve rendered scenes of four cameras, as an FSOCO project."""
    from eunet_ros.model.common.label_writer import write_project
    from eunet_ros.training.data.render_fsoco import items
    folder = tmp_path_factory.mktemp('data') / 'fsoco'
    write_project(folder, items(12, 5, 72, 108, sources=4), 'team')
    return folder


@pytest.fixture(scope='session')
def small_run(tmp_path_factory, cache):
    """Return the folder of a training of two steps, each validated."""
    from eunet_ros.training.train import main
    from training_runs import command
    run = tmp_path_factory.mktemp('training') / 'run'
    assert main(command(cache, run, images=6, validation_images=2, steps=2,
                        validate_every=1)) == 0
    return run


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
