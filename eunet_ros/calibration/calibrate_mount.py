# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Estimate the camera's mounting from an image of cones at measured positions.

    ros2 run eunet_ros calibrate_mount --bag my_bag --cones cones.txt
    python -m eunet_ros.calibration.calibrate_mount --image frame.png --camera-info camera.yaml \
        --cones cones.txt --output mounting.yaml

Each line of cones.txt has x and y of a cone's middle in base_link [m] (x forward, y left), and its
class if other cones are in view: `5.0 -1.5 yellow_cone`. The output is the node's parameters. It
imports no ROS.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import math
from pathlib import Path
import sys
from types import SimpleNamespace
from typing import Any

from eunet_ros.bags.reader import Bag, find_camera_info, find_image_topic
from eunet_ros.calibration.mount_fit import Fit, fit_mounting, Mounting, Spot
from eunet_ros.cones.attitude import attitude_of_frame, FEW
from eunet_ros.cones.camera_model import camera_model, CameraModel
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.ground import Ground, mounted
from eunet_ros.images.conversions import to_bgr
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.command import check_new_file, make_parser, run_command
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import read_yaml, user_path, written_beside
from eunet_ros.model.common.pictures import read_picture
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, ENGINES
import numpy as np

_MOST_FRAMES, _DRIVE_FRAMES = 10, 100


def read_spots(path: Path, classes: ClassTable) -> list[Spot]:
    """Return the cones of a text file; raises ValueError naming the line, or OSError."""
    spots = []
    for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
        words = line.partition('#')[0].replace(',', ' ').split()
        if not words:
            continue
        try:
            x, y = (float(word) for word in words[:2])
            if len(words) > 3 or not (math.isfinite(x) and math.isfinite(y)):
                raise ValueError
        except ValueError:
            raise ValueError(f'{path}, line {number}: expected x and y in metres and perhaps a '
                             f'class, found {line.strip()!r}.') from None
        try:
            kind = classes.id_of(words[2]) if len(words) == 3 else None
        except ValueError as error:
            raise ValueError(f'{path}, line {number}: {error}') from None
        spots.append(Spot(x, y, kind))
    return spots


def read_camera_info(path: Path) -> Any:
    """Return the CameraInfo in camera_calibration's YAML; raises ValueError or OSError."""
    try:
        content = read_yaml(path)

        def numbers(name: str) -> list[float]:
            return [float(x) for x in content[name]['data']]
        return SimpleNamespace(
            width=int(content['image_width']), height=int(content['image_height']),
            k=numbers('camera_matrix'), d=numbers('distortion_coefficients'),
            p=numbers('projection_matrix') if 'projection_matrix' in content else [0.0] * 12,
            distortion_model=str(content['distortion_model']), binning_x=0, binning_y=0,
            roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path}: expected a calibration as camera_calibration writes it (image_width, '
            f'image_height, camera_matrix, distortion_model, distortion_coefficients), found '
            f'something else ({one_line(error)}).') from error


def read_bag(path: Path, topic: str,
             most: int = _MOST_FRAMES) -> tuple[list[np.ndarray], Any]:
    """Return up to `most` images of a bag and its first camera_info or None; raises BagError."""
    with Bag(path) as bag:
        chosen = find_image_topic(bag.topics.values(), topic, bag.encoding)
        info_topic = find_camera_info(bag.topics.values(), chosen)
        info = next(bag.messages(info_topic))[1] if info_topic else None
        wanted = set(np.linspace(0, chosen.count - 1, most).astype(int).tolist())
        images = [to_bgr(message) for k, (_, message) in enumerate(bag.messages(chosen))
                  if k in wanted]
    return images, info


def compared(drive: Path, topic: str, camera: CameraModel, m: Mounting,
             segment: Callable[[np.ndarray], np.ndarray]) -> str:
    """Return a sentence that compares a drive's pitch with a mounting; raises ValueError."""
    ground = Ground(camera, mounted(m.height, m.pitch, m.roll, m.yaw, m.x, m.y))
    images, _ = read_bag(drive, topic, _DRIVE_FRAMES)
    for height, width in {image.shape[:2] for image in images}:
        if (width, height) != (camera.width, camera.height):
            raise ValueError(f'Expected images of {camera.width}x{camera.height} in {drive}, as '
                             f'in the calibration, found {width}x{height}: give a drive of the '
                             'same camera.')
    found = [attitude_of_frame(find_cones(segment(image)), ground) for image in images]
    pitches = np.degrees([a.pitch for a in found if a.cones >= FEW])
    if not len(pitches):
        return f'{drive}: no image shows {FEW} cones or more that tell the pitch.'
    low, high = np.percentile(pitches, (5, 95))
    return (f'{drive}: pitch {pitches.mean():+.2f}° against this mounting in the mean of '
            f'{len(pitches)} images, {low:+.2f} to {high:+.2f}° (5 to 95 %). Cones tell it to '
            'about 0.1°.')


def as_yaml(fit: Fit, base_frame: str = 'base_link') -> str:
    """Return the node's parameters for a mounting."""
    m = fit.mounting
    lines = ['/**:', '  ros__parameters:', f'    base_frame: {base_frame}',
             '    mounting: parameters']
    lines += [f'    camera_{name}: {getattr(m, name):.5f}'
              for name in ('height', 'pitch', 'roll', 'yaw', 'x', 'y')]
    return '\n'.join(lines) + '\n'


def report(fit: Fit, free: Sequence[str], names: Sequence[str]) -> str:
    """Return a printable report of the result and its residuals."""
    lines = []
    for name in free:
        value, spread = getattr(fit.mounting, name), fit.stddev[name]
        lines.append(f'{name:<7}{value:>9.4f} ± {spread:.4f} m' if name == 'height' else
                     f'{name:<7}{value:>9.4f} ± {spread:.4f} rad '
                     f'({math.degrees(value):.2f} ± {math.degrees(spread):.2f}°)')
    lines += ['', f'{"cone":<28}{"image":>6}{"u px":>9}{"v px":>9}{"off px":>8}{"off m":>8}']
    for r in fit.residuals:
        kind = '' if r.spot.class_id is None else names[r.spot.class_id]
        lines.append(f'{f"{r.spot.x:g} {r.spot.y:g} {kind}":<28}{r.image:>6}{r.base[0]:>9.1f}'
                     f'{r.base[1]:>9.1f}{r.pixels:>8.2f}{r.metres:>8.3f}')
    lines += [f'{f"{s.x:g} {s.y:g}":<28}  not found' for s in fit.missing]
    lines += ['', f'{fit.rms_pixels:.2f} px off in the mean (root mean square).']
    return '\n'.join(lines)


def calibrate(o: argparse.Namespace) -> None:
    """Estimate and print; raises ValueError, OSError or EngineError."""
    if not 0.05 <= o.height <= 20:
        raise ValueError(f'--height must be from 0.05 to 20 m, found {o.height:g}.')
    if (o.image is None) == (o.bag is None):
        raise ValueError('Give either --image or --bag.')
    if o.output:
        check_new_file(o.output)
    info = read_camera_info(o.camera_info) if o.camera_info else None
    if o.image:
        images = [read_picture(o.image)]
        if info is None:
            raise ValueError('--image needs --camera-info: the YAML file of the calibration.')
    else:
        images, recorded = read_bag(o.bag, o.image_topic)
        info = info or recorded
        if info is None:
            raise ValueError(f'{o.bag} has no camera_info beside its images: give the YAML file '
                             'of the calibration with --camera-info.')
    camera = camera_model(info, *images[0].shape[:2], o.rectified)
    from eunet_ros.model import Segmenter
    segmenter = Segmenter(o.weights, o.engine)
    try:
        names = segmenter.classes.names
        spots = read_spots(o.cones, segmenter.classes)
        found = [find_cones(segmenter(image)) for image in images]
        free = ['pitch', 'height'] + [
            name for name in ('roll', 'yaw') if getattr(o, f'free_{name}')]
        guess = Mounting(o.height, 0.0, o.roll, o.yaw, o.x, o.y)
        fit = fit_mounting(camera, found, spots, guess, free)
        print(report(fit, free, names))
        text = as_yaml(fit, o.base_frame)
        print(f'\n{text}', end='')
        if o.output:
            with written_beside(o.output) as beside:
                beside.write_text(text, encoding='utf-8')
        if o.drive:  # last: the mounting is kept if the drive cannot be read
            print('\n' + compared(o.drive, o.image_topic, camera, fit.mounting, segmenter))
    finally:
        segmenter.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Calibrate from the command line; returns the exit code."""
    parser = make_parser(
        'Estimate how the camera is mounted from cones at measured spots.',
        'ros2 run eunet_ros calibrate_mount')
    parser.add_argument('--image', type=user_path, help='a picture of the cones')
    parser.add_argument('--bag', type=user_path, help='or a bag; the car stands still')
    parser.add_argument('--drive', type=user_path, metavar='BAG',
                        help='a drive, whose mean pitch is compared with the result')
    parser.add_argument('--image-topic', default='', help='if the bag has several cameras')
    parser.add_argument('--camera-info', type=user_path, metavar='YAML',
                        help="of the calibration; without: the bag's camera_info")
    parser.add_argument('--cones', type=user_path, required=True,
                        help='text file: x y [class] a line, metres in base_link')
    parser.add_argument('--height', type=float, default=1.0, help='about, to begin with [m]')
    for name in ('x', 'y'):
        parser.add_argument(f'--{name}', type=float, default=0.0, help='camera in base_link [m]')
    for name in ('roll', 'yaw'):
        parser.add_argument(f'--{name}', type=float, default=0.0, help='if it is known [rad]')
        parser.add_argument(f'--free-{name}', action='store_true', help=f'estimate {name} as well')
    parser.add_argument('--rectified', action='store_true', help='the images are rectified')
    parser.add_argument('--base-frame', default='base_link')
    parser.add_argument('--weights', default=DEFAULT_WEIGHTS, metavar='NAME|PATH')
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--output', type=user_path, help='parameter file to write as well')
    o = parser.parse_args(arguments)
    return run_command('calibrate_mount', lambda: calibrate(o),
                       install=f'install it for {sys.executable}')


if __name__ == '__main__':
    sys.exit(main())
