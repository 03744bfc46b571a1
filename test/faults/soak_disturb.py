# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that disturbs the node for some seconds: listeners, parameters, lifecycle."""
from pathlib import Path
import sys
import time

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from eunet_ros.ros.process import run, shut_down  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
import rclpy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402


def call(node, kind, name, *requests, pause=0.0):
    client = node.create_client(kind, name)
    if not client.wait_for_service(20.0):
        sys.exit(f'There is no service {name}.')
    time.sleep(0.5)     # an answer that is sent before discovery is complete is lost
    for request in requests:
        for _ in range(4):  # an answer may be lost: Fast DDS, where two cores are busy
            future = client.call_async(request)
            rclpy.spin_until_future_complete(node, future, timeout_sec=5.0)
            if future.done():
                break
        else:
            sys.exit(f'{name} did not answer.')
        time.sleep(pause)


def listeners(node):
    """Come and go 40 times, mostly before discovery is over; some stay until an image comes."""
    for i in range(40):
        name, got = ('overlay', 'color_mask', 'confidence', 'mask')[i % 4], []
        subscription = node.create_subscription(Image, f'/eunet/{name}', got.append, 5, raw=True)
        end = time.monotonic() + (5.0 if i % 9 == 0 else 0.0)
        while True:
            rclpy.spin_once(node, timeout_sec=0.05)
            if got or time.monotonic() > end:
                break
        node.destroy_subscription(subscription)


def pictures(node):
    """Listen to each output, say so, and wait for a line on stdin; it is stopped meanwhile."""
    missing = {'overlay', 'color_mask', 'confidence', 'mask'}
    kept = [node.create_subscription(Image, f'/eunet/{name}', lambda raw, name=name: (
        missing.discard(name)), 5, raw=True) for name in sorted(missing)]
    end = time.monotonic() + 60.0
    while missing:
        rclpy.spin_once(node, timeout_sec=0.1)
        if time.monotonic() > end:
            sys.exit(f'Waited in vain for images of {", ".join(sorted(missing))}.')
    print('listening', flush=True)
    sys.stdin.readline()
    del kept


def parameters(node):
    requests = [SetParameters.Request(parameters=[Parameter(
        name='overlay_opacity', value=ParameterValue(type=3, double_value=(i % 3) * 0.6))])
        for i in range(300)]
    call(node, SetParameters, '/eunet/set_parameters', *requests, pause=0.008)


def disabled(node):
    call(node, SetBool, '/eunet/set_enabled', SetBool.Request(data=False),
         SetBool.Request(data=True), pause=1.0)


def deactivated(node):
    call(node, ChangeState, '/eunet/change_state', *(
        ChangeState.Request(transition=Transition(id=t)) for t in (
            Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE)), pause=1.2)


def main():
    """Disturb as the argument says."""
    rclpy.init()
    node = rclpy.create_node('disturber')
    {'listeners': listeners, 'pictures': pictures, 'parameters': parameters, 'disabled': disabled,
     'deactivated': deactivated}[sys.argv[1]](node)
    node.destroy_node()
    shut_down()
    return 0


if __name__ == '__main__':
    run(main)
