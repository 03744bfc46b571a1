# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera: a process that publishes rendered images at a rate, stamped as they go out."""
from __future__ import annotations

import argparse
from pathlib import Path
import signal
import sys
import time

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

import cv2  # noqa: E402
from eunet_ros.bags.frame_source import Pacer  # noqa: E402
from eunet_ros.bags.messages import compressed_image, NS, serialise, with_stamp  # noqa: E402
from eunet_ros.ros.process import run, shut_down  # noqa: E402
from eunet_ros.ros.raw_images import image_bytes  # noqa: E402
from eunet_ros.training.renderer import Drive  # noqa: E402
import rclpy  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.signals import SignalHandlerOptions  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

FRAMES = 24  # rendered, then shown again and again


def messages(height: int, width: int, compressed: bool) -> list[bytes]:
    """Return the serialised messages of a short drive."""
    drive, found = Drive(3, height, width), []
    for scene in drive.frames(FRAMES, hz=4.0):
        if compressed:
            data = cv2.imencode('.jpg', scene.image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
            found.append(serialise(compressed_image(0, 'camera', 'jpeg', data.tobytes())))
        else:
            found.append(image_bytes(Header(frame_id='camera'), scene.image, 'bgr8'))
    return found


def calibration(height: int, width: int) -> CameraInfo:
    """Return the camera_info of the drive's camera."""
    camera = Drive(3, height, width).camera
    info = CameraInfo(height=height, width=width, distortion_model='plumb_bob',
                      d=camera.D.tolist(), k=camera.K.reshape(-1).tolist())
    info.header.frame_id = 'camera'
    return info


def publish(node: Node, compressed: bool, frames: list[bytes], hz: float, seconds: float,
            info: CameraInfo) -> int:
    """Publish for so long; returns how many images went out."""
    calibrated = node.create_publisher(CameraInfo, '/camera/camera_info', 5)
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    topic = '/camera/image_raw/compressed' if compressed else '/camera/image_raw'
    publisher = node.create_publisher(CompressedImage if compressed else Image, topic, qos)
    while not publisher.get_subscription_count():
        time.sleep(0.01)
    print('{"event": "matched"}', flush=True)
    pacer, sent = Pacer(1.0), 0
    while sent < seconds * hz:
        delay = pacer.remaining(int(sent * NS / hz))
        if delay > 0:
            time.sleep(delay)
        calibrated.publish(info)
        publisher.publish(with_stamp(frames[sent % len(frames)], time.time_ns()))
        sent += 1
    return sent


def main() -> int:
    """Publish; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--height', type=int, required=True)
    parser.add_argument('--width', type=int, required=True)
    parser.add_argument('--hz', type=float, required=True)
    parser.add_argument('--seconds', type=float, required=True)
    parser.add_argument('--compressed', action='store_true')
    o = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = None
    try:
        frames = messages(o.height, o.width, o.compressed)
        rclpy.init(args=None, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node('camera')
        publish(node, o.compressed, frames, o.hz, o.seconds, calibration(o.height, o.width))
    except KeyboardInterrupt:
        pass
    finally:
        if node:
            node.destroy_node()
        shut_down()
    return 0


if __name__ == '__main__':
    run(main)
