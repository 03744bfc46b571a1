# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The evaluation runs with the parameters that the node would run with."""
from eunet_ros.evaluation.options import node_parameters, parse
import pytest


def parameters(tmp_path, text):
    path = tmp_path / 'parameters.yaml'
    path.write_text(text)
    return node_parameters(parse(['bag', '--params-file', str(path)]))


@pytest.mark.parametrize('head', ['/**/eunet:', '/car/eunet:', 'car:\n eunet:', '/**:', '/*:'])
def test_any_name_of_the_node(tmp_path, capsys, head):
    found = parameters(tmp_path, f'{head}\n  ros__parameters: {{roi_top: 0.4, camera_height: 1, '
                                 'use_sim_time: true, latency_warn: 1e-1}')
    assert (found['roi_top'], found['camera_height'], found['latency_warn']) == (0.4, 1.0, 0.1)
    assert capsys.readouterr().err == ''


def test_a_file_of_another_node_is_told(tmp_path, capsys):
    assert parameters(tmp_path, '/camera:\n  ros__parameters: {roi_top: 1}')['roi_top'] == 0.0
    assert 'found /camera' in capsys.readouterr().err


def test_the_home_in_paths(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    o = parse(['~/bag', '--params-file=~/p', '--output=~/o', '--truth=~/t', '--mounting=~/m',
               '--baseline=~/b'])
    assert [str(p.relative_to(tmp_path)) for p in (
        *o.bags, o.params_file, o.output, o.truth, o.mounting, o.baseline)] == [
        'bag', 'p', 'o', 't', 'm', 'b']
