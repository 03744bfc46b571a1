# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones as messages of rosbags' classes and of plain ones, without ROS."""
from types import SimpleNamespace

from eunet_ros.bags.messages import deserialise, header, serialise, typestore
from eunet_ros.cones.attitude import Attitude, levelled
from eunet_ros.cones.camera_model import CameraModel
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.drawing import draw_cones, draw_from_above
from eunet_ros.cones.ground import Ground, mounted, pose_of_transform
from eunet_ros.cones.locator import ConeLocator, UNSET, Withheld
from eunet_ros.cones.messages import (
    along_and_across,
    detections,
    KEPT,
    KNOCKED_OVER,
    label_info,
    level_transform,
    point_cloud,
    points,
    read_points,
)
from eunet_ros.cones.tracking import ConeTracker
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.parameters import ConeParameters
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

GROUND = Ground(CameraModel(320, 240, 200.0, 200.0, 160.0, 120.0), mounted(1.0, 0.2))


def cones():
    mask = np.zeros((240, 320), np.uint8)
    mask[110:140, 60:80] = 1
    mask[130:140, 200:230] = 2  # lies
    return find_cones(mask, np.full_like(mask, 51))


def plain(name):
    """Return a class that takes any fields."""
    return SimpleNamespace


def test_point_cloud_in_a_bag():
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    located, _ = GROUND.locate(cones())
    make = typestore().types.__getitem__
    cloud = point_cloud(make, header(123, 'base_link'), points(located))
    again = deserialise(serialise(cloud), 'sensor_msgs/msg/PointCloud2')
    rows = read_points(again)
    assert (again.width, again.height, again.point_step) == (2, 1, rows.itemsize)
    assert again.row_step == len(again.data) == 2 * rows.itemsize
    # Each field lies where it is said to.
    for f in again.fields:
        code = {2: 'u1', 4: '<u2', 6: '<u4', 7: '<f4'}[f.datatype]
        one = np.frombuffer(bytes(again.data)[f.offset:], code, 1)[0]
        assert one == rows[f.name][0]
    np.testing.assert_allclose(np.column_stack([rows['x'], rows['y']]), located.xyz[:, :2],
                               rtol=1e-6)
    assert sorted(zip(rows['class_id'].tolist(), (rows['flags'] & KNOCKED_OVER).tolist())) == [
        (1, 0), (2, KNOCKED_OVER)]
    np.testing.assert_allclose(rows['confidence'], 0.2)


def test_tracks_in_the_cloud():
    tracker = ConeTracker()
    for k in range(4):
        found, tracks = tracker.update(cones(), 1 + k * 10_000_000)
    empty = cones().select(np.zeros(0, int))
    found, tracks = tracker.update(empty, 1 + 4 * 10_000_000)
    located, order = GROUND.locate(found)
    rows = points(located, tracks.select(order))
    assert sorted(rows['id']) == [1, 2] and (rows['age'] == 4).all()
    assert (rows['flags'] & KEPT == KEPT).all()


def test_variance_along_the_line_of_sight_is_the_larger():
    located, _ = GROUND.locate(cones())
    along, across = along_and_across(located)
    assert (along > across).all() and (across > 0).all()
    np.testing.assert_allclose(along + across, np.trace(located.covariance, axis1=1, axis2=2))


def test_detections_are_boxes_in_pixels():
    found = cones()
    array = detections(plain, 'h', found)
    first = array.detections[found.class_id.tolist().index(1)]
    centre = first.bbox.center.position
    assert (centre.x, centre.y, first.bbox.size_x, first.bbox.size_y) == (69.5, 124.5, 20, 30)
    assert first.results[0].hypothesis.class_id == '1' and first.id == ''
    assert first.results[0].hypothesis.score == pytest.approx(0.2)
    labels = label_info(plain, 'h', cone_classes().names).class_map
    assert [(v.class_id, v.class_name) for v in labels][:2] == [(0, 'background'),
                                                                (1, 'blue_cone')]


def test_pictures():
    located, _ = GROUND.locate(cones())
    table = cone_classes().table_bgr
    image = np.zeros((240, 320, 3), np.uint8)
    draw_cones(image, located, table)
    assert (image[125, 59] == table[1]).all()
    above = draw_from_above(located, table, (400, 300), 15.0, [(2.0, 1.0, 1)])
    x, y = located.xyz[located.cones.class_id == 1][0, :2]
    scale = 370 / 15.0
    assert (above[round(382 - x * scale), round(150 - y * scale)] == table[1]).all()
    draw_cones(image, located.select(np.zeros(0, int)), table)
    draw_from_above(located.select(np.zeros(0, int)), table, (60, 40))


def test_a_ground_is_made_anew_when_something_changes():
    roi = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    info = SimpleNamespace(
        height=240, width=320, distortion_model='plumb_bob', d=(0.0,) * 5, binning_x=0,
        binning_y=0, k=(200.0, 0, 160, 0, 200, 120, 0, 0, 1), p=(0.0,) * 12, roi=roi)
    locator, p = ConeLocator(cone_classes()), ConeParameters(camera_height=1.0)
    ground = locator.ground((240, 320), info, lambda: None, p)
    assert locator.ground((240, 320), info, lambda: None, p) is ground
    roi.y_offset = 2
    assert locator.ground((240, 320), info, lambda: None, p).camera.cy == 118
    with pytest.raises(Withheld, match='the image has 160x120'):
        locator.ground((120, 160), info, lambda: None, p)
    with pytest.raises(Withheld) as error:
        locator.ground((240, 320), info, lambda: None, ConeParameters())
    assert str(error.value) == UNSET
    with pytest.raises(Withheld, match='not above the ground at 0'):
        locator.ground((240, 320), info, lambda: mounted(0.3), ConeParameters(ground_z=0.5))
    info.k = (0.0,) * 9
    with pytest.raises(Withheld, match='not calibrated'):
        locator.ground((240, 320), info, lambda: None, p)


def odometry(vx, vy, yaw_rate):
    xyz = SimpleNamespace
    return xyz(twist=xyz(twist=xyz(linear=xyz(x=vx, y=vy, z=0.0),
                                   angular=xyz(x=0.0, y=0.0, z=yaw_rate))))


def cloud_of(located, sec=10, nanosec=990_000_000):
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    return point_cloud(plain, SimpleNamespace(stamp=stamp), points(located))


def test_positions_are_moved_to_the_time_of_their_use():
    located, _ = GROUND.locate(cones())
    cloud = cloud_of(located)
    rows = read_points(cloud)
    # 30 ms at 15 m/s, over the end of a second.
    later = read_points(cloud, odometry(15.0, 0.0, 0.0), SimpleNamespace(sec=11,
                                                                         nanosec=20_000_000))
    np.testing.assert_allclose(rows['x'] - later['x'], 0.45, atol=1e-5)
    np.testing.assert_array_equal(later['y'], rows['y'])
    np.testing.assert_array_equal(later['class_id'], rows['class_id'])
    same = read_points(cloud, odometry(15.0, 1.0, 2.0), cloud.header.stamp)
    np.testing.assert_array_equal(same, rows)


@settings(max_examples=50, deadline=None)
@given(st.floats(-20, 20), st.floats(-2, 2), st.floats(-3, 3), st.floats(-0.5, 0.5))
def test_moving_is_driving(vx, vy, yaw_rate, seconds):
    located, _ = GROUND.locate(cones())
    cloud = cloud_of(located, 100, 0)
    whole = int(np.floor(seconds))
    found = read_points(cloud, odometry(vx, vy, yaw_rate), SimpleNamespace(
        sec=100 + whole, nanosec=round((seconds - whole) * 1e9)))
    place, yaw, steps = np.zeros(2), 0.0, 4000
    for k in range(steps):      # the path, in small steps
        yaw = yaw_rate * seconds * (k + 0.5) / steps
        place += seconds / steps * np.array([vx * np.cos(yaw) - vy * np.sin(yaw),
                                             vx * np.sin(yaw) + vy * np.cos(yaw)])
    c, s = np.cos(yaw_rate * seconds), np.sin(yaw_rate * seconds)
    expected = (located.xyz[:, :2] - place) @ np.array([[c, -s], [s, c]])
    np.testing.assert_allclose(np.column_stack([found['x'], found['y']]), expected, atol=1e-4)


def test_the_level_frame_shares_the_camera_with_base_link():
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    found, point = Attitude(0.03, -0.02), np.array([7.0, -2.0, 0.0])
    message = level_transform(typestore().types.__getitem__, header(5, 'base_link'), 'level',
                              found, GROUND)
    again = deserialise(serialise(message), 'tf2_msgs/msg/TFMessage')
    [stamped] = again.transforms
    assert (stamped.header.frame_id, stamped.child_frame_id) == ('base_link', 'level')
    t, q = stamped.transform.translation, stamped.transform.rotation
    pose = pose_of_transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
    np.testing.assert_allclose(pose.rotation, levelled(0.03, -0.02).T, atol=1e-12)
    # A point on the level ground is seen where it is from the pitched camera.
    np.testing.assert_allclose(
        GROUND.project([pose.rotation @ point + pose.origin]),
        found.applied(GROUND).project([point]), atol=1e-9)
