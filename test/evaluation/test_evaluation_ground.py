# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones on the ground in evaluations: places, their errors, and why there are none."""
import csv
from types import SimpleNamespace

from bag_making import (
    header,
    image_message,
    info_message,
    picture,
    SIZE,
    START,
    TYPES,
    write_bag,
)
import cv2
from eunet_ros.bags.messages import (
    deserialise,
    IMAGE,
    message_class,
    mono_image,
    serialise,
)
from eunet_ros.bags.reader import Bag
from eunet_ros.bags.transforms import BagTransforms
from eunet_ros.bags.writer import BagWriter
from eunet_ros.calibration.mounting_file import MOUNTING
from eunet_ros.cones.locator import Withheld
from eunet_ros.cones.messages import read_points
from eunet_ros.evaluation.page.ground_pictures import choose_frames
from eunet_ros.evaluation.run.positions import box_overlap
from eunet_ros.evaluation.scoring.position_errors import distance_bin, DISTANCE_BINS
from eunet_ros.model import Segmenter
from evaluation_making import evaluate, masks_of, refused
import numpy as np
import pytest

FRAMES, FOCAL = 6, 50.0
STEP = 66_000_000
# From the optical axes to a camera that looks ahead, x, y, z, w: x right, y down, z ahead.
AHEAD = (-0.5, 0.5, -0.5, 0.5)


def mask_of(index, shift=0):
    """Return a mask with a cone 15.5 px below the horizon, and one far above it."""
    mask = np.zeros(SIZE, np.uint8)
    mask[30:40, 5 * index + 3 + shift:5 * index + 10 + shift] = 2
    mask[2:12, 50:57] = 1
    return mask


def transform(parent, child, translation, rotation=(0.0, 0.0, 0.0, 1.0)):
    make = message_class
    return make('geometry_msgs/msg/TransformStamped')(
        header=header(START, parent), child_frame_id=child,
        transform=make('geometry_msgs/msg/Transform')(
            translation=make('geometry_msgs/msg/Vector3')(
                **dict(zip('xyz', map(float, translation)))),
            rotation=make('geometry_msgs/msg/Quaternion')(**dict(zip('xyzw', rotation)))))


def tf(*transforms):
    return TYPES['tf2_msgs/msg/TFMessage'](list(transforms))


@pytest.fixture
def drive(tmp_path):
    """Write a bag with true masks, and one of the masks that a node returned: a pixel off."""
    rows = []
    with BagWriter(tmp_path / 'recording') as recording:
        recording.add_topic('/camera/image_raw', IMAGE)
        recording.add_topic('/eunet/mask', IMAGE)
        for i in range(FRAMES):
            at = START + i * STEP
            png = cv2.imencode('.png', mask_of(i))[1].reshape(-1)
            rows += [('/camera/image_raw', at, image_message(i, at, False)),
                     ('/camera/camera_info', at, info_message(at, FOCAL)),
                     ('/ground_truth/mask/compressed', at,
                      TYPES['sensor_msgs/msg/CompressedImage'](header(at), 'png', png))]
            recording.write('/camera/image_raw', at, serialise(image_message(i, at, False)))
            recording.write('/eunet/mask', at + 20_000_000,
                            serialise(mono_image(at, 'cam', mask_of(i, 1))))
    rows.append(('/tf_static', START, tf(
        transform('base_link', 'mast', (-0.5, 0.0, 0.4)),
        transform('mast', 'cam', (0.0, 0.0, 0.6), AHEAD))))
    write_bag(tmp_path / 'drive', rows)
    return tmp_path


def recorded(drive, weights, *more):
    return evaluate(drive, drive / 'drive', '--weights', weights, '--recording',
                    drive / 'recording', *more)


@pytest.mark.process
def test_places_in_the_report_the_bag_and_the_page(drive, tiny_weights):
    (drive / 'drive' / MOUNTING).write_text('/**: {ros__parameters: {camera_height: 1.0}}\n')
    report, out, _ = recorded(drive, tiny_weights)
    positions = report['weights'][0]['positions']
    assert (positions['frames'], positions['cones_per_image']) == (FRAMES, 1.0)
    near = positions['by_distance']['<5']
    assert (near['cones'], near['recall'], near['recall_right_class'], near['compared']) == (
        6, 1, 1, 6)
    # Both are the way that a plate is from its edge farther; one pixel aside is 1/15.5 m.
    assert near['error_m']['p50'] == pytest.approx(1 / 15.5, rel=0.1)
    assert near['error_share_p50'] == pytest.approx(1 / 15.5 / 3.4, rel=0.15)
    assert positions['by_distance']['>=20']['cones'] == 0
    assert 'cones with a position, an image' in out
    assert report['bags'][0]['positions_withheld'] == []
    with Bag(drive / 'out' / 'bag') as bag:
        clouds = [m for _, m in bag.messages(bag.topics['/eunet/cones'])]
        arrays = [m for _, m in bag.messages(bag.topics['/eunet/cone_markers'])]
        overlay = next(bag.messages(bag.topics['/eunet/overlay/compressed']))[1]
    points = [read_points(cloud) for cloud in clouds]
    assert [len(p) for p in points] == [1] * FRAMES
    assert points[0]['x'][0] == pytest.approx(FOCAL / 15.5 + 0.145, abs=0.03)
    assert (np.diff([p['y'][0] for p in points]) < 0).all()
    assert clouds[0].header.frame_id == 'base_link'
    assert clouds[0].header.stamp == header(START).stamp
    marker = arrays[0].markers[0]
    assert marker.points[0].x == pytest.approx(points[0]['x'][0], abs=1e-6)
    assert marker.pose.orientation.w == 1.0 and marker.color.a == 1.0
    page = (drive / 'out' / 'index.html').read_text()
    assert page.count('from above</span>') == 3 and 'Rings: the truth' in page
    table = list(csv.DictReader((drive / 'out' / 'metrics.csv').open()))
    assert [row['with_position'] for row in table] == ['1'] * FRAMES
    # Without places nothing is drawn into the overlay.
    (drive / 'drive' / MOUNTING).unlink()
    report, out, _ = recorded(drive, tiny_weights)
    assert report['weights'][0]['positions'] is None
    [withheld] = report['bags'][0]['positions_withheld']
    assert withheld['frames'] == FRAMES and 'give --mounting' in withheld['sentence']
    assert f'cones of {FRAMES} images have no position' in out
    with Bag(drive / 'out' / 'bag') as bag:
        assert not {'/eunet/cones', '/eunet/cone_markers'} & set(bag.topics)
        plain = next(bag.messages(bag.topics['/eunet/overlay/compressed']))[1]
    assert bytes(plain.data) != bytes(overlay.data)
    assert 'Cones on the ground' not in (drive / 'out' / 'index.html').read_text()


@pytest.mark.process
def test_places_by_the_transforms_of_the_bag(drive, tiny_weights):
    parameters = drive / 'node.yaml'
    parameters.write_text('/eunet: {ros__parameters: {mounting: tf}}\n')
    light = ('--bag-topics', 'camera', '--no-video', '--params-file', parameters)
    recorded(drive, tiny_weights, *light)
    with Bag(drive / 'out' / 'bag') as bag:
        points = read_points(next(bag.messages(bag.topics['/eunet/cones']))[1])
    assert points['x'][0] == pytest.approx(-0.5 + FOCAL / 15.5 + 0.145, abs=0.03)
    parameters.write_text('/eunet: {ros__parameters: {mounting: tf, base_frame: car}}\n')
    report, _, _ = recorded(drive, tiny_weights, *light)
    said = report['bags'][0]['positions_withheld'][0]['sentence']
    assert "does not connect 'cam' with 'car'" in said and 'cam, mast' in said


@pytest.mark.parametrize('mounting, parameters, horizon', [
    ('', {}, None), ('', {'strip_center': 0.5}, 24 - 0.3 * 16),
    ('{camera_height: 1.0, camera_pitch: 0.2}', {'strip_center': 0.5}, 24 - 50 * np.tan(0.2)),
    ('{camera_height: 1.0, camera_pitch: -0.1}', {}, 24 + 50 * np.tan(0.1)),
    ('', {'camera_height': 1.0, 'camera_roll': 3.1}, None), ('', {'mounting': 'tf'}, 24)])
def test_the_strip_is_where_the_node_puts_it(drive, tiny_weights, mounting, parameters, horizon):
    if mounting:
        (drive / 'drive' / MOUNTING).write_text(f'/**: {{ros__parameters: {mounting}}}\n')
    strip = {'strip_height': 32, 'strip_width': 128}  # 16 rows of these images
    masks = masks_of(drive, drive / 'drive', tiny_weights, **strip, **parameters)
    segmenter = Segmenter(tiny_weights, 'torch', strip_size=(32, 128))
    expected = [segmenter.segment(picture(i), horizon).mask for i in range(FRAMES)]
    np.testing.assert_array_equal(masks, expected)
    if horizon is not None:
        assert any((mask != segmenter(picture(i))).any() for i, mask in enumerate(masks))


def test_a_mounting_that_is_none(drive, capsys, tiny_weights):
    (drive / 'drive' / MOUNTING).write_text('camera_height: 1.0\n')
    err = refused(capsys, drive, drive / 'drive', '--weights', tiny_weights)
    assert f'{MOUNTING}: expected a parameter file' in err


def test_transforms_meet_in_a_common_frame(tmp_path):
    bag = write_bag(tmp_path / 'bag', [
        ('/tf_static', START, tf(transform('map', 'left', (1, 2, 3)))),
        ('/tf_static', START + 1, tf(transform('map', 'right', (1, -2, 3), AHEAD),
                                     transform('right', '/tip', (0, 0, 5))))])
    with Bag(bag) as opened:
        frames = BagTransforms(opened)
    np.testing.assert_allclose(frames.pose('right', 'left').origin, (0, -4, 0), atol=1e-12)
    # The optical z axis is ahead.
    np.testing.assert_allclose(frames.pose('tip', 'left').origin, (5, -4, 0), atol=1e-12)
    np.testing.assert_allclose(frames.pose('left', 'tip').origin,
                               frames.pose('tip', 'left').rotation.T @ (-5, 4, 0), atol=1e-12)
    with pytest.raises(Withheld, match='does not connect'):
        frames.pose('tip', 'elsewhere')
    with pytest.raises(ValueError, match='unit quaternion'), Bag(write_bag(
            tmp_path / 'bad', [('/tf_static', START, tf(
                transform('a', 'b', (0, 0, 0), (0.0, 0.0, 0.0, 0.0))))])) as opened:
        BagTransforms(opened)


def test_messages_are_filled_as_those_of_rclpy():
    marker = message_class('visualization_msgs/msg/Marker')(id=7)
    again = deserialise(serialise(marker), 'visualization_msgs/msg/Marker')
    assert (again.id, again.text, again.frame_locked, list(again.points)) == (7, '', False, [])
    assert (again.pose.orientation.w, again.pose.position.x) == (1.0, 0.0)
    info = message_class('sensor_msgs/msg/CameraInfo')()
    assert (len(info.k), len(info.d), info.height) == (9, 0, 0)


def test_small_parts():
    boxes = np.array([[0, 0, 4, 4], [10, 10, 14, 14]])
    np.testing.assert_allclose(box_overlap(boxes, np.array([[2, 0, 6, 4]])), [[8 / 24], [0]])
    assert [DISTANCE_BINS[distance_bin(d)] for d in (0.0, 4.99, 5.0, 19.9, 20.0)] == [
        '<5', '<5', '5-10', '15-20', '>=20']
    frames = [SimpleNamespace(placed=[n]) for n in (0, 3, None, 0, 0, 0, 5, 9, 1)]
    assert choose_frames(frames) == [1, 7]
    assert choose_frames([]) == []
