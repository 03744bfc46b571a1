# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels of a bag's frames: what is written is read back by training as it was segmented."""
from contextlib import redirect_stdout
from io import StringIO

from bag_making import header, image_message, make_bag, picture, SIZE, START, TYPES
import cv2
from eunet_ros.cones.detection import number_cones
from eunet_ros.evaluation.labels import (
    COCO,
    export_labels,
    source_name,
    stored_picture,
    SUPERVISELY,
)
from eunet_ros.evaluation.options import make_plan, parse
from eunet_ros.evaluation.run.folder import OutputFolder
from eunet_ros.evaluation.run.journal import FrameRow, read_rows
from eunet_ros.evaluation.run.plan import bag_files, FrameMasks
from eunet_ros.evaluation.run.segment import segment_bag
from eunet_ros.evaluation.scoring.truth import open_truth
from eunet_ros.images.conversions import to_bgr
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.common.cone_annotations import paint_instances, read_annotation
from eunet_ros.training.data.readers.coco import CocoImages
from eunet_ros.training.data.readers.fsoco import (
    detect_border,
    FsocoProject,
    load_sample,
    source_of,
)
from evaluation_making import evaluate, refused
import numpy as np
import pytest

HZ = 15.0


@pytest.fixture(scope='module')
def segmented(tmp_path_factory, tiny_weights):
    """Return the plan, the folder and the masks by bag of a bag of JPEGs and a raw one."""
    root = tmp_path_factory.mktemp('labels')
    bags = [make_bag(root / 'drive_1', 6, HZ), make_bag(root / 'drive_2', 6, HZ, compressed=False)]
    plan, _ = make_plan(parse([*map(str, bags), '--weights', str(tiny_weights), '--engine',
                               'torch']), 1)
    folder, masks = OutputFolder(root / 'out'), []
    folder.begin(plan, False, False)
    for number in range(2):
        files = bag_files(folder.journal, number)
        files.folder.mkdir()
        segment_bag(plan, number, files)
        reader = FrameMasks(files)
        masks.append([reader.of(row)[0] for row in read_rows(files.frames, FrameRow)])
        reader.close()
    assert {1, 2, 3, 4, 5} & set(np.unique(masks)), 'the tiny weights find no cone'
    return plan, folder, masks


def export(segmented, kind, path, every=2):
    """Export into a folder of its own; returns it and the number of images."""
    plan, folder, _ = segmented
    count = export_labels(plan, folder, kind, every, lambda *_: None)
    return folder.labels.rename(path), count


def stamp(index):
    return START + round(index * 1e9 / HZ)


def test_a_supervisely_project_comes_back(segmented, tmp_path):
    root, count = export(segmented, SUPERVISELY, tmp_path / 'labels')
    samples = FsocoProject(root).samples
    assert count == len(samples) == 6
    assert [s.source for s in samples] == ['drive-1'] * 3 + ['drive-2'] * 3
    assert detect_border(samples) == 0
    classes = cone_classes()
    for place, sample in enumerate(samples):
        bag, index = place // 3, place % 3 * 2
        network = segmented[2][bag][index]
        numbers, ids = number_cones(network, classes)
        image, mask, cut = load_sample(sample, classes, 0)
        assert np.array_equal(mask, ids) and not cut
        assert np.array_equal(mask > 0, network > 0)
        instances = paint_instances(read_annotation(sample.annotation, classes), 0)
        assert np.array_equal(instances, numbers)
        if bag:
            assert sample.image.suffix == '.png' and np.array_equal(image, picture(index))
        else:
            assert sample.image.name == f'drive-1_{stamp(index)}.jpg'
            assert sample.image.read_bytes() == image_message(index, 0, True).data.tobytes()


def test_corrected_labels_are_ground_truth(segmented, tmp_path):
    root, _ = export(segmented, SUPERVISELY, tmp_path / 'labels', every=3)
    for other in root.rglob('drive-2*'):  # of the same stamps
        other.unlink()
    truth = open_truth({'folder': str(root)}, tmp_path, cone_classes())
    assert truth.stamps == [stamp(0), stamp(3)]
    assert np.array_equal(truth.mask(stamp(3), SIZE) > 0, segmented[2][0][3] > 0)


def test_coco_comes_back(segmented, tmp_path):
    coco = pytest.importorskip('pycocotools.coco', reason='pycocotools is not installed')
    root, count = export(segmented, COCO, tmp_path / 'labels')
    assert count == 6
    for part, masks in zip(('train', 'val'), segmented[2]):
        images = CocoImages(root, part, SIZE, binary=False)
        assert images.classes.names == cone_classes().names  # the head of the weights is kept
        numbered = [number_cones(mask, cone_classes()) for mask in masks[::2]]
        for place, (_, ids) in enumerate(numbered):
            assert np.array_equal(images[place][..., 3], ids)
        with redirect_stdout(StringIO()):
            file = coco.COCO(root / 'annotations' / f'instances_{part}2017.json')
        assert len(file.anns) == sum(numbers.max() for numbers, _ in numbered)
        for row in file.anns.values():
            mask = file.annToMask(row)
            assert (row['area'], row['bbox']) == (mask.sum(), list(cv2.boundingRect(mask)))


def test_cones_of_binary_weights_have_no_colour(segmented, tmp_path, monkeypatch):
    plan, _, masks = segmented
    monkeypatch.setattr(plan.weights[0], 'classes', BINARY_CLASSES.to_list())
    root, _ = export(segmented, SUPERVISELY, tmp_path / 'labels', every=6)
    mask = load_sample(FsocoProject(root).samples[0], cone_classes(), 0)[1]
    assert np.array_equal(mask, (masks[0][0] > 0) * cone_classes().id_of('unknown_cone'))


def test_no_labels_without_a_mask(segmented):
    plan, folder, _ = segmented
    empty = OutputFolder(folder.path.with_name('empty'))
    assert export_labels(plan, empty, COCO, 1, lambda *_: None) == 0
    assert not empty.labels.exists()


def test_a_file_that_shows_something_else_is_not_copied():
    jpeg = image_message(3, START, True).data
    swapped = TYPES['sensor_msgs/msg/CompressedImage'](
        header(START), 'rgb8; jpeg compressed rgb8', jpeg)
    written, suffix = stored_picture(swapped)
    assert suffix == '.png' and np.array_equal(written, to_bgr(swapped))


def test_each_bag_is_a_source():
    labels = ['rosbag2_2026_05_01-10_00_00', 'rosbag2_2026_05_02', '2026-05-01', '2026-05-02',
              'front_2', '7', '__']
    sources = [source_of(f'{source_name(label)}_{START}.png') for label in labels]
    assert sources[0] == 'rosbag2-2026-05-01-10-00-00' and len(set(sources)) == len(labels)


def test_every_frame_at_most(capsys):
    with pytest.raises(SystemExit):
        parse(['bag', '--export-every', '0'])
    assert '--export-every must be 1 or more, found 0' in capsys.readouterr().err


@pytest.mark.process
def test_the_command(tmp_path, tiny_weights, capsys):
    bag = make_bag(tmp_path / 'drive', 4)
    arguments = (bag, '--weights', tiny_weights, '--bag-topics', 'none', '--no-video')
    labels = ('--export-labels', 'supervisely', '--export-every', '3')
    _, _, told = evaluate(tmp_path, *arguments, *labels)
    assert '2 images with masks are in' in told
    assert len(FsocoProject(tmp_path / 'out_labels').samples) == 2
    assert 'out_labels exists: remove it first' in refused(capsys, tmp_path, *arguments, *labels)
    (tmp_path / 'out_labels').rename(tmp_path / 'corrected')
    assert 'run it without --resume' in refused(capsys, tmp_path, *arguments, *labels, '--resume')
