# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets of labelled boxes, YOLO's and COCO's, read and scored; written here."""
import argparse
import json

import cv2
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes, IGNORE_ID
from eunet_ros.model.common.metrics.boxes import NOT_SAID
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.formats import format_module, open_sets
from eunet_ros.training.data.readers.fsoco import LoadReport
import numpy as np
import pytest

HEIGHT, WIDTH = 40, 80
BLUE, YELLOW = 1, 2


def write_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


def load(name, path, classes=None, report=None, **options):
    options = {'data': str(path), 'split': 'test', 'on_error': 'raise', **options}
    source = format_module(name).labelled_images(
        argparse.Namespace(**options), classes or cone_classes(), report or LoadReport())
    items = list(source.images)
    assert source.boxes
    return source, {item.name: item for item in items}


@pytest.fixture
def yolo(tmp_path):
    """Two images with labels and one without."""
    root = tmp_path / 'set'
    for name in ('a.jpg', 'b.png', 'empty.jpg'):
        write_image(root / 'images' / name)
    (root / 'labels').mkdir()
    (root / 'labels/a.txt').write_text('0 0.25 0.5 0.1 0.25\n\n1 1 0.5 0.5 1\n')
    (root / 'labels/b.txt').write_text('2 0.5 0.5 1 1\n')
    (root / 'data.yaml').write_text('nc: 3\nnames: [blue, Yellow Cone, cone]\n')
    return root


def test_yolo(yolo):
    source, items = load('yolo', yolo)
    assert source.count == 3 and source.description['split'] == 'all'
    assert items['images/a.jpg'].boxes == pytest.approx(
        np.array([[16, 15, 24, 25], [60, 0, 100, 40]]))
    assert items['images/a.jpg'].class_id.tolist() == [BLUE, YELLOW]
    assert items['images/a.jpg'].image.shape == (HEIGHT, WIDTH, 3)
    assert items['images/b.png'].class_id.tolist() == [NOT_SAID]
    assert items['images/empty.jpg'].boxes.shape == (0, 4)
    binary = load('yolo', yolo, BINARY_CLASSES)[1]['images/a.jpg']
    assert binary.class_id.tolist() == [NOT_SAID, NOT_SAID]


@pytest.mark.parametrize('file, text', [
    ('data.yaml', 'names: {1: seg_yellow_cone, 0: blue_cone, 2: cone}'),
    ('classes.txt', 'blue_cone\nyellow\ncone\n'), ('labels/classes.txt', 'blue\nyellow\r\ncone')])
def test_yolo_names(yolo, file, text):
    (yolo / 'data.yaml').unlink()
    (yolo / file).write_text(text)
    assert load('yolo', yolo)[1]['images/a.jpg'].class_id.tolist() == [BLUE, YELLOW]


@pytest.mark.parametrize('image, labels', [
    ('{}/images/x.jpg', '{}/labels/x.txt'), ('images/{}/x.jpg', 'labels/{}/x.txt')])
def test_yolo_parts_are_folders(tmp_path, image, labels):
    (tmp_path / 'classes.txt').write_text('blue')
    for part, line in (('train', '0 .5 .5 .1 .1'), ('valid', '0 .5 .5 .5 .5')):
        write_image(tmp_path / image.format(part))
        (tmp_path / labels.format(part)).parent.mkdir(parents=True)
        (tmp_path / labels.format(part)).write_text(line)
    source, items = load('yolo', tmp_path, split='val')
    assert list(items) == [image.format('valid')] and source.description['split'] == 'val'
    assert items[image.format('valid')].boxes.tolist() == [[20, 10, 60, 30]]
    assert load('yolo', tmp_path, split='all')[0].count == 2
    with pytest.raises(DataError, match='no images of the part test, found train, val'):
        load('yolo', tmp_path)


@pytest.mark.parametrize('line, said', [
    ('0 0.5 0.5 0.1', "expected a class index and four numbers.*found '0 0.5 0.5 0.1'"),
    ('0 0.5 0.5 0.1 0.1 0.9', 'expected a class index and four'),
    ('blue 0.5 0.5 0.1 0.1', 'expected a class index and four'),
    ('0 0.5 x 0.1 0.1', 'expected a class index and four'),
    ('7 0.5 0.5 0.1 0.1', 'class index from 0 to 3, found 7'),
    ('-1 0.5 0.5 0.1 0.1', 'class index from 0 to 3, found -1'),
    ('0 40 20 8 10', 'expected shares of the image'),
    ('0 0.5 nan 0.1 0.1', 'expected shares of the image'),
    ('0 0.5 0.5 0 0.1', 'width and height above 0'),
    ('3 0.5 0.5 0.1 0.1', "class 'blu_con' is unknown.*the nearest is seg_blue_cone")])
def test_a_broken_line_of_yolo_is_named(yolo, line, said):
    (yolo / 'data.yaml').write_text('names: [blue, yellow, cone, blu_con]')
    (yolo / 'labels/a.txt').write_text(f'0 0.5 0.5 0.1 0.1\n{line}\n')
    with pytest.raises(DataError, match=rf'^Line 2 of \S*labels/a.txt cannot be used: .*{said}'):
        load('yolo', yolo)
    report = LoadReport()
    assert set(load('yolo', yolo, report=report, on_error='skip')[1]) == {
        'images/b.png', 'images/empty.jpg'}
    assert len(report.errors) == 1 and 'Line 2' in report.errors[0]


@pytest.mark.parametrize('remove, said', [
    (['data.yaml'], 'has neither data.yaml nor classes.txt'),
    (['labels/a.txt', 'labels/b.txt'], 'No image under .* has labels, expected .*labels/a.txt'),
    (['images/a.jpg', 'images/b.png', 'images/empty.jpg'], 'No image was found under')])
def test_what_yolo_lacks_is_named(yolo, remove, said):
    for name in remove:
        (yolo / name).unlink()
    with pytest.raises(DataError, match=said):
        load('yolo', yolo)


@pytest.mark.parametrize('text', [
    'nc: 3', 'names: {1: a, 3: b}', 'names: [1, 2]', 'names: a', ']'])
def test_unusable_names_of_yolo(yolo, text):
    (yolo / 'data.yaml').write_text(text)
    with pytest.raises(DataError, match=r'data\.yaml'):
        load('yolo', yolo)


@pytest.fixture
def coco(tmp_path):
    """Return what a file holds; `write` writes it beside a folder of images."""
    write_image(tmp_path / 'images/a.jpg')
    write_image(tmp_path / 'images/b.jpg')
    return {
        'images': [{'id': 5, 'file_name': 'a.jpg', 'height': HEIGHT, 'width': WIDTH},
                   {'id': 6, 'file_name': 'b.jpg'}],
        'annotations': [
            {'id': 1, 'image_id': 5, 'category_id': 1, 'bbox': [10, 5.5, 20, 30]},
            {'id': 2, 'image_id': 5, 'category_id': 2, 'bbox': [70, 5, 20, 30], 'iscrowd': 1}],
        'categories': [{'id': 0, 'name': 'formula-student'}, {'id': 1, 'name': 'blue_cone'},
                       {'id': 2, 'name': 'yellow'}]}


def write(folder, content, place='annotations'):
    path = folder / place / 'instances_val.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize('place', ['annotations', '.', 'images'])
def test_coco(tmp_path, coco, place):
    source, items = load('coco', write(tmp_path, coco, place))
    assert source.count == 2 and source.description['split'] == 'all'
    assert items['a.jpg'].boxes.tolist() == [[10, 5.5, 30, 35.5], [70, 5, 90, 35]]
    assert items['a.jpg'].class_id.tolist() == [BLUE, IGNORE_ID]
    assert items['b.jpg'].boxes.shape == (0, 4)


@pytest.mark.parametrize('change, said', [
    ({'bbox': [1, 2, 3]}, 'Annotation 1 of .*instances_val.json cannot be used: expected bbox'),
    ({'bbox': [1, 2, 3, 0]}, 'above 0, found'), ({'bbox': None}, 'found None'),
    ({'bbox': [80, 2, 3, 3]}, 'lies outside the image of 80x40'),
    ({'category_id': 9}, 'its category 9 is not listed'),
    ({'category_id': 0}, "its class 'formula-student' is unknown"),
    ({'image_id': 7}, 'Annotation 1 of .* is of the image 7, which is not listed')])
def test_a_broken_annotation_of_coco_is_named(tmp_path, coco, change, said):
    coco['annotations'][0].update(change)
    with pytest.raises(DataError, match=said):
        load('coco', write(tmp_path, coco))


def test_unusable_files_of_coco(tmp_path, coco):
    with pytest.raises(DataError, match='is a folder: name the JSON file'):
        load('coco', tmp_path)
    for content in ([], {}, {'images': [], 'annotations': []}, {**coco, 'images': [1]}):
        with pytest.raises(DataError, match='Expected lists of images'):
            load('coco', write(tmp_path, content))
    (tmp_path / 'images/b.jpg').unlink()
    with pytest.raises(DataError, match=r'The image b.jpg of \S*instances_val.json was not found'):
        load('coco', write(tmp_path, coco))


def test_boxes_are_not_trained_on(yolo):
    with pytest.raises(DataError, match=r'can be scored .*, not trained on'):
        open_sets(TrainConfig(data=str(yolo), data_format='yolo'))
