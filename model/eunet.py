# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""EUnet, an efficient U-Net, and the family made of the same blocks."""
from __future__ import annotations

from dataclasses import asdict, dataclass

from eunet_ros.model.blocks import ATTENTIONS, Downblock, GATES, NORMS, SeparableConv2d, Upblock
from eunet_ros.model.common.errors import unknown
import torch
from torch import nn
from torch.nn import functional


@dataclass(frozen=True)
class Variant:
    """A member of the family; gate, attention, norm: see `blocks`."""

    width: int = 64  # channels at the stem's resolution; they double at each of three halvings
    stem: int = 1    # the stem's resolution is 1/stem of the input's
    gate: str = 'product'
    attention: str = 'lka'
    norm: str = 'batch'

    def __post_init__(self) -> None:
        if type(self.width) is not int or not 1 <= self.width <= 1024:
            raise ValueError(f'width must be a whole number from 1 to 1024, not {self.width!r}.')
        if type(self.stem) is not int or self.stem not in (1, 2, 4):
            raise ValueError(f'stem must be 1, 2 or 4, not {self.stem!r}.')
        for name, allowed in (('gate', GATES), ('attention', ATTENTIONS), ('norm', NORMS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f'{name} must be one of {", ".join(allowed)}, not '
                                 f'{getattr(self, name)!r}.')

    @property
    def multiple(self) -> int:
        """Return the number of pixels that an input's height and width must be a multiple of."""
        return 8 * self.stem

    def to_dict(self) -> dict:
        return asdict(self)


#: The variants by name. Widths and stems by measurement: see docs/performance.md.
VARIANTS = {
    'eunet': Variant(),
    'eunet_s': Variant(width=40, stem=4, gate='sigmoid'),
    'eunet_n': Variant(width=24, stem=4, gate='sigmoid'),
}


class EUnet(nn.Module):
    """SPD-Conv downsampling, depthwise separable convolutions, large-kernel attention."""

    def __init__(self, num_classes: int, variant: Variant | None = None) -> None:
        super().__init__()
        if not (isinstance(num_classes, int) and 1 <= num_classes <= 255):
            raise ValueError(f'num_classes must be from 1 to 255, not {num_classes!r}.')
        self.variant = variant or VARIANTS['eunet']
        self.num_classes = num_classes
        w, r = self.variant.width, self.variant.stem
        kinds = (self.variant.gate, self.variant.attention, self.variant.norm)
        self.stem = SeparableConv2d(3 * r * r, w)
        self.down1 = Downblock(w, 2 * w, *kinds)
        self.down2 = Downblock(2 * w, 4 * w, *kinds)
        self.down3 = Downblock(4 * w, 8 * w, *kinds)
        self.up3 = Upblock(8 * w, 4 * w, *kinds)
        self.up2 = Upblock(8 * w, 2 * w, *kinds)
        self.up1 = Upblock(4 * w, w, *kinds)
        self.head = nn.Conv2d(2 * w, num_classes * r * r, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map normalised RGB (N, 3, H, W), see `Variant.multiple`, to logits (N, C, H, W)."""
        r = self.variant.stem
        x = self.packed_logits(x)
        return functional.pixel_shuffle(x, r) if r > 1 else x

    def packed_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Map as `forward`, but leave r×r pixels in a position: (N, C·r², H/r, W/r)."""
        r = self.variant.stem
        if r > 1:
            x = functional.pixel_unshuffle(x, r)         # (N, 3r², H/r, W/r)
        x0 = self.stem(x)                                # (N, w,  H/r,  W/r)
        x1 = self.down1(x0)                              # (N, 2w, H/2r, W/2r)
        x2 = self.down2(x1)                              # (N, 4w, H/4r, W/4r)
        x = self.up3(self.down3(x2))                     # (N, 4w, H/4r, W/4r)
        x = self.up2(torch.cat((x, x2), 1))              # (N, 2w, H/2r, W/2r)
        x = self.up1(torch.cat((x, x1), 1))              # (N, w,  H/r,  W/r)
        return self.head(torch.cat((x, x0), 1))          # (N, C·r², H/r, W/r)


def get_variant(name: str) -> Variant:
    """Return the variant of that name; raises ValueError, naming the nearest."""
    if name in VARIANTS:
        return VARIANTS[name]
    raise ValueError(unknown('variant', name, VARIANTS))


def build_model(name: str, num_classes: int) -> EUnet:
    """Build 'eunet', 'eunet_s' or 'eunet_n' with random weights; raises ValueError."""
    return EUnet(num_classes, get_variant(name))
