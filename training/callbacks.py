# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run watches beside learning: whether it waits for data, and whether it diverged."""
from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

_CHECK_EVERY = 25  # steps; looking at the loss waits for a GPU


class DataWait(Callback):
    """
    Measures the share of the time of steps in which the loop waited for a batch.

    The first batches, for which processes have to start, do not count.
    """

    _SKIPPED = 5

    def __init__(self) -> None:
        self.waited = self.worked = 0.0
        self._seen, self._mark = 0, 0.0

    @property
    def share(self) -> float | None:
        """Return the share, None before it is known."""
        total = self.waited + self.worked
        return self.waited / total if total else None

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start anew: loading starts here."""
        self._seen = 0

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any,
                             batch_idx: int) -> None:
        """Count the time since the last step's end as waiting."""
        now = time.perf_counter()
        if self._seen >= self._SKIPPED:
            self.waited += now - self._mark
        self._mark = now

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any,
                           batch: Any, batch_idx: int) -> None:
        """Count the time of the step."""
        now = time.perf_counter()
        if self._seen >= self._SKIPPED:
            self.worked += now - self._mark
        self._seen, self._mark = self._seen + 1, now


class StopAtNan(Callback):
    """Ends a run whose loss is not finite with a sentence, before its weights are saved."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, outputs: Any,
                           batch: Any, batch_idx: int) -> None:
        """Look at the loss now and then, and before each validation."""
        if trainer.global_step % _CHECK_EVERY and not trainer.is_last_batch:
            return
        if not outputs['loss'].isfinite():
            raise ValueError(
                f'The loss is not finite at step {trainer.global_step}: lower lr, or set '
                'gradient_clip; what was saved before is kept.')
