# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""GPUs compute the shipped weights in float16: simulated here, each layer's output is rounded."""
from functools import cache

from eunet_ros.model.checkpoint import available_weights, load_checkpoint
from eunet_ros.model.deploy import deploy, deploy_image
from eunet_ros.model.eunet import EUnet, Variant
from eunet_ros.training.renderer import render_scene
import numpy as np
import pytest
import torch

SIZE = (128, 224)
LIMIT = torch.finfo(torch.float16).max / 2


@cache
def images():
    """Return rendered scenes, and images that are not like any: (n, *SIZE, 3) uint8."""
    rng, rows, columns = np.random.default_rng(0), *np.indices(SIZE)
    strange = [np.full((*SIZE, 3), 255), rng.integers(0, 256, (*SIZE, 3)),
               255 * rng.integers(0, 2, (*SIZE, 3)),
               np.stack([255 * ((rows + k * columns) // 4 % 2) for k in range(3)], 2)]
    scenes = [render_scene(seed, *SIZE).image for seed in range(3)]
    return torch.from_numpy(np.stack([*scenes, *strange]).astype(np.uint8))


@cache
def outcome(name):
    """Return the masks in float32 and in float16, and the largest activation of any layer."""
    made, largest, half = load_checkpoint(name), {}, False
    network = deploy_image(made.network, made.mean, made.std)

    def look(layer, _, out):
        largest[layer] = max(largest.get(layer, 0.0), float(out.abs().max()))
        return out.half().float() if half else None
    for layer in network.network.children():  # logits have a limit of their own, see below
        for part in layer.modules():
            part.register_forward_hook(look)
    with torch.inference_mode():
        full = network(images()).argmax(1)
        half = True
        return full, network(images()).argmax(1), max(largest.values())


@pytest.mark.parametrize('name', available_weights())
def test_activations_stay_below_half_of_the_range(name):
    assert outcome(name)[2] < LIMIT


def test_logits_are_finite_in_float16():
    network = EUnet(2, Variant(4)).eval()
    with torch.no_grad():
        network.up1.up.bias.fill_(1e6)
        network.head.weight.fill_(1)
        x = torch.randn(1, 3, 16, 16)
        assert network(x).min() > 1e6
        assert deploy(network).half()(x.half()).isfinite().all()


@pytest.mark.parametrize('name', available_weights())
def test_masks_are_those_of_float32(name):
    full, half, _ = outcome(name)
    assert 0.001 < (full[:3] > 0).float().mean() < 0.5
    assert (full[:3] == half[:3]).float().mean() > 0.999  # rendered
    assert (full == half).float().mean() > 0.995
