# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one declaration of the parameters, its YAML file and its documentation agree."""
from dataclasses import fields
import os

from eunet_ros.parameters import check_names, NodeParameters, written_files, YAML_FILE
import pytest
import yaml


def test_the_files_are_as_the_declaration_writes_them():
    stale = [path.name for path, content in written_files().items()
             if path.read_text(encoding='utf-8') != content]
    assert stale == [], 'run python -m eunet_ros.parameters'


def test_yaml_holds_every_parameter_with_its_default_and_type():
    values = yaml.safe_load(YAML_FILE.read_text())['/**']['ros__parameters']
    assert values == {f.name: f.default for f in fields(NodeParameters)}
    assert {n: type(v) for n, v in values.items()} == {
        f.name: type(f.default) for f in fields(NodeParameters)}


@pytest.mark.parametrize('values, said', [
    ({'engine': 'openvno'}, "found 'openvno'; did you mean openvino?"),
    ({'overlay_opacity': 1.5}, 'from 0.0 to 1.0, found 1.5'),
    ({'overlay_opacity': True}, 'type float, found True of type bool'),
    ({'image_depth': 5.0}, 'type int, found 5.0 of type float'),
    ({'enabled': 'yes'}, "type bool, found 'yes'"),
    ({'image_depth': 0}, 'from 1 to 1000'),
    ({'input_height': 64}, 'set both or neither')])
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(ValueError, match=said.replace('?', r'\?')):
        NodeParameters(**values)


def test_a_whole_number_stands_for_a_float():
    value = NodeParameters(camera_height=1).camera_height
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(('given', 'weights'), [
    ({}, 'eunet_n'), ({'variant': 'eunet'}, 'eunet'), ({'weights': 'a', 'variant': 'eunet'}, 'a')])
def test_weights_are_those_of_the_variant(given, weights):
    assert NodeParameters(**given).weights == weights


def test_unknown_names_are_refused_with_the_nearest():
    check_names({'weights', 'engine'})
    with pytest.raises(ValueError, match='did you mean jpeg_quality'):
        check_names({'weights', 'jpg_quality'})


@pytest.mark.parametrize(('asked', 'cores', 'threads'),
                         [(0, 2, 0), (0, 4, 3), (0, 8, 7), (5, 8, 5)])
def test_of_many_cores_one_is_left_to_ros(asked, cores, threads, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(cores)))
    assert NodeParameters(num_threads=asked).engine_threads == threads
