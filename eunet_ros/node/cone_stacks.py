# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cones in the messages of driverless stacks, as config/cone_messages.yaml describes them."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any

from eunet_ros.cones.messages import Make
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import read_yaml
from eunet_ros.model.common.resources import share_file
import numpy as np

_TYPE = re.compile(r'\w+/msg/\w+')
_NEEDED = ('type', 'cone', 'position')
_KNOWN = {*_NEEDED, 'header', 'covariance', 'lists', 'list', 'class_field', 'number'}


@dataclass(frozen=True)
class Stack:
    """One stack's messages, by the fields of the file; raises ValueError."""

    type: str  # noqa: A003
    cone: str
    position: str
    header: str = ''
    covariance: str = ''
    lists: Mapping[str, str] = field(default_factory=dict)
    list: str = ''  # noqa: A003
    class_field: str = ''
    number: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ('type', 'cone'):
            if not _TYPE.fullmatch(str(getattr(self, name))):
                raise ValueError(f'expected {name} such as fs_msgs/msg/Cone, found '
                                 f'{getattr(self, name)!r}')
        if bool(self.lists) == bool(self.list):
            raise ValueError('expected either lists or list')
        if self.list and not (self.class_field and self.number):
            raise ValueError('expected class_field and number beside list')

    @property
    def classes(self) -> set[str]:
        return set(self.lists or self.number)


def read_stacks(path: Path | None = None) -> dict[str, Stack]:
    """Return the stacks of a file, by default the shipped one; raises ValueError or OSError."""
    path = path or share_file('config/cone_messages.yaml')
    try:
        rows = read_yaml(path)['stacks']
        stacks = {}
        for name, row in rows.items():
            unknown = sorted(set(row) - _KNOWN)
            missing = [key for key in _NEEDED if key not in row]
            if unknown or missing:
                raise ValueError(f'stack {name}: unknown {", ".join(unknown) or "nothing"}, '
                                 f'missing {", ".join(missing) or "nothing"}')
            stacks[name] = Stack(**row)
        return stacks
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f'{path}: expected stacks as in config/cone_messages.yaml, found '
                         f'something else ({one_line(error)}).') from error


def covariances(rows: np.ndarray) -> np.ndarray:
    """Return the (n, 2, 2) covariances [m²] of x and y of POINT rows; see cone_messages."""
    bearing = np.arctan2(rows['y'].astype(np.float64), rows['x'])
    c, s = np.cos(bearing), np.sin(bearing)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    spread = np.zeros((len(rows), 2, 2))
    spread[:, 0, 0], spread[:, 1, 1] = rows['variance'], rows['variance_across']
    return turn @ spread @ turn.transpose(0, 2, 1)


def stack_message(make: Make, stack: Stack, header: Any, rows: np.ndarray,
                  names: Mapping[int, str]) -> Any:
    """Return a stack's message of POINT rows; unknown names become unknown_cone."""
    point, cone = make('geometry_msgs/msg/Point'), make(stack.cone)
    lists: dict[str, list[Any]] = {name: [] for name in stack.lists.values() or [stack.list]}
    for row, covariance in zip(rows, covariances(rows).reshape(-1, 4).tolist()):
        kind = names.get(int(row['class_id']), '')
        kind = kind if kind in stack.classes else 'unknown_cone'
        if kind not in stack.classes:
            continue
        given = {stack.position: point(x=float(row['x']), y=float(row['y']), z=float(row['z']))}
        if stack.covariance:
            given[stack.covariance] = covariance
        if stack.list:
            given[stack.class_field] = stack.number[kind]
        lists[stack.list or stack.lists[kind]].append(cone(**given))
    return make(stack.type)(**({stack.header: header} if stack.header else {}), **lists)


def stack_cones(stack: Stack, message: Any) -> tuple[list[str], np.ndarray]:
    """Return the class of each cone in a stack's message, and its x and y (n, 2) [m]."""
    if stack.list:
        names = {number: name for name, number in stack.number.items()}
        cones = [(names.get(getattr(cone, stack.class_field), 'unknown_cone'), cone)
                 for cone in getattr(message, stack.list)]
    else:
        cones = [(name, cone) for name, field in stack.lists.items()
                 for cone in getattr(message, field)]
    points = [getattr(cone, stack.position) for _, cone in cones]
    return [name for name, _ in cones], np.array([[p.x, p.y] for p in points]).reshape(-1, 2)
