# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Light, blur and weather on whole batches through Kornia, on the GPU where there is one.

Geometry and plain changes of colour are in `on_crops`. Shares: config.py; used by task.py.
"""
from __future__ import annotations

from kornia import augmentation as kornia
import torch
from torch import nn


class Haze(kornia.IntensityAugmentationBase2D):
    """Blends the image with grey, most at its top; density: the range of the share there."""

    def __init__(self, density: tuple[float, float], p: float) -> None:
        super().__init__(p=p)
        self._param_generator = kornia.random_generator.PlainUniformGenerator(
            (density, 'density', None, None), ((0.55, 0.95), 'grey', None, None))

    def apply_transform(self, input: torch.Tensor, params: dict[str, torch.Tensor],  # noqa: A002
                        flags: dict, transform: torch.Tensor | None = None) -> torch.Tensor:
        density, grey = (params[name].to(input).view(-1, 1, 1, 1) for name in ('density', 'grey'))
        height = torch.linspace(1, 0.15, input.shape[2], device=input.device, dtype=input.dtype)
        return input + density * height.view(1, 1, -1, 1) * (grey - input)


class SoftRain(kornia.RandomRain):
    """Kornia's rain at 40 % opacity."""

    def apply_transform(self, image: torch.Tensor, params: dict[str, torch.Tensor],
                        flags: dict, transform: torch.Tensor | None = None) -> torch.Tensor:
        drops = super().apply_transform(image, params, flags, transform)
        return torch.lerp(image, drops, 0.4)


class Augmentation(nn.Module):
    """Varies shares of images (N, 3, H, W) float32 RGB from 0 to 1, by PyTorch's seed."""

    def __init__(self, light: float, blur: float, weather: float) -> None:
        super().__init__()
        shares = {'light': light, 'weather': weather, 'blur': blur}
        # Operations by kind, each with its share of the images that the kind changes.
        kinds = {
            'light': [  # temperature (5,000 to 12,000 K), from a side, on a spot
                (0.5, kornia.RandomPlanckianJitter('CIED', select_from=list(range(2, 17)), p=1.0)),
                (0.4, kornia.RandomLinearIllumination((0.05, 0.25), p=1.0)),
                (0.3, kornia.RandomGaussianIllumination((0.05, 0.25), p=1.0))],
            'weather': [(0.4, SoftRain((100, 500), (5, 16), (-3, 3), p=1.0)),
                        (0.7, Haze((0.15, 0.6), p=1.0))],
            'blur': [  # of motion, defocus, and the noise of a short exposure
                (0.4, kornia.RandomMotionBlur((3, 7), (-180.0, 180.0), (-0.5, 0.5), 'reflect',
                                              p=1.0)),
                (0.4, kornia.RandomGaussianBlur((5, 5), (0.3, 1.3), p=1.0)),
                (0.5, kornia.RandomGaussianNoise(std=0.02, p=1.0))]}
        self.kinds = [(shares[kind], steps) for kind, steps in kinds.items() if shares[kind]]

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images, count = images.clone(), len(images)
        # In mixed precision a blur would be in bfloat16, which has fewer levels than a pixel.
        with torch.autocast(images.device.type, enabled=False):
            for share, steps in self.kinds:
                chosen = torch.rand(count) < share  # on the CPU: does not wait for the GPU
                for own_share, step in steps:
                    # Not chosen by Kornia: some of its versions fail where none is chosen.
                    numbers = (chosen & (torch.rand(count) < own_share)).nonzero().flatten()
                    if len(numbers):
                        numbers = numbers.to(images.device, non_blocking=True)
                        images[numbers] = step(images[numbers])
            return images.clamp_(0, 1)
