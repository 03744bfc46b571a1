# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Each metric on small arrays with results computed by hand, and against TorchMetrics."""

from eunet_ros.model.common.metrics.cones import (
    boxed_cones,
    cone_outcomes,
    connected_cones,
    count_cones,
    height_bin,
    HEIGHT_BINS,
    MISSED,
    numbered_cones,
    recall,
    recall_by_height,
)
from eunet_ros.model.common.metrics.false_cones import find_false_cones
from eunet_ros.model.common.metrics.flicker import FlickerCounts
from eunet_ros.model.common.metrics.pixels import (
    binary_iou,
    confusion_matrix,
    dice,
    iou,
    miou,
    pixel_scores,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

BLUE, YELLOW, ORANGE = 1, 2, 3
NAN = float('nan')
IDS = st.sampled_from([0, 0, 0, 0, 1, 2, 5, 9, 255])


def ids(rows):
    return np.array(rows, np.uint8)


def scene(*boxes, size=(60, 60)):
    """Return a mask with (class, u0, v0, u1, v1) painted in it."""
    mask = np.zeros(size, np.uint8)
    for class_id, u0, v0, u1, v1 in boxes:
        mask[v0:v1, u0:u1] = class_id
    return mask


@pytest.mark.parametrize(('truth', 'predicted', 'd', 'b', 'by_class', 'm'), [
    ([[0, 1, 2]], [[0, 1, 2]], 1.0, 1.0, [1.0, 1.0, 1.0], 1.0),
    ([[0, 1, 2]], [[0, 1, 1]], 1.0, 1.0, [1.0, 0.5, 0.0], 0.25),  # a cone is a cone for Dice
    ([[0, 0, 1, 1]], [[0, 1, 1, 0]], 0.5, 1 / 3, [1 / 3, 1 / 3, NAN], 1 / 3),
    ([[0, 0]], [[0, 0]], NAN, NAN, [1.0, NAN, NAN], NAN),         # no cone, none found
    ([[0, 0]], [[0, 2]], 0.0, 0.0, [0.5, NAN, NAN], NAN),         # no class in the truth
    ([[1, 1]], [[0, 0]], 0.0, 0.0, [NAN, 0.0, NAN], 0.0),
    ([[1, 255, 255]], [[1, 2, 0]], 1.0, 1.0, [NAN, 1.0, NAN], 1.0),  # 255 is ignored
    ([[1, 1]], [[1, 9]], 1.0, 1.0, [NAN, 0.5, NAN], 0.5),         # an id that is no class
    ([[1, 7]], [[1, 1]], 1.0, 1.0, [NAN, 0.5, NAN], 0.5),
    ([[255, 255]], [[1, 0]], NAN, NAN, [NAN, NAN, NAN], NAN),
])
def test_dice_and_iou(truth, predicted, d, b, by_class, m):
    counts = confusion_matrix(ids(truth), ids(predicted), 3)
    np.testing.assert_allclose((dice(counts), binary_iou(counts), miou(counts, 3)), (d, b, m))
    np.testing.assert_allclose(iou(counts, 3), by_class)


def test_pixels_by_true_and_predicted_class():
    counts = confusion_matrix(ids([[0, 1, 1], [2, 7, 255]]), ids([[0, 1, 2], [9, 1, 1]]), 3)
    assert counts.tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]]


@given(arrays(np.uint8, (9, 11), elements=IDS), arrays(np.uint8, (9, 11), elements=IDS))
@settings(max_examples=80, deadline=None)
def test_pixels_are_counted_one_by_one(truth, predicted):
    plain = np.zeros((7, 7), int)
    for t, p in zip(truth.reshape(-1).tolist(), predicted.reshape(-1).tolist()):
        if t != 255:
            plain[min(t, 6), min(p, 6)] += 1
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 6), plain)


def test_counts_of_frames_add_up_before_the_ratio():
    counts = confusion_matrix(ids([[1, 0, 0, 0]]), ids([[1, 0, 0, 0]]), 3)
    counts += confusion_matrix(ids([[1, 1, 1, 0]]), ids([[0, 0, 1, 0]]), 3)
    assert dice(counts) == pytest.approx(2 * 2 / (2 * 2 + 2))


def test_many_tables_at_once_score_as_each_alone():
    tables = np.random.default_rng(0).integers(0, 9, (5, 4, 4))
    tables[0, 2], tables[1, 1:], tables[1, :, 1:] = 0, 0, 0
    for score in (dice, binary_iou, lambda t: miou(t, 3), lambda t: iou(t, 3)):
        np.testing.assert_array_equal(score(tables), [score(table) for table in tables])


def test_scores_of_pixels_are_plain_numbers():
    counts = confusion_matrix(ids([[0, 1, 1, 1]]), ids([[0, 1, 1, 0]]), 3)
    assert pixel_scores(counts, ['background', 'blue', 'yellow']) == {
        'dice': 0.8, 'miou': pytest.approx(2 / 3),
        'iou': {'blue': pytest.approx(2 / 3), 'yellow': None}}


@pytest.mark.parametrize(('predicted', 'truth', 'words'), [
    (ids([[0], [0]]), ids([[0, 0]]), r'\(1, 2\), found \(2, 1\)'),
    (np.zeros((2, 2), int), ids([[0, 0], [0, 0]]), 'prediction as class ids'),
    (ids([[0]]), ids([[[0]]]), 'ground truth as class ids')])
def test_masks_that_do_not_fit(predicted, truth, words):
    with pytest.raises(ValueError, match=words):
        confusion_matrix(truth, predicted, 3)


def test_agrees_with_torchmetrics():
    torch = pytest.importorskip('torch')
    classification = pytest.importorskip('torchmetrics.classification')
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 3, 4, 5, 255], (4, 30, 40), p=[.5, .1, .1, .1, .05, .05, .1])
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 6, truth.shape))
    predicted = np.where(predicted == 255, 0, predicted)
    matrix = classification.MulticlassConfusionMatrix(6, ignore_index=255)
    jaccard = classification.MulticlassJaccardIndex(6, average=None, ignore_index=255)
    f1, binary = (kind(ignore_index=255) for kind in (
        classification.BinaryF1Score, classification.BinaryJaccardIndex))
    counts = np.zeros((7, 7), int)
    for t, p in zip(truth, predicted):
        counts += confusion_matrix(t.astype(np.uint8), p.astype(np.uint8), 6)
        cone_or_not = torch.tensor((p > 0) * 1), torch.tensor(np.where(t == 255, 255, t > 0))
        for metric, pair in ((matrix, (torch.tensor(p), torch.tensor(t))),
                             (jaccard, (torch.tensor(p), torch.tensor(t))),
                             (f1, cone_or_not), (binary, cone_or_not)):
            metric.update(*pair)
    np.testing.assert_array_equal(counts[:6, :6], matrix.compute().numpy())
    np.testing.assert_allclose(iou(counts, 6), jaccard.compute().numpy(), atol=1e-6)
    assert dice(counts) == pytest.approx(float(f1.compute()), abs=1e-6)
    assert binary_iou(counts) == pytest.approx(float(binary.compute()), abs=1e-6)
    assert miou(counts, 6) == pytest.approx(float(jaccard.compute()[1:].mean()), abs=1e-6)


def test_bins_of_heights():
    assert [HEIGHT_BINS[b] for b in height_bin(np.array([1, 9, 10, 19, 20, 39, 40, 700]))] == [
        '<10', '<10', '10-19', '10-19', '20-39', '20-39', '>=40', '>=40']


def test_pixels_of_cones():
    truth = ids([[1, 1, 2], [0, 255, 2]])
    numbered = numbered_cones(truth, np.array([[7, 7, 3], [3, 3, 0]]))
    assert numbered.place.tolist() == [0, 1, 2, 4] and numbered.cone.tolist() == [7, 7, 3, 3]
    boxed = boxed_cones(truth, np.array([[2, 1, 0, 3, 2], [1, 0, 0, 3, 2]]))
    assert boxed.place.tolist() == [2, 5, 0, 1] and boxed.cone.tolist() == [0, 0, 1, 1]
    assert boxed_cones(truth, np.zeros((0, 5), int)).place.tolist() == []
    # Corners connect; two classes are two cones; what is ignored is none.
    connected = connected_cones(ids([[1, 0, 2], [0, 1, 255]]))
    assert connected.place.tolist() == [0, 4, 2] and connected.cone.tolist() == [0, 0, 1]


@pytest.mark.parametrize(('blue', 'yellow', 'taken'), [
    (0, 0, MISSED), (4, 0, MISSED), (5, 0, BLUE),  # of ten pixels: half is enough
    (3, 2, BLUE), (2, 3, YELLOW),                  # found by both together, named by the most
    (3, 3, YELLOW), (0, 10, YELLOW)])              # a draw does not name the true class
def test_what_a_cone_is_taken_for(blue, yellow, taken):
    truth, predicted = scene((BLUE, 5, 3, 6, 13)), scene()
    predicted[3:3 + blue, 5], predicted[3 + blue:3 + blue + yellow, 5] = BLUE, YELLOW
    (cone,), (height,), (true_class,), (taken_for,) = cone_outcomes(
        truth, predicted, connected_cones(truth))
    assert (cone, height, true_class, taken_for) == (0, 10, BLUE, taken)


def test_ignored_pixels_of_a_cone_neither_count_nor_shorten_it():
    numbers = scene((4, 0, 0, 1, 10), (9, 5, 0, 6, 5)).astype(int)
    truth = np.where(numbers > 0, BLUE, 0).astype(np.uint8)
    truth[4:10, 0] = 255
    truth[:, 5] = np.where(truth[:, 5] > 0, 255, 0)  # nothing of cone 9 is known
    outcomes = cone_outcomes(truth, scene((BLUE, 0, 0, 1, 2)), numbered_cones(truth, numbers))
    assert [values.tolist() for values in outcomes] == [[4], [10], [BLUE], [BLUE]]


def test_recall_by_height():
    # Two blue cones of 9 and 10 px, a yellow and an unknown one of 40: found as themselves, not
    # found, found as another class, and of a class that is none.
    counts = count_cones(*np.array([[9, 1, 1], [10, 1, MISSED], [40, 2, 1], [40, 8, 3]]).T, 4)
    row = {'cones': 1, 'found': 1, 'recall': 1.0, 'found_right_class': 1,
           'recall_right_class': 1.0}
    missed = {'cones': 1, 'found': 0, 'recall': 0.0, 'found_right_class': 0,
              'recall_right_class': 0.0}
    nothing = {'cones': 0, 'found': 0, 'recall': None, 'found_right_class': 0,
               'recall_right_class': None}
    assert recall_by_height(counts) == {
        '<10': row, '10-19': missed, '20-39': nothing,
        '>=40': {'cones': 2, 'found': 2, 'recall': 1.0, 'found_right_class': 0,
                 'recall_right_class': 0.0}}
    assert recall(counts.sum(0)) == {'cones': 4, 'found': 3, 'recall': 0.75,
                                     'found_right_class': 1, 'recall_right_class': 0.25}
    # Weights of two classes know only cones.
    assert recall(count_cones(*np.array([[9, 3, 1], [9, 2, 0]]).T, 2).sum(0)) == {
        'cones': 2, 'found': 1, 'recall': 0.5, 'found_right_class': 1, 'recall_right_class': 0.5}


@pytest.mark.parametrize(('predicted', 'truth', 'classes'), [
    (scene(), scene(), []),
    (scene((BLUE, 0, 0, 4, 3)), scene(), [BLUE]),                           # twelve pixels
    (scene((BLUE, 0, 0, 11, 1)), scene(), []),                              # eleven
    (scene((BLUE, 0, 0, 4, 2), (YELLOW, 0, 2, 4, 5)), scene(), [YELLOW]),   # one of two classes
    (scene((BLUE, 0, 0, 4, 4), (BLUE, 4, 4, 8, 8)), scene(), [BLUE]),       # joined by a corner
    (scene((BLUE, 0, 0, 4, 4), (ORANGE, 9, 9, 13, 13)), scene(), [BLUE, ORANGE]),
    (scene((BLUE, 0, 0, 20, 1)), scene((YELLOW, 0, 0, 2, 1)), []),          # a tenth on a cone
    (scene((BLUE, 0, 0, 30, 1)), scene((YELLOW, 0, 0, 3, 1)), []),
    (scene((BLUE, 0, 0, 21, 1)), scene((YELLOW, 0, 0, 2, 1)), [BLUE]),
    (scene((BLUE, 0, 0, 20, 1)), scene((255, 0, 0, 9, 1)), []),             # eleven are known
    (scene((BLUE, 0, 0, 20, 1)), scene((255, 8, 0, 10, 1)), [BLUE]),        # not cut in two
    (scene((BLUE, 0, 0, 9, 2), (YELLOW, 0, 2, 7, 4)), scene((255, 0, 0, 9, 1)), [YELLOW]),
    (scene((BLUE, 0, 0, 60, 60)), scene((BLUE, 0, 0, 60, 60)), []),
])
def test_false_cones(predicted, truth, classes):
    assert find_false_cones(truth, predicted).class_id.tolist() == classes


def test_where_false_cones_are():
    found = find_false_cones(scene((YELLOW, 0, 0, 5, 5)), scene(
        (YELLOW, 0, 0, 5, 5), (BLUE, 10, 20, 15, 23), (BLUE, 40, 30, 44, 34)))
    assert (found.pixels.tolist(), found.middle.tolist()) == (
        [15, 16], [[21.0, 12.0], [31.5, 41.5]])


def test_flicker():
    counts = FlickerCounts()
    for height, flickers in ((9, True), (9, False), (15, False), (40, True)):
        counts.add_seen_around(height, flickers)
    for height, changes in ((15, True), (15, False), (15, False), (15, False)):
        counts.add_seen_twice(height, changes)
    report = counts.to_report()
    by_height = report.pop('by_height')
    assert report == {'seen_before_and_after': 4, 'flickering': 2, 'flicker_rate': 0.5,
                      'seen_twice': 4, 'class_changes': 1, 'class_change_rate': 0.25}
    assert [(row['flicker_rate'], row['class_change_rate']) for row in by_height.values()] == [
        (0.5, None), (0.0, 0.25), (None, None), (1.0, None)]
