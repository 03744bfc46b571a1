# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones scored against a simulator's, from recorded messages of its types and over DDS."""
import math
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from bag_making import header, rosbag2, START  # noqa: E402,I100
from conftest import Driver  # noqa: E402
from eunet_ros.bags.messages import message_class  # noqa: E402
from eunet_ros.cones.messages import POINT, point_cloud, read_points  # noqa: E402
from eunet_ros.evaluation.cone_score import ConeScore, from_car, ScoreNode  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.node.cone_stacks import read_stacks, stack_cones, stack_message  # noqa: E402
from stack_making import stack_store  # noqa: E402

NAMES = dict(enumerate(cone_classes().names))
TRUTH = ((4.0, 1.5, 1), (4.5, -1.5, 2), (9.0, 1.5, 1), (9.0, -1.5, 2), (12.0, 2.0, 3))
FRAMES = 4


def rows_of(cones):
    rows = np.zeros(len(cones), POINT)
    for name, values in zip(('x', 'y', 'class_id'), zip(*cones)):
        rows[name] = values
    return rows


def found_cones():
    """Return cones of the node: one 0.2 m off, one of a wrong class, one missed, one too many."""
    (x, y, kind), second, _, *others = TRUTH
    return rows_of([(x + 0.2, y, kind), (*second[:2], 1), *others, (7.0, 0.0, 1)])


def check(score):
    report = score.positions.to_report()
    near, middle, far = (report['by_distance'][name] for name in ('<5', '5-10', '10-15'))
    assert (near['cones'], near['recall'], near['recall_right_class']) == (2 * FRAMES, 1, 0.5)
    assert near['error_m']['p50'] == pytest.approx(0.1, abs=1e-5)
    assert (middle['cones'], middle['recall']) == (2 * FRAMES, 0.5)
    assert (far['recall_right_class'], far['compared']) == (1, FRAMES)
    assert score.false == FRAMES
    assert str(score).splitlines()[:2] == [
        f'{FRAMES} images, 1.00 false cones an image',
        f'   <5 m: {2 * FRAMES} cones, 100.0% found, 50.0% right class, error p50 0.10 m, '
        'p90 0.20 m']


@pytest.fixture(scope='module')
def store():
    return stack_store()


def recorded(folder, store, rows):
    """Write [(topic, message)] as a bag of its own types, and return what is read back."""
    with rosbag2.Writer(folder, version=8) as writer:
        connections = {}
        for at, (topic, msg) in enumerate(rows):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msg.__msgtype__, typestore=store)
            writer.write(connections[topic], START + at,
                         store.serialize_cdr(msg, msg.__msgtype__))
    with rosbag2.Reader(folder) as reader:
        return [(c.topic, store.deserialize_cdr(raw, c.msgtype))
                for c, _, raw in reader.messages()]


def scored(name, messages):
    """Feed recorded messages to the node's callbacks, without a node."""
    stack, score = read_stacks()[name], ConeScore(15.0, math.radians(120))
    poses, truth = [], []
    node = SimpleNamespace(stack=stack, names=NAMES, score=score, _truth=truth,
                           _poses=truth if stack.header else poses)
    for topic, msg in messages:
        if topic == 'cones':
            ScoreNode.on_cones(node, msg)
        else:
            (truth if topic == 'truth' else poses).append(msg)
    return score


def true_message(store, stack, stamp, cones):
    def make(name):
        kind = store.types[name]
        return kind if name != 'eufs_msgs/msg/ConeWithCovariance' else (
            lambda point, covariance: kind(point, np.array(covariance)))  # as rosbags needs it
    return stack_message(make, read_stacks()[stack], header(stamp, 'base_footprint'),
                         rows_of(cones), NAMES)


def test_eufs_sim(tmp_path, store):
    rows = []
    for k in range(FRAMES):
        at = START + k * 100_000_000
        # Too far away, and behind the car: neither counts.
        rows += [('truth', true_message(store, 'eufs_msgs', at + 4_000_000,
                                        (*TRUTH, (30.0, 0.0, 1), (-3.0, 0.0, 1)))),
                 ('cones', point_cloud(message_class, header(at), found_cones()))]
    messages = recorded(tmp_path / 'bag', store, rows)
    check(scored('eufs_msgs', messages))
    # What was recorded at other times says nothing.
    late = [(t, m) for t, m in messages if t == 'truth'][:1] + [
        (t, m) for t, m in messages if t == 'cones'][1:]
    assert 'No image is scored' in str(scored('eufs_msgs', late))


def test_fsds(tmp_path, store):
    """A track that is sent once, and a car that drives and turns in it."""
    at_start, turn = np.array([20.0, -3.0]), math.radians(70)
    world = [(*(np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
                @ (x, y) + at_start), kind) for x, y, kind in TRUTH]
    rows = [('truth', true_message(store, 'fs_msgs', START, world))]
    pose = message_class('geometry_msgs/msg/PoseWithCovariance')(
        pose=message_class('geometry_msgs/msg/Pose')(
            position=message_class('geometry_msgs/msg/Point')(x=20.0, y=-3.0),
            orientation=message_class('geometry_msgs/msg/Quaternion')(
                z=math.sin(turn / 2), w=math.cos(turn / 2))))
    np.testing.assert_allclose(from_car(np.array([w[:2] for w in world]), pose.pose),
                               [t[:2] for t in TRUTH], atol=1e-9)
    for k in range(FRAMES):
        at = START + k * 100_000_000
        rows += [('odometry', message_class('nav_msgs/msg/Odometry')(
                     header=header(at - 2_000_000, 'fsds/map'), pose=pose)),
                 ('cones', point_cloud(message_class, header(at), found_cones()))]
    check(scored('fs_msgs', recorded(tmp_path / 'bag', store, rows)))


def test_cones_without_a_colour_and_images_without_cones(store):
    score = ConeScore(15.0, math.pi)
    none = (rows_of([]), NAMES, [], np.zeros((0, 2)))
    score.add(*none)
    score.add(rows_of([(5.0, 0.0, 2)]), NAMES, *stack_cones(
        read_stacks()['eufs_msgs'], true_message(store, 'eufs_msgs', START, [(5.0, 0.1, 5)])))
    report = score.positions.to_report()
    assert report['frames'] == 2 and report['by_distance']['5-10']['recall_right_class'] == 1


# A stack of messages that are installed everywhere.
STACK = """stacks:
  own: {type: geometry_msgs/msg/PoseArray, cone: geometry_msgs/msg/Pose, position: position,
        header: header, lists: {unknown_cone: poses}}
"""


@pytest.mark.ros
def test_live(ros, tmp_path):
    from geometry_msgs.msg import Point, Pose, PoseArray
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import PointCloud2
    (tmp_path / 'stacks.yaml').write_text(STACK)
    node = ScoreNode(parameter_overrides=[
        Parameter('stack', value='own'), Parameter('config', value=str(tmp_path / 'stacks.yaml')),
        Parameter('view', value=120.0)])
    peer = ros.create_node('simulator')
    truth = peer.create_publisher(PoseArray, 'truth', 1)
    cones = peer.create_publisher(PointCloud2, 'eunet/cones', 1)
    driver = Driver(node, peer)
    driver.until(lambda: truth.get_subscription_count() and cones.get_subscription_count(),
                 'the subscriptions')
    from eunet_ros.cones.messages import header_of
    from eunet_ros.ros.message_classes import message_class as ros_class
    head = header_of(ros_class, peer.get_clock().now().to_msg(), 'base_link')
    truth.publish(PoseArray(header=head, poses=[
        Pose(position=Point(x=x, y=y)) for x, y, _ in TRUTH]))
    driver.until(lambda: node._truth, 'the truth')
    cones.publish(point_cloud(ros_class, head, found_cones()))
    driver.until(lambda: node.score.positions.frames, 'the score')
    assert len(read_points(point_cloud(ros_class, head, found_cones()))) == 5
    assert node.score.positions.to_report()['by_distance']['5-10']['recall'] == 0.5
    node.destroy_node()


@pytest.mark.process
def test_it_says_what_is_missing():
    done = subprocess.run(
        [sys.executable, '-m', 'eunet_ros.evaluation.cone_score', '--ros-args', '-p',
         'stack:=eufs_msgs'], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'cone_score: eufs_msgs/msg/ConeArrayWithCovariance cannot be imported' in done.stderr
