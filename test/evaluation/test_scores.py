# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores against hand-made tables and TorchMetrics."""

from eunet_ros.evaluation.scoring.pixel_scores import Confusion
import numpy as np
import pytest


def confusion(truth, predicted, num_classes=3):
    scores = Confusion(num_classes)
    scores.add(np.array(truth, np.uint8), np.array(predicted, np.uint8))
    return scores


@pytest.mark.parametrize(('truth', 'predicted', 'dice', 'iou', 'miou'), [
    ([[0, 1, 2]], [[0, 1, 2]], 1.0, [1.0, 1.0, 1.0], 1.0),
    ([[0, 1, 2]], [[0, 1, 1]], 1.0, [1.0, 0.5, 0.0], 0.25),     # a cone is a cone for Dice
    ([[0, 0, 1, 1]], [[0, 1, 1, 0]], 0.5, [1 / 3, 1 / 3, None], 1 / 3),
    ([[0, 0]], [[0, 0]], None, [1.0, None, None], None),        # nothing there, nothing found
    ([[0, 0]], [[0, 2]], 0.0, [0.5, None, 0.0], None),          # invented: no class in the truth
    ([[1, 1]], [[0, 0]], 0.0, [0.0, 0.0, None], 0.0),
    ([[1, 255, 255]], [[1, 2, 0]], 1.0, [None, 1.0, None], 1.0),  # 255 is ignored
    ([[1, 1]], [[1, 9]], 1.0, [None, 0.5, None], 0.5),          # an id that is no class
    ([[255, 255]], [[1, 0]], None, [None, None, None], None),
])
def test_tables(truth, predicted, dice, iou, miou):
    scores = confusion(truth, predicted)
    assert scores.dice() == (None if dice is None else pytest.approx(dice))
    assert scores.iou() == [None if v is None else pytest.approx(v) for v in iou]
    assert scores.miou() == (None if miou is None else pytest.approx(miou))


def test_frames_add_up():
    scores = confusion([[1, 0, 0, 0]], [[1, 0, 0, 0]])
    scores.add(np.array([[1, 1, 1, 0]]), np.array([[0, 0, 1, 0]]))
    assert scores.dice() == pytest.approx(2 * 2 / (2 * 2 + 2))


def test_sizes_differ():
    with pytest.raises(ValueError, match=r'\(1, 2\), found \(2, 1\)'):
        confusion([[0, 0]], [[0], [0]])


def test_report():
    report = confusion([[0, 1, 1, 1]], [[0, 1, 1, 0]]).report(['background', 'blue', 'yellow'])
    assert report == {'dice': 0.8, 'iou': {'blue': 0.6667, 'yellow': None}, 'miou': 0.6667}


def test_against_torchmetrics():
    torch = pytest.importorskip('torch')
    classification = pytest.importorskip('torchmetrics.classification')
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 3, 4, 5, 255], (4, 30, 40), p=[.5, .1, .1, .1, .05, .05, .1])
    predicted = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 6, truth.shape))
    predicted = np.where(predicted == 255, 0, predicted)
    ours = Confusion(6)
    jaccard = classification.MulticlassJaccardIndex(6, average=None, ignore_index=255)
    f1 = classification.BinaryF1Score(ignore_index=255)
    for t, p in zip(truth, predicted):
        ours.add(t.astype(np.uint8), p.astype(np.uint8))
        jaccard.update(torch.tensor(p), torch.tensor(t))
        f1.update(torch.tensor((p > 0) * 1), torch.tensor(np.where(t == 255, 255, t > 0)))
    np.testing.assert_allclose(ours.iou(), jaccard.compute().numpy(), atol=1e-6)
    assert ours.dice() == pytest.approx(float(f1.compute()), abs=1e-6)
    assert ours.miou() == pytest.approx(float(jaccard.compute()[1:].mean()), abs=1e-6)
