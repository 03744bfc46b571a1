# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluations of what the running node returns, made here or recorded before."""
from bag_making import make_bag, START, truth
from eunet_ros.bags.messages import IMAGE, mono_image, serialise, stamp_of
from eunet_ros.bags.reader import Bag
from eunet_ros.bags.writer import BagWriter
from eunet_ros.model.common.classes import IGNORE_ID
from evaluation_making import evaluate, missing_metrics, refused
import numpy as np
import pytest

pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')

pytestmark = pytest.mark.process


def test_live(tmp_path, tiny_weights):
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    bag = make_bag(tmp_path / 'drive', 14)
    report, out, _ = evaluate(tmp_path, bag, '--weights', tiny_weights, '--live', '--rate', '0.5')
    assert report['mode'] == 'live' and report['complete']
    live = report['live']['A']
    assert (live['frames'], live['masked'] + live['dropped']) == (14, 14)
    assert live['masked'] >= 1 and live['longest_gap_frames'] <= live['dropped']
    assert 0 < live['latency_ms']['p50'] <= live['latency_ms']['max'] < 5000
    figures = live['bags']['drive']
    assert figures['queueing_ms']['p50'] >= 0 and figures['player_late_ms']['p50'] >= 0
    assert figures['node_counts']['received'] >= live['masked']
    assert 6 < figures['sent_hz'] < 9
    assert report['weights'][0]['engine'] == 'torch'
    assert report['weights'][0]['frames_with_truth'] == live['masked']
    assert 'images dropped' in out
    assert 'Through the running node' in (tmp_path / 'out' / 'index.html').read_text()
    with Bag(tmp_path / 'out' / 'bag') as made:
        # The stamps of the recording, the masks later by what they took, and what else the node
        # published meanwhile.
        masks = [(at, stamp_of(raw)) for at, raw in made.raw(made.topics['/eunet/mask'])]
        assert len(masks) == live['masked']
        assert all(START <= stamp < at for at, stamp in masks)
        assert 0 < made.topics['/eunet/camera_info'].count <= 14


def test_a_recording_that_was_made_elsewhere(tmp_path, capsys, tiny_weights):
    bag = make_bag(tmp_path / 'drive', 8, compressed=False)
    with Bag(bag) as opened, BagWriter(tmp_path / 'recording') as recording:
        recording.add_topic('/camera/image_raw', IMAGE)
        recording.add_topic('/eunet/mask', IMAGE)
        for i, (_, raw) in enumerate(opened.raw(opened.topics['/camera/image_raw'])):
            stamp, now = stamp_of(raw), 2 * START + i * 66_000_000
            recording.write('/camera/image_raw', now, raw)
            if i not in (3, 4, 6):
                mask = np.where(truth(i) == IGNORE_ID, 0, truth(i)).astype(np.uint8)
                recording.write('/eunet/mask', now + (20 + i) * 1_000_000,
                                serialise(mono_image(stamp, 'cam', mask)))
    report, _, _ = evaluate(tmp_path, bag, '--weights', tiny_weights, '--recording',
                            tmp_path / 'recording', '--bag-topics', 'none', '--no-video')
    live = report['live']['A']
    assert (live['masked'], live['dropped'], live['longest_gap_frames']) == (5, 3, 2)
    assert (live['latency_ms']['p50'], live['latency_ms']['max']) == (22.0, 27.0)
    assert missing_metrics(report) == []
    scores = report['weights'][0]['scores']
    assert (scores['dice'], report['weights'][0]['frames_with_truth']) == (1.0, 5)
    err = refused(capsys, tmp_path, bag, '--weights', tiny_weights, '--recording', bag)
    assert 'no masks on /eunet/mask' in err and '/camera/image_raw' in err
