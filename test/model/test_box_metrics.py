# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Metrics of labelled boxes on small masks, with results computed by hand."""
from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.model.common.metrics.boxes import (
    box_outcomes,
    box_row,
    count_boxes,
    count_false_cones,
    NOT_SAID,
)
from eunet_ros.model.common.metrics.cones import HEIGHT_BINS, part_boxes
import numpy as np
import pytest

BLUE, YELLOW, ORANGE = 1, 2, 3


def scene(*boxes, size=(100, 100)):
    """Return a mask with (class, u0, v0, u1, v1) painted in it."""
    mask = np.zeros(size, np.uint8)
    for class_id, u0, v0, u1, v1 in boxes:
        mask[v0:v1, u0:u1] = class_id
    return mask


def outcomes(labels, mask, predicted=None):
    """Return the outcomes of labels, rows of class, u0, v0, u1, v1; parts are predicted boxes."""
    table = np.array(labels, float).reshape(-1, 5)
    return box_outcomes(table[:, 1:], table[:, 0].astype(int), mask, part_boxes(mask)
                        if predicted is None else np.array(predicted).reshape(-1, 4))


@pytest.mark.parametrize('rows, touched', [(3, True), (2, False)])
def test_touched_from_15_percent_on(rows, touched):
    mask = scene((YELLOW, 10, 20, 30, 20 + rows), (BLUE, 60, 60, 90, 90))  # 20 columns of 20 rows
    assert outcomes([(BLUE, 10, 20, 30, 40)], mask).touched.tolist() == [touched]


def test_pixels_of_a_box_are_all_that_it_reaches():
    mask = scene((BLUE, 10, 10, 11, 20))  # one column in 7 is 14 %, in 6 17 %
    assert not outcomes([(BLUE, 10, 10, 16.1, 20)], mask).touched[0]
    assert outcomes([(BLUE, 10, 10, 16.004, 20)], mask).touched[0]  # rounded coordinates
    assert outcomes([(BLUE, -50, 10, 16, 20)], scene((BLUE, 0, 10, 3, 20))).touched[0]  # cut


@pytest.mark.parametrize('height, found', [(7, True), (5, False)])
def test_found_from_an_iou_of_30_percent_on(height, found):
    mask = scene((YELLOW, 10, 20, 30, 20 + height))  # IoU of 0.35 and 0.25; the class is no matter
    assert outcomes([(BLUE, 10, 20, 30, 40)], mask).found.tolist() == [found]


def test_each_predicted_box_finds_one_label_the_nearest():
    labels = [(BLUE, 10, 10, 30, 30), (BLUE, 12, 10, 32, 30)]
    mask = scene((BLUE, 12, 10, 32, 30))
    assert outcomes(labels, mask).found.tolist() == [False, True]
    both = [(12, 10, 32, 30), (16, 10, 36, 30)]
    assert outcomes(labels, mask, both).found.tolist() == [True, True]
    assert outcomes(labels, mask, []).found.tolist() == [False, False]
    # Two cones that touch in the mask are one part: the lower IoU is missed.
    touching = [(BLUE, 10, 10, 20, 30), (BLUE, 20, 16, 30, 30)]
    mask = scene(*touching)
    assert outcomes(touching, mask).found.tolist() == [True, False]
    assert outcomes(touching, mask).touched.all()


def test_class_is_the_majority_of_cone_classes_in_the_box():
    label = [(BLUE, 0, 0, 20, 20)]
    assert outcomes(label, scene((BLUE, 0, 0, 8, 20))).taken_for[0] == BLUE  # most is background
    mixed = scene((BLUE, 0, 0, 8, 10), (ORANGE, 8, 0, 17, 10), (YELLOW, 20, 0, 60, 60))
    assert outcomes(label, mixed).taken_for[0] == ORANGE                     # yellow is outside
    level = scene((BLUE, 0, 0, 8, 10), (ORANGE, 8, 0, 16, 10))
    assert outcomes(label, level).taken_for[0] == ORANGE
    assert outcomes(label, scene()).taken_for[0] == 0


def test_counts_by_height_and_ratios():
    labels = [(BLUE, 0, 0, 10, 9.99), (BLUE, 0, 20, 10, 30), (NOT_SAID, 20, 0, 40, 39.9),
              (YELLOW, 50, 0, 80, 40), (YELLOW, 50, 60, 80, 130)]
    mask = scene((YELLOW, 0, 20, 10, 30), (BLUE, 20, 0, 40, 40), (YELLOW, 50, 0, 80, 40))
    counts = count_boxes(outcomes(labels, mask))
    assert dict(zip(HEIGHT_BINS, counts.tolist())) == {
        '<10': [1, 0, 0, 0, 0], '10-19': [1, 1, 1, 1, 0], '20-39': [1, 1, 1, 0, 0],
        '>=40': [2, 1, 1, 1, 1]}  # the last label is cut to 40 px by the image
    assert box_row(counts.sum(0)) == {
        'boxes': 5, 'touched': 3, 'touched_rate': 0.6, 'found': 3, 'found_rate': 0.6,
        'class_known': 2, 'class_right': 1, 'class_right_rate': 0.5}
    assert box_row(counts[0])['class_right_rate'] is None


def false_cones(labels, mask):
    table = np.array(labels, float).reshape(-1, 5)
    return count_false_cones(table[:, 1:], table[:, 0].astype(int), mask)


def test_false_cones_lie_beside_all_labels():
    mask = scene((BLUE, 10, 10, 20, 20), (BLUE, 40, 40, 50, 50), (BLUE, 80, 80, 82, 82))
    assert false_cones([], mask) == 2                              # four pixels are too few
    assert false_cones([(YELLOW, 18, 10, 28, 20)], mask) == 1      # a fifth of it is on a cone
    assert false_cones([(YELLOW, 19.5, 10, 28, 10.5)], mask) == 2  # a hundredth is


def test_regions_to_ignore_are_neither_cones_nor_false():
    mask = scene((BLUE, 10, 10, 20, 20))
    region = [(IGNORE_ID, 5, 5, 30, 30)]
    assert false_cones(region, mask) == 0
    assert count_boxes(outcomes(region, mask)).sum() == 0
    assert outcomes([*region, (BLUE, 10, 10, 20, 20)], mask).found.tolist() == [True]


def test_part_boxes():
    mask = scene((BLUE, 10, 20, 13, 25), (YELLOW, 13, 25, 15, 26), (BLUE, 90, 0, 100, 1))
    assert sorted(part_boxes(mask).tolist()) == [[10, 20, 15, 26], [90, 0, 100, 1]]
    assert part_boxes(scene()).shape == (0, 4)
