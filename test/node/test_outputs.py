# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What fails beside the mask stays beside it: over real DDS, in this process."""
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from eunet_ros.node import outputs  # noqa: E402,I100
from eunet_ros.parameters import NodeParameters  # noqa: E402
from sensor_msgs.msg import CameraInfo, PointCloud2  # noqa: E402
from test_node import image_message, make_rig, picture, RELIABLE  # noqa: E402,F401

pytestmark = pytest.mark.ros

OTHERS = {'overlay': None, 'cones': PointCloud2, 'camera_info': CameraInfo}


def odd(*args, **kwargs):
    raise RuntimeError('odd')


@pytest.fixture
def rig(make_rig):  # noqa: F811
    rig = make_rig(camera_height=1.0)
    rig.start('mask')
    for name, kind in OTHERS.items():
        rig.listen(name, *([kind] if kind else []))
        rig.until(lambda name=name: rig.subscribers(name), name)
    return rig


def tell(rig, **values):
    values = {'height': 48, 'width': 64, 'k': [50.0, 0, 32, 0, 50, 24, 0, 0, 1], **values}
    publisher = rig.peer.create_publisher(CameraInfo, 'camera_info', RELIABLE)
    rig.until(lambda: publisher.publish(CameraInfo(**values)) or rig.node._camera_info,
              'the camera_info')


@pytest.mark.parametrize('broken, name', [
    ('find', 'cones'), ('blend_overlay', 'overlay'), ('scale_camera_info', 'camera_info')])
def test_an_error_of_our_own_is_logged_once_and_leaves_the_rest_alone(
        rig, monkeypatch, capfd, broken, name):
    if broken == 'find':
        monkeypatch.setattr(rig.node._outputs.cones._locator, 'find', odd)
    else:
        where = 'node.pipeline' if broken == 'blend_overlay' else 'node.outputs'
        monkeypatch.setattr(f'eunet_ros.{where}.{broken}', odd)
    tell(rig)
    others = [n for n in OTHERS if n not in (name, 'cones')]
    for sec in (5, 6):
        rig.send(image_message(picture(), sec=sec))
        rig.until(lambda sec=sec: all(len(rig.got[n]) == sec - 4 for n in others), others)
    rig.until(lambda: rig.node.statistics.snapshot(0).output_errors.get(name), 'the failure')
    counts = rig.counts()
    assert counts['masked'] == 2 and not {n for n in counts if n.startswith('dropped')}
    assert rig.node.statistics.snapshot(0).last_error == ''
    assert rig.got[name] == [] and rig.node._pipeline.segmenter.state.replaced == 0
    logged = capfd.readouterr().err
    assert logged.count('Traceback') == 1 and f'publishing {name}' in logged
    assert rig.node.health().status_level < 2


def test_a_camera_info_without_a_size_costs_only_the_camera_info(rig, capfd):
    tell(rig, height=0, width=0, k=[0.0] * 9)
    for sec in (5, 6):
        rig.send(image_message(picture(), sec=sec))
        rig.until(lambda sec=sec: len(rig.got['overlay']) == sec - 4, 'the overlay')
    assert rig.counts()['masked'] == 2 and rig.got['camera_info'] == []
    logged = capfd.readouterr().err
    assert 'camera_info' in logged and 'Traceback' not in logged


def test_an_error_of_our_own_in_an_image_does_not_blame_the_engine(rig, capfd):
    run, rig.node._pipeline.run = rig.node._pipeline.run, odd
    for count in (1, 2):
        rig.camera.publish(image_message(picture()))
        rig.until(lambda count=count: rig.counts().get('dropped_internal') == count, 'the drop')
    assert capfd.readouterr().err.count('Traceback') == 1
    rig.node._pipeline.run = run
    rig.send(image_message(picture()))
    assert 'dropped_engine' not in rig.counts()


def test_the_table_of_outputs():
    p = NodeParameters(output_reliability='best_effort', output_depth=3)
    assert outputs.OUTPUTS['mask'].qos(p).depth == 3
    assert outputs.OUTPUTS['mask'].topic == '~/mask'
    assert outputs.OUTPUTS['/diagnostics'].topic == '/diagnostics'
    assert [name for name, o in outputs.OUTPUTS.items() if not o.lazy] == [
        'label_info', 'status', '/diagnostics']
