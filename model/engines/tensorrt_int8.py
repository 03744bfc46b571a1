# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Int8 for TensorRT, by NVIDIA's Model Optimizer (ModelOpt) after training.

It inserts operations that round as TensorRT does, so that the effect can be tested on any machine.
"""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, redirect_stdout
import io
from typing import Any
import warnings

from eunet_ros.model.common.errors import one_line
from eunet_ros.model.engines.base import EngineError, fitted
import numpy as np
import torch
from torch import nn


def _modelopt() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of what it has for language models
            from modelopt.torch import quantization
    except (ImportError, OSError) as error:
        # Some of its versions need the other two without saying so.
        raise EngineError(
            f'int8 for TensorRT needs the ModelOpt library ({one_line(error)}); install it with: '
            'pip install nvidia-modelopt requests huggingface_hub.') from error
    return quantization


def export_mode() -> AbstractContextManager[None]:
    """Return the context in which a quantised network is exported."""
    _modelopt()
    from modelopt.torch.quantization.utils import export_torch_mode
    return export_torch_mode()


def quantised(network: nn.Module, images: Sequence[np.ndarray],
              size: tuple[int, int]) -> nn.Module:
    """
    Return the network with its dense convolutions in simulated int8; raises EngineError.

    Depthwise convolutions stay: they are limited by memory bandwidth.
    """
    quantization = _modelopt()
    device = next(network.parameters()).device
    depthwise = {name for name, layer in network.named_modules()
                 if isinstance(layer, nn.Conv2d) and layer.groups > 1}

    def show(model: nn.Module) -> None:
        for image in images:
            model(torch.from_numpy(fitted(image, size)).to(device))
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter('ignore')
            network = quantization.quantize(network, quantization.INT8_DEFAULT_CFG, show)
            quantization.disable_quantizer(
                network, lambda name: name.rpartition('.')[0] in depthwise)
    except Exception as error:  # it has many of its own
        raise EngineError(
            f'ModelOpt could not quantise the network: {one_line(error)}.') from error
    return network
