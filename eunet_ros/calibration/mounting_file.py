# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The file that says how the camera of a recording was mounted; no ROS imports."""
from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from eunet_ros.model.common.errors import one_line
from eunet_ros.parameters import check_names, ConeParameters, NODE_NAME
from eunet_ros.ros.parameter_file import read_values

MOUNTING = 'mounting.yaml'  # beside the bag's metadata, with the node's parameters camera_*
_NAMES = {f.name for f in fields(ConeParameters)}


def read_mounting(path: Path) -> dict[str, Any]:
    """Return the parameters of calibrate_mount's file; raises ValueError or OSError."""
    def refuse(told: str) -> None:
        raise ValueError(told)
    try:
        values = read_values(path, NODE_NAME, refuse)
    except ValueError as error:
        raise ValueError(f'{path}: expected a parameter file as calibrate_mount writes it, found '
                         f'something else ({one_line(error)}).') from error
    try:
        check_names(set(values))
        others = sorted(set(values) - _NAMES)
        if others:
            raise ValueError(f'expected parameters of the mounting and of cones, found '
                             f'{", ".join(others)}.')
        parameters = ConeParameters(**values)
        if parameters.mounting == 'tf':
            raise ValueError('this file tells the mounting by camera_*, not by tf.')
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return {name: getattr(parameters, name) for name in values}


def find_mounting(bag: Path) -> dict[str, Any]:
    """Return the parameters of the file in a bag's folder, none where there is no such file."""
    beside = (bag if bag.is_dir() else bag.parent) / MOUNTING
    return read_mounting(beside) if beside.is_file() else {}
