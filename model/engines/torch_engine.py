# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reference engine: PyTorch in float32, on any CPU."""
from __future__ import annotations

from eunet_ros.model.checkpoint import Checkpoint
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.engines.base import EngineError, EngineOptions, HostEngine
from eunet_ros.model.engines.image_network import ImageNetwork
import numpy as np
import torch


class TorchEngine(HostEngine):
    """PyTorch eager, float32; every other engine is held to it."""

    name = 'torch'
    precisions = ('float32',)

    @classmethod
    def check_available(cls) -> None:
        """Do nothing: the package cannot be imported without PyTorch."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        super().__init__(checkpoint, options)
        if options.num_threads:
            torch.set_num_threads(options.num_threads)
        self._network = ImageNetwork(checkpoint).eval()

    @torch.inference_mode()
    def infer(self, batch: np.ndarray) -> np.ndarray:
        try:
            return self._network(torch.from_numpy(batch))[0].numpy()
        except RuntimeError as error:
            raise EngineError(f'PyTorch failed on the network: {one_line(error)}.') from error
