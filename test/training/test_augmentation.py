# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Light, blur and weather of whole batches."""
from dataclasses import replace

import pytest

pytest.importorskip('lightning', reason='lightning is not installed')
pytest.importorskip('kornia', reason='kornia is not installed')

from eunet_ros.model.common.classes import cone_classes  # noqa: E402,I100
from eunet_ros.training.augmentation.on_batches import Augmentation, Haze  # noqa: E402
from eunet_ros.training.config import TrainConfig  # noqa: E402
from eunet_ros.training.task import SegmentationTask  # noqa: E402
import torch  # noqa: E402

KINDS = [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]


@pytest.fixture
def images():
    torch.manual_seed(5)
    # Not too rough: blur shall change them, but not to something else.
    return torch.nn.functional.interpolate(torch.rand(6, 3, 8, 12), (64, 96), mode='bilinear')


@pytest.mark.parametrize('shares', KINDS)
def test_each_kind_varies_images_and_follows_the_seed(images, shares):
    kind, before = Augmentation(*shares), images.clone()
    torch.manual_seed(1)
    one = kind(images)
    assert torch.equal(images, before)  # the batch itself is left alone
    assert one.shape == images.shape and one.dtype == torch.float32
    assert 0 <= float(one.min()) and float(one.max()) <= 1
    changed = (one != images).flatten(1).any(1)
    assert changed.sum() >= 2
    assert (one - images).abs().mean() < 0.25  # cones can still be seen
    torch.manual_seed(1)
    assert torch.equal(kind(images), one)
    assert not torch.equal(kind(images), one)


def test_shares(images):
    assert torch.equal(Augmentation(0.0, 0.0, 0.0)(images), images)
    torch.manual_seed(0)
    seen = torch.stack([(Augmentation(0.0, 0.3, 0.0)(images) != images).flatten(1).any(1)
                        for _ in range(20)])
    # Of the 30 % that are chosen, one in six gets neither motion, defocus nor noise.
    assert 0.1 < seen.float().mean() < 0.4


@pytest.mark.parametrize('shares', [*KINDS, (0.3, 0.2, 0.1)])
def test_any_number_of_images_can_be_chosen(images, shares):
    kind = Augmentation(*shares)
    for seed in range(40):
        torch.manual_seed(seed)
        assert bool(kind(images[:seed % 3]).isfinite().all())


def test_haze_by_hand():
    torch.manual_seed(0)
    haze, x = Haze((0.5, 0.5), p=1.0), torch.zeros(1, 3, 10, 4)
    y = haze(x)[0, 0, :, 0]
    grey = float(haze._params['grey'])
    assert 0.55 <= grey <= 0.95
    assert y[0] == pytest.approx(0.5 * grey) and y[-1] == pytest.approx(0.5 * 0.15 * grey)


def test_mixed_precision_does_not_reach_the_pixels(images):
    kind, results = Augmentation(1.0, 1.0, 1.0), []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            results.append(kind(images))
    assert results[1].dtype == torch.float32 and torch.equal(*results)


def test_it_is_for_training_alone():
    config = replace(TrainConfig(), light=1.0, crop_height=64, crop_width=96)
    torch.manual_seed(0)
    task = SegmentationTask(config, cone_classes(), torch.ones(6))
    seen = []
    task.augmentation.register_forward_hook(lambda *a: seen.append(a[2]))
    batch = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8), torch.zeros(
        2, 64, 96, dtype=torch.long)
    task.validation_step(batch, 0)
    assert not seen
    task.training_step(batch, 0)
    assert len(seen) == 1 and 0 <= float(seen[0].min()) <= float(seen[0].max()) <= 1
    assert SegmentationTask(replace(config, light=0.0), cone_classes(),
                            torch.ones(6)).augmentation is None
