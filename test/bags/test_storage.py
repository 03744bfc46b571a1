# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stands in a bag's files counts, whatever metadata.yaml says."""
import re

from bag_making import header, image_message, make_bag, START, TYPES, write_bag
from eunet_ros.bags.frame_source import BagSource
from eunet_ros.bags.reader import Bag, BagError
import pytest
import yaml

CAMERA = '/camera/image_raw/compressed'


def edit(bag, change):
    """Apply change(information, camera's row) to a bag's metadata.yaml."""
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    info = content['rosbag2_bagfile_information']
    row = next(r for r in info['topics_with_message_count']
               if r['topic_metadata']['name'] == CAMERA)
    change(info, row)
    path.write_text(yaml.safe_dump(content))


def meta(**values):
    return lambda info, row: row['topic_metadata'].update(values)


QOS = """- {history: 1, depth: 5, reliability: 2, durability: 2, deadline: {sec: 1, nsec: 2},
  lifespan: {sec: 1, nsec: 2}, liveliness: 1, liveliness_lease_duration: {sec: 1, nsec: 2},
  avoid_ros_namespace_conventions: false}
"""


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
@pytest.mark.parametrize(('change', 'told'), [
    (meta(offered_qos_profiles=QOS), 'QoS of'),
    (meta(offered_qos_profiles=QOS * 2), 'QoS of'),
    (meta(offered_qos_profiles='- {'), ''),
    (meta(type='sensor_msgs/msg/Image'), 'type of'),
    (meta(type_description_hash='RIHS01_' + '1' * 64), 'hash of'),
    (lambda info, row: row.update(message_count=99), 'number of messages of'),
    (lambda info, row: info['topics_with_message_count'].append(row), 'number of messages of'),
    (lambda info, row: info['topics_with_message_count'].remove(row), 'type, number of'),
    (lambda info, row: info.update(storage_identifier=''), ''),
    (lambda info, row: info.update(storage_identifier='other', version=77), ''),
    (lambda info, row: info.update(relative_file_paths=['before.db3']), 'it lists before.db3'),
    (lambda info, row: info.pop('topics_with_message_count'), 'number of messages of')])
def test_the_files_win_with_a_warning(tmp_path, storage, change, told):
    bag = make_bag(tmp_path / 'bag', 3, storage=storage)
    with Bag(bag) as opened:
        assert opened.warning == ''
        hashed = opened.definition(CAMERA)[1]
        assert hashed.startswith('RIHS01_')
    edit(bag, change)
    source = BagSource(bag)
    assert (source.count, len(list(source.frames()))) == (3, 3)
    if told == 'hash of' and storage == 'mcap':  # rosbags hands on none of the file's
        told = ''
    if told:
        assert told in source.warning and (CAMERA in source.warning or 'lists' in told)
        assert 'files are used' in source.warning and '\n' not in source.warning
    else:
        assert source.warning == ''


def test_qos_left_out_is_a_warning(tmp_path):
    bag = tmp_path / 'bag'
    with_profiles(bag)
    edit(bag, meta(offered_qos_profiles=''))
    source = BagSource(bag)
    assert len(list(source.frames())) == 2 and f'QoS of {CAMERA}' in source.warning


def with_profiles(folder):
    from bag_making import rosbag2, STORE
    from eunet_ros.bags.writer import _reliable_qos
    with rosbag2.Writer(folder, version=8, storage_plugin=rosbag2.StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection(
            CAMERA, 'sensor_msgs/msg/CompressedImage', typestore=STORE,
            offered_qos_profiles=[_reliable_qos()])
        for i in range(2):
            message = image_message(i, START + i, True)
            writer.write(connection, START + i, STORE.serialize_cdr(message, message.__msgtype__))


def test_a_file_that_is_missing_is_named(tmp_path):
    bag = make_bag(tmp_path / 'bag', 2)
    edit(bag, lambda info, row: info.update(relative_file_paths=['bag.db3', 'bag_1.db3']))
    with pytest.raises(BagError, match=r'lists bag_1.db3, the folder holds bag.db3'):
        Bag(bag)


@pytest.mark.parametrize('data', [b'{"type": "obj', b'\x0a\xff\xfe\x80 binary'])
def test_channels_of_others_in_an_mcap_are_passed_over(tmp_path, data):
    text = TYPES['std_msgs/msg/Header'](header(START).stamp, 'x' * 9)
    bag = write_bag(tmp_path / 'bag', [
        (CAMERA, START, image_message(0, START, True)), ('/theirs', START, text)], 'mcap')
    file = bag / 'bag.mcap'
    content = file.read_bytes()
    # The schema's encoding and text, and what the messages are encoded in, as another recorder.
    at = [m.end() for m in re.finditer(b'std_msgs/msg/Header\x07\0\0\0', content)]
    assert at
    for place in at:
        content = content[:place] + b'foreign' + content[place + 7:place + 11] + data + content[
            place + 11 + len(data):]
    content = content.replace(b'/theirs\x03\0\0\0cdr', b'/theirs\x03\0\0\0pbf')
    file.write_bytes(content)
    for path in (file, bag):
        with Bag(path) as opened:
            assert list(opened.topics) == [CAMERA] and opened.warning == ''
            assert len(list(opened.messages(opened.topics[CAMERA]))) == 1


def test_a_profile_that_is_not_of_ros_is_named(tmp_path):
    bag = make_bag(tmp_path / 'bag', 2, storage='mcap')
    file = bag / 'bag.mcap'
    file.write_bytes(file.read_bytes().replace(b'\x04\0\0\0ros2', b'\x04\0\0\0ros1', 1))
    with pytest.raises(BagError, match=r"profile 'ros1', expected 'ros2'(?!.*reindex)"):
        Bag(file)
