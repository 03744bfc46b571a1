# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The evaluation of bags as users run it: its figures are those of a direct computation."""
import csv
from pathlib import Path

from bag_making import make_bag, STORE
import cv2
from eunet_ros.bags.frame_source import BagSource
from eunet_ros.bags.reader import Bag
from eunet_ros.evaluation.run.segment import decode, run_frame
from eunet_ros.evaluation.scoring.truth import open_truth
from eunet_ros.images.conversions import compressed_to_bgr, compressed_to_mask, image_to_mask
from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.metrics.pixels import confusion_matrix, dice, miou
from eunet_ros.node.pipeline import FramePipeline
from evaluation_making import counts, evaluate, missing_metrics
import numpy as np
import pytest

rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')


@pytest.fixture(scope='module')
def direct(tiny_weights, tmp_path_factory):
    """Return the masks and the confusion of a bag, computed here."""
    segmenter, confusion, masks = Segmenter(tiny_weights, 'torch'), np.zeros((7, 7), int), []
    path = make_bag(tmp_path_factory.mktemp('direct') / 'bag', 8)
    with Bag(path) as bag:
        images = bag.messages(bag.topics['/camera/image_raw/compressed'])
        truths = bag.messages(bag.topics['/ground_truth/mask/compressed'])
        for (_, image), (_, truth) in zip(images, truths):
            masks.append(segmenter(compressed_to_bgr(image)))
            confusion += confusion_matrix(compressed_to_mask(truth), masks[-1], 6)
    return masks, confusion


@pytest.fixture(scope='module')
def made(tiny_weights, tmp_path_factory):
    """Evaluate the same weights as A and as B; returns folder and report."""
    folder = tmp_path_factory.mktemp('made')
    bag = make_bag(folder / 'drive', 8)
    report, out, _ = evaluate(folder, bag, '--weights', tiny_weights, '--weights', tiny_weights)
    assert 'Dice, cone or not' in out
    return folder / 'out', report


@pytest.mark.process
def test_scores_are_those_of_a_direct_computation(made, direct):
    confusion, report = direct[1], made[1]
    np.testing.assert_array_equal(counts(report), confusion[:, :6])
    scores = report['weights'][0]['scores']
    assert scores['dice'] == round(float(dice(confusion)), 6)
    assert scores['miou'] == round(float(miou(confusion, 6)), 6)
    assert (report['complete'], report['frames_done'], report['frames_with_truth']) == (
        True, 8, 8)


@pytest.mark.process
def test_every_metric_is_in_the_report(made):
    assert missing_metrics(made[1]) == ['masked']   # of live replay only


@pytest.mark.process
def test_a_against_a_is_zero(made):
    report = made[1]
    assert [w['label'] for w in report['weights']] == ['A', 'B']
    np.testing.assert_array_equal(counts(report, 0), counts(report, 1))
    for name in ('dice', 'miou'):
        entry = report['comparison'][name]
        assert entry['difference'] == 0
        assert entry['interval_95'] == entry['interval_95_of_single_frames'] == [0, 0]
    assert report['comparison']['frames_better'] == {'a': 0, 'b': 0}


@pytest.mark.process
def test_what_is_left(made, direct):
    folder, masks = made[0], direct[0]
    assert sorted(p.name for p in folder.iterdir()) == [
        'bag', 'index.html', 'metrics.csv', 'overlay.mp4', 'report.json']
    with Bag(folder / 'bag') as bag:
        assert {t.name: t.count for t in bag.topics.values()} == dict.fromkeys((
            '/camera/image_raw/compressed', '/camera/camera_info',
            '/ground_truth/mask/compressed', *(f'/{node}/{topic}' for node in (
                'eunet', 'eunet_b') for topic in (
                    'mask', 'overlay/compressed', 'annotations'))), 8)
        for (_, image), (_, msg), mask in zip(
                bag.messages(bag.topics['/camera/image_raw/compressed']),
                bag.messages(bag.topics['/eunet/mask']), masks):
            assert msg.header == image.header
            np.testing.assert_array_equal(image_to_mask(msg), mask)
    rows = list(csv.DictReader((folder / 'metrics.csv').open()))
    assert [int(r['frame']) for r in rows] == list(range(8))
    assert all(float(r['total_ms_a']) > 0 and r['has_truth'] == '1' for r in rows)
    page = (folder / 'index.html').read_text()
    assert page.count('<figure>') == 8 and 'http' not in page and '<script' not in page
    video = cv2.VideoCapture(str(folder / 'overlay.mp4'))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FRAME_WIDTH)) == (8, 128)


def rewritten(bag, folder, storage, compression):
    """Write a bag again in another form."""
    plugin = rosbag2.StoragePlugin[storage.upper()]
    writer = rosbag2.Writer(folder, version=8, storage_plugin=plugin)
    if compression != 'none':
        writer.set_compression(rosbag2.CompressionMode[compression.upper()],
                               rosbag2.CompressionFormat.ZSTD)
    with rosbag2.Reader(bag) as reader, writer:
        connections = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=STORE)
                       for c in reader.connections}
        for connection, time, data in reader.messages():
            writer.write(connections[connection.id], time, data)
    return folder


def with_mcap_package(bag, folder):
    """Write a bag as a bare .mcap file with the `mcap` package's ROS 2 writer."""
    writing = pytest.importorskip('mcap_ros2.writer', reason='mcap-ros2-support is not installed')
    path = folder.with_suffix('.mcap')

    def plain(value):
        if isinstance(value, np.ndarray):
            return value.tobytes() if value.dtype == np.uint8 else value.tolist()
        if hasattr(value, '__msgtype__'):
            return {f: plain(getattr(value, f)) for f in value.__dataclass_fields__
                    if f != '__msgtype__'}
        return value
    with open(path, 'wb') as file, rosbag2.Reader(bag) as reader:
        writer = writing.Writer(file)
        schemas = {t: writer.register_msgdef(t, STORE.generate_msgdef(t, ros_version=2)[0])
                   for t in {c.msgtype for c in reader.connections}}
        for connection, time, data in reader.messages():
            message = plain(STORE.deserialize_cdr(data, connection.msgtype))
            writer.write_message(connection.topic, schemas[connection.msgtype], message,
                                 log_time=time, publish_time=time)
        writer.finish()
    return path


def content(bag):
    """Return what an evaluation reads of a bag: stamps, times, pictures and true masks."""
    source = BagSource(bag)
    truth = open_truth({}, Path(bag), cone_classes())
    rows = []
    for decoded in decode(source.frames(), source.msgtype):
        frame = decoded.frame
        rows.append((frame.index, frame.time, frame.stamp, decoded.image.tobytes(),
                     truth.mask(frame.stamp, decoded.image.shape[:2]).tobytes()))
    truth.close()
    return rows


@pytest.mark.parametrize('form', [
    ('sqlite3', 'message'), ('sqlite3', 'file'), ('mcap', 'none'), ('mcap', 'message'),
    ('mcap', 'file'), ('mcap', 'storage'), 'mcap package'])
@pytest.mark.parametrize('compressed', [True, False])
def test_every_form_of_bag_loads_the_same(tmp_path, form, compressed):
    bag = make_bag(tmp_path / 'plain', 5, compressed=compressed)
    again = (with_mcap_package(bag, tmp_path / 'drive') if form == 'mcap package'
             else rewritten(bag, tmp_path / 'drive', *form))
    assert content(again) == content(bag)


@pytest.mark.process
def test_a_bag_of_the_mcap_package_is_scored_the_same(tmp_path, tiny_weights, made):
    bag = make_bag(tmp_path / 'plain', 8)
    again = with_mcap_package(bag, tmp_path / 'drive')
    report, _, _ = evaluate(tmp_path, again, '--weights', tiny_weights, '--bag-topics', 'none',
                            '--no-video')
    assert report['weights'][0] == made[1]['weights'][0]
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'index.html', 'metrics.csv', 'report.json']


def test_raw_images_are_decoded_as_the_node_does(tmp_path, tiny_weights):
    bag = make_bag(tmp_path / 'drive', 2, compressed=False)
    pipeline = FramePipeline(Segmenter(tiny_weights, 'torch'), 0.5)
    source = BagSource(bag)
    with Bag(bag) as opened:
        plain = [msg for _, msg in opened.messages(opened.topics['/camera/image_raw'])]
    for decoded, msg in zip(decode(source.frames(), source.msgtype), plain):
        row, (mask,) = run_frame(decoded, [pipeline])
        np.testing.assert_array_equal(mask, pipeline.run(msg).mask)
        assert row.stage_ms[0]['total'] == pytest.approx(sum(
            ms for name, ms in row.stage_ms[0].items() if name != 'total'), abs=0.01)
