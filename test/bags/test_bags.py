# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing bags, good and bad ones."""

import random
import sys

from bag_making import header, image_message, make_bag, START, TYPES, write_bag
from eunet_ros.bags import messages as bag_messages
from eunet_ros.bags.messages import (
    COMPRESSED_IMAGE,
    deserialise,
    IMAGE,
    mono_image,
    serialise,
    stamp_of,
    with_stamp,
)
from eunet_ros.bags.reader import (
    Bag,
    BagError,
    find_camera_info,
    find_ground_truth,
    find_image_topic,
    Topic,
)
from eunet_ros.bags.writer import BagWriter
from eunet_ros.images.conversions import compressed_to_bgr, image_to_bgr
import numpy as np
import pytest
import yaml

INFO = 'sensor_msgs/msg/CameraInfo'


@pytest.mark.parametrize('single', [False, True])
@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_read(tmp_path, storage, compressed, single):
    path = make_bag(tmp_path / 'drive', 4, storage=storage, compressed=compressed)
    if single:
        path = path / ('drive.db3' if storage == 'sqlite3' else 'drive.mcap')
    with Bag(path) as bag:
        topic = find_image_topic(bag.topics.values())
        assert topic.base == '/camera/image_raw'
        assert topic.msgtype == (COMPRESSED_IMAGE if compressed else IMAGE)
        assert topic.count == 4
        assert find_camera_info(bag.topics.values(), topic).name == '/camera/camera_info'
        assert find_ground_truth(bag.topics.values()).count == 4
        rows = list(bag.messages(topic))
        assert [stamp_of(raw) for _, raw in bag.raw(topic)] == [
            time - 5_000_000 for time, _ in rows]
    assert rows[0][0] == START + 5_000_000
    to_bgr = compressed_to_bgr if compressed else image_to_bgr
    blue = [np.flatnonzero(to_bgr(msg)[14, :, 2] < 45)[0] for _, msg in rows]
    assert blue == pytest.approx([0, 1, 2, 3], abs=1)


RAW = Topic('/cam/image_raw', IMAGE, 5)
JPEG = Topic('/cam/image_raw/compressed', COMPRESSED_IMAGE, 5)
OTHER = Topic('/rear/image', IMAGE, 5)
TRUTH = Topic('/ground_truth/mask', IMAGE, 5)
TEXT = Topic('/chatter', 'std_msgs/msg/String', 5)
SILENT = Topic('/side/image', IMAGE, 0)
MASK = Topic('/eunet/mask', IMAGE, 5)
DEPTH = Topic('/cam/depth/image_rect', IMAGE, 5)


@pytest.mark.parametrize(('topics', 'wanted', 'expected'), [
    ([RAW, TRUTH, TEXT, SILENT, MASK, DEPTH], '', RAW),
    ([JPEG, TRUTH], '', JPEG),
    ([RAW, *(Topic(name, IMAGE, 5) for name in (
        '/car/eunet/mask', '/car/eunet/overlay/compressed', '/left/color_mask', '/eunet_b/mask',
        '/car/ground_truth/mask', '/zed/confidence/confidence_map', '/zed/disparity/x'))],
     '', RAW),
    ([JPEG, RAW], '', RAW),
    ([JPEG, RAW], '/cam/image_raw/compressed', JPEG),
    ([JPEG, OTHER], '/cam/image_raw', JPEG),
    ([RAW, OTHER], '/rear/image', OTHER),
    ([RAW, MASK], '/eunet/mask', MASK),
    ([RAW, OTHER], '', 'name one of them: /cam/image_raw, /rear/image'),
    ([TRUTH, TEXT], '', r'no image topic.*/ground_truth/mask, /chatter'),
    ([RAW], '/nope', 'no images on /nope; image topics in it: /cam/image_raw'),
    ([RAW, SILENT], '/side/image', 'no images on /side/image'),
    ([RAW, TEXT], '/chatter', 'type std_msgs/msg/String, expected Image'),
])
def test_find_image_topic(topics, wanted, expected):
    if isinstance(expected, Topic):
        assert find_image_topic(topics, wanted) is expected
    else:
        with pytest.raises(BagError, match=expected):
            find_image_topic(topics, wanted)


def test_maps_of_numbers_are_no_cameras(tmp_path):
    depths = TYPES['sensor_msgs/msg/Image'](
        header(START), 2, 2, '32FC1', 0, 8, np.zeros(16, np.uint8))
    bag = write_bag(tmp_path / 'bag', [
        ('/front/image', START, image_message(0, START, False)), ('/front/range', START, depths)])
    with Bag(bag) as opened:
        topics = opened.topics.values()
        assert find_image_topic(topics, '', opened.encoding).name == '/front/image'
        with pytest.raises(BagError, match='several image topics'):
            find_image_topic(topics)


def test_find_others():
    info = Topic('/cam/camera_info', INFO, 1)
    assert find_camera_info([info, Topic('/camera_info', INFO, 1)], JPEG) is info
    assert find_camera_info([Topic('/rear/camera_info', INFO, 1)], JPEG) is None
    assert find_ground_truth([RAW, TRUTH]) is TRUTH
    assert find_ground_truth([RAW]) is None
    with pytest.raises(BagError, match=r'/ground_truth/mask has type std_msgs'):
        find_ground_truth([Topic('/ground_truth/mask', 'std_msgs/msg/String', 1)])


def bad_bag(kind, folder):
    if kind == 'missing':
        return folder / 'nothing'
    if kind == 'text':
        path = folder / 'notes.txt'
        path.write_text('hello')
        return path
    if kind == 'ros1':
        path = folder / 'old.bag'
        path.write_bytes(b'#ROSBAG V2.0\n')
        return path
    if kind == 'empty folder':
        return folder
    if kind in ('garbage.mcap', 'garbage.db3'):
        path = folder / kind
        path.write_bytes(b'\x00garbage' * 100)
        return path
    if kind == 'zero.mcap':
        path = folder / kind
        path.touch()
        return path
    if kind == 'no messages':
        return write_bag(folder / 'bag', [])
    bag = make_bag(folder / 'bag', storage='mcap' if 'mcap' in kind else 'sqlite3')
    if kind == 'no metadata':
        (bag / 'metadata.yaml').unlink()
    elif kind == 'broken metadata':
        (bag / 'metadata.yaml').write_text('rosbag2_bagfile_information: {version: [')
    elif kind == 'other yaml':
        (bag / 'metadata.yaml').write_text('- 1')
    elif kind == 'no database':
        (bag / 'bag.db3').unlink()
    elif kind == 'cut mcap':
        data = (bag / 'bag.mcap').read_bytes()
        (bag / 'bag.mcap').write_bytes(data[:len(data) // 2])
    return bag


@pytest.mark.parametrize(('kind', 'words'), [
    ('missing', 'There is no bag at'),
    ('text', r'is not a rosbag2: give its folder'),
    ('ros1', 'rosbags-convert'),
    ('empty folder', 'ros2 bag record'),
    ('no metadata', r'bag.db3, or run ros2 bag reindex'),
    ('garbage.mcap', 'cannot be read'),
    ('zero.mcap', 'cannot be read'),
    ('garbage.db3', 'cannot be read'),
    ('broken metadata', r'metadata.yaml: .*give .*bag.db3 itself, or .* ros2 bag reindex'),
    ('other yaml', 'ros2 bag reindex'),
    ('no database', 'lists bag.db3, the folder holds none.*copy it again'),
    ('cut mcap', 'cannot be read.*mcap recover'),
    ('no messages', 'holds no messages'),
])
def test_bad_bags(tmp_path, kind, words):
    with pytest.raises(BagError, match=words) as caught:
        Bag(bad_bag(kind, tmp_path))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_damage_is_a_bag_error(tmp_path, storage):
    path = make_bag(tmp_path / 'bag', storage=storage)
    file = path / ('bag.db3' if storage == 'sqlite3' else 'bag.mcap')
    good, rng, refused = file.read_bytes(), random.Random(1), 0
    for _ in range(60):
        data = bytearray(good)
        start = rng.randrange(len(data))
        length = rng.choice([1, 8, 500])
        data[start:start + length] = rng.randbytes(min(length, len(data) - start))
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)):]
        file.write_bytes(data)
        try:
            with Bag(path) as bag:
                for topic in bag.topics.values():
                    for _, msg in bag.messages(topic):
                        assert msg.header is not None
        except BagError:
            refused += 1
    assert refused > 5


def test_without_rosbags(tmp_path, monkeypatch):
    bag_messages.typestore.cache_clear()
    monkeypatch.setitem(sys.modules, 'rosbags.typesys', None)
    with pytest.raises(BagError, match='pip install rosbags'):
        Bag(tmp_path)


@pytest.mark.parametrize('stamp', [0, START, START + 999_999_999, 2**31 * 10**9 - 1])
def test_stamp(stamp):
    msg = mono_image(7, 'cam', np.eye(3, dtype=np.uint8))
    raw = with_stamp(serialise(msg), stamp)
    assert stamp_of(raw) == stamp
    back = deserialise(raw, IMAGE)
    assert back.header.stamp.sec * 10**9 + back.header.stamp.nanosec == stamp
    assert back.header.frame_id == 'cam'
    np.testing.assert_array_equal(back.data, msg.data)


def test_stamp_big_endian():
    raw = b'\x00\x00\x00\x00' + (3).to_bytes(4, 'big') + (5).to_bytes(4, 'big')
    assert stamp_of(raw) == 3_000_000_005
    assert with_stamp(raw, 4_000_000_006)[4:] == (4).to_bytes(4, 'big') + (6).to_bytes(4, 'big')


@pytest.mark.parametrize('raw', [b'', b'\x00\x01\x00\x00\x00\x00\x00'])
def test_damaged_message(raw):
    with pytest.raises(ValueError, match='damaged'):
        stamp_of(raw)
    with pytest.raises(ValueError, match='damaged'):
        deserialise(raw, IMAGE)


def test_writer(tmp_path):
    images = [serialise(mono_image(i, 'cam', np.full((2, 3), i, np.uint8))) for i in range(4)]
    with BagWriter(tmp_path / 'out') as writer:
        writer.add_topic('/a', IMAGE)
        writer.add_topic('/b', IMAGE)
        for topic, time in (('/a', 10), ('/b', 30), ('/a', 20), ('/b', 5)):
            writer.write(topic, time, images[time % 4])
        writer.flush(before=15)
        writer.write('/a', 40, images[0])
    with Bag(tmp_path / 'out') as bag:
        assert [time for time, _ in bag.raw(bag.topics['/a'])] == [10, 20, 40]
        values = [(time, int(msg.data[0])) for time, msg in bag.messages(bag.topics['/b'])]
        assert values == [(5, 1), (30, 2)]
    info = yaml.safe_load((tmp_path / 'out' / 'metadata.yaml').read_text())
    info = info['rosbag2_bagfile_information']
    assert (info['version'], info['storage_identifier']) == (8, 'mcap')
    assert isinstance(info['custom_data'], dict)
    qos = info['topics_with_message_count'][0]['topic_metadata']['offered_qos_profiles']
    assert yaml.safe_load(qos)[0]['reliability'] == 1  # as text with numbers, as Humble reads it


def test_foreign_definitions_do_no_harm(tmp_path):
    text = TYPES['std_msgs/msg/String']('hello')
    odd = TYPES['std_msgs/msg/Header']
    bag = write_bag(tmp_path / 'bag', [
        ('/chatter', START, text), ('/head', START, odd(header(START).stamp, 'x'))], 'mcap')
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes().replace(b'string frame_id', b'strinG frame_id'))
    with Bag(bag) as opened:
        assert set(opened.topics) == {'/chatter', '/head'}
