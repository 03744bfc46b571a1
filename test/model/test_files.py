# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files are written beside their place, then renamed."""
from eunet_ros.model.common.files import write_json, written_beside
import pytest


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with written_beside(path) as beside:
        beside.write_text('new')
        assert path.read_text() == 'old' and beside.parent == tmp_path
    assert path.read_text() == 'new' and list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, {'a': 1})
    with pytest.raises(ZeroDivisionError), written_beside(path) as beside:
        beside.write_text('half')
        raise ZeroDivisionError
    with pytest.raises(ValueError, match='not JSON compliant'):
        write_json(path, {'a': float('nan')})
    assert path.read_text() == '{\n  "a": 1\n}\n' and list(tmp_path.iterdir()) == [path]
