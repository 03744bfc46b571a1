# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS, in this process: what comes out for what goes in."""
import array
from dataclasses import replace
import threading

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from conftest import Driver  # noqa: I100, E402
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from eunet_ros.images.conversions import image_to_mask  # noqa: E402
from eunet_ros.model import Segmenter  # noqa: E402
from eunet_ros.node.outputs import status_qos  # noqa: E402
from eunet_ros.node.process_memory import HoleTrimmer  # noqa: E402
from eunet_ros.node.segmentation_node import SegmentationNode  # noqa: E402
from eunet_ros.parameters import NodeParameters  # noqa: E402
from image_making import fill_image  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

pytestmark = pytest.mark.ros

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


def picture(seed=0, height=48, width=64):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (width, height))


def image_message(bgr, sec=5, frame='cam', encoding='bgr8'):
    msg = fill_image(Image(), bgr, encoding)
    msg.header.stamp.sec, msg.header.frame_id = sec, frame
    return msg


class Rig:
    """A node under test, a camera and listeners."""

    def __init__(self, tiny_weights, topic='image', kind=Image, qos=BEST_EFFORT, cli=(),
                 **parameters):
        parameters = {'weights': str(tiny_weights), 'engine': 'torch', **parameters}
        self.node = SegmentationNode(
            parameter_overrides=[Parameter(k, value=v) for k, v in parameters.items()],
            cli_args=['--ros-args', *cli] if cli else None)
        self.peer = Node('peer')
        self.camera = self.peer.create_publisher(kind, topic, qos)
        self.driver = Driver(self.node, self.peer)
        self.until = self.driver.until
        self.got = {}

    def listen(self, name, kind=Image, qos=RELIABLE, topic=None):
        self.got[name] = []
        self.peer.create_subscription(
            kind, topic or f'/eunet/{name}', self.got[name].append, qos)

    def start(self, *listeners):
        assert self.node.start()
        for listener in listeners:
            self.listen(listener)
        self.until(lambda: self.camera.get_subscription_count() == 1, 'the node to subscribe')
        self.until(lambda: all(self.subscribers(n)
                               for n in listeners), 'the listeners to be matched')
        return self

    def send(self, msg, name='mask'):
        """Publish and return what the node answers."""
        before = len(self.got[name])
        self.camera.publish(msg)
        self.until(lambda: len(self.got[name]) > before, f'an answer on {name}')
        return self.got[name][-1]

    def subscribers(self, name):
        """Return how many subscribe to an output of the node."""
        return self.node._outputs.publishers[name].get_subscription_count()

    def counts(self):
        return self.node.statistics.snapshot(0).counts

    def close(self):
        self.node.close()
        self.peer.destroy_node()


@pytest.fixture
def make_rig(ros, tiny_weights):
    rigs = []

    def make(**options):
        rigs.append(Rig(tiny_weights, **options))
        return rigs[-1]
    yield make
    for rig in rigs:
        rig.close()


@pytest.fixture
def rig(make_rig):
    return make_rig().start('mask')


def test_mask_is_the_segmenters_and_keeps_the_header(rig, tiny_weights):
    bgr = picture()
    mask = rig.send(image_message(bgr, sec=1234, frame='left_camera'))
    assert (mask.header.stamp.sec, mask.header.frame_id) == (1234, 'left_camera')
    assert (mask.encoding, mask.height, mask.width, mask.step) == ('mono8', 48, 64, 64)
    np.testing.assert_array_equal(image_to_mask(mask), Segmenter(tiny_weights, 'torch')(bgr))


@pytest.mark.parametrize('encoding, convert', [
    ('rgb8', lambda b: b[..., ::-1]), ('mono8', lambda b: cv2.cvtColor(b, cv2.COLOR_BGR2GRAY)),
    ('bgra8', lambda b: cv2.cvtColor(b, cv2.COLOR_BGR2BGRA))])
def test_encodings_change_in_mid_stream(rig, tiny_weights, encoding, convert):
    segment = Segmenter(tiny_weights, 'torch')
    for bgr in (picture(1), picture(2, 30, 50)):
        rig.send(image_message(bgr))
        pixels = np.ascontiguousarray(convert(bgr))
        msg = Image(height=bgr.shape[0], width=bgr.shape[1], encoding=encoding,
                    step=pixels[0].nbytes, data=array.array('B', pixels.tobytes()))
        mask = rig.send(msg)
        seen = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if encoding == 'mono8' else bgr
        np.testing.assert_array_equal(image_to_mask(mask), segment(seen))


def test_padded_rows(rig, tiny_weights):
    bgr = picture()
    padded = np.zeros((48, 200), np.uint8)
    padded[:, :192] = bgr.reshape(48, 192)
    mask = rig.send(Image(height=48, width=64, encoding='bgr8', step=200,
                          data=array.array('B', padded.tobytes())))
    np.testing.assert_array_equal(image_to_mask(mask), Segmenter(tiny_weights, 'torch')(bgr))


def _bad(**changes):
    msg = image_message(picture())
    for name, value in changes.items():
        setattr(msg, name, value)
    return msg


@pytest.mark.parametrize('bad, said', [
    (_bad(step=7), 'step'), (_bad(height=0), 'height'), (_bad(encoding='rgb7'), 'rgb7'),
    (_bad(data=array.array('B', b'abc')), '3'),
    (bytes(serialize_message(_bad()))[:90], 'expected an image message')],
    ids=['step', 'height', 'encoding', 'data', 'cut short'])
def test_bad_image_is_dropped_and_the_next_is_masked(rig, bad, said):
    rig.camera.publish(bad)
    rig.until(lambda: rig.counts().get('dropped_bad'), 'the bad image to be counted')
    assert said in rig.node.statistics.snapshot(0).last_error
    rig.send(image_message(picture(), sec=9))
    assert rig.counts()['masked'] == 1


def test_compressed(make_rig, tiny_weights):
    rig = make_rig(topic='image/compressed', kind=CompressedImage,
                   image_transport='compressed').start('mask')
    bgr = picture()
    jpeg = cv2.imencode('.jpg', bgr)[1]
    rig.camera.publish(CompressedImage(format='jpeg', data=array.array('B', jpeg.tobytes()[:90])))
    rig.until(lambda: rig.counts().get('dropped_bad') == 1, 'the damaged JPEG to be counted')
    mask = rig.send(CompressedImage(format='bgr8; jpeg compressed bgr8',
                                    data=array.array('B', jpeg.tobytes())))
    seen = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(image_to_mask(mask), Segmenter(tiny_weights, 'torch')(seen))


@pytest.mark.parametrize('rule, topic', [
    ('image:=/front/image_raw', '/front/image_raw/compressed'),
    ('image/compressed:=/other', '/other'), ('__ns:=/car', '/car/image/compressed')])
def test_compressed_topic_follows_the_remapping(make_rig, rule, topic):
    rig = make_rig(cli=('-r', rule), image_transport='compressed', kind=CompressedImage,
                   topic=topic)
    rig.start()
    assert rig.node._input.topic == topic


def test_remapping_and_namespace(make_rig):
    rig = make_rig(cli=('-r', 'image:=/front/image_raw', '-r', '__ns:=/car'),
                   topic='/front/image_raw').start()
    rig.listen('mask', topic='/car/eunet/mask')
    rig.until(lambda: rig.subscribers('mask'), 'the listener')
    assert rig.send(image_message(picture())).width == 64


@pytest.mark.parametrize('camera_qos', [RELIABLE, BEST_EFFORT])
@pytest.mark.parametrize('listener_qos', [RELIABLE, BEST_EFFORT])
def test_any_camera_and_any_listener_match_by_default(make_rig, camera_qos, listener_qos):
    rig = make_rig(qos=camera_qos).start()
    rig.listen('mask', qos=listener_qos)
    rig.until(lambda: rig.subscribers('mask'), 'the listener')
    rig.send(image_message(picture()))


def test_outputs_are_computed_only_while_someone_listens(make_rig):
    rig = make_rig().start('mask')
    products = []
    run = rig.node._pipeline.run
    rig.node._pipeline.run = lambda msg: products.append(run(msg)) or products[-1]
    rig.send(image_message(picture()))
    assert not {'overlay', 'color_mask', 'confidence'} & set(vars(products[-1]))
    kinds = {'overlay': Image, 'overlay/compressed': CompressedImage, 'color_mask': Image,
             'confidence': Image, 'camera_info': CameraInfo}
    for name, kind in kinds.items():
        rig.listen(name, kind)
        rig.until(lambda name=name: rig.subscribers(name), name)
    info = rig.peer.create_publisher(CameraInfo, 'camera_info', RELIABLE)
    rig.until(info.get_subscription_count, 'the node to subscribe to camera_info')
    info.publish(CameraInfo(height=96, width=128, k=[100.0, 0, 64, 0, 100, 48, 0, 0, 1]))
    rig.until(lambda: rig.node._camera_info, 'the camera_info')
    rig.send(image_message(picture(), sec=77))
    rig.until(lambda: all(rig.got[n] for n in kinds), 'every output')
    assert {n: rig.got[n][-1].encoding for n in ('overlay', 'color_mask', 'confidence')} == {
        'overlay': 'bgr8', 'color_mask': 'rgb8', 'confidence': 'mono8'}
    assert {rig.got[n][-1].header.stamp.sec for n in kinds} == {77}
    scaled = rig.got['camera_info'][-1]
    assert (scaled.height, scaled.width, scaled.k[0], scaled.k[2]) == (48, 64, 50.0, 32.0)
    shown = cv2.imdecode(np.frombuffer(rig.got['overlay/compressed'][-1].data, np.uint8), 1)
    assert shown.shape == (48, 64, 3)


def test_nothing_is_inferred_while_nobody_listens(make_rig):
    rig = make_rig().start()
    rig.camera.publish(image_message(picture()))
    rig.until(lambda: rig.counts().get('dropped_unwatched') == 1, 'the image to be skipped')
    assert 'masked' not in rig.counts()


def test_newest_frame_wins(rig):
    release, started = threading.Event(), threading.Event()
    run = rig.node._pipeline.run

    def slow(msg):
        started.set()
        assert release.wait(20)
        return run(msg)
    rig.node._pipeline.run = slow
    rig.camera.publish(image_message(picture(), sec=1))
    rig.until(started.is_set, 'the first image to be in work')
    for sec in range(2, 7):
        rig.camera.publish(image_message(picture(), sec=sec))
        rig.until(lambda sec=sec: rig.counts().get('received') == sec, f'image {sec}')
    release.set()
    rig.until(lambda: len(rig.got['mask']) == 2, 'the second mask')
    assert [m.header.stamp.sec for m in rig.got['mask']] == [1, 6]
    assert rig.counts()['dropped_newer'] == 4


def test_engine_failure_is_counted_and_survived(rig):
    from eunet_ros.model.engines import EngineError
    run = rig.node._pipeline.run
    answers = [EngineError('Another was lost.'), EngineError('The device was lost.')]

    def fail_twice(msg):
        if answers:
            raise answers.pop()
        return run(msg)
    rig.node._pipeline.run = fail_twice
    for n in (1, 2):
        rig.camera.publish(image_message(picture()))
        rig.until(lambda n=n: rig.counts().get('dropped_engine') == n, 'the failure')
    assert rig.node.statistics.snapshot(0).last_error == 'Another was lost.'
    rig.send(image_message(picture()))


def test_set_enabled_and_live_parameters(rig):
    client = rig.peer.create_client(SetBool, '/eunet/set_enabled')
    rig.until(client.service_is_ready, 'the service')
    answer = client.call_async(SetBool.Request(data=False))
    rig.until(answer.done, 'the answer')
    assert answer.result().success and not rig.node.get_parameter('enabled').value
    rig.camera.publish(image_message(picture()))
    rig.until(lambda: rig.counts().get('dropped_disabled') == 1, 'the image to be ignored')
    rig.node.set_parameters([Parameter('enabled', value=True),
                             Parameter('overlay_opacity', value=0.9)])
    assert rig.node._pipeline.opacity == 0.9
    rig.send(image_message(picture()))
    # What `ros2 param set` makes of 1; and of a text.
    for value, height in ((1, 1.0), (0.5, 0.5), ('high', 0.5), (-1, 0.5), (None, 0.5)):
        [result] = rig.node.set_parameters([Parameter('camera_height', value=value)])
        assert rig.node.parameters.camera_height == height
        assert result.successful == (value in (1, 0.5))
        assert result.successful or 'camera_height must be' in result.reason
    [result] = rig.node.set_parameters([Parameter('weights', value='other')])
    assert not result.successful
    [result] = rig.node.set_parameters([Parameter('classes', value='blue_cone,pink_cone')])
    assert 'pink_cone' in result.reason and 'yellow_cone' in result.reason


def test_classes_restrict_the_mask(rig, tiny_weights):
    bgr = picture()
    full = Segmenter(tiny_weights, 'torch')(bgr)
    keep = int(np.bincount(full.ravel(), minlength=6)[1:].argmax()) + 1
    names = rig.node._pipeline.segmenter.classes.names
    rig.node.set_parameters([Parameter('classes', value=names[keep])])
    mask = image_to_mask(rig.send(image_message(bgr)))
    np.testing.assert_array_equal(mask, np.where(full == keep, keep, 0))
    assert mask.any()


def test_lifecycle_there_and_back_twice(make_rig):
    rig = make_rig(autostart=False)
    rig.listen('mask')
    for sec in (1, 2):
        assert rig.node.start()
        rig.until(lambda: rig.camera.get_subscription_count(), 'the subscription')
        rig.until(lambda: rig.subscribers('mask'), 'the listener')
        assert rig.send(image_message(picture(), sec=sec)).header.stamp.sec == sec
        worker = rig.node._worker
        rig.node.trigger_deactivate()
        assert not worker._thread.is_alive()
        rig.until(lambda: not rig.camera.get_subscription_count(), 'the unsubscription')
        rig.node.trigger_cleanup()
        assert rig.node._pipeline is None and not rig.node._outputs


def test_memory_goes_back_to_the_system(rig, monkeypatch):
    given = []
    rig.node._holes = HoleTrimmer(period=0.0)
    monkeypatch.setattr('eunet_ros.node.process_memory._trim', lambda: given.append('holes'))
    monkeypatch.setattr('eunet_ros.node.segmentation_node.give_back', lambda: given.append('all'))
    rig.send(image_message(picture()))
    rig.until(lambda: given, 'the trim')
    assert given == ['holes']
    rig.node.trigger_deactivate()
    assert given == ['holes', 'all']


@pytest.mark.parametrize('parameters, said', [
    ({'weights': 'nope'}, 'no weights named nope'),
    ({'weights': 'eunet_n', 'variant': 'eunet_s'}, 'eunet_n, not of'),
    ({'classes': 'pink_cone'}, 'pink_cone'), ({'input_height': 50, 'input_width': 96}, '64x96')])
def test_configure_refuses_in_one_sentence(make_rig, capfd, parameters, said):
    rig = make_rig(**parameters)
    assert not rig.node.start()
    lines = [line for line in capfd.readouterr().err.splitlines() if '[ERROR]' in line]
    assert len(lines) == 1 and said in lines[0]


@pytest.mark.parametrize('parameters, said', [
    ({'engine': 'openvno'}, 'did you mean openvino'), ({'wieghts': 'x'}, 'did you mean weights'),
    ({'image_transport': 'theora'}, 'raw, compressed')])
def test_wrong_parameters_are_refused(ros, parameters, said):
    with pytest.raises(ValueError, match=said):
        SegmentationNode(parameter_overrides=[
            Parameter(k, value=v) for k, v in parameters.items()])


def test_diagnostics(make_rig):
    rig = make_rig(diagnostics_period=0.1).start('mask')
    rig.listen('diagnostics', DiagnosticArray, topic='/diagnostics')
    rig.send(image_message(picture()))
    before = len(rig.got['diagnostics'])
    rig.until(lambda: len(rig.got['diagnostics']) > before + 1, 'diagnostics')
    [status] = rig.got['diagnostics'][-1].status
    rows = {v.key: v.value for v in status.values}
    assert (rows['masked'], rows['engine'], rows['variant']) == ('1', 'torch', 'eunet_n')
    assert rows['mask subscribers'] == '1'     # for which the demo waits
    assert float(rows['inference p50 [ms]']) > 0 and len(rows['weights sha256']) == 64


def test_status_is_latched_and_tells_whether_masks_come(make_rig):
    rig = make_rig().start('mask')
    rig.listen('status', DiagnosticStatus, status_qos(NodeParameters()))    # who comes late
    rig.until(lambda: rig.got['status'], 'the status')
    first = rig.got['status'][0]
    assert (first.level, first.name) == (DiagnosticStatus.STALE, '/eunet: segmentation')
    rig.node.parameters = replace(rig.node.parameters, level_stamps='ok', image_timeout=5.0)
    rig.send(image_message(picture(), sec=5))
    rig.until(lambda: rig.got['status'][-1].level == DiagnosticStatus.OK, 'OK')
    rig.node.trigger_deactivate()
    rig.until(lambda: rig.got['status'][-1].message == 'inactive', 'inactive')
    assert rig.got['status'][-1].level == DiagnosticStatus.STALE
