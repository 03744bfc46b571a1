# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small bags for tests."""

import cv2
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')

STORE = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
TYPES = STORE.types
START = 1_700_000_000_000_000_000
SIZE = (48, 64)


def header(stamp, frame_id='cam'):
    time = TYPES['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
    return TYPES['std_msgs/msg/Header'](time, frame_id)


def picture(index, size=SIZE):
    """Make a picture that tells its index, with a blue square where `truth` has a cone."""
    image = np.full((*size, 3), 90, np.uint8)
    image[8:20, index:index + 10] = (255, 60, 0)
    return image


def truth(index, size=SIZE):
    mask = np.zeros(size, np.uint8)
    mask[8:20, index:index + 10] = 1
    mask[30:34, 40:44] = 255
    return mask


def image_message(index, stamp, compressed, size=SIZE):
    if compressed:
        data = cv2.imencode('.jpg', picture(index, size))[1].reshape(-1)
        return TYPES['sensor_msgs/msg/CompressedImage'](
            header(stamp), 'bgr8; jpeg compressed bgr8', data)
    height, width = size
    return TYPES['sensor_msgs/msg/Image'](
        header(stamp), height, width, 'bgr8', 0, width * 3, picture(index, size).reshape(-1))


def info_message(stamp, focal=None):
    """Return a CameraInfo; focal: length in pixels, None for a camera that makes no sense."""
    k = np.eye(3)
    if focal is not None:
        k[:2] = [[focal, 0, SIZE[1] / 2], [0, focal, SIZE[0] / 2]]
    roi = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return TYPES['sensor_msgs/msg/CameraInfo'](
        header(stamp), *SIZE, 'plumb_bob', np.zeros(5), k.reshape(9),
        np.eye(3).reshape(9), np.eye(3, 4).reshape(12), 0, 0, roi)


def write_bag(folder, rows, storage='sqlite3'):
    """Write [(topic, time in ns, message)]."""
    connections = {}
    plugin = rosbag2.StoragePlugin[storage.upper()]
    with rosbag2.Writer(folder, version=8, storage_plugin=plugin) as writer:
        for topic, time, msg in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msg.__msgtype__, typestore=STORE)
            writer.write(connections[topic], time, STORE.serialize_cdr(msg, msg.__msgtype__))
    return folder


def make_bag(folder, frames=6, hz=15.0, storage='sqlite3', compressed=True, with_truth=True,
             with_info=True, focal=None):
    """Write a drive; its images were stamped 5 ms before they were recorded."""
    rows = []
    topic = '/camera/image_raw/compressed' if compressed else '/camera/image_raw'
    for i in range(frames):
        stamp = START + round(i * 1e9 / hz)
        rows.append((topic, stamp + 5_000_000, image_message(i, stamp, compressed)))
        if with_info:  # recorded after its image
            rows.append(('/camera/camera_info', stamp + 6_000_000, info_message(stamp, focal)))
        if with_truth:
            png = cv2.imencode('.png', truth(i))[1].reshape(-1)
            rows.append(('/ground_truth/mask/compressed', stamp + 6_000_000,
                         TYPES['sensor_msgs/msg/CompressedImage'](
                             header(stamp), 'mono8; png compressed mono8', png)))
    return write_bag(folder, rows, storage)
