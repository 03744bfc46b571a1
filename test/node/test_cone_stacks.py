# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones in the messages of driverless stacks, with the definitions that they publish."""
import subprocess
import sys

from eunet_ros.cones.messages import POINT
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.node.cone_stacks import covariances, read_stacks, stack_message
import numpy as np
import pytest
from stack_making import stack_store


@pytest.fixture(scope='module')
def store():
    return stack_store()


@pytest.fixture
def rows():
    out = np.zeros(6, POINT)
    out['x'], out['y'], out['class_id'] = range(3, 9), 1, [1, 2, 3, 4, 5, 77]
    out['variance'], out['variance_across'] = 0.25, 0.01
    return out


def header(store):
    time = store.types['builtin_interfaces/msg/Time'](5, 6)
    return store.types['std_msgs/msg/Header'](time, 'base_link')


def test_fs_msgs(store, rows):
    def make(name):
        return store.types[name]
    track = stack_message(make, read_stacks()['fs_msgs'], header(store), rows,
                          dict(enumerate(cone_classes().names)))
    cone = store.types['fs_msgs/msg/Cone']
    assert [c.color for c in track.track] == [
        cone.BLUE, cone.YELLOW, cone.ORANGE_SMALL, cone.ORANGE_BIG, cone.UNKNOWN, cone.UNKNOWN]
    assert [c.location.x for c in track.track] == [3, 4, 5, 6, 7, 8]
    store.serialize_cdr(track, 'fs_msgs/msg/Track')


def test_eufs_msgs(store, rows):
    def make(name):
        return store.types[name]
    array = stack_message(make, read_stacks()['eufs_msgs'], header(store), rows,
                          dict(enumerate(cone_classes().names)))
    assert array.header.frame_id == 'base_link'
    assert [[c.point.x for c in getattr(array, f'{n}_cones')] for n in (
        'blue', 'yellow', 'orange', 'big_orange', 'unknown_color')] == [[3], [4], [5], [6], [7, 8]]
    xx, xy, yx, yy = array.blue_cones[0].covariance
    assert xx > yy and xy == pytest.approx(yx)
    bearing = np.array([3, 1]) / np.sqrt(10)
    assert bearing @ [[xx, xy], [yx, yy]] @ bearing == pytest.approx(0.25, rel=1e-5)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariances(rows)), [[0.01, 0.25]] * 6,
                               rtol=1e-5)


@pytest.mark.parametrize('text, said', [
    ('stacks: {a: {type: x/msg/Y, cone: x/msg/Z}}', 'stack a: unknown nothing, missing position'),
    ('stacks: {a: {type: x/msg/Y, cone: x/msg/Z, position: p, colour: c}}', 'unknown colour'),
    ('stacks: {a: {type: Y, cone: x/msg/Z, position: p, list: l}}', 'expected type such as'),
    ('stacks: {a: {type: x/msg/Y, cone: x/msg/Z, position: p}}', 'either lists or list'),
    ('[1', 'expected stacks'), ('', 'expected stacks')])
def test_files_that_are_wrong(tmp_path, text, said):
    path = tmp_path / 'stacks.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        read_stacks(path)
    assert '\n' not in str(error.value)


@pytest.mark.process
def test_bridge_says_what_is_missing():
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    for arguments, said in ((['-p', 'stack:=fs_msgs'], 'fs_msgs/msg/Track cannot be imported'),
                            (['-p', 'stack:=mine'], "one of fs_msgs, eufs_msgs, found 'mine'")):
        done = subprocess.run(
            [sys.executable, '-m', 'eunet_ros.cone_bridge', '--ros-args', *arguments],
            capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and said in done.stderr and 'Traceback' not in done.stderr
