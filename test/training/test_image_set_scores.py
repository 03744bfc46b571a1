# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of a set of images: instances, TorchMetrics, merging, reports, refusals."""
import json

from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.common.metrics.pixels import confusion_matrix, pixel_scores
from eunet_ros.training.image_set_scores import ImageSetScores
import numpy as np
import pytest
import torch
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

CLASSES = cone_classes()
BLUE, YELLOW, ORANGE = 1, 2, 3


def ids(rows):
    return np.array(rows, np.uint8)


def scored(predicted, truth, instances=None, classes=CLASSES):
    metrics = ImageSetScores(classes)
    metrics.update(ids(predicted), ids(truth), instances)
    return metrics.compute()


def scene(*cones, size=(60, 60)):
    """Return a mask with (class, u0, v0, u1, v1) painted in it."""
    mask = np.zeros(size, np.uint8)
    for class_id, u0, v0, u1, v1 in cones:
        mask[v0:v1, u0:u1] = class_id
    return mask


@pytest.mark.parametrize(('truth', 'predicted', 'dice', 'binary_iou', 'blue', 'yellow', 'miou'), [
    ([[0, 1, 2]], [[0, 1, 2]], 1.0, 1.0, 1.0, 1.0, 1.0),
    ([[0, 1, 2]], [[0, 1, 1]], 1.0, 1.0, 0.5, 0.0, 0.25),      # a cone is a cone for Dice
    ([[0, 0, 1, 1]], [[0, 1, 1, 0]], 0.5, 1 / 3, 1 / 3, None, 1 / 3),
    ([[0, 0]], [[0, 0]], None, None, None, None, None),         # no cone anywhere
    ([[0, 0]], [[0, 2]], 0.0, 0.0, None, None, None),           # invented: no class in the truth
    ([[1, 1]], [[0, 0]], 0.0, 0.0, 0.0, None, 0.0),
    ([[1, 1]], [[1, 1]], 1.0, 1.0, 1.0, None, 1.0),             # nothing but cones
    ([[1, 255, 255]], [[1, 2, 0]], 1.0, 1.0, 1.0, None, 1.0),   # 255 is ignored
    ([[255, 255]], [[1, 0]], None, None, None, None, None),
])
def test_pixel_scores(truth, predicted, dice, binary_iou, blue, yellow, miou):
    result = scored(predicted, truth)
    expected = {'dice': dice, 'binary_iou': binary_iou, 'miou': miou}
    assert {k: result[k] for k in expected} == pytest.approx(expected)
    assert result['iou'] == pytest.approx(
        {'blue_cone': blue, 'yellow_cone': yellow, 'orange_cone': None,
         'large_orange_cone': None, 'unknown_cone': None})


def test_one_image_of_many_large_cones_makes_the_interval_wide():
    found, missed = scene((BLUE, 5, 5, 15, 15)), scene((BLUE, 5, 5, 45, 45))
    alike, varied = ImageSetScores(CLASSES), ImageSetScores(CLASSES)
    for number in range(40):
        alike.update(found, found)
        varied.update(*((np.zeros_like(missed), missed) if number == 7 else (found, found)))
    assert alike.compute()['interval_95'] == {'dice': [1, 1], 'miou': [1, 1]}
    scores = varied.compute()
    for name in ('dice', 'miou'):
        low, high = scores['interval_95'][name]
        assert low < scores[name] - 0.05 and scores[name] + 0.05 < high == 1
    assert ImageSetScores(CLASSES).compute()['interval_95'] == {}
    assert scored([[0, 0]], [[0, 0]])['interval_95'] == {'dice': None, 'miou': None}


def test_confusion_and_pixel_counts():
    result = scored([[0, 1, 1, 0, 3]], [[0, 1, 2, 255, 0]])
    table = np.zeros((6, 6), int)
    table[0, 0] = table[1, 1] = table[2, 1] = table[0, 3] = 1
    assert result['confusion'] == table.tolist()
    assert (result['pixels']['counted'], result['pixels']['ignored']) == (4, 1)
    assert list(result['pixels']['truth'].values()) == [2, 1, 1, 0, 0, 0]
    assert list(result['pixels']['predicted'].values()) == [1, 2, 0, 1, 0, 0]


def random_masks(seed, classes=6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (40, 50)).astype(np.uint8)
    predicted = rng.integers(0, classes, (40, 50)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.4] = 0
    truth[rng.random(truth.shape) < 0.1] = 255
    return predicted, truth


@pytest.mark.parametrize('classes', [CLASSES, BINARY_CLASSES], ids=['colours', 'binary'])
def test_agrees_with_torchmetrics_and_the_shared_definitions(classes):
    f1, jaccard = BinaryF1Score(ignore_index=-1), BinaryJaccardIndex(ignore_index=-1)
    n = len(classes.names)
    metrics, counts = ImageSetScores(classes), np.zeros((n + 1, n + 1), int)
    for seed in range(3):
        predicted, truth = random_masks(seed, n)
        metrics.update(predicted, truth)
        counts += confusion_matrix(truth, predicted, n)
        target = torch.from_numpy(np.where(truth == 255, -1, (truth > 0).astype(int)))
        for metric in (f1, jaccard):
            metric.update(torch.from_numpy((predicted > 0).astype(int)), target)
    result = metrics.compute()
    assert result['confusion'] == counts[:n, :n].tolist()
    assert result['dice'] == pytest.approx(float(f1.compute()), abs=1e-6)
    assert result['binary_iou'] == pytest.approx(float(jaccard.compute()), abs=1e-6)
    scores = {k: result[k] for k in ('dice', 'iou', 'miou')}
    assert scores == pixel_scores(counts, classes.names)


def rows(result, *keys):
    """Return the wanted counts of recall_by_height, for the heights that have cones."""
    return {name: tuple(row[k] for k in keys)
            for name, row in result['recall_by_height'].items() if row['cones']}


@pytest.mark.parametrize(('height', 'name'), [
    (1, '<10'), (9, '<10'), (10, '10-19'), (19, '10-19'), (20, '20-39'), (39, '20-39'),
    (40, '>=40'), (55, '>=40')])
def test_height_of_a_cone_is_counted_in_rows(height, name):
    truth = scene((BLUE, 5, 2, 9, 2 + height))
    for instances in (None, truth.astype(np.uint16)):
        assert rows(scored(truth, truth, instances), 'cones', 'found') == {name: (1, 1)}


@pytest.mark.parametrize(('blue', 'yellow', 'found', 'right'), [
    (0, 0, 0, 0), (4, 0, 0, 0), (5, 0, 1, 1),  # of ten pixels: half is enough
    (3, 2, 1, 1), (2, 3, 1, 0),                # found by both together, named by the most
    (3, 3, 1, 0), (0, 10, 1, 0)])              # a draw does not name it
def test_found_and_named(blue, yellow, found, right):
    truth, predicted = scene((BLUE, 0, 0, 10, 1)), np.zeros((60, 60), np.uint8)
    predicted[0, :blue], predicted[0, blue:blue + yellow] = BLUE, YELLOW
    result = scored(predicted, truth)
    assert result['recall'] == {'cones': 1, 'found': found, 'recall': float(found),
                                'found_right_class': right, 'recall_right_class': float(right)}
    colors = np.zeros((5, 5), int)
    colors[0, 0 if right else 1] = found
    assert result['color_confusion'] == colors.tolist()


def test_recall_of_a_height_without_cones_is_none():
    result = scored(scene(), scene((BLUE, 0, 0, 4, 12)))
    assert result['recall_by_height']['10-19'] == {
        'cones': 1, 'found': 0, 'recall': 0.0, 'found_right_class': 0, 'recall_right_class': 0.0}
    assert result['recall_by_height']['<10']['recall'] is None
    assert result['color_confusion'] == np.zeros((5, 5), int).tolist()


def test_ignored_pixels_of_a_cone_neither_count_nor_shorten_it():
    truth, instances = scene((BLUE, 0, 0, 1, 10)), scene((1, 0, 0, 1, 10)).astype(np.uint16)
    truth[4:10, 0] = 255
    predicted = scene((BLUE, 0, 0, 1, 2))  # half of the four pixels that count
    assert rows(scored(predicted, truth, instances), 'found') == {'10-19': (1,)}
    truth[:10, 0] = 255
    assert scored(predicted, truth, instances)['recall']['cones'] == 0


def test_cones_that_touch():
    truth = scene((BLUE, 0, 0, 4, 5), (BLUE, 4, 0, 8, 5), (YELLOW, 8, 0, 12, 5))
    assert scored(truth, truth)['recall']['cones'] == 2  # the blue ones are one part
    instances = scene((7, 0, 0, 4, 5), (2, 8, 0, 12, 5)).astype(np.uint16)
    instances[:5, 4:8] = 300  # more than a byte holds
    assert scored(truth, truth, instances)['recall']['cones'] == 3


def test_corners_connect():
    truth = ids([[BLUE, 0, 0], [0, BLUE, 0], [0, 0, BLUE]])
    assert scored(truth, truth)['recall']['cones'] == 1


def test_an_instance_of_two_classes_is_of_the_larger():
    truth = scene((ORANGE, 0, 0, 2, 6), (BLUE, 0, 6, 2, 10))
    instances = (truth > 0).astype(np.uint16)
    result = scored(truth, truth, instances)
    assert rows(result, 'cones', 'found_right_class') == {'10-19': (1, 1)}
    assert np.array(result['color_confusion']).nonzero() == (ORANGE - 1, ORANGE - 1)


def test_false_cones_are_per_image():
    metrics = ImageSetScores(CLASSES)
    metrics.update(scene((BLUE, 0, 0, 4, 4), (YELLOW, 9, 9, 13, 13)), scene())
    for _ in range(3):
        metrics.update(scene(), scene())
    result = metrics.compute()
    assert (result['false_cones'], result['false_cones_per_image']) == (2, 0.5)


def test_report_is_json_without_nan():
    for metrics in (ImageSetScores(CLASSES), ImageSetScores(BINARY_CLASSES)):
        json.dumps(metrics.to_report(), allow_nan=False)
        metrics.update(ids([[0, 1, 0]]), ids([[0, 1, 1]]))
        report = json.loads(json.dumps(metrics.to_report(), allow_nan=False))
        assert report['dice'] == 0.6667
        assert report['images'] == 1


GOOD = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(('predicted', 'truth', 'instances', 'message'), [
    (GOOD.astype(int), GOOD, None, 'prediction as class ids'),
    (GOOD, GOOD[None], None, 'ground truth as class ids'),
    (GOOD[:2], GOOD, None, 'size of the original image'),
    (GOOD + 6, GOOD, None, 'prediction has the id 6'),
    (GOOD + 255, GOOD, None, 'prediction has the id 255'),
    (GOOD, GOOD + 9, None, 'ground truth has the id 9'),
    (GOOD, GOOD + 1, np.full((4, 6), 70000), '0 to 65535'),
    (GOOD, GOOD + 1, np.ones((3, 6), np.uint16), 'Expected instances as a map'),
    (GOOD, GOOD + 1, np.ones((4, 6), bool), 'Expected instances as a map'),
])
def test_what_does_not_fit_is_refused_and_not_counted(predicted, truth, instances, message):
    metrics = ImageSetScores(CLASSES)
    with pytest.raises(ValueError, match=message):
        metrics.update(predicted, truth, instances)
    assert metrics.compute() == ImageSetScores(CLASSES).compute()
