# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written as FSOCO reads back as it was."""
import json

import cv2
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.label_writer import annotation_of, Item, write_project
from eunet_ros.training.data import render_fsoco
from eunet_ros.training.data.readers.fsoco import (
    BORDER,
    FsocoProject,
    load_sample,
    read_annotation,
)
from eunet_ros.training.data.render_fsoco import scene_item
from eunet_ros.training.renderer import render_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest


def item(mask, name='cam00_00001.png', **other):
    mask = np.asarray(mask, np.uint8)
    image = np.random.default_rng(1).integers(0, 256, (*mask.shape, 3), np.uint8)
    return Item(name, image, mask, **other)


def test_a_scene_comes_back_as_it_was(tmp_path):
    scene = next(s for s in (render_scene(i, 96, 160) for i in range(20)) if len(s.cones) > 2)
    assert write_project(tmp_path / 'p', [scene_item('cam01_00007.png', scene)]) == 1
    (sample,) = FsocoProject(tmp_path / 'p').samples
    assert (sample.name, sample.source) == ('synthetic/cam01_00007.png', 'cam01')
    image, mask, _ = load_sample(sample, cone_classes())
    assert np.array_equal(image, scene.image) and np.array_equal(mask, scene.mask)
    written = cv2.imread(str(sample.image))
    assert written.shape == (96 + 2 * BORDER, 160 + 2 * BORDER, 3)
    assert not written[:BORDER].any() and not written[:, -BORDER:].any()
    annotation = read_annotation(sample.annotation, cone_classes())
    assert len(annotation.objects) == len(scene.cones)
    for cone, truth in zip(annotation.objects, scene.cones):
        u0, v0, u1, v1 = truth.box
        assert cone.class_id == truth.class_id
        assert cone.origin == (u0 + BORDER, v0 + BORDER)
        assert cone.mask.shape == (v1 - v0, u1 - u0)
        assert ('knocked_over' in cone.tags) == truth.knocked_over
        assert ('truncated' in cone.tags) == (u0 == 0 or v0 == 0 or u1 == 160 or v1 == 96)


@settings(max_examples=15, deadline=None)
@given(arrays(np.uint8, (6, 8), elements=st.integers(0, 5)))
def test_any_mask_comes_back(tmp_path_factory, mask):
    folder = tmp_path_factory.mktemp('any') / 'p'
    write_project(folder, [item(mask)], border=2)
    (sample,) = FsocoProject(folder).samples
    assert np.array_equal(load_sample(sample, cone_classes(), 2)[1], mask)


def test_patches_are_cones_where_no_instances_are_given():
    mask = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2]]
    rows = annotation_of(item(mask), cone_classes(), 0)['objects']
    # The blue pixels touch at corners: one cone.
    assert [(r['classTitle'], r['bitmap']['origin']) for r in rows] == [
        ('seg_blue_cone', [0, 0]), ('seg_yellow_cone', [3, 2])]


def test_instances_divide_what_touches_and_carry_tags():
    rows = annotation_of(
        item([[3, 3]], instances=np.array([[2, 1]]), tags={2: frozenset(['truncated'])}),
        cone_classes())['objects']
    assert [(r['bitmap']['origin'], [t['name'] for t in r['tags']]) for r in rows] == [
        ([BORDER + 1, BORDER], []), ([BORDER, BORDER], ['truncated'])]


def test_meta_has_every_class_and_tag(tmp_path):
    write_project(tmp_path / 'p', [item([[0]])])
    meta = json.loads((tmp_path / 'p/meta.json').read_text())
    shapes = {c['title']: c['shape'] for c in meta['classes']}
    assert len(shapes) == 10
    assert shapes['seg_unknown_cone'] == 'bitmap' and shapes['unknown_cone'] == 'rectangle'
    assert [t['name'] for t in meta['tags']] == [
        'truncated', 'knocked_over', 'sticker_band_removed']


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / 'p').mkdir()
    with pytest.raises(ValueError, match='p exists'):
        write_project(tmp_path / 'p', [item([[0]])])
    assert list((tmp_path / 'p').iterdir()) == []


def test_the_command(tmp_path, capsys):
    arguments = ['--output', str(tmp_path / 'p'), '--count', '3', '--seed', '4', '--height', '48',
                 '--width', '80', '--sources', '2']
    assert render_fsoco.main(arguments) == 0
    samples = FsocoProject(tmp_path / 'p').samples
    assert [s.source for s in samples] == ['cam00', 'cam00', 'cam01']
    assert np.array_equal(load_sample(samples[2], cone_classes())[0],
                          render_scene(5, 48, 80).image)
    assert render_fsoco.main(arguments) == 1
    assert 'exists' in capsys.readouterr().err
    assert render_fsoco.main(['--output', str(tmp_path / 'q'), '--count', '0']) == 1
