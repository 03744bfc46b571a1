# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop's own part, for Lightning: loss, optimiser, validation."""
from __future__ import annotations

from typing import Any

from eunet_ros.model.checkpoint import Checkpoint, DEFAULT_MEAN, DEFAULT_STD, load_checkpoint
from eunet_ros.model.common.classes import ClassTable, IGNORE_ID
from eunet_ros.model.common.metrics.pixels import dice, iou, miou
from eunet_ros.model.eunet import EUnet, get_variant
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.losses import segmentation_loss, with_background
from eunet_ros.training.widening import widen
from lightning.pytorch import LightningModule
from lion_pytorch.foreach import Lion
import numpy as np
import torch
from torchmetrics.classification import MulticlassConfusionMatrix


def load_start(config: TrainConfig) -> Checkpoint | None:
    """Return the weights that a run starts from, if any; raises CheckpointError."""
    if not config.weights:
        return None
    return load_checkpoint(config.weights, '' if config.widen else config.variant)


def _start(config: TrainConfig, classes: ClassTable) -> EUnet:
    start = load_start(config)
    base = get_variant(config.variant)
    if start and not config.widen:
        base = start.network.variant
    network = EUnet(classes.num_logits, config.architecture(base))
    if start is None:
        return network
    if network.variant != base and not config.widen:
        raise ValueError(
            f'The weights {config.weights} have gate {base.gate}, attention {base.attention} and '
            f'norm {base.norm}: leave these three empty, or start without weights.')
    state = start.network.state_dict()
    if config.new_head:
        state.update({k: v for k, v in network.state_dict().items() if k.startswith('head.')})
    elif start.classes.names != classes.names:
        raise ValueError(
            f'The weights {config.weights} know the classes {", ".join(start.classes.names[:6])}, '
            f'not those of the data, {", ".join(classes.names[:6])}: start from others, or take '
            'all but their last layer with --new-head true.')
    if config.widen:
        widen(start.network, network)
    else:
        network.load_state_dict(state)
    return network


def _unit(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def packed_pixels(logits: torch.Tensor, target: torch.Tensor,
                  r: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return packed logits as (N·H·W/r², C, r²) and ids (N, H, W) as (N·H·W/r², r²)."""
    if r == 1:
        return logits, target
    n, height, width = target.shape
    target = target.reshape(n, height // r, r, width // r, r).transpose(2, 3)
    logits = logits.permute(0, 2, 3, 1)
    return logits.reshape(-1, logits.shape[-1] // r ** 2, r * r), target.reshape(-1, r * r)


class SegmentationTask(LightningModule):
    """Trains one network on (image uint8 RGB, ids) batches."""

    def __init__(self, config: TrainConfig, classes: ClassTable, weight: torch.Tensor) -> None:
        super().__init__()
        self.config, self.classes = config, classes
        network = _start(config, classes)
        self.register_buffer('weight', weight, False)  # of each class in the loss
        # channels_last: 1.7 times faster in training on a CPU with AVX-512.
        # train(): Lightning does not change modules that a checkpoint loads in eval mode.
        self.network = network.train().to(memory_format=torch.channels_last)
        self.register_buffer('mean', torch.tensor(DEFAULT_MEAN).view(1, 3, 1, 1), False)
        self.register_buffer('std', torch.tensor(DEFAULT_STD).view(1, 3, 1, 1), False)
        self.augmentation = None
        shares = config.light, config.blur, config.weather
        if any(shares):  # Kornia is imported only where it is used
            from eunet_ros.training.augmentation.on_batches import Augmentation
            self.augmentation = Augmentation(*shares)
        self.confusion = MulticlassConfusionMatrix(len(classes.names), ignore_index=IGNORE_ID)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(self._normalised(images))

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return ((_unit(images) - self.mean) / self.std).to(memory_format=torch.channels_last)

    def on_train_epoch_start(self) -> None:
        """Seed the augmentation by the epoch, so that a resumed run is the same."""
        torch.manual_seed(hash((self.config.seed, self.current_epoch, self.global_rank)))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        images, target = batch
        if self.augmentation:
            images = self.augmentation(_unit(images))
        x = self._normalised(images)
        if isinstance(self.network, EUnet):
            # The loss does not depend on the order of the pixels: logits need no unpacking.
            logits, target = packed_pixels(self.network.packed_logits(x), target,
                                           self.network.variant.stem)
        else:  # one to compare with
            logits = self.network(x)
        config = self.config
        return segmentation_loss(with_background(logits.float()), target, self.weight,
                                 config.dice_weight, config.color_weight, config.miss_weight)

    def on_train_batch_end(self, outputs: dict[str, torch.Tensor], batch: Any,
                           batch_idx: int) -> None:
        """Log the loss, averaged over processes at the steps that are written down."""
        loss = outputs['loss']
        if self.global_step % self.trainer.log_every_n_steps == 0:
            loss = self.trainer.strategy.reduce(loss, reduce_op='mean')
        self.log('loss', loss, prog_bar=True)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> None:
        images, target = batch
        self.confusion.update(with_background(self(images)).argmax(1), target)

    def on_validation_epoch_end(self) -> None:
        for name, value in self.scores().items():
            self.log(name, value, prog_bar=name in ('dice', 'miou'), sync_dist=True)
        self.confusion.reset()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint['eunet_scores'] = {k: float(v) for k, v in
                                      self.trainer.callback_metrics.items() if k != 'loss'}

    def scores(self) -> dict[str, float]:
        """Return dice, miou, and iou per class; 0 for a class in neither truth nor masks."""
        table, names = self.confusion.compute().cpu().numpy(), self.classes.names
        scores = {'dice': np.nan_to_num(dice(table)), 'miou': miou(table, len(names))}
        values = np.nan_to_num(iou(table, len(names)))
        scores.update({f'iou/{n}': v for n, v in zip(names[1:], values[1:])})
        return {k: float(v) for k, v in scores.items()}

    def configure_optimizers(self) -> dict[str, Any]:
        """Lion (Chen et al., arXiv:2302.06675) under One Cycle (Smith, arXiv:1708.07120)."""
        optimizer = Lion(self.network.parameters(), lr=self.config.lr,
                         weight_decay=self.config.weight_decay)
        steps = self.config.epochs * self.config.epoch_steps
        # It lowers Lion's beta1 from 0.95 to 0.85 while the rate rises, and back, as published.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.config.lr, total_steps=steps + 1, pct_start=self.config.warm_up)
        return {'optimizer': optimizer,
                'lr_scheduler': {'scheduler': schedule, 'interval': 'step'}}
