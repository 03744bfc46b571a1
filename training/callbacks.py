# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lightning callbacks of a run: averaged weights, checks of the loss, checkpoints, pictures."""
from __future__ import annotations

import io
from pathlib import Path
import signal
from typing import Any

import cv2
from eunet_ros.model.common.files import written_beside
from eunet_ros.training.losses import with_background
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
import numpy as np
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

_PANEL_ROWS = 4
_CHECK_EVERY = 25  # steps; looking at the loss waits for a GPU


class EmaWeights(WeightAveraging):
    """Validates and saves a moving average of the weights; see `ramped_decay`."""

    def __init__(self, decay: float) -> None:
        self._decay, self._step = decay, 0
        super().__init__(multi_avg_fn=self._average)

    def _average(self, means: list[torch.Tensor], values: list[torch.Tensor],
                 count: torch.Tensor) -> None:
        # Not by `count`, which is on the device.
        get_ema_multi_avg_fn(ramped_decay(self._decay, self._step))(means, values, count)

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        if step_idx is not None:
            self._step = step_idx
        return step_idx is not None


def ramped_decay(decay: float, updates: int) -> float:
    return min(decay, (1 + updates) / (10 + updates))  # forgets the random start early


class StopAtNan(Callback):
    """Stops a run whose loss is not finite, before its weights are saved."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any,
                           batch: Any, batch_idx: int) -> None:
        if trainer.global_step % _CHECK_EVERY and not trainer.is_last_batch:
            return
        finite = bool(outputs['loss'].isfinite())
        if not trainer.strategy.reduce_boolean_decision(finite, all=True):
            raise ValueError(
                f'The loss is not finite at step {trainer.global_step}: lower lr, or set '
                'gradient_clip; earlier checkpoints are kept.')


class EndAtSigterm(Callback):
    """
    Ends a run of several processes at SIGTERM as at Ctrl+C.

    Lightning's handler broadcasts from within a step, and waits forever if the other process is
    then in another operation. It is installed before `on_train_start`.
    """

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, signal.default_int_handler)


class BesideCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file and renames it: a kill leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path,
                        storage_options: Any | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # writing by PyTorch raises RuntimeError on a full disk
        torch.save(checkpoint, content)
        with written_beside(path) as beside:  # after an error, getbuffer crashes Python 3.12.1
            beside.write_bytes(content.getvalue())


class RunCheckpoint(ModelCheckpoint):
    """Finds the best weights also after the run's folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(self.dirpath) / Path(path).name) if path else path

        names = ('best_model_path', 'kth_best_model_path', 'last_model_path')
        super().load_state_dict({
            **state_dict, **{name: here(state_dict.get(name, '')) for name in names},
            'dirpath': self.dirpath,
            'best_k_models': {here(k): v for k, v in state_dict['best_k_models'].items()}})


def compose(images: torch.Tensor, truth: torch.Tensor, predicted: torch.Tensor,
            table_bgr: np.ndarray) -> np.ndarray:
    """Return rows of image (N, 3, h, w) RGB, truth and prediction (N, h, w), as BGR."""
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
        images, truth = (part[:_PANEL_ROWS] for part in batch)
        with torch.no_grad():
            predicted = with_background(module(images)).argmax(1)
        panel = compose(images, truth, predicted, module.classes.table_bgr)
        with written_beside(self._path) as beside:
            beside.write_bytes(cv2.imencode('.png', panel)[1].tobytes())
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image('validation', panel[..., ::-1].copy(),
                                            trainer.global_step, dataformats='HWC')
