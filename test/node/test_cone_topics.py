# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's topics about cones over real DDS: positions, markers, overlay, and why not."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('visualization_msgs', reason='visualization_msgs is not installed')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: I100, E402
from eunet_ros.cones.camera_model import CameraModel  # noqa: E402
from eunet_ros.cones.ground import Ground, mounted  # noqa: E402
from eunet_ros.cones.messages import BY_HEIGHT, read_points  # noqa: E402
from eunet_ros.node.cone_publisher import TransformSource  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, Imu, PointCloud2  # noqa: E402
from test_node import image_message, picture, RELIABLE, Rig  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = 240, 320
CAMERA = CameraModel(WIDTH, HEIGHT, 200.0, 200.0, 160.0, 120.0)
MOUNT = {'camera_height': 1.0, 'camera_pitch': 0.2, 'camera_x': 0.5}
TRUTH = {1: (4.0, 1.5), 2: (4.5, -1.0), 3: (7.0, 0.5)}  # class id: x, y in base_link


def cone_mask(camera=CAMERA, pitch=0.2, places=None):
    """Draw upright cones of 0.325 m, with plates of 0.228 m, at places of their class ids."""
    ground = Ground(camera, mounted(1.0, pitch, x=0.5))
    mask = np.zeros((camera.height, camera.width), np.uint8)
    for kind, (x, y) in places or TRUTH.items():
        corners = [(x + a, y + b, 0) for a in (-0.114, 0.114) for b in (-0.114, 0.114)]
        rims = [(x + r * np.cos(t), y + r * np.sin(t), z)
                for r, z in ((0.09, 0.03), (0.025, 0.325)) for t in np.linspace(0, 2 * np.pi, 16)]
        for part in (corners, rims):
            hull = cv2.convexHull(np.rint(ground.project(np.array(part))).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, kind)
    return mask


def camera_info(**changes):
    values = {'height': HEIGHT, 'width': WIDTH, 'distortion_model': 'plumb_bob', 'd': [0.0] * 5,
              'k': [200.0, 0.0, 160.0, 0.0, 200.0, 120.0, 0.0, 0.0, 1.0],
              'p': [200.0, 0, 160.0, 0, 0, 200.0, 120.0, 0, 0, 0, 1.0, 0]}
    return CameraInfo(**{**values, **changes})


@pytest.fixture
def make_rig(ros, tiny_weights):
    rigs = []

    def make(*topics, info=None, **parameters):
        rig = Rig(tiny_weights, **{**MOUNT, **parameters})
        rigs.append(rig)
        kinds = {'cones': PointCloud2, 'cone_markers': MarkerArray, 'attitude': Imu}
        assert rig.node.start()
        for topic in topics:
            if topic in kinds:
                rig.listen(topic, kinds[topic])
            else:
                rig.listen(topic)
        rig.until(lambda: all(rig.subscribers(t) for t in topics)
                  and rig.camera.get_subscription_count() == 1, 'everyone to be matched')
        show(rig, cone_mask())
        if info is not None:
            tell(rig, info)
        return rig
    yield make
    for rig in rigs:
        rig.close()


def show(rig, mask):
    rig.node._pipeline.segmenter.segment = lambda image, horizon=None: SimpleNamespace(
        mask=mask.copy(), stage_ms={'inference': 1.0},
        confidence=lambda cones_only=False: np.where(mask, 204, 0).astype(np.uint8))


def tell(rig, info):
    publisher = rig.peer.create_publisher(CameraInfo, 'camera_info', RELIABLE)
    # Again and again, as cameras do: the node may match later than the publisher does.
    rig.until(lambda: publisher.publish(info) or rig.node._camera_info, 'the camera_info')


def frame(sec=5):
    return image_message(picture(0, HEIGHT, WIDTH), sec=sec, frame='camera_optical_frame')


def test_positions_are_those_of_the_cones(make_rig):
    rig = make_rig('cones', info=camera_info())
    cloud = rig.send(frame(sec=77), 'cones')
    assert (cloud.header.frame_id, cloud.header.stamp.sec) == ('base_link', 77)
    rows = read_points(cloud)
    assert len(rows) == 3 and cloud.width == 3 and cloud.is_dense
    assert [f.name for f in cloud.fields][:4] == ['x', 'y', 'z', 'confidence']
    for row in rows:
        x, y = TRUTH[int(row['class_id'])]
        assert np.hypot(row['x'] - x, row['y'] - y) < 0.03 * np.hypot(x, y)
    assert (np.diff(np.hypot(rows['x'], rows['y'])) > 0).all()  # nearest first
    np.testing.assert_allclose(rows['confidence'], 0.8, atol=1e-3)
    assert (rows['z'] == 0).all() and (np.diff(rows['variance']) > 0).all()
    assert not (rows['flags'] & BY_HEIGHT).any()
    assert (rows['id'] == 0).all()


def test_markers_show_cones_and_go_with_them(make_rig):
    rig = make_rig('cone_markers', info=camera_info(), marker_lifetime=1.5)
    first = rig.send(frame(), 'cone_markers').markers
    assert len(first) == 3 and {m.type for m in first} == {Marker.ARROW}
    for m in first:
        assert m.header.frame_id == 'base_link'
        assert m.points[1].z - m.points[0].z == pytest.approx(0.325)
        assert (m.scale.y, m.scale.z) == (pytest.approx(0.228), pytest.approx(0.325))
        assert (m.lifetime.sec, m.lifetime.nanosec) == (1, 500_000_000)
    assert len({(m.color.r, m.color.g, m.color.b) for m in first}) == 3
    rig.node.set_parameters([Parameter('cone_max_range', value=5.0)])
    second = rig.send(frame(), 'cone_markers').markers
    assert [m.action for m in second].count(Marker.ADD) == 2
    assert [m.id for m in second if m.action == Marker.DELETE] == [2]


def test_overlay_shows_boxes_where_positions_are_known(make_rig):
    rig = make_rig('overlay', 'mask')
    plain = np.asarray(rig.send(frame(), 'overlay').data)
    assert rig.node._outputs.cones.rows() == {}  # nothing is computed for boxes without positions
    tell(rig, camera_info())
    boxed = np.asarray(rig.send(frame(), 'overlay').data)
    assert (plain != boxed).sum() > 100


def test_tracking_numbers_cones(make_rig):
    rig = make_rig('cones', info=camera_info(), cone_tracking=True)
    rows = [read_points(rig.send(image_message(
        picture(0, HEIGHT, WIDTH), sec=1000 + i // 10, frame='c'), 'cones')) for i in range(3)]
    assert sorted(rows[0]['id']) == [1, 2, 3]


@pytest.mark.parametrize('info, parameters, said', [
    (None, {}, 'no camera_info'),
    (camera_info(k=[0.0] * 9), {}, 'not calibrated'),
    (camera_info(height=480, width=640), {}, 'images of 640x480, the image has 320x240'),
    (camera_info(distortion_model='odd'), {}, "'odd', expected one of plumb_bob"),
    (camera_info(d=[0.1] * 3), {}, '3 coefficients in D'),
    (camera_info(), {'camera_height': 0.0}, 'camera_height is not set'),
    (camera_info(), {'mounting': 'tf'}, 'tf')])
def test_without_what_it_takes_masks_go_on_and_diagnostics_say_why(
        make_rig, info, parameters, said):
    rig = make_rig('mask', 'cones', info=info, diagnostics_period=0.1, **parameters)
    assert rig.send(frame()).width == WIDTH
    rig.until(lambda: rig.node._outputs.cones.reason, 'the reason')
    assert said in rig.node._outputs.cones.reason
    rig.listen('diagnostics', DiagnosticArray, topic='/diagnostics')
    rig.until(lambda: any(said in s.message for m in rig.got['diagnostics'] for s in m.status),
              'diagnostics that say why')
    assert rig.got['cones'] == []
    assert rig.send(frame(sec=9)).header.stamp.sec == 9


class Transforms:
    """Stands for a tf2 buffer."""

    def __init__(self, pose):
        self.pose, self.asked = pose, []

    def lookup_transform(self, target, source, time):
        self.asked.append((target, source))
        if self.pose is None:
            raise RuntimeError('"base_link" passed to lookupTransform does\nnot exist')
        vector = cv2.Rodrigues(self.pose.rotation)[0][:, 0]
        turn = np.linalg.norm(vector)
        x, y, z = vector / turn * np.sin(turn / 2)
        origin = dict(zip('xyz', self.pose.origin))
        return SimpleNamespace(transform=SimpleNamespace(
            translation=SimpleNamespace(**origin),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=np.cos(turn / 2))))


def test_the_mounting_comes_from_tf(make_rig):
    rig = make_rig('cones', info=camera_info(), mounting='tf', camera_height=0.0)
    buffer = Transforms(None)
    rig.node._outputs.cones._transforms = TransformSource(None, buffer)
    rig.camera.publish(frame())
    rig.until(lambda: 'no transform' in rig.node._outputs.cones.reason, 'the reason')
    for words in ("'camera_optical_frame'", "'base_link'", 'lookupTransform does not exist'):
        assert words in rig.node._outputs.cones.reason
    buffer.pose = mounted(1.0, 0.2, x=0.5)
    rows = read_points(rig.send(frame(), 'cones'))
    assert buffer.asked[-1] == ('base_link', 'camera_optical_frame')
    for row in rows:
        x, y = TRUTH[int(row['class_id'])]
        assert np.hypot(row['x'] - x, row['y'] - y) < 0.03 * np.hypot(x, y)
    assert rig.node._outputs.cones.reason == ''


def test_rows_outside_of_the_region_keep_their_place(make_rig):
    rig = make_rig('cones', info=camera_info())
    whole = read_points(rig.send(frame(), 'cones'))
    mask = cone_mask()
    rig.node._pipeline.segmenter.segment = lambda image, horizon=None: SimpleNamespace(
        mask=mask[60:].copy(), stage_ms={},
        confidence=lambda cones_only=False: np.full((180, WIDTH), 204, np.uint8))
    rig.node.set_parameters([Parameter('roi_top', value=0.25)])
    assert not mask[:60].any()
    part = read_points(rig.send(frame(), 'cones'))
    np.testing.assert_array_equal(part, whole)


def test_nothing_is_computed_while_nobody_listens(make_rig):
    rig = make_rig('mask', info=camera_info())
    rig.send(frame())
    assert rig.node._outputs.cones.rows() == {}
    assert 'cones' not in rig.node.statistics.snapshot(0).stage_ms


LARGE = CameraModel(1280, 960, 800.0, 800.0, 640.0, 480.0)
LARGE_INFO = {'height': 960, 'width': 1280,
              'k': [800.0, 0.0, 640.0, 0.0, 800.0, 480.0, 0.0, 0.0, 1.0]}
SIDES = tuple((kind, (x, y)) for kind, y in ((1, 1.6), (2, -1.5)) for x in (4, 6, 8, 10, 13))
DIPS = 0.026          # rad, by which the front of the car is low


def drive(rig, *topics, pitch=0.2 + DIPS, frames=10, begin=5):
    """Send images of SIDES, one a second; returns the last message on each topic."""
    show(rig, cone_mask(LARGE, pitch, SIDES))
    for k in range(frames):
        msg = image_message(picture(0, 960, 1280), sec=begin + k, frame='camera_optical_frame')
        rig.send(msg, topics[0])
    for name in topics[1:]:
        rig.until(lambda name=name: len(rig.got[name]) == frames, name)
    return [rig.got[name][-1] for name in topics]


def worst(cloud):
    rows = read_points(cloud)
    assert len(rows) == len(SIDES)
    return max(min(np.hypot(row['x'] - x, row['y'] - y) / np.hypot(x, y) for _, (x, y) in SIDES)
               for row in rows)


def test_positions_hold_while_the_car_pitches(make_rig):
    rig = make_rig('cones', 'attitude', info=camera_info(**LARGE_INFO), attitude='cones')
    cloud, found = drive(rig, 'cones', 'attitude')
    assert found.header.frame_id == 'base_link' and found.header.stamp == cloud.header.stamp
    q = found.orientation
    assert 2 * np.arctan2(q.y, q.w) == pytest.approx(DIPS, abs=np.radians(0.3))
    assert abs(2 * np.arctan2(q.x, q.w)) < np.radians(0.5)
    spread = found.orientation_covariance.reshape(3, 3)
    assert 0 < spread[1, 1] < np.radians(0.5) ** 2 and spread[2, 2] > 1
    assert found.angular_velocity_covariance[0] == found.linear_acceleration_covariance[0] == -1
    assert worst(cloud) < 0.05


def test_without_an_attitude_the_mounting_holds(make_rig):
    rig = make_rig('cones', 'attitude', info=camera_info(**LARGE_INFO))
    assert worst(drive(rig, 'cones')[0]) > 0.15
    assert rig.got['attitude'] == []
    assert not any('pitch' in name for name in rig.node._outputs.cones.rows())


def test_a_camera_that_was_moved_is_a_warning(make_rig):
    rig = make_rig('cones', info=camera_info(**LARGE_INFO), attitude='cones')
    drive(rig, 'cones', pitch=0.2)
    assert rig.node._outputs.cones.moved(rig.node.parameters) == ''
    drive(rig, 'cones', begin=30)
    rig.listen('diagnostics', DiagnosticArray, topic='/diagnostics')
    rig.until(lambda: any('against its mounting' in s.message for m in rig.got['diagnostics']
                          for s in m.status), 'a warning')
    assert '/tf' not in rig.node._outputs.publishers      # only where asked for
    rows = rig.node._outputs.cones.rows()
    assert float(rows['mean pitch of 3 s [deg]']) == pytest.approx(np.degrees(DIPS), abs=0.4)
    rig.node.set_parameters([Parameter('attitude_warn', value=0.2)])
    assert rig.node._outputs.cones.moved(rig.node.parameters) == ''


def test_tf_gets_a_level_frame_where_asked(make_rig):
    tf2_msgs = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')
    rig = make_rig('cones', info=camera_info(**LARGE_INFO), attitude='cones',
                   attitude_frame='level')
    rig.listen('/tf', tf2_msgs.TFMessage, topic='/tf')
    rig.until(lambda: rig.subscribers('/tf'), 'tf to be matched')
    cloud, message = drive(rig, 'cones', '/tf')
    [found] = message.transforms
    assert cloud.header.frame_id == found.child_frame_id == 'level'
    assert found.header.frame_id == 'base_link'
    assert 2 * np.arctan2(found.transform.rotation.y, found.transform.rotation.w) == (
        pytest.approx(-DIPS, abs=np.radians(0.3)))


def test_an_imu_is_taken_between_images(make_rig):
    rig = make_rig('cones', info=camera_info(**LARGE_INFO), attitude='imu', imu_topic='imu')
    publisher = rig.peer.create_publisher(Imu, 'imu', 10)
    rig.until(publisher.get_subscription_count, 'the IMU to be matched')
    msg = Imu()
    msg.header.stamp.sec, msg.angular_velocity.x, msg.angular_velocity.y = 7, 0.1, 0.2
    publisher.publish(msg)
    samples = rig.node._outputs.cones._rates._samples
    rig.until(lambda: samples, 'the rate')
    assert list(samples) == [(7 * 10 ** 9, 0.2, 0.1)]
    assert worst(drive(rig, 'cones')[0]) < 0.05   # without rates for these images
