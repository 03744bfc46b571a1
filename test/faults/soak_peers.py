# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The soak's camera and recorder, each a process that notes every image and mask in a file."""
import argparse
import os
from pathlib import Path
import signal
import sys
import time

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from eunet_ros.bags.messages import NS, stamp_of, with_stamp  # noqa: E402
from eunet_ros.ros.process import run, shut_down  # noqa: E402
from eunet_ros.ros.raw_images import image_bytes  # noqa: E402
from eunet_ros.training.renderer import Drive  # noqa: E402
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

TOPIC = '/camera/image_raw'
FRAMES = 8


def camera(node, size, hz, note):
    """Publish rendered images; notes each stamp once it is sent."""
    frames = [image_bytes(Header(), scene.image, 'bgr8')
              for scene in Drive(3, *size).frames(FRAMES, hz=4.0)]
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, TOPIC, qos)
    began, count = time.monotonic(), 0
    while True:
        time.sleep(max(0.0, began + count / hz - time.monotonic()))
        stamp = time.time_ns() // 1000 * 1000
        note(stamp)
        publisher.publish(with_stamp(frames[count % FRAMES], stamp))
        count += 1


def recorder(node, note):
    """Note stamp and arrival of each mask."""
    qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Image, '/eunet/mask', lambda raw: note(
        stamp_of(raw), time.time_ns()), qos, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=0.1)


def main():
    """Run one of the two until it is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument('role', choices=('camera', 'recorder'))
    parser.add_argument('file', type=Path)
    parser.add_argument('--hz', type=float, default=30.0)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280))
    o = parser.parse_args()
    file = os.open(o.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(*numbers):
        os.write(file, (' '.join(map(str, numbers)) + '\n').encode())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rclpy.init(args=None, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(f'soak_{o.role}')
    assert NS == 10 ** 9
    try:
        if o.role == 'camera':
            camera(node, o.size, o.hz, note)
        else:
            recorder(node, note)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        shut_down()
    return 0


if __name__ == '__main__':
    run(main)
