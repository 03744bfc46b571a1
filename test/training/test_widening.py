# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

from eunet_ros.model.blocks import LKA
from eunet_ros.model.eunet import EUnet, Variant
from eunet_ros.training.widening import widen
import pytest
import torch
import torch.nn.functional as F

NARROW = Variant(width=4, stem=4, gate='sigmoid')


def lively(network):
    """Give a network weights and statistics none of which is a default."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith('running_var'):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.3)
    return network.eval()


@pytest.mark.parametrize('attention', ['lka', 'lska'])
@pytest.mark.parametrize('width', [5, 8])
def test_the_wider_network_computes_the_same(width, attention):
    torch.manual_seed(0)
    narrow = lively(EUnet(6, replace(NARROW, attention=attention)))
    wide = EUnet(6, replace(narrow.variant, width=width))
    fresh = {k: v.clone() for k, v in wide.state_dict().items()}
    widen(narrow, wide)
    x = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected, found = narrow(x), wide.eval()(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    # The new channels are alive, or training could not use them.
    kept = wide.down1.block[2].depthwise.weight[2 * NARROW.width:]
    assert torch.equal(kept, fresh['down1.block.2.depthwise.weight'][2 * NARROW.width:])
    assert kept.abs().min() > 0


def test_new_channels_learn():
    torch.manual_seed(0)
    narrow, wide = EUnet(2, NARROW), EUnet(2, replace(NARROW, width=6))
    widen(narrow, wide)
    wide(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert wide.head.weight.grad[:, NARROW.width:6].abs().max() > 0


def test_full_resolution_starts_with_what_the_magnified_image_gives():
    torch.manual_seed(0)
    narrow = lively(EUnet(6, NARROW))
    with torch.no_grad():  # a kernel of more pixels has no equal on the small image
        narrow.stem.depthwise.weight[:, 0].mul_(torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]]))
        narrow.stem.depthwise.bias.zero_()
    for stem in (1, 2):
        wide = EUnet(6, replace(NARROW, width=6, stem=stem))
        widen(narrow, wide)
        x = torch.randn(1, 3, 16, 32)
        magnified = x.repeat_interleave(4 // stem, 2).repeat_interleave(4 // stem, 3)
        with torch.no_grad():
            expected = F.avg_pool2d(narrow(magnified), 4 // stem)
            torch.testing.assert_close(wide.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_another_gate_starts_constant():
    narrow, wide = EUnet(6, NARROW), EUnet(6, replace(NARROW, width=6, gate='product'))
    widen(narrow, wide)
    gates = [layer for layer in wide.modules() if isinstance(layer, LKA)]
    assert len(gates) == 6
    for layer in gates:
        torch.nn.init.zeros_(layer.dilated.weight)
        x = torch.randn(1, layer.pointwise.in_channels, 8, 8)
        torch.testing.assert_close(layer.eval()(x), 0.5 * x)


@pytest.mark.parametrize(('classes', 'change'), [
    (6, {'width': 3}), (6, {'width': 4}), (6, {'width': 8, 'attention': 'lska'}),
    (6, {'width': 8, 'norm': 'group'}), (2, {'width': 8})])
def test_other_networks_are_refused(classes, change):
    with pytest.raises(ValueError, match='narrower network with the same or a coarser stem'):
        widen(EUnet(6, NARROW), EUnet(classes, replace(NARROW, **change)))
    with pytest.raises(ValueError, match='coarser stem'):
        widen(EUnet(6, replace(NARROW, stem=1)), EUnet(6, replace(NARROW, width=8)))
