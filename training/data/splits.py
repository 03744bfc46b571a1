# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which images are trained on, chosen by and reported on.

Images of one camera on one day look alike: where they stand on both sides, a score says how well
the network remembers. So whole sources (Sample.source) are assigned.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import hashlib
import math
from pathlib import Path

from eunet_ros.model.common.files import write_json
from eunet_ros.model.common.supervisely import DataError, read_json
from eunet_ros.training.data.readers.fsoco import Sample

PARTS = ('train', 'val', 'test')
SOURCE_FRACTIONS = (0.7, 0.15, 0.15)
RANDOM_FRACTIONS = (0.8, 0.0, 0.2)  # 80/20 without regard to sources, for comparisons only


@dataclass(frozen=True)
class Split:
    """Names of samples in each part, sorted; by and seed say how it was made."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    by: str = 'source'
    seed: int = 0

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for part in PARTS:
            for name in getattr(self, part):
                if name in seen:
                    raise DataError(f'The split names {name} twice: its parts must be disjoint.')
                seen.add(name)

    def select(self, samples: Iterable[Sample]) -> dict[str, tuple[Sample, ...]]:
        """
        Return the samples of each part; samples that the split does not name are in none.

        Raises DataError where a named sample is not there.
        """
        by_name = {s.name: s for s in samples}
        missing = [n for p in PARTS for n in getattr(self, p) if n not in by_name]
        if missing:
            raise DataError(f'The split names {len(missing)} images that the data folder lacks, '
                            f'{missing[0]} first: use the data it was made of, or make a new one.')
        return {p: tuple(by_name[n] for n in getattr(self, p)) for p in PARTS}

    def save(self, path: str | Path) -> None:
        """Write the split as JSON, beside and renamed."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {'by': self.by, 'seed': self.seed,
                          **{p: getattr(self, p) for p in PARTS}}, indent=1)


def load_split(path: str | Path, samples: Iterable[Sample] | None = None) -> Split:
    """Read a split; raises DataError where it is broken, or names what `samples` lack."""
    content = read_json(Path(path))
    if not isinstance(content, dict) or not all(
            isinstance(content.get(p), list) and all(isinstance(n, str) for n in content[p])
            for p in PARTS):
        raise DataError(f'Expected lists of names as train, val and test in {path}: make the '
                        'split again.')
    by, seed = content.get('by', 'source'), content.get('seed', 0)
    if by not in ('source', 'random') or type(seed) is not int:
        raise DataError(f"Expected by as 'source' or 'random' and a whole number as seed in "
                        f'{path}, found {by!r} and {seed!r}: make the split again.')
    try:
        split = Split(*(tuple(content[p]) for p in PARTS), by, seed)
        if samples is not None:
            split.select(samples)
    except DataError as error:
        raise DataError(f'{path} cannot be used: {error}') from error
    return split


def _rank(seed: int, name: str) -> bytes:
    # Not hash(): that differs between processes.
    return hashlib.sha256(f'{seed}\n{name}'.encode('utf-8', 'surrogateescape')).digest()


def _assign(groups: dict[str, list[str]], targets: Sequence[float], seed: int) -> list[list[str]]:
    """Put whole groups, the largest first, into the part that lacks most images."""
    wanted = [i for i, target in enumerate(targets) if target > 0]
    parts: list[list[str]] = [[] for _ in targets]
    order = sorted(groups, key=lambda g: (-len(groups[g]), _rank(seed, g)))
    for done, group in enumerate(order):
        empty = [i for i in wanted if not parts[i]]
        # As many groups as empty parts are left: no part may stay empty.
        choice = empty if len(order) - done <= len(empty) else wanted
        chosen = max(choice, key=lambda i: targets[i] - len(parts[i]))
        parts[chosen] += groups[group]
    return parts


def make_split(
    samples: Iterable[Sample], fractions: Sequence[float] | None = None, seed: int = 0,
    by: str = 'source',
) -> Split:
    """
    Divide samples into train, val and test: the same for the same names and seed, anywhere.

    fractions: of images, sum 1; 0 leaves a part empty. None: SOURCE_FRACTIONS, or for 'random'
    RANDOM_FRACTIONS. by: 'source' never divides a source, so a large one moves the sizes away
    from the fractions; the seed decides between sources of equal size. 'random' divides images,
    and its scores are too good. Raises DataError where there are too few sources or images.
    """
    samples = list(samples)
    if by not in ('source', 'random'):
        raise ValueError(f"by must be 'source' or 'random', found {by!r}.")
    if fractions is None:
        fractions = SOURCE_FRACTIONS if by == 'source' else RANDOM_FRACTIONS
    if (len(fractions) != len(PARTS) or not all(0 <= f <= 1 for f in fractions)
            or not math.isclose(sum(fractions), 1, abs_tol=1e-6)):
        raise ValueError('fractions must be three numbers from 0 to 1 (train, val, test) with the '
                         f'sum 1, found {tuple(fractions)}.')
    if len({s.name for s in samples}) < len(samples):
        raise DataError('Two samples have the same name: names must differ.')
    groups: dict[str, list[str]] = {}
    for sample in samples:
        groups.setdefault(sample.source if by == 'source' else sample.name, []).append(sample.name)
    wanted = sum(f > 0 for f in fractions)
    if len(groups) < wanted:
        what = 'sources' if by == 'source' else 'images'
        hint = (', or split by image (split_by: random), whose scores are too good'
                if by == 'source' and len(samples) >= wanted else '')
        raise DataError(
            f'{wanted} parts need as many {what}, found {len(groups)} '
            f'({", ".join(sorted(groups)[:5]) or "none"}): add data of others{hint}.')
    parts = _assign(groups, [f * len(samples) for f in fractions], seed)
    return Split(*(tuple(sorted(names)) for names in parts), by, seed)
