# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network, its weights, and the engines that run it."""
from __future__ import annotations

import importlib
from typing import Any

# Imported on first use: torch takes seconds to import, and not every caller needs it.
_PUBLIC = {
    'Checkpoint': 'checkpoint', 'EUnet': 'eunet', 'Segmentation': 'segmenter',
    'Segmenter': 'segmenter', 'VARIANTS': 'eunet', 'build_model': 'eunet',
    'load_checkpoint': 'checkpoint', 'save_checkpoint': 'checkpoint',
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_PUBLIC[name]}'), name)


def __dir__() -> list[str]:
    return __all__
