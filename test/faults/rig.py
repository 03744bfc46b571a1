# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node in its own process, cameras and listeners in this one, and what they saw."""
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import threading
import time

from conftest import Driver
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from eunet_ros.node.outputs import status_qos
from eunet_ros.parameters import NodeParameters
from eunet_ros.ros.process import shut_down
from image_making import fill_image
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import numpy as np
import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

OK, WARN, ERROR, STALE = range(4)
LONG = bool(os.environ.get('EUNET_LONG'))     # make faults: everything as often as promised
TOPIC = '/camera/image_raw'
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE)
# Promised is a second; a test machine that is busy with other things gets some more.
SECOND = 1.0 if LONG else 3.0
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def seen(text):
    """Print a figure that docs/reliability.md quotes; `pytest -rP` shows it."""
    print(f'seen: {text}')


def stamp_of(msg):
    return msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec


class Camera:
    """Publishes images at a rate from a thread; stamp maps the time in ns to the header's."""

    def __init__(self, node, hz=30.0, size=(64, 96), stamp=None, topic=TOPIC):
        self.node, self.hz, self.sent = node, hz, []
        self._stamp = stamp or (lambda now: now)
        self._message = fill_image(Image(), np.full((*size, 3), 90, np.uint8), 'bgr8')
        self.publisher = node.create_publisher(Image, topic, BEST_EFFORT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += 1 / self.hz
            stamp = max(0, self._stamp(time.time_ns()))
            header = self._message.header.stamp
            header.sec, header.nanosec = divmod(stamp, 1_000_000_000)
            self.publisher.publish(self._message)
            self.sent.append(stamp)

    def stop(self):
        self._stop.set()
        self._thread.join()
        self.node.destroy_publisher(self.publisher)


class Rig:
    """One node process after another, and a peer that watches."""

    def __init__(self, folder, weights):
        os.environ['ROS_DOMAIN_ID'] = str(random.SystemRandom().randint(1, 100))
        rclpy.init()
        self.folder, self.weights = folder, weights
        self.peer = Node('peer')
        self.driver = Driver(self.peer)
        self.until = self.driver.until
        self.masks, self.status, self.diagnostics, self.cameras = [], [], [], []
        self.process = None
        self.count = 0
        self._kept = [
            self.peer.create_subscription(Image, '/eunet/mask', self._on_mask, 50),
            self.peer.create_subscription(DiagnosticStatus, '/eunet/status', self._on_status,
                                          status_qos(NodeParameters())),
            self.peer.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics,
                                          10)]
        self._state = self.peer.create_client(GetState, '/eunet/get_state')
        self._change = self.peer.create_client(ChangeState, '/eunet/change_state')

    def _on_mask(self, msg):
        self.masks.append((time.monotonic(), stamp_of(msg), (msg.height, msg.width)))

    def _on_status(self, msg):
        self.status.append((time.monotonic(), msg.level[0], msg.message))

    def _on_diagnostics(self, msg):
        for status in msg.status:
            self.diagnostics.append((time.monotonic(), status.level[0], status.message,
                                     {v.key: v.value for v in status.values}))

    # --- the node -----------------------------------------------------------------------------

    def start(self, *arguments, engine='torch', stdout=None, env=()):
        """Start a node; it is killed at the end of the test's module."""
        self.count += 1
        self.log = self.folder / f'node{self.count}.log'
        with open(self.log, 'w') as log:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name('faulty_node.py')), '--ros-args',
                 '-r', f'image:={TOPIC}', '-p', f'weights:={self.weights}',
                 '-p', f'engine:={engine}', '-p', 'num_threads:=1', *arguments],
                stdout=stdout or log, stderr=subprocess.STDOUT,
                env={**os.environ, 'EUNET_TEST_FAULTS': str(self.folder), **dict(env)})
        return self

    def faults(self, **wanted):
        """Set the engines' faults from now on."""
        beside = self.folder / 'faults.tmp'
        beside.write_text(json.dumps(wanted))
        beside.replace(self.folder / 'faults.json')

    def fates(self):
        """Return what became of each image of the running node, by stamp."""
        found = {}
        for line in (self.folder / 'fates.txt').read_text().splitlines():
            pid, event, stamp = line.split()
            if int(pid) == self.process.pid:
                found.setdefault(int(stamp), []).append(event)
        return found

    def end(self, number=signal.SIGINT):
        """End the node; returns its exit code and what it said."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        return code, self.log.read_text()

    def state(self):
        self.until(self._state.service_is_ready, 'the node', 40)
        for _ in range(8):   # an answer that is sent before discovery is complete is lost
            future = self._state.call_async(GetState.Request())
            end = time.monotonic() + 3
            self.until(lambda f=future, end=end: f.done() or time.monotonic() > end, 'the state')
            if future.done():
                return future.result().current_state.label
        return pytest.fail('The node did not tell its state.')

    def change(self, *transitions):
        for transition in transitions:
            self.until(self._change.service_is_ready, 'the service', 30)
            future = self._change.call_async(
                ChangeState.Request(transition=Transition(id=transition)))
            self.until(future.done, f'transition {transition}', 30)
            assert future.result().success

    def usage(self):
        """Return the node's memory [MiB], threads and file handles."""
        proc = Path(f'/proc/{self.process.pid}')
        pages = int((proc / 'statm').read_text().split()[1])
        return (pages * os.sysconf('SC_PAGE_SIZE') / 2 ** 20, len(list((proc / 'task').iterdir())),
                len(list((proc / 'fd').iterdir())))

    # --- what is watched ----------------------------------------------------------------------

    def camera(self, hz=30.0, **options):
        self.cameras.append(Camera(self.peer, hz, **options))
        return self.cameras[-1]

    def stop(self, camera):
        camera.stop()
        self.cameras.remove(camera)

    def level(self, *levels, said='', within=SECOND, since=None):
        """
        Wait for a level on ~/status; returns the seconds from now, or `since`, to the message.

        said: what its sentence must hold.
        """
        began = time.monotonic() if since is None else since
        found = []

        def told():
            found[:] = [at for at, level, text in self.status
                        if at >= began and level in levels and said in text]
            return found
        self.until(told, f'level {levels} {said!r}, last {self.status[-1:]}, {within:.0f} s',
                   within + 10)
        taken = found[0] - began
        assert taken <= within, f'{taken:.2f} s'
        return taken

    def mask(self, within=10.0, size=None, after=None):
        """Wait for a mask of an image that is sent from now on; returns the seconds to it."""
        began, now = time.monotonic(), time.time_ns() if after is None else after
        self.until(lambda: any(stamp >= now and size in (None, shape)
                               for _, stamp, shape in self.masks), f'a mask {size}', within)
        return time.monotonic() - began

    def logged(self, text, within=5.0):
        """Wait until the node's log holds a text: its line may come after the status."""
        self.until(lambda: text in self.log.read_text(), f'{text!r} in the log', within)

    def wait(self, seconds):
        """Take what comes for so long: a load that must last."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, 'time', seconds + 20)

    def check_accounts(self):
        """Every image that the node received was masked, or dropped for one reason."""
        fates = self.fates()
        wrong = {stamp: events for stamp, events in fates.items()
                 if len(events) != 2 * events.count('received')}
        assert len(wrong) <= 2, wrong      # one in work, one that waits
        return fates

    def clear(self):
        """Between two tests: no camera, no fault."""
        for camera in list(self.cameras):
            self.stop(camera)
        self.faults()

    def close(self):
        self.clear()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.peer.destroy_node()
        shut_down()
