# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Light, blur and weather on whole batches, where the network is: on the GPU, through Kornia.

They leave the geometry alone, so the truth stays as it is; zoom, flip and colour are varied
before, when a crop is cut (see `on_crops`).
"""
from __future__ import annotations

from kornia import augmentation as kornia
import torch
from torch import nn


class Haze(kornia.IntensityAugmentationBase2D):
    """
    Blends the image with the grey of haze, more towards the top, where a camera on a car sees far.

    density: the range of the share of haze at the top of the image.
    """

    def __init__(self, density: tuple[float, float], p: float) -> None:
        super().__init__(p=p)
        self._param_generator = kornia.random_generator.PlainUniformGenerator(
            (density, 'density', None, None), ((0.55, 0.95), 'grey', None, None))

    def apply_transform(self, input: torch.Tensor, params: dict[str, torch.Tensor],  # noqa: A002
                        flags: dict, transform: torch.Tensor | None = None) -> torch.Tensor:
        """Return the hazy (B, 3, H, W); Kornia calls it."""
        density, grey = (params[name].to(input).view(-1, 1, 1, 1) for name in ('density', 'grey'))
        height = torch.linspace(1, 0.15, input.shape[2], device=input.device, dtype=input.dtype)
        return input + density * height.view(1, 1, -1, 1) * (grey - input)


class SoftRain(kornia.RandomRain):
    """Kornia's rain, through which one still sees."""

    def apply_transform(self, image: torch.Tensor, params: dict[str, torch.Tensor],
                        flags: dict, transform: torch.Tensor | None = None) -> torch.Tensor:
        """Return the rainy (B, 3, H, W); Kornia calls it."""
        drops = super().apply_transform(image, params, flags, transform)
        return torch.lerp(image, drops, 0.4)


# Each with its share of the images that its kind is chosen for.
_Steps = list[tuple[float, nn.Module]]


def _light() -> _Steps:
    """Temperature of the light (5,000 to 12,000 K), light from a side or on a spot."""
    return [
        (0.5, kornia.RandomPlanckianJitter('CIED', select_from=list(range(2, 17)), p=1.0)),
        (0.4, kornia.RandomLinearIllumination((0.05, 0.25), p=1.0)),
        (0.3, kornia.RandomGaussianIllumination((0.05, 0.25), p=1.0))]


def _weather() -> _Steps:
    return [(0.4, SoftRain((100, 500), (5, 16), (-3, 3), p=1.0)),
            (0.7, Haze((0.15, 0.6), p=1.0))]


def _blur() -> _Steps:
    """Motion, defocus, and the noise of a short exposure."""
    return [
        (0.4, kornia.RandomMotionBlur((3, 7), (-180.0, 180.0), (-0.5, 0.5), 'reflect', p=1.0)),
        (0.4, kornia.RandomGaussianBlur((5, 5), (0.3, 1.3), p=1.0)),
        (0.5, kornia.RandomGaussianNoise(std=0.02, p=1.0))]


class Augmentation(nn.Module):
    """
    Varies images (N, 3, H, W) float32 RGB from 0 to 1; the result has that shape and range.

    light, blur, weather: the share of images that each kind may change, 0 to 1; 0 leaves it out.
    What happens follows from PyTorch's seed alone.
    """

    def __init__(self, light: float, blur: float, weather: float) -> None:
        super().__init__()
        self.kinds = [(share, make()) for share, make in (
            (light, _light), (weather, _weather), (blur, _blur)) if share]

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the varied images."""
        # In mixed precision a blur would be in bfloat16, which has fewer levels than a pixel.
        with torch.autocast(images.device.type, enabled=False):
            return self._vary(images.clone())

    def _vary(self, images: torch.Tensor) -> torch.Tensor:
        count = len(images)
        for share, steps in self.kinds:
            chosen = torch.rand(count) < share  # on the CPU: the GPU is not waited for
            for own_share, step in steps:
                # Chosen here, and not by Kornia: some of its versions fail where none is.
                numbers = (chosen & (torch.rand(count) < own_share)).nonzero().flatten()
                if len(numbers):
                    numbers = numbers.to(images.device, non_blocking=True)
                    images[numbers] = step(images[numbers])
        return images.clamp_(0, 1)
