# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks on disk."""

from eunet_ros.bags.mask_store import MaskReader, MaskWriter
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest


def store(path, masks):
    writer = MaskWriter(path)
    for i, mask in enumerate(masks):
        writer.append(10 * i, 10 * i + 3, mask)
    writer.close()
    return MaskReader(path)


@given(st.lists(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)),
                       elements=st.sampled_from([0, 0, 0, 1, 5, 255])), max_size=4))
@settings(max_examples=60, deadline=None)
def test_round_trip(tmp_path_factory, masks):
    reader = store(tmp_path_factory.mktemp('masks') / 'masks.bin', masks)
    assert len(reader) == len(masks)
    assert reader.arrivals == {10 * i: 10 * i + 3 for i in range(len(masks))}
    for i, mask in reversed(list(enumerate(masks))):
        stored = reader.read(i)
        assert (stored.stamp, stored.arrival) == (10 * i, 10 * i + 3)
        np.testing.assert_array_equal(stored.mask, mask)


@pytest.mark.parametrize(('noise', 'limit'), [(0.0, 10_000), (1.0, 500_000)])
def test_size_at_720p(tmp_path, noise, limit):
    rng = np.random.default_rng(0)
    mask = np.zeros((720, 1280), np.uint8)
    for x in range(0, 1200, 60):
        mask[300:340, x:x + 25] = 1 + x % 5
    ids = rng.integers(0, 6, mask.shape, np.uint8)
    mask = np.where(rng.random(mask.shape) < noise, ids, mask)
    reader = store(tmp_path / 'masks.bin', [mask, mask[:, ::2]])  # one is not contiguous
    np.testing.assert_array_equal(reader.read(0).mask, mask)
    np.testing.assert_array_equal(reader.read(1).mask, mask[:, ::2])
    assert (tmp_path / 'masks.bin').stat().st_size < 2 * limit


@pytest.mark.parametrize('cut', [1, 20, 35])
def test_cut_short(tmp_path, cut):
    path = tmp_path / 'masks.bin'
    masks = [np.eye(5, dtype=np.uint8)] * 3
    store(path, masks)
    path.write_bytes(path.read_bytes()[:-cut])
    reader = MaskReader(path)
    assert len(reader) == 2
    np.testing.assert_array_equal(reader.read(1).mask, masks[1])
