# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which topic the node takes images from, and what it says where none come; over real DDS."""
import re

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from eunet_ros.images.conversions import fill_compressed  # noqa: E402,I100
from rclpy.logging import LoggingSeverity  # noqa: E402
from rclpy.node import Node  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402
from test_node import BEST_EFFORT, image_message, make_rig, picture, RELIABLE  # noqa: E402,F401

pytestmark = pytest.mark.ros


@pytest.fixture
def apart(ros):
    """Return a function that makes a publisher of a participant of its own."""
    context, nodes = ros.Context(), []
    ros.init(context=context)

    def publisher(kind, topic):
        nodes.append(Node('camera', context=context))
        return nodes[-1].create_publisher(kind, topic, RELIABLE)
    yield publisher
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def jpeg():
    return fill_compressed(CompressedImage(), picture(), 90)


@pytest.mark.parametrize('topic, published, transport', [
    ('/cam/image/compressed', '/cam/image/compressed', 'compressed'),
    ('/cam/image/compressed', '/cam/image/compressed', 'raw'),
    ('/pylon/image_compressed', '/pylon/image_compressed', 'compressed'),
    ('/pylon/image_compressed', '/pylon/image_compressed', 'raw'),
    ('/pylon/jpeg', '/pylon/jpeg', 'compressed'), ('/pylon/jpeg', '/pylon/jpeg', 'raw'),
    ('/cam/uncompressed', '/cam/uncompressed/compressed', 'compressed'),
    ('/cam/image_compressed', '/cam/image_compressed/compressed', 'compressed')])
def test_compressed_images_of_any_name(make_rig, topic, published, transport):  # noqa: F811
    """With the remappings that the launch file makes."""
    rig = make_rig(cli=('-r', f'image:={topic}', '-r', f'image/compressed:={topic}/compressed'),
                   image_transport=transport, kind=CompressedImage, topic=published)
    rig.start('mask')
    assert rig.node._input.topic == published
    assert rig.send(jpeg()).width == 64


def test_a_raw_image_of_a_name_that_says_compressed(make_rig):  # noqa: F811
    rig = make_rig(cli=('-r', 'image:=/cam/compressed_then_decoded'),
                   topic='/cam/compressed_then_decoded').start('mask')
    assert rig.send(image_message(picture())).width == 64


def said(rig, words):
    rig.until(lambda: words in rig.node.health().message, words)
    return rig.node.health().message


@pytest.mark.parametrize('kind, topic, options, words', [
    (CompressedImage, 'image/compressed', {}, 'image_transport:=compressed'),
    (Image, 'image', {'image_transport': 'compressed'}, 'image_transport:=raw'),
    (Image, '/front/image', {}, 'images are on /front/image'),
    (CameraInfo, '/front/info', {}, 'no camera publishes /image: start it'),
    (Image, 'image', {'image_reliability': 'reliable'}, 'image_reliability:=best_effort')])
def test_why_no_image_can_come(make_rig, kind, topic, options, words):  # noqa: F811
    rig = make_rig(kind=kind, topic=topic, qos=BEST_EFFORT, **options)
    assert rig.node.start()
    assert words in said(rig, words)[:128]


def test_a_camera_that_is_connected_and_sends_nothing(make_rig):  # noqa: F811
    rig = make_rig().start()
    shown = said(rig, 'raw 2.8 MB')[:128]      # of the usual size
    assert re.search(r'PROFILES_FILE=\S+fastdds_large_images.xml ', shown)
    info = rig.peer.create_publisher(CameraInfo, 'camera_info', RELIABLE)
    rig.until(lambda: info.publish(CameraInfo(width=3840, height=2160)) or
              'raw 24.9 MB' in rig.node.health().message, 'the size of camera_info')
    rig.until(lambda: info.publish(CameraInfo(width=7680, height=4320)) or
              'raw 99.5 MB' in rig.node.health().message, 'the size of camera_info')
    assert 'set image_reliability:=reliable' in rig.node.health().message[:128]
    rig.listen('mask')
    rig.until(lambda: rig.subscribers('mask'), 'the listener')
    rig.send(image_message(picture()))
    assert 'PROFILES_FILE' not in rig.node.health().message


def test_the_topic_is_chosen_again_when_the_camera_comes_later(make_rig, apart):  # noqa: F811
    rig = make_rig(cli=('-r', 'image:=/pylon/jpeg'), topic='/elsewhere')
    rig.listen('mask')
    assert rig.node.start() and rig.node._input.transport == 'raw'
    rig.camera = apart(CompressedImage, '/pylon/jpeg')
    rig.until(rig.camera.get_subscription_count, 'the node to subscribe')
    rig.until(lambda: rig.subscribers('mask'), 'the listener')
    assert rig.send(jpeg()).width == 64


def test_debug_says_why_an_image_was_dropped(make_rig, capfd):  # noqa: F811
    rig = make_rig().start()
    level = rig.node.get_logger().get_effective_level()
    rig.node.get_logger().set_level(LoggingSeverity.DEBUG)
    try:
        rig.camera.publish(image_message(picture(), sec=7))
        rig.until(lambda: rig.counts().get('dropped_unwatched') == 1, 'the drop')
    finally:
        rig.node.get_logger().set_level(level)
    assert 'Image of 7.000 s dropped: nobody subscribes to an output' in capfd.readouterr().err


def test_a_topic_of_another_type(make_rig, apart):  # noqa: F811
    apart(CameraInfo, 'image')
    rig = make_rig(topic='/elsewhere')
    assert rig.node.start()
    words = '/image has sensor_msgs/msg/CameraInfo'
    assert words in said(rig, words)[:128]
