# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network sees, as a picture, after every validation."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
from eunet_ros.model.common.files import written_beside
from eunet_ros.training.losses import with_background
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
import numpy as np
import torch

_ROWS = 4


def compose(images: torch.Tensor, truth: torch.Tensor, predicted: torch.Tensor,
            table_bgr: np.ndarray) -> np.ndarray:
    """Return rows of image (N, 3, h, w) RGB, truth and prediction (N, h, w), as (H, W, 3) BGR."""
    bgr = images.permute(0, 2, 3, 1).cpu().numpy()[..., ::-1]
    columns = [bgr]
    for ids in (truth, predicted):
        ids = ids.cpu().numpy().astype(np.uint8)
        columns.append(np.where(ids[..., None] > 0, table_bgr[ids], bgr // 2))
    return np.concatenate(np.concatenate(columns, axis=2), axis=0)


class Panels(Callback):
    """Draws the first images of the validation into panel.png of the run, and into TensorBoard."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / 'panel.png'

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any,
                                batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        if batch_idx or not trainer.is_global_zero:
            return
        images, truth = (part[:_ROWS] for part in batch)
        with torch.no_grad():
            predicted = with_background(module(images)).argmax(1)
        panel = compose(images, truth, predicted, module.classes.table_bgr)
        with written_beside(self._path) as beside:
            beside.write_bytes(cv2.imencode('.png', panel)[1].tobytes())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image('validation', panel[..., ::-1].copy(),
                                            trainer.global_step, dataformats='HWC')
