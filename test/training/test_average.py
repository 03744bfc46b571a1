# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights from before and after a fine-tuning, averaged."""
from dataclasses import replace

from eunet_ros.model import load_checkpoint
from eunet_ros.model.checkpoint import random_checkpoint, save_checkpoint
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.training.tools.average import add_bias, average, main
import pytest
import torch


@pytest.fixture
def pair():
    before, after = (random_checkpoint('eunet_n', cone_classes(), (64, 96)) for _ in range(2))
    return before, replace(after, training={'step': 3})


@pytest.mark.parametrize('share', [0.0, 0.25, 1.0])
def test_each_weight_is_on_the_line_between_the_two(pair, share):
    before, after = (c.network.state_dict() for c in pair)
    for name, value in average(*pair, share).network.state_dict().items():
        expected = (1 - share) * before[name] + share * after[name]
        torch.testing.assert_close(value.float(), expected.float(), rtol=1e-5, atol=1e-6)


def test_a_file_that_tells_where_it_is_from(tmp_path, pair, capsys):
    names = [str(tmp_path / f'{name}.safetensors') for name in ('before', 'after', 'mixed')]
    for name, checkpoint in zip(names, pair):
        save_checkpoint(name, checkpoint)
    assert main([*names[:2], '--share', '0.75', '--output', names[2], '--float32']) == 0
    mixed = load_checkpoint(names[2])
    assert mixed.training['step'] == 3 and mixed.input_size == (64, 96)
    assert 'added bias' not in mixed.training
    assert mixed.training['averaged with'] == {
        'weights': 'before.safetensors', 'sha256': load_checkpoint(names[0]).sha256,
        'share': 0.25}
    assert names[2] in capsys.readouterr().out and mixed.thresholds == (0, 0)
    for name, words, strip in (
            ('whole', [], None), ('strip', ['--strip-size', '32', '256'], (32, 256))):
        other = str(tmp_path / f'{name}.safetensors')
        assert main([*names[:2], '--input-size', '96', '128', '--thresholds', '-1', '2', *words,
                     '--output', other]) == 0
        assert load_checkpoint(other).thresholds == (-1, 2)
        assert load_checkpoint(other).input_size == (96, 128)
        assert load_checkpoint(other).strip_size == strip
    kept = mixed.sha256
    assert main([*names[:2], '--output', names[2]]) == 1
    assert 'exists' in capsys.readouterr().err and load_checkpoint(names[2]).sha256 == kept


@pytest.mark.parametrize(('classes', 'name', 'logit'), [
    (cone_classes(), 'background', 0), (cone_classes(), 'large_orange_cone', 4),
    (BINARY_CLASSES, 'cone', 0)])
def test_a_bias_shifts_the_logit_of_its_class_alone(classes, name, logit):
    before = random_checkpoint('eunet_n', classes, (32, 32))
    after, x = add_bias(before, name, -0.5), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        change = after.network(x) - before.network(x)
    expected = torch.zeros_like(change)
    expected[:, logit] = -0.5
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-4)
    assert after.training['added bias'] == {name: -0.5}


def test_what_cannot_be_averaged(tmp_path, pair, capsys):
    output = str(tmp_path / 'mixed.safetensors')
    for words, reason in ((['eunet_n', 'eunet_s'], 'architecture'),
                          (['eunet_n', 'eunet_n', '--share', '1.5'], '--share'),
                          (['eunet_n', 'nothing'], 'nothing'),
                          (['eunet_n', 'eunet_n', '--add-bias', 'blue', '1'], 'blue_cone'),
                          (['eunet_n', 'eunet_n', '--add-bias', 'blue_cone', 'x'], "'x'"),
                          (['eunet_n', 'eunet_n', '--add-bias', 'blue_cone', 'nan'], 'nan'),
                          (['eunet_n', 'eunet_n', '--add-bias', 'blue_cone', '1e5'], '1e5'),
                          (['eunet_n', 'eunet_n', '--thresholds', '1', '2'], '(1.0, 2.0)'),
                          (['eunet_n', 'eunet_n', '--thresholds', '-1', 'inf'], 'inf')):
        assert main([*words, '--output', output]) == 1
        error = capsys.readouterr().err
        assert reason in error and len(error.splitlines()) == 1
    with pytest.raises(ValueError, match='mean and std'):
        average(pair[0], replace(pair[1], mean=(0.5, 0.5, 0.5)), 0.5)
    assert not list(tmp_path.iterdir())
