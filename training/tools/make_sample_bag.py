# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Render a drive with exact masks and write it as a rosbag2, the one that the demo plays.

    python training/tools/make_sample_bag.py --output test/data/sample_drive

The same arguments give the same pictures. Needs neither ROS nor a GPU.
"""
from __future__ import annotations

import argparse
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
import sys
import tempfile
from typing import Any

if __package__ in (None, ''):  # run from a fresh clone
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import cv2
from eunet_ros.model.common.command import check_new_file, run_command
from eunet_ros.training.renderer import Drive, Scene
import numpy as np

HEIGHT, WIDTH = 720, 1280
IMAGE_TOPIC = '/camera/image_raw/compressed'
INFO_TOPIC = '/camera/camera_info'
TRUTH_TOPIC = '/ground_truth/mask/compressed'
START_NS = 1_767_225_600_000_000_000           # 2026-01-01 00:00 UTC
LIMIT_MB = 12.0                                # of the whole bag, 1 MB = 10⁶ bytes
_TARGET_MB = 11.0
_SAMPLES = 16                                  # frames by which the JPEG quality is chosen
_METADATA_VERSION = 8                          # of rosbag2: read by Humble to Kilted


def encode(image: np.ndarray, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode('.jpg', image, options)[1].tobytes()


def encode_mask(mask: np.ndarray) -> bytes:
    return cv2.imencode('.png', mask, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def choose_quality(scenes: list[Scene], frames: int, target_bytes: float) -> int:
    """Return the highest JPEG quality (20 to 95) with which `frames` such frames fit."""
    masks = sum(len(encode_mask(s.mask)) for s in scenes)

    def size(quality: int) -> float:
        coded = sum(len(encode(s.image, quality)) for s in scenes)
        return (masks + coded) * frames / len(scenes)
    return 20 + bisect_right(range(21, 96), target_bytes, key=size)


def messages(drive: Drive, frames: int, hz: float, quality: int,
             types: Any) -> Iterator[tuple[str, int, Any]]:
    """Yield (topic, time in ns, message) of a drive."""
    compressed = types['sensor_msgs/msg/CompressedImage']
    for index in range(frames):
        scene, time = drive.render(index / hz), START_NS + round(index * 1e9 / hz)
        stamp = types['builtin_interfaces/msg/Time'](time // 10**9, time % 10**9)
        header = types['std_msgs/msg/Header'](stamp, 'camera_optical_frame')  # REP 103
        yield INFO_TOPIC, time, camera_info(scene, header, types)
        for topic, name, data in (
                (IMAGE_TOPIC, 'bgr8; jpeg compressed bgr8', encode(scene.image, quality)),
                (TRUTH_TOPIC, 'mono8; png compressed mono8', encode_mask(scene.mask))):
            yield topic, time, compressed(header, name, np.frombuffer(data, np.uint8))


def camera_info(scene: Scene, header: Any, types: Any) -> Any:
    k = np.asarray(scene.camera.K, np.float64)
    p = np.hstack([k, np.zeros((3, 1))])
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return types['sensor_msgs/msg/CameraInfo'](
        header, scene.camera.height, scene.camera.width, 'plumb_bob',
        np.asarray(scene.camera.D, np.float64), k.reshape(9), np.eye(3).reshape(9), p.reshape(12),
        0, 0, roi)


def write_bag(folder: Path, rows: Iterator[tuple[str, int, Any]], store: Any,
              drive: Drive) -> None:
    """Write messages and the mounting as a rosbag2; sqlite3, because plain Humble has no mcap."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    with tempfile.TemporaryDirectory(prefix=f'.{folder.name}.', dir=folder.parent) as beside:
        bag = Path(beside) / folder.name  # the .db3 is named after its folder
        writer = Writer(bag, version=_METADATA_VERSION, storage_plugin=StoragePlugin.SQLITE3)
        writer.set_custom_data('made_by', 'eunet_ros training/tools/make_sample_bag.py')
        with writer:
            connections = {
                topic: writer.add_connection(topic, f'sensor_msgs/msg/{kind}', typestore=store,
                                             offered_qos_profiles=[_reliable_qos()])
                for topic, kind in ((IMAGE_TOPIC, 'CompressedImage'), (INFO_TOPIC, 'CameraInfo'),
                                    (TRUTH_TOPIC, 'CompressedImage'))}
            for topic, time, msg in rows:
                writer.write(connections[topic], time, store.serialize_cdr(msg, msg.__msgtype__))
        (bag / 'mounting.yaml').write_text(  # parameters of the node, which the demo reads
            '# How the camera of this drive is mounted, as make_sample_bag.py renders it.\n'
            f'/**:\n  ros__parameters:\n    camera_height: {drive.camera.mount_height:g}\n'
            f'    camera_pitch: {drive.camera.pitch:.5f}\n')
        bag.rename(folder)


def _reliable_qos() -> Any:
    from rosbags import interfaces as qos
    forever = qos.QosTime(9_223_372_036, 854_775_807)  # rmw's infinite duration
    return qos.Qos(qos.QosHistory.KEEP_LAST, 10, qos.QosReliability.RELIABLE,
                   qos.QosDurability.VOLATILE, forever, forever, qos.QosLiveliness.AUTOMATIC,
                   forever, False)


def _make(o: argparse.Namespace) -> None:
    from rosbags.typesys import get_typestore, Stores
    o.output.parent.mkdir(parents=True, exist_ok=True)
    check_new_file(o.output)
    store = get_typestore(Stores.ROS2_HUMBLE)
    drive = Drive(o.seed, o.height, o.width)
    samples = [drive.render(i / o.hz)
               for i in np.linspace(0, o.frames - 1, min(_SAMPLES, o.frames)).astype(int)]
    quality = choose_quality(samples, o.frames, _TARGET_MB * 1e6)
    write_bag(o.output, messages(drive, o.frames, o.hz, quality, store.types), store, drive)
    size = sum(file.stat().st_size for file in o.output.iterdir()) / 1e6
    print(f'{o.output}: {o.frames} frames of {o.width}x{o.height}, {o.frames / o.hz:.1f} s, '
          f'JPEG quality {quality}, {size:.1f} MB')
    if size > LIMIT_MB:
        raise ValueError(f'Expected at most {LIMIT_MB:g} MB: render fewer frames.')


def main(args: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description='Render a drive as a rosbag2.')
    parser.add_argument('--output', type=Path, default=Path('test/data/sample_drive'))
    for name, kind, default in (('frames', int, 160), ('hz', float, 15.0), ('seed', int, 0),
                                ('height', int, HEIGHT), ('width', int, WIDTH)):
        parser.add_argument(f'--{name}', type=kind, default=default)
    options = parser.parse_args(args)
    if options.frames < 1 or not 0.1 <= options.hz <= 1000:
        parser.error('--frames must be positive and --hz from 0.1 to 1000')
    return run_command('make_sample_bag', lambda: _make(options),
                       install='install it with: pip install rosbags')


if __name__ == '__main__':
    sys.exit(main())
