# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, for tests."""
import subprocess
import sys
import time

from conftest import Driver
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rclpy.node import Node


class Process:
    """A running segmentation_node, seen from a peer node in this process."""

    def __init__(self, *arguments):
        self.popen = subprocess.Popen(
            [sys.executable, '-m', 'eunet_ros.segmentation_node', '--ros-args', *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.peer = Node('peer')
        self.driver = Driver(self.peer)
        self.until = self.driver.until
        self.state_client = self.peer.create_client(GetState, '/eunet/get_state')
        self.change_client = self.peer.create_client(ChangeState, '/eunet/change_state')

    def call(self, client, request):
        self.until(client.service_is_ready, client.srv_name, 30)
        future = client.call_async(request)
        self.until(future.done, client.srv_name, 30)
        return future.result()

    def state(self):
        self.until(self.state_client.service_is_ready, 'the node', 30)
        # An answer that is sent before discovery is complete is lost: ask again.
        for _ in range(6):
            future = self.state_client.call_async(GetState.Request())
            end = time.monotonic() + 5
            self.until(lambda f=future, end=end: f.done() or time.monotonic() > end, 'the state')
            if future.done():
                return future.result().current_state.id
        return pytest.fail('The node did not tell its state.')

    def change(self, transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert self.call(self.change_client, request).success

    def end(self, number):
        self.popen.send_signal(number)
        output, _ = self.popen.communicate(timeout=30)
        return self.popen.returncode, output

    def close(self):
        self.popen.kill()
        self.popen.wait()
        self.peer.destroy_node()
