# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The class file and the table made of it."""
from eunet_ros.model.common.classes import (
    BINARY_CLASSES,
    ClassTable,
    cone_classes,
    IGNORE_ID,
    read_classes,
    SMALL_CONE,
)
from eunet_ros.model.common.resources import share_file
import numpy as np
import pytest

NAMES = ('background', 'blue_cone', 'yellow_cone', 'orange_cone', 'large_orange_cone',
         'unknown_cone')
ROWS = [{'id': 0, 'name': 'background', 'color': [0, 0, 0]},
        {'id': 1, 'name': 'cone', 'color': [1, 2, 3]}]


def changed(index, **values):
    return [{**row, **values} if i == index else row for i, row in enumerate(ROWS)]


def test_cone_classes():
    classes = cone_classes()
    assert classes.names == NAMES
    assert [classes.id_of(name) for name in NAMES] == [0, 1, 2, 3, 4, 5]
    assert classes.num_logits == 6
    assert classes.colors[0] == (0, 0, 0)
    assert len(set(classes.colors)) == 6
    assert IGNORE_ID == 255
    # A blue cone is shown blueish, a yellow one yellowish, an orange one orangeish.
    (_, _, _), (r1, g1, b1), (r2, g2, b2), (r3, g3, b3), *_ = classes.colors
    assert b1 > g1 > r1
    assert min(r2, g2) > 2 * b2
    assert r3 > g3 > b3


def test_binary_classes():
    assert BINARY_CLASSES.names == ('background', 'cone')
    assert BINARY_CLASSES.num_logits == 1


def test_list_round_trip():
    for classes in (cone_classes(), BINARY_CLASSES):
        assert ClassTable.from_list(classes.to_list()) == classes


def test_look_up_table_is_bgr():
    table = ClassTable.from_list(ROWS).table_bgr
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert table[0].tolist() == [0, 0, 0]
    assert table[1].tolist() == [3, 2, 1]
    assert (table[2:] == 255).all()


def test_unknown_name():
    with pytest.raises(ValueError, match="Unknown class 'red_cone', expected one of background"):
        cone_classes().id_of('red_cone')


@pytest.mark.parametrize(('rows', 'words'), [
    (None, 'a list of classes'), ('ab', 'a list of classes'), ([1, 2], 'a list of classes'),
    ([{'id': 0, 'name': 'a'}], 'id, name and color'),
    ([], 'Expected 2 to 255 classes, found 0'), (ROWS[:1], 'found 1'),
    ([{'id': i, 'name': f'c{i}', 'color': [0, 0, 0]} for i in range(256)], 'found 256'),
    (changed(1, id=2), r'count from 0 in order, found \[0, 2\]'),
    (changed(0, id='0'), 'count from 0'),
    (changed(1, name='background'), 'must differ'),
    (changed(1, color=[0, 0]), 'class cone must be three'),
    (changed(1, color=[0, 0, 256]), '256'), (changed(1, color=[0, 0, -1]), '-1'),
    (changed(1, color=[0, 0, 0.5]), '0.5'), (changed(1, color='red'), 'as a list'),
])
def test_wrong_rows(rows, words):
    with pytest.raises(ValueError, match=words) as caught:
        ClassTable.from_list(rows)
    assert str(caught.value).endswith('.')


def test_wrong_number_of_colors():
    with pytest.raises(ValueError, match='Expected 2 colours, found 1'):
        ClassTable(('a', 'b'), ((0, 0, 0),))


@pytest.mark.parametrize('content', [
    b'', b'classes:', b'- a\n- b\n', b'just text', b'classes: {a: 1}', b'other: []',
    b'classes: [{id: 0\n', b'a: b: c: d\n', b'\xff\xfe\x00\x01', b'classes: [' * 3000,
    b'classes: !!python/object/apply:os.system ["touch ATTACKED"]',
    b'classes:\n  - {id: 0, name: a, color: [0, 0, 0]}\n',
    b'classes:\n  - {id: 1, name: a, color: [0, 0, 0]}\n  - {id: 0, name: b, color: [0, 0, 0]}\n',
], ids=range(13))
def test_broken_files(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / 'classes.yaml'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='Cannot read the classes in ') as caught:
        read_classes(path)
    assert '\n' not in str(caught.value)
    assert str(caught.value).endswith('.')
    assert 'object has no attribute' not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ['classes.yaml']


@pytest.mark.parametrize('name', ['nowhere.yaml', '.'])
def test_missing_file(tmp_path, name):
    with pytest.raises(ValueError, match='Cannot read the classes in '):
        read_classes(tmp_path / name)


def test_own_file(tmp_path):
    path = tmp_path / 'own.yaml'
    path.write_text('classes:\n'
                    '  - {id: 0, name: floor, color: [0, 0, 0]}\n'
                    '  - {id: 1, name: "kužel", color: [9, 8, 7]}\n', encoding='utf-8')
    classes = read_classes(path)
    assert classes.names == ('floor', 'kužel')
    assert classes.colors == ((0, 0, 0), (9, 8, 7))


def test_colours_and_sizes_of_the_file_win_by_name():
    rows = [{**row, 'name': name} for row, name in zip(ROWS, ('background', 'large_orange_cone'))]
    table = ClassTable.from_list(rows)
    assert table.sizes == (SMALL_CONE, SMALL_CONE)       # a checkpoint of before knows none
    new = table.updated(cone_classes())
    assert new.names == table.names
    assert new.colors[1] == cone_classes().colors[cone_classes().id_of('large_orange_cone')]
    heights, bases = new.sizes_of(np.array([0, 1, 200]))
    assert heights.tolist() == [0.325, 0.505, 0.325] and bases.tolist() == [0.228, 0.285, 0.228]


@pytest.mark.parametrize('size', [{'height': 0}, {'height': -0.3}, {'base': 'wide'}, {'base': 9}])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match='Height and base of class cone'):
        ClassTable.from_list(changed(1, **size))


def test_a_colour_changes_without_training(tiny_weights, monkeypatch):
    other = ClassTable.from_list([{**row, 'color': [1, 2, 3]} for row in cone_classes().to_list()])
    monkeypatch.setattr('eunet_ros.model.checkpoint.cone_classes', lambda: other)
    from eunet_ros.model import load_checkpoint
    assert set(load_checkpoint(tiny_weights).classes.colors) == {(1, 2, 3)}


def test_share_file():
    assert share_file('config/classes.yaml').is_file()
    with pytest.raises(FileNotFoundError, match='of eunet_ros was not found'):
        share_file('config/nothing.yaml')
