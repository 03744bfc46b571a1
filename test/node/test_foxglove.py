# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What Foxglove shows: boxes and labels over the image, the layout, the bag of an evaluation."""
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('rosbags', reason='rosbags is not installed')

from bag_making import make_bag, START  # noqa: E402,I100
from eunet_ros.bags.messages import (  # noqa: E402
    ANNOTATIONS,
    deserialise,
    header,
    message_class,
    serialise,
)
from eunet_ros.cones.detection import find_cones  # noqa: E402
from eunet_ros.cones.messages import annotations  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.common.resources import share_file  # noqa: E402
from eunet_ros.node import cone_publisher, outputs  # noqa: E402
from eunet_ros.node.health import table  # noqa: E402
from eunet_ros.node.stream_statistics import NodeStatistics  # noqa: E402
from eunet_ros.parameters import ConeParameters  # noqa: E402
from evaluation_making import evaluate  # noqa: E402


def two_cones():
    mask = np.zeros((240, 320), np.uint8)
    mask[110:140, 60:80] = 1
    mask[100:116, 200:210] = 2
    return mask


def test_boxes_and_labels_are_those_of_the_cones():
    cones, classes = find_cones(two_cones()), cone_classes()
    message = annotations(message_class, header(START, 'cam'), cones, [7.25, None], classes)
    again = deserialise(serialise(message), ANNOTATIONS)
    assert [t.text for t in again.texts] == ['blue_cone 7.2 m', 'yellow_cone']
    # Corners of pixels, from the upper left one of the image.
    assert [(p.x, p.y) for p in again.points[0].points] == [
        (60, 110), (80, 110), (80, 140), (60, 140)]
    for box, text, kind in zip(again.points, again.texts, (1, 2)):
        assert box.type == 2 and box.timestamp == text.timestamp == message.points[0].timestamp
        color = np.array([box.outline_color.r, box.outline_color.g, box.outline_color.b])
        np.testing.assert_allclose(color * 255, classes.colors[kind])
        assert text.text_color == box.outline_color and box.outline_color.a == 1
        assert text.position.y < box.points[0].y
    none = annotations(message_class, header(START, 'cam'), find_cones(two_cones() * 0), [],
                       classes)
    assert deserialise(serialise(none), ANNOTATIONS).points == []


def test_annotations_need_no_calibration(monkeypatch):
    mask = two_cones()
    products = SimpleNamespace(mask=mask, cone_confidence=np.full_like(mask, 255))
    roi = SimpleNamespace(x_offset=0, y_offset=0, height=0, width=0)
    info = SimpleNamespace(
        height=240, width=320, distortion_model='plumb_bob', d=(0.0,) * 5, binning_x=0,
        binning_y=0, k=(200.0, 0, 160, 0, 200, 120, 0, 0, 1), p=(0.0,) * 12, roi=roi)
    p, head = ConeParameters(camera_height=1.0, camera_pitch=0.2), header(START, 'cam')
    publisher = cone_publisher.ConePublisher(None, cone_classes(), p)
    monkeypatch.setattr(cone_publisher, 'message_class', message_class)

    def texts(info):
        seen = publisher.find({'annotations'}, head, products, info, p, False)
        return [t.text for t in publisher.message('annotations', head, seen, p).texts]
    assert texts(None) == ['blue_cone', 'yellow_cone']
    assert publisher.reason == ''     # no warning: nobody asks for positions
    for text in texts(info):
        assert re.fullmatch(r'(blue|yellow)_cone \d+\.\d m', text)


def panels(tree):
    return [tree] if isinstance(tree, str) else [*panels(tree['first']), *panels(tree['second'])]


def test_the_layout_shows_topics_of_the_node():
    layout = json.loads(share_file('config/foxglove_layout.json').read_text())
    assert sorted(panels(layout['layout'])) == sorted(layout['configById'])
    assert {name.partition('!')[0] for name in layout['configById']} == {
        'Image', '3D', 'DiagnosticSummary', 'Plot'}
    topics = {o.topic.replace('~', '/eunet') for o in outputs.OUTPUTS.values()}
    named = set(re.findall(r'"(/(?:eunet/)?[a-z_/]+)["\.]', json.dumps(layout)))
    assert named - topics == {'/camera/image_raw/compressed'}
    assert {'/eunet/annotations', '/eunet/overlay/compressed', '/eunet/cone_markers',
            '/diagnostics'} <= named
    # What is plotted is in the diagnostics.
    statistics = NodeStatistics()
    statistics.masked(0, {'total': 1.0}, 0)
    keys = {re.search(r'key=="([^"]*)"', path['value']).group(1)
            for path in layout['configById']['Plot!latency']['paths']}
    assert keys and keys <= set(table(statistics.snapshot(1)))


@pytest.mark.process
def test_the_bag_of_an_evaluation_opens_without_our_code(tmp_path, tiny_weights):
    """As Foxglove does: with nothing but the definitions in the file."""
    reading = pytest.importorskip('mcap_ros2.reader', reason='mcap-ros2-support is not installed')
    make_bag(tmp_path / 'drive', 3)
    evaluate(tmp_path, tmp_path / 'drive', '--weights', tiny_weights)
    [file] = (tmp_path / 'out' / 'bag').glob('*.mcap')
    found = {}
    for message in reading.read_ros2_messages(str(file)):
        found.setdefault(message.channel.topic, []).append(message)
    assert {len(messages) for messages in found.values()} == {3}
    assert {'/eunet/mask', '/eunet/overlay/compressed', '/eunet/annotations'} <= set(found)
    for mask, message in zip(found['/eunet/mask'], found['/eunet/annotations']):
        assert message.schema.name == ANNOTATIONS
        image, seen = mask.ros_msg, message.ros_msg
        cones = find_cones(np.frombuffer(image.data, np.uint8).reshape(image.height, image.width))
        assert len(seen.texts) == len(seen.points) == len(cones) > 0
        assert seen.texts[0].timestamp.sec == image.header.stamp.sec
