# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings of glibc's heap (mallopt(3)); without effect with another C library."""
from contextlib import suppress
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -3, -4, -8


def set_option(option: int, value: int) -> None:
    """Set one of the options above."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(option, value)
