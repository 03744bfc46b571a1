# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""No source stands on two sides of a split, and a split is the same everywhere."""
import json
from pathlib import Path
import subprocess
import sys

from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.data.readers.fsoco import Sample
from eunet_ros.training.data.splits import load_split, make_split, PARTS, Split
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest


def samples_of(*sizes):
    """Return samples of sources a, b, …, with as many images as `sizes` say."""
    return [Sample(f'team{i % 2}/{source}_{i:04d}.png', Path('i'), Path('a'), source)
            for source, size in zip('abcdefghijklmnopqrstuvwxyz', sizes) for i in range(size)]


def sources(names):
    return {Path(n).name.split('_')[0] for n in names}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=3, max_size=12), st.integers(0, 99))
def test_no_source_leaks_and_nothing_is_lost(sizes, seed):
    samples = samples_of(*sizes)
    split = make_split(samples, seed=seed)
    parts = [sources(getattr(split, p)) for p in PARTS]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert all(parts)
    assert sorted(split.train + split.val + split.test) == sorted(s.name for s in samples)
    assert split == make_split(samples[::-1], seed=seed)


def test_sizes_come_near_the_fractions():
    split = make_split(samples_of(*[10] * 20))
    assert [len(getattr(split, p)) for p in PARTS] == [140, 30, 30]


def test_no_part_stays_empty_beside_large_sources():
    split = make_split(samples_of(50, 40, 1))
    assert [len(getattr(split, p)) for p in PARTS] == [50, 40, 1]


def test_the_seed_chooses_among_equals():
    samples = samples_of(*[5] * 12)
    assert len({make_split(samples, seed=s).test for s in range(6)}) > 1


def test_random_divides_images():
    split = make_split(samples_of(50, 50), by='random')
    assert [len(getattr(split, p)) for p in PARTS] == [70, 10, 20]
    assert sources(split.test) == {'a', 'b'}
    assert split.by == 'random'


@pytest.mark.process
def test_another_process_makes_the_same_split(tmp_path):
    code = ('from test_splits import make_split, samples_of; '
            'print(make_split(samples_of(3, 3, 3, 3, 3), seed=9).test)')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          cwd=Path(__file__).parent, check=True)
    assert done.stdout.strip() == str(make_split(samples_of(3, 3, 3, 3, 3), seed=9).test)


def test_a_split_is_saved_and_checked(tmp_path):
    samples, path = samples_of(4, 3, 2), tmp_path / 'new' / 'split.json'
    split = make_split(samples, seed=3)
    split.save(path)
    split.save(path)
    assert load_split(path, samples) == split
    assert [p.name for p in path.parent.iterdir()] == ['split.json']
    chosen = split.select(samples)
    assert [s.name for s in chosen['train']] == list(split.train)
    with pytest.raises(DataError, match=r'split\.json .*2 images .* lacks'):
        load_split(path, samples_of(4, 3))


@pytest.mark.parametrize('content, says', [
    ('{', 'Cannot read'), ('[]', 'lists of names'), ({'train': ['a']}, 'lists of names'),
    ({'train': ['a'], 'val': [1], 'test': []}, 'lists of names'),
    ({'train': ['a'], 'val': ['a'], 'test': []}, 'a twice'),
    ({'train': ['a', 'a'], 'val': [], 'test': []}, 'a twice'),
    ({'train': [], 'val': [], 'test': [], 'by': 'luck'}, "'luck'"),
    ({'train': [], 'val': [], 'test': [], 'seed': 'x'}, "'x'")])
def test_a_broken_split_is_named(tmp_path, content, says):
    path = tmp_path / 'split.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=says) as caught:
        load_split(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('sizes, options, says', [
    ((5, 5), {}, '3 parts need as many sources, found 2 .a, b.*random'),
    ((), {}, 'found 0 .none'), ((1,), {'by': 'random'}, '3 parts need as many images')])
def test_what_cannot_be_divided_is_said(sizes, options, says):
    with pytest.raises(ValueError, match=says):
        make_split(samples_of(*sizes), **options)
    with pytest.raises(DataError, match='same name'):
        make_split(samples_of(2, 2, 2) * 2)
    with pytest.raises(DataError, match='disjoint'):
        Split(('a',), ('a',), ())
