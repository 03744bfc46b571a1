# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The classes of a mask: names, ids, colours and the sizes of the cones."""
from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import read_yaml
from eunet_ros.model.common.resources import share_file
import numpy as np

IGNORE_ID = 255  # in ground truth only
SMALL_CONE = (0.325, 0.228)  # height and side of the plate [m], Formula Student Rules, DE 6


@dataclass(frozen=True)
class ClassTable:
    """The classes by id, 0 is the background; a network of two classes has one logit."""

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]     # (red, green, blue)
    sizes: tuple[tuple[float, float], ...] = ()  # heights and sides of the square plates [m]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'sizes', self.sizes or (SMALL_CONE,) * len(self.names))
        if not 2 <= len(self.names) <= IGNORE_ID:
            raise ValueError(f'Expected 2 to {IGNORE_ID} classes, found {len(self.names)}.')
        if len(set(self.names)) != len(self.names):
            raise ValueError(f'Class names must differ, found {", ".join(self.names)}.')
        for what, values in (('colours', self.colors), ('sizes', self.sizes)):
            if len(values) != len(self.names):
                raise ValueError(f'Expected {len(self.names)} {what}, found {len(values)}.')
        for name, size, color in zip(self.names, self.sizes, self.colors):
            if not all(isinstance(s, (int, float)) and 0 < s <= 5 for s in size):
                raise ValueError(f'Height and base of class {name} must be above 0 and at most 5 '
                                 f'm, found {size[0]!r} and {size[1]!r}.')
            if len(color) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in color):
                raise ValueError(f'The colour of class {name} must be three whole numbers from '
                                 f'0 to 255 (red, green, blue), found {color!r}.')

    @property
    def num_logits(self) -> int:
        return 1 if len(self.names) == 2 else len(self.names)

    @cached_property
    def table_bgr(self) -> np.ndarray:
        """Return the colours as a (256, 3) uint8 BGR table; ids that are no class are white."""
        table = np.full((256, 3), 255, np.uint8)
        table[:len(self.colors)] = np.array(self.colors, np.uint8)[:, ::-1]
        return table

    def sizes_of(self, class_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return heights and sides of the plates [m] by class ids (n,); small for unknown ids."""
        return self._size_table[0][class_id], self._size_table[1][class_id]

    @cached_property
    def _size_table(self) -> np.ndarray:
        table = np.tile(np.array(SMALL_CONE)[:, None], 256)
        table[:, :len(self.sizes)] = np.transpose(self.sizes)
        return table

    def id_of(self, name: str) -> int:
        """Return the id of a class; raises ValueError for an unknown name."""
        if name not in self.names:
            raise ValueError(f'Unknown class {name!r}, expected one of {", ".join(self.names)}.')
        return self.names.index(name)

    def updated(self, other: ClassTable) -> ClassTable:
        """Return this table with the colours and sizes of classes that `other` has by name."""
        known = {name: k for k, name in enumerate(other.names)}

        def taken(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(theirs[known[name]] if name in known else value
                         for name, value in zip(self.names, ours))
        return replace(self, colors=taken(self.colors, other.colors),
                       sizes=taken(self.sizes, other.sizes))

    def to_list(self) -> list[dict[str, Any]]:
        return [{'id': i, 'name': n, 'color': list(c), 'height': s[0], 'base': s[1]}
                for i, (n, c, s) in enumerate(zip(self.names, self.colors, self.sizes))]

    @classmethod
    def from_list(cls, rows: Any) -> ClassTable:
        """Make the table from rows of id, name, color, height, base; raises ValueError."""
        if not isinstance(rows, list) or not all(
                isinstance(r, dict) and {'id', 'name', 'color'} <= set(r) for r in rows):
            raise ValueError('Expected a list of classes, each with id, name and color.')
        ids = [row['id'] for row in rows]
        if ids != list(range(len(rows))):
            raise ValueError(f'Class ids must count from 0 in order, found {ids}.')
        if not all(isinstance(r['color'], list) for r in rows):
            raise ValueError('Expected each class color as a list of red, green and blue.')
        return cls(tuple(str(r['name']) for r in rows), tuple(tuple(r['color']) for r in rows),
                   tuple((r.get('height', SMALL_CONE[0]), r.get('base', SMALL_CONE[1]))
                         for r in rows))


def read_classes(path: Path) -> ClassTable:
    """Read a class file; raises ValueError naming the file and what is wrong with it."""
    try:
        content = read_yaml(path)
        return ClassTable.from_list(content.get('classes') if isinstance(content, dict) else None)
    except (OSError, ValueError) as error:
        raise ValueError(f'Cannot read the classes in {path}: {one_line(error)}.') from error


@lru_cache(maxsize=1)
def cone_classes() -> ClassTable:
    return read_classes(share_file('config/classes.yaml'))


BINARY_CLASSES = ClassTable(('background', 'cone'), ((0, 0, 0), (255, 120, 0)))
