# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Images for training, for choosing the best weights and for the reported scores.

Whole sources (Sample.source) are assigned, because images of a camera are alike.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
from pathlib import Path

from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError, read_json
from eunet_ros.training.data.readers.fsoco import Sample

PARTS = ('train', 'val', 'test')
# Of images. The random split is that of the original EUnet project, 80/20, for comparisons only;
# 10 % of all are taken from the 80 % for validation, so that no test image affects the choice.
FRACTIONS = {'source': (0.7, 0.15, 0.15), 'random': (0.7, 0.1, 0.2)}


@dataclass(frozen=True)
class Split:
    """Names of samples in each part, sorted, and how they were assigned."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    by: str = 'source'
    seed: int = 0

    def __post_init__(self) -> None:
        for name, count in Counter(self.train + self.val + self.test).items():
            if count > 1:
                raise DataError(f'The split names {name} twice: its parts must be disjoint.')

    def select(self, samples: Iterable[Sample]) -> dict[str, tuple[Sample, ...]]:
        """Return the samples of each part; raises DataError where a named one is missing."""
        by_name = {s.name: s for s in samples}
        missing = [n for p in PARTS for n in getattr(self, p) if n not in by_name]
        if missing:
            raise DataError(f'The split names {len(missing)} images that the data folder lacks, '
                            f'{missing[0]} first: use the data it was made of, or make a new one.')
        return {p: tuple(by_name[n] for n in getattr(self, p)) for p in PARTS}

    def save(self, path: str | Path) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(path), {'by': self.by, 'seed': self.seed,
                                **{p: getattr(self, p) for p in PARTS}}, indent=1)


def load_split(path: str | Path, samples: Iterable[Sample] | None = None) -> Split:
    """Read a split; raises DataError where it is invalid, or names what `samples` lack."""
    content = read_json(Path(path))
    if not isinstance(content, dict) or not all(
            isinstance(content.get(p), list) and all(isinstance(n, str) for n in content[p])
            for p in PARTS):
        raise DataError(f'Expected lists of names as train, val and test in {path}: make the '
                        'split again.')
    by, seed = content.get('by', 'source'), content.get('seed', 0)
    if by not in FRACTIONS or type(seed) is not int:
        raise DataError(f"Expected by as 'source' or 'random' and a whole number as seed in "
                        f'{path}, found {by!r} and {seed!r}: make the split again.')
    try:
        split = Split(*(tuple(content[p]) for p in PARTS), by, seed)
        if samples is not None:
            split.select(samples)
    except DataError as error:
        raise DataError(f'{path} cannot be used: {error}') from error
    return split


def _assign(groups: dict[str, list[str]], targets: Sequence[float], seed: int) -> list[list[str]]:
    """Put whole groups, the largest first, into the part that lacks most images."""
    parts: list[list[str]] = [[] for _ in targets]
    order = sorted(groups, key=lambda g: (-len(groups[g]), hashlib.sha256(  # not hash(): it
        f'{seed}\n{g}'.encode('utf-8', 'surrogateescape')).digest()))      # differs by process
    for done, group in enumerate(order):
        empty = [i for i, part in enumerate(parts) if not part]
        # As many groups as empty parts are left: no part may stay empty.
        choice = empty if len(order) - done <= len(empty) else range(len(parts))
        chosen = max(choice, key=lambda i: targets[i] - len(parts[i]))
        parts[chosen] += groups[group]
    return parts


def make_split(samples: Iterable[Sample], seed: int = 0, by: str = 'source') -> Split:
    """Divide samples by source, or by image ('random'), the same anywhere; raises DataError."""
    samples = list(samples)
    if len({s.name for s in samples}) < len(samples):
        raise DataError('Two samples have the same name: names must differ.')
    groups: dict[str, list[str]] = {}
    for sample in samples:
        groups.setdefault(sample.source if by == 'source' else sample.name, []).append(sample.name)
    if len(groups) < len(PARTS):
        what = 'sources' if by == 'source' else 'images'
        hint = (', or split by image (split_by: random), which gives scores that are too high'
                if by == 'source' and len(samples) >= len(PARTS) else '')
        raise DataError(
            f'{len(PARTS)} parts need as many {what}, found {len(groups)} '
            f'({", ".join(sorted(groups)[:5]) or "none"}): add data of others{hint}.')
    parts = _assign(groups, [f * len(samples) for f in FRACTIONS[by]], seed)
    return Split(*(tuple(sorted(names)) for names in parts), by, seed)
