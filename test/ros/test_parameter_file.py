# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files are read as rclpy reads them: both read the same ones here."""
from eunet_ros.ros.parameter_file import (
    matches,
    read_parameter_file,
    read_values,
    values_for,
)
import pytest

pytestmark = pytest.mark.ros

WORDS = """1 1.0 010 0x1F 1e3 -5 +5 .5 5. yes no on off Y n true TRUE tRue .inf -.Inf .nan '1'
"yes" 2020-01-01 1_000 ~ null inf nan 0b1 1:30 9223372036854775807
9223372036854775808 08 0x 1e 1e400 a,b '' 00 -0""".split()
ENTRIES = ['/**', '/*', '/eunet', 'eunet', '/car/eunet', 'car/eunet', '/**/eunet', '/*/eunet',
           '/car/*', '/car/**', '/**/car/eunet', '/car/**/eunet', '/a/b/eunet', '/other']
VALUE = 'ros__parameters: {a: 1}'
FILES = [
    'car:\n  eunet:\n    ros__parameters:\n      a: 1',
    '/**:\n  ros__parameters: {a: 2, b: 5}\n/car/eunet:\n  ros__parameters: {a: 1}',
    '/car/eunet:\n  ros__parameters: {a: 1}\n/**:\n  ros__parameters: {a: 2}',
    '/**:\n  eunet:\n    ros__parameters: {a: 5}',
    '/car/eunet:\n  ros__parameters: {b: {c: 1, d: {e: x}}, f: [1, 2]}',
    '/car/eunet:\n  ros__parameters: {}', '',
    '/car/eunet:\n  ros__parameters:\n', '[1]', 'a: 1', 'ros__parameters: {a: 1}',
    '/car/eunet:\n  ros__parameters: &x {a: 1}\n/b:\n  ros__parameters: *x', 'a: [']


def of_rclpy(path, name):
    from rclpy.node import Node
    space, _, last = name.rpartition('/')
    node = Node(last, namespace=space or '/', cli_args=['--ros-args', '--params-file', str(path)])
    try:
        return {k: v.value for k, v in node._parameter_overrides.items()}
    finally:
        node.destroy_node()


def of_ours(path, name):
    return values_for(read_parameter_file(path), name)


def either(read, path, name='/car/eunet'):
    try:
        return {k: repr(v) for k, v in read(path, name).items() if k != 'use_sim_time'}
    except Exception:
        return 'refused'


def test_words_have_the_types_that_rclpy_gives_them(ros, tmp_path):
    path = tmp_path / 'words.yaml'
    path.write_text('/**:\n  ros__parameters:\n' + ''.join(
        f'    p{i}: {word}\n' for i, word in enumerate(WORDS)))
    assert either(of_ours, path) == either(of_rclpy, path)


@pytest.mark.parametrize('name', ['/eunet', '/car/eunet', '/a/b/eunet'])
def test_entries_are_for_the_nodes_that_rclpy_takes_them_for(ros, tmp_path, name):
    path = tmp_path / 'names.yaml'
    path.write_text(''.join(f'{entry}:\n  ros__parameters: {{p{i}: 1}}\n'
                            for i, entry in enumerate(ENTRIES)))
    assert either(of_ours, path, name) == either(of_rclpy, path, name)
    assert matches('/**', name)


@pytest.mark.parametrize('text', FILES)
def test_files_as_a_whole(ros, tmp_path, text):
    path = tmp_path / 'file.yaml'
    path.write_text(text)
    assert either(of_ours, path) == either(of_rclpy, path)


@pytest.mark.parametrize('entry', [e for e in ENTRIES if e != '/other'])
def test_without_a_node_the_one_that_is_named_is_meant(tmp_path, entry):
    path = tmp_path / 'file.yaml'
    path.write_text(f'{entry}:\n  ros__parameters: {{roi_top: 0.4, use_sim_time: true, '
                    'qos_overrides: {/image: {subscription: {depth: 1}}}}')
    warned = []
    assert read_values(path, 'eunet', warned.append) == {'roi_top': 0.4}
    assert warned == []


def test_a_file_of_other_nodes_is_told(tmp_path):
    path = tmp_path / 'file.yaml'
    path.write_text('/camera:\n  ros__parameters: {a: 1}\n/lidar:\n  ros__parameters: {b: 1}')
    warned = []
    assert read_values(path, 'eunet', warned.append) == {}
    assert 'found /camera, /lidar' in warned[0]


@pytest.mark.parametrize('right, said', [(0.4, None), (0.3, '/left/eunet, /right/eunet')])
def test_different_values_for_two_nodes_are_refused(tmp_path, right, said):
    path = tmp_path / 'file.yaml'
    path.write_text('/**:\n  ros__parameters: {roi_bottom: 0.9}\n'
                    '/left/eunet:\n  ros__parameters: {roi_top: 0.4}\n'
                    f'/right/eunet:\n  ros__parameters: {{roi_top: {right}}}')
    if said is None:
        assert read_values(path, 'eunet', pytest.fail) == {'roi_bottom': 0.9, 'roi_top': 0.4}
    else:
        with pytest.raises(ValueError, match=said):
            read_values(path, 'eunet', pytest.fail)
