# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One step of the original EUnet project's recipe against one written out by hand."""
import math

import pytest

pytest.importorskip('lightning', reason='lightning is not installed')

from eunet_ros.model.checkpoint import DEFAULT_MEAN, DEFAULT_STD  # noqa: E402,I100
from eunet_ros.model.common.classes import BINARY_CLASSES  # noqa: E402
from eunet_ros.model.common.resources import share_file  # noqa: E402
from eunet_ros.training.config import parse_command_line  # noqa: E402
from eunet_ros.training.task import SegmentationTask  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402


def lion(parameter, gradient, momentum, lr, decay, beta1, beta2=0.99):
    """Chen et al., arXiv:2302.06675, algorithm 2."""
    update = torch.sign(beta1 * momentum + (1 - beta1) * gradient)
    return (parameter - lr * (update + decay * parameter),
            beta2 * momentum + (1 - beta2) * gradient)


def one_cycle(step, steps, top, rise=0.3):
    """
    Return the rate and beta1 while the rate rises, from top / 25 along a cosine.

    Smith and Topin, arXiv:1708.07120: momentum falls while the rate rises.
    """
    peak = rise * steps - 1
    assert step < peak
    share = (1 - math.cos(math.pi * step / peak)) / 2
    return top / 25 + (top - top / 25) * share, 0.95 - 0.1 * share


def test_two_steps_of_the_original_recipe():
    config = parse_command_line(['--config', str(share_file('config/training/original.yaml'))])
    torch.manual_seed(0)
    task = SegmentationTask(config, BINARY_CLASSES, torch.ones(2))
    told = task.configure_optimizers()
    optimizer, schedule = told['optimizer'], told['lr_scheduler']['scheduler']
    parameters = dict(task.network.named_parameters())
    momenta = {name: torch.zeros_like(p) for name, p in parameters.items()}
    steps = config.epochs * config.epoch_steps + 1
    assert steps == 17001
    for step in range(2):
        images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
        target = torch.randint(0, 2, (2, 32, 32))
        x = (images.float() / 255 - torch.tensor(DEFAULT_MEAN).view(3, 1, 1)) / torch.tensor(
            DEFAULT_STD).view(3, 1, 1)
        optimizer.zero_grad()
        loss = task.training_step((images, target), step)
        expected = functional.binary_cross_entropy_with_logits(
            task.network(x)[:, 0], target.float())
        assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
        loss.backward()
        lr, beta1 = one_cycle(step, steps, 1e-4)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(lr, rel=1e-6)
        wanted = {}
        for name, p in parameters.items():
            wanted[name], momenta[name] = lion(p.detach(), p.grad, momenta[name], lr, 1e-2, beta1)
        optimizer.step()
        schedule.step()
        for name, p in parameters.items():
            torch.testing.assert_close(p.detach(), wanted[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize('name', ['fsoco', 'coco', 'original', 'synthetic', 'synthetic_fine'])
def test_configurations_are_valid(name):
    config = parse_command_line(['--config', str(share_file(f'config/training/{name}.yaml'))])
    assert config.output == f'runs/{name}'
