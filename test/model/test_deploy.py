# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The rewrites for inference compute what the network does."""
from dataclasses import replace
from itertools import product

from eunet_ros.model.blocks import ATTENTIONS, GATES, NORMS
from eunet_ros.model.checkpoint import random_checkpoint
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.deploy import deploy, deploy_image, Hardswish
from eunet_ros.model.engines.torch_engine import ImageNetwork
from eunet_ros.model.eunet import EUnet, Variant, VARIANTS
import pytest
import torch
from torch import nn


def lively(network):
    """Give every bias and every statistic a value that matters, as after training."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
        for name, parameter in module.named_parameters(recurse=False):
            if name == 'bias':
                nn.init.normal_(parameter, 0, 0.3)
            elif parameter.ndim == 1:
                nn.init.uniform_(parameter, 0.5, 1.5)
    return network.eval()


def largest_difference(network, size):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = network(x), deploy(network)(x)
    assert expected.abs().max() > 0.1
    return float((expected - found).abs().max() / expected.abs().max().clamp(min=1))


@pytest.mark.parametrize('classes', [1, 6])
@pytest.mark.parametrize('name', VARIANTS)
def test_every_variant(name, classes):
    network = lively(EUnet(classes, VARIANTS[name]))
    assert largest_difference(network, (32, 64)) < 1e-4


@pytest.mark.parametrize(('gate', 'attention', 'norm'), list(product(GATES, ATTENTIONS, NORMS)))
@pytest.mark.parametrize('stem', [1, 2, 4])
def test_every_option(stem, gate, attention, norm):
    network = lively(EUnet(6, Variant(16, stem, gate, attention, norm)))
    assert largest_difference(network, (64, 96)) < 1e-4


@pytest.mark.parametrize('name', VARIANTS)
def test_from_the_image_on(name):
    checkpoint = random_checkpoint(name, cone_classes(), (32, 64))
    lively(checkpoint.network)
    image = torch.randint(0, 256, (2, 32, 64, 3), dtype=torch.uint8,
                          generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = ImageNetwork(checkpoint).eval()(image)
        found = deploy_image(checkpoint.network, checkpoint.mean, checkpoint.std)(image)
    assert (expected - found).abs().max() < 1e-4 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize('kind', [torch.float32, torch.float16, torch.bfloat16])
def test_hardswish(kind):
    x = torch.cat((torch.linspace(-8, 8, 4001), torch.tensor([-6e4, -2e4, 2e4, 6e4]))).to(kind)
    expected, found = nn.Hardswish()(x.double()), Hardswish()(x).double()
    # Two roundings, of the gate and of the product; up to the largest numbers of the type.
    assert ((expected - found).abs() <= 2 * torch.finfo(kind).eps * x.double().abs()).all()
    assert (found[-2:] == x[-2:].double()).all() and (found[-4:-2] == 0).all()


def test_no_activation_is_left_that_tensorrt_has_not():
    deployed = deploy(EUnet(6, VARIANTS['eunet_n']).eval())
    assert not any(isinstance(module, nn.Hardswish) for module in deployed.modules())
    assert sum(isinstance(module, Hardswish) for module in deployed.modules()) == 18


def test_shipped_weights():
    from eunet_ros.model import load_checkpoint
    assert largest_difference(load_checkpoint('eunet_n').network, (96, 160)) < 1e-4


def test_the_network_itself_is_left_alone():
    network = lively(EUnet(6, replace(VARIANTS['eunet'], width=8)))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    deployed = deploy(network)
    for parameter in deployed.parameters():
        parameter.zero_()
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_nothing_as_wide_as_the_stem_is_made_at_its_resolution():
    deployed = deploy(EUnet(6).eval())
    shapes = []
    for module in deployed.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, out: shapes.append(tuple(out.shape)))
    deployed(torch.zeros(1, 3, 32, 64))
    assert max(shape[1] for shape in shapes if shape[2:] == (32, 64)) == 6
    assert not any(isinstance(m, nn.BatchNorm2d) for m in deployed.modules())
