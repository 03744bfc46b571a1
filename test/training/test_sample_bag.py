# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The script that renders the demo's drive."""

from pathlib import Path
import subprocess
import sys

from eunet_ros.bags.frame_source import BagSource
from eunet_ros.bags.messages import deserialise
from eunet_ros.bags.reader import Bag, find_ground_truth
from eunet_ros.images.conversions import compressed_to_bgr, compressed_to_mask
from eunet_ros.training.tools import make_sample_bag
import numpy as np
import pytest
import yaml

pytest.importorskip('rosbags', reason='rosbags is not installed')

SMALL = ['--frames', '3', '--hz', '15', '--height', '96', '--width', '160', '--seed', '4']


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp('sample') / 'data' / 'drive'
    assert make_sample_bag.main(['--output', str(folder), *SMALL]) == 0
    return folder


def test_content(bag):
    source = BagSource(bag)
    frames = list(source.frames())
    assert [f.stamp - frames[0].stamp for f in frames] == [0, 66_666_667, 133_333_333]
    assert all(f.time == f.stamp for f in frames)
    with Bag(bag) as opened:
        truth = find_ground_truth(opened.topics.values())
        masks = [(m.header, compressed_to_mask(m)) for _, m in opened.messages(truth)]
        info = next(opened.messages(opened.topics['/camera/camera_info']))[1]
    for frame, (header, mask) in zip(frames, masks):
        msg = deserialise(frame.image, source.msgtype)
        assert (msg.header.stamp, msg.header.frame_id) == (header.stamp, 'camera_optical_frame')
        assert msg.format == 'bgr8; jpeg compressed bgr8'
        assert compressed_to_bgr(msg).shape == (*mask.shape, 3) == (96, 160, 3)
        assert 0 < np.count_nonzero(mask) < 0.2 * mask.size  # cones are in view from the start
        assert mask.max() <= 5
    assert (info.width, info.height, info.distortion_model) == (160, 96, 'plumb_bob')
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], info.k.reshape(3, 3))
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    assert len(info.d) == 5


def test_metadata_suits_humble(bag):
    info = yaml.safe_load((bag / 'metadata.yaml').read_text())['rosbag2_bagfile_information']
    assert (info['version'], info['storage_identifier']) == (8, 'sqlite3')
    assert info['relative_file_paths'] == ['drive.db3']
    for topic in info['topics_with_message_count']:
        qos = topic['topic_metadata']['offered_qos_profiles']
        assert yaml.safe_load(qos)[0]['durability'] == 2  # numbers in a string
    assert [p.name for p in bag.parent.iterdir()] == ['drive']


def test_same_arguments_same_pictures(bag, tmp_path):
    assert make_sample_bag.main(['--output', str(tmp_path / 'again'), *SMALL]) == 0
    assert [f.image for f in BagSource(tmp_path / 'again').frames()] == [
        f.image for f in BagSource(bag).frames()]


def test_keeps_what_exists(bag, capsys):
    before = (bag / 'drive.db3').read_bytes()
    assert make_sample_bag.main(['--output', str(bag), *SMALL]) == 1
    assert 'remove it first' in capsys.readouterr().err
    assert (bag / 'drive.db3').read_bytes() == before


@pytest.mark.parametrize('quality', [35, 60, 90])
def test_quality_fits(quality):
    drive = make_sample_bag.Drive(4, 96, 160)
    scenes = [drive.render(i / 15) for i in range(3)]

    def size(q):
        return sum(len(make_sample_bag.encode(s.image, q))
                   + len(make_sample_bag.encode_mask(s.mask)) for s in scenes)
    chosen = make_sample_bag.choose_quality(scenes, 30, 10 * size(quality))
    assert size(chosen) <= size(quality)
    assert chosen == 95 or size(chosen + 1) > size(quality)


@pytest.mark.process
def test_runs_as_a_script():
    script = Path(make_sample_bag.__file__).resolve()
    done = subprocess.run([sys.executable, script, '--help'], capture_output=True, text=True,
                          timeout=60, cwd='/')
    assert done.returncode == 0, done.stderr
    assert '--output' in done.stdout
