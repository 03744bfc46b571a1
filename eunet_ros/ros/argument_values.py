# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parses the values of launch arguments, which are text; imports neither launch nor rclpy."""
from __future__ import annotations

from collections.abc import Collection
import os

from eunet_ros.model.common.files import user_path
from eunet_ros.ros.dds_profile import profile_settings, profile_variable


def boolean(name: str, text: str) -> bool:
    """Return True or False; raises ValueError."""
    if text.lower() not in ('true', '1', 'false', '0'):
        raise ValueError(f'The argument {name} must be true or false, found {text!r}.')
    return text.lower() in ('true', '1')


def number(name: str, text: str, low: float, high: float) -> float:
    """Return a number from low to high; raises ValueError."""
    try:
        if low <= float(text) <= high:
            return float(text)
    except ValueError:
        pass
    raise ValueError(f'The argument {name} must be a number from {low:g} to {high:g}, found '
                     f'{text!r}.')


def choice(name: str, text: str, choices: Collection[str]) -> str:
    """Return one of several words; raises ValueError."""
    if text not in choices:
        raise ValueError(f'The argument {name} must be one of {", ".join(choices)}, found '
                         f'{text!r}.')
    return text


def file(name: str, text: str) -> str:
    """Return the path of an existing file, ~ expanded; raises ValueError."""
    path = user_path(text)
    if not path.is_file():
        raise ValueError(f'The argument {name} names {path}, which is not a file.')
    return str(path)


def dds_settings(text: str) -> dict[str, str]:
    """Return the environment for a dds_profile (path, none or empty); raises ValueError."""
    if text in ('', 'none'):
        return profile_settings(os.environ)
    return {profile_variable(os.environ): file('dds_profile', text)}
