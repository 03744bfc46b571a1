# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes of ROS messages by name: packages that need not be installed are imported late."""
from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def message_class(name: str) -> Any:
    """Return the class of a message by name; raises ImportError or AttributeError."""
    package, _, kind = name.partition('/msg/')
    return getattr(import_module(f'{package}.msg'), kind)
