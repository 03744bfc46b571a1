# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""COCO's instances as masks, on a data set that is written here, and training on it."""
import json

import cv2
from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.model.common.resources import share_file
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.data.readers.coco import CocoImages
import numpy as np
import pytest

pytest.importorskip('pycocotools', reason='pycocotools is not installed')


def square(x, y, side):
    return [[x, y, x + side, y, x + side, y + side, x, y + side]]


def counts(mask):
    """Return COCO's uncompressed run lengths: by columns, zeros first."""
    flat = np.concatenate(([0], mask.T.reshape(-1).astype(int), [2]))
    edges = np.flatnonzero(np.diff(flat)) if flat[1] == 0 else np.concatenate(
        ([0], np.flatnonzero(np.diff(flat))))
    return np.diff(np.concatenate(([0], edges))).tolist()


@pytest.fixture
def coco(tmp_path):
    crowd = np.zeros((32, 48), bool)
    crowd[20:30, 20:40] = True
    rows = [
        {'category_id': 3, 'segmentation': square(4, 4, 8)},
        {'category_id': 9, 'segmentation': square(8, 8, 8)},  # overlaps the first
        {'category_id': 3, 'segmentation': square(24, 22, 4)},
        {'category_id': 3, 'iscrowd': 1,
         'segmentation': {'size': [32, 48], 'counts': counts(crowd)}}]
    for part in ('train2017', 'val2017'):
        (tmp_path / part).mkdir()
        for name in ('a.jpg', 'b.jpg'):
            cv2.imwrite(str(tmp_path / part / name), np.full((32, 48, 3), 90, np.uint8))
        annotations = [{'id': i, 'image_id': 1, 'iscrowd': 0, **row} for i, row in enumerate(rows)]
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        (tmp_path / 'annotations' / f'instances_{part}.json').write_text(json.dumps({
            'images': [{'id': i, 'file_name': f'{n}.jpg', 'height': 32, 'width': 48}
                       for i, n in ((1, 'a'), (2, 'b'))],
            'annotations': annotations,
            'categories': [{'id': 3, 'name': 'traffic light'}, {'id': 9, 'name': 'dog'}]}))
    return tmp_path


def test_every_instance_is_one_class(coco):
    images = CocoImages(coco, 'train', (32, 48))
    assert images.shape == (2, 32, 48, 4) and images.classes.names == ('background', 'object')
    ids = images[0][..., 3]
    assert ids[5, 5] == ids[14, 14] == ids[10, 10] == ids[24, 26] == 1
    assert ids[28, 38] == IGNORE_ID and ids[0, 0] == 0  # a crowd; but not where an instance is
    assert not images[1][..., 3].any() and images[1][0, 0, :3] == pytest.approx(90, abs=2)


def test_classes(coco):
    images = CocoImages(coco, 'val', (32, 48), binary=False)
    assert images.classes.names == ('background', 'traffic_light', 'dog')
    ids = images[0][..., 3]
    assert (ids[5, 5], ids[14, 14], ids[10, 10]) == (1, 2, IGNORE_ID)


def test_images_are_fitted(coco):
    ids = CocoImages(coco, 'train', (64, 64), limit=1)[0][..., 3]
    assert ids.shape == (64, 64) and (ids[43:] == IGNORE_ID).all()
    assert (ids[:42] != IGNORE_ID).any()
    assert len(CocoImages(coco, 'train', (32, 48), limit=1)) == 1


@pytest.fixture
def panoptic(coco):
    """Things and stuff: a light, a dog that is a crowd, sky; one column is void."""
    segment = np.zeros((32, 48), int)
    segment[:, 1:] = 70_000  # sky
    segment[4:12, 4:12], segment[20:30, 20:40] = 300, 5
    png = np.dstack([segment // 65536, segment // 256 % 256, segment % 256]).astype(np.uint8)
    for part in ('train2017', 'val2017'):
        folder = coco / 'annotations' / f'panoptic_{part}'
        folder.mkdir()
        cv2.imwrite(str(folder / 'a.png'), png)
        folder.with_suffix('.json').write_text(json.dumps({
            'images': [{'id': i, 'file_name': f'{n}.jpg', 'height': 32, 'width': 48}
                       for i, n in ((2, 'b'), (1, 'a'))],
            'annotations': [{'image_id': 1, 'file_name': 'a.png', 'segments_info': [
                {'id': 300, 'category_id': 3, 'iscrowd': 0},
                {'id': 5, 'category_id': 9, 'iscrowd': 1},
                {'id': 70_000, 'category_id': 187, 'iscrowd': 0}]}],
            'categories': [{'id': 3, 'name': 'traffic light', 'isthing': 1},
                           {'id': 9, 'name': 'dog', 'isthing': 1},
                           {'id': 187, 'name': 'sky-other-merged', 'isthing': 0}]}))
    return coco


def test_things_and_stuff(panoptic):
    images = CocoImages(panoptic, 'train', (32, 48), False, annotations='panoptic')
    assert images.classes.names == ('background', 'traffic_light', 'dog', 'sky-other-merged')
    assert len(images) == 1  # the other has no annotation
    ids = images[0][..., 3]
    assert (ids[5, 5], ids[0, 9]) == (1, 3)
    assert ids[25, 25] == ids[3, 0] == IGNORE_ID
    things = CocoImages(panoptic, 'val', (32, 48), True, annotations='panoptic')[0][..., 3]
    assert (things[5, 5], things[0, 9], things[25, 25]) == (1, 0, IGNORE_ID)


def test_missing_panoptic_data_is_a_sentence(panoptic):
    (panoptic / 'annotations/panoptic_train2017/a.png').unlink()
    with pytest.raises(DataError, match=r'lists the image a\.png, .* in .*panoptic_train2017'):
        CocoImages(panoptic, 'train', (32, 48), annotations='panoptic')[0]
    (panoptic / 'annotations/panoptic_val2017.json').unlink()
    with pytest.raises(DataError, match='get panoptic_annotations_trainval2017'):
        CocoImages(panoptic, 'val', (32, 48), annotations='panoptic')


def changed(root, change, part='train2017'):
    """Apply change(content) to the instances of a part."""
    path = root / 'annotations' / f'instances_{part}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize('mask', [[], [[]], None, {}, 'left out'])
def test_objects_without_a_mask_are_passed_over_and_counted(coco, mask):
    def change(content):
        row = content['annotations'][0]
        if mask == 'left out':
            del row['segmentation']
        else:
            row['segmentation'] = mask
    changed(coco, change)
    images = CocoImages(coco, 'train', (32, 48))
    assert images.without_mask == 1
    ids = images[0][..., 3]
    assert ids[5, 5] == 0 and ids[14, 14] == 1


@pytest.mark.parametrize(('change', 'said'), [
    ({'segmentation': [[1, 2, 3, 4]]}, 'a polygon of 4 numbers, expected x and y of three'),
    ({'segmentation': [[1, 2, 3, 4, 5, 6, 7]]}, 'a polygon of 7 numbers'),
    ({'segmentation': [['a'] * 6]}, 'neither polygons nor run lengths'),
    ({'segmentation': 'text'}, 'neither polygons nor run lengths'),
    ({'segmentation': [[1, 2, float('nan'), 4, 5, 6]]}, 'not finite'),
    ({'segmentation': [[1, 2, 1e30, 4, 5, 6]]}, 'beyond 32768 pixels'),   # pycocotools crashes
    ({'segmentation': {'size': [32, 48], 'counts': [5, 5]}}, 'do not fill 32 x 48 pixels'),
    ({'segmentation': {'size': [32, 48], 'counts': [1538, -2]}}, 'do not fill 32 x 48 pixels'),
    ({'segmentation': {'size': [32, 48], 'counts': '@@@'}}, 'do not fill 32 x 48 pixels'),
    ({'segmentation': {'size': [9, 9], 'counts': [81]}}, r'size \[9, 9\], the image has \[32, 48'),
    ({'segmentation': {'size': [32, 48]}}, 'has no counts'),
    ({'category_id': 7}, 'the category 7, which is not listed'),
    ({'image_id': '0001'}, "of image '0001', where the image has the id 1")])
def test_what_cannot_be_used_is_told_at_once(coco, change, said):
    changed(coco, lambda content: content['annotations'][1].update(change))
    with pytest.raises(DataError, match=rf'instances_train2017.json .*annotation 1 .*{said}'):
        CocoImages(coco, 'train', (32, 48))


@pytest.mark.parametrize(('image', 'of', 'said'), [
    ('01', 1, "annotation 1 is of image 1, where the image has the id '01'"),
    (1, 77, 'annotation 1 is of image 77, and no image that is listed has any'),
    ('2', 2, 'some of its images have a number as id, others a text')])
def test_ids_of_images_that_nothing_is_of_are_told_at_once(coco, image, of, said):
    def change(content):
        content['images'][0]['id'] = image
        if image != '2':
            del content['images'][1:]
        content['annotations'] = [{**content['annotations'][1], 'image_id': of}]
    changed(coco, change)
    with pytest.raises(DataError, match=said):
        CocoImages(coco, 'train', (32, 48))


def test_images_that_are_not_there_are_told_at_once(coco):
    (coco / 'train2017' / 'b.jpg').unlink()
    with pytest.raises(DataError, match=r'lists the image b.jpg, which is not in .*train2017'):
        CocoImages(coco, 'train', (32, 48))


def test_a_category_of_a_segment_that_is_not_listed(panoptic):
    path = panoptic / 'annotations/panoptic_train2017.json'
    path.write_text(path.read_text().replace('"category_id": 187', '"category_id": 188'))
    with pytest.raises(DataError, match=r'a.jpg has the category 188, which is not listed'):
        CocoImages(panoptic, 'train', (32, 48), annotations='panoptic')


@pytest.mark.parametrize('spoil, said', [
    (lambda root: (root / 'annotations/instances_train2017.json').unlink(), 'does not exist: get'),
    (lambda root: (root / 'annotations/instances_train2017.json').write_text('{'), 'Cannot read'),
    (lambda root: (root / 'annotations/instances_train2017.json').write_text(
        '{"images": [], "annotations": [], "categories": []}'), 'lists no image'),
    (lambda root: (root / 'annotations/instances_train2017.json').write_text(
        '{"images": [{"id": 1}], "annotations": [], "categories": []}'), 'lack something'),
    (lambda root: (root / 'train2017/a.jpg').write_bytes(b'x'), 'not an image that can be read')])
def test_refusals(coco, spoil, said):
    spoil(coco)
    with pytest.raises(DataError, match=said):
        CocoImages(coco, 'train', (32, 48))[0]


def test_another_size_than_annotated(coco):
    cv2.imwrite(str(coco / 'train2017/a.jpg'), np.zeros((48, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r'48x32 pixels .* says 32x48'):
        CocoImages(coco, 'train', (32, 48))[0]


@pytest.mark.train
def test_pre_training_and_a_new_head(coco, tmp_path, capsys):
    pytest.importorskip('lightning', reason='lightning is not installed')
    from eunet_ros.model import load_checkpoint
    from eunet_ros.training.train import main
    small = ['--height', '32', '--width', '64', '--crop-height', '32', '--crop-width', '64',
             '--batch', '2', '--steps', '2', '--validate-every', '2', '--workers', '0', '--ema',
             '0', '--validation-images', '2', '--images', '2', '--variant', 'eunet_n',
             '--precision', '32-true', '--cache', str(tmp_path / 'cache')]
    config = str(share_file('config/training/coco.yaml'))
    assert main(['--config', config, '--data', str(coco), '--output', str(tmp_path / 'coco'),
                 *small]) == 0
    path = tmp_path / 'coco' / 'eunet_n.safetensors'
    assert load_checkpoint(path).classes.names == ('background', 'object')
    synthetic = ['--config', str(share_file('config/training/synthetic.yaml')), *small,
                 '--weights', str(path), '--output', str(tmp_path / 'cones'), '--lr', '1e-9']
    assert main(synthetic) == 1
    assert 'with --new-head true' in capsys.readouterr().err
    assert main([*synthetic, '--new-head', 'true']) == 0
    (coco / 'train2017/b.jpg').write_bytes(b'x')
    assert main(['--config', config, '--data', str(coco), *small, '--steps', '9', '--workers', '1',
                 '--output', str(tmp_path / 'two')]) == 1
    error = capsys.readouterr().err
    assert 'b.jpg is not an image that can be read' in error and 'Traceback' not in error
    before, after = (load_checkpoint(p).network.state_dict()
                     for p in (path, tmp_path / 'cones' / 'eunet_n.safetensors'))
    assert after['head.weight'].shape[0] == 6 * before['head.weight'].shape[0]
    np.testing.assert_allclose(after['stem.pointwise.weight'], before['stem.pointwise.weight'],
                               atol=1e-3)  # float16
