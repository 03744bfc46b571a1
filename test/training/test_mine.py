# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Hard examples: found where a network sees a cone that is none, and trained on."""
from eunet_ros.training.config import TrainConfig
from eunet_ros.training.data.formats import open_sets
from eunet_ros.training.data.readers.rendered import hard_images
from eunet_ros.training.renderer import render_scene
from eunet_ros.training.renderer.profiles import HARD
from eunet_ros.training.tools import mine
from eunet_ros.training.tools.mine import largest_false_cone, main
import numpy as np
import pytest


class BlueWalls:
    """Takes for cones what a simple rule on colours does."""

    def __call__(self, image):
        blue, green, red = (image[..., i].astype(int) for i in range(3))
        return ((blue > red + 60) & (blue > green + 30)).astype(np.uint8)


@pytest.fixture
def simple(monkeypatch):
    monkeypatch.setattr(mine, '_segmenter', lambda weights, engine: BlueWalls())


def test_the_largest_false_cone():
    truth, predicted = np.zeros((2, 50, 60), np.uint8)
    truth[5:25, 5:20] = 2
    predicted[5:25, 5:22] = 1               # of the wrong colour, but on a cone
    predicted[40:43, 40:43] = 3             # too small
    assert largest_false_cone(truth, predicted) is None
    predicted[30:34, 10:15] = 4
    predicted[30:40, 50:60] = 1
    assert largest_false_cone(truth, predicted) == (34, 54)
    truth[30:32, 50:60] = 2                 # a fifth of it is a cone
    assert largest_false_cone(truth, predicted) == (32, 12)


def test_scenes_to_look_in_have_no_cone_and_are_not_those_that_score():
    for seed in range(600_002, 600_006):
        assert not render_scene(seed, 192, 320, HARD).mask.any()
    assert HARD.salt != 53 and not set(HARD.sprites) & {16, 17, 18, 19}


def test_mined_parts_are_trained_on(simple, tmp_path, capsys):
    path = tmp_path / 'made' / 'hard.npy'
    options = ['--weights', 'eunet_n', '--images', '24', '--size', '192', '320',
               '--crop', '128', '160', '--output', str(path)]
    assert main(options) == 0
    parts = hard_images(path)
    assert parts.shape[1:] == (128, 160, 4) and 0 < len(parts) <= 24
    assert f'a false cone in {len(parts)} of 24 scenes' in capsys.readouterr().out
    rule = BlueWalls()
    assert all(largest_false_cone(part[..., 3], rule(part[..., :3])) is not None
               for part in parts)

    again = tmp_path / 'again.npy'
    main([*options[:-1], str(again)])
    assert again.read_bytes() == path.read_bytes()

    sets = open_sets(TrainConfig(
        images=2, validation_images=2, height=192, width=320, crop_height=96, crop_width=160,
        hard_images=f'{path},{again}', cache=str(tmp_path)))
    assert len(sets.train) == 2 + 2 * len(parts)
    np.testing.assert_array_equal(sets.train[2], parts[0])
    np.testing.assert_array_equal(sets.train[-1], parts[-1])


@pytest.mark.parametrize('options, sentence', [
    (['--weights', 'no_such'], 'no_such'),
    (['--images', '0'], 'one image or more'),
    (['--crop', '500', '480'], 'fits into --size'),
    (['--first-image', '999999999'], 'scenes to validate on'),
    (['--images', '1', '--engine', 'no_such'], 'no_such'),
])
def test_a_sentence_for_what_cannot_be(options, sentence, tmp_path, capsys):
    assert main(['--weights', 'eunet_n', '--output', str(tmp_path / 'hard.npy'), *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith('mine: ') and sentence in error and error.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    path = tmp_path / 'hard.npy'
    path.write_text('mine')
    assert main(['--weights', 'eunet_n', '--output', str(path)]) == 1
    assert 'exists' in capsys.readouterr().err and path.read_text() == 'mine'


def test_files_that_hold_no_hard_examples(tmp_path):
    path = tmp_path / 'hard.npy'
    for content in (b'', b'no array', None, np.zeros((2, 3)), np.zeros((0, 8, 8, 4), np.uint8)):
        if content is None:
            path.unlink()
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)
        with pytest.raises(ValueError, match='hard examples in '):
            hard_images(path)
    np.savez(tmp_path / 'hard.npz', a=np.zeros(3))
    with pytest.raises(ValueError, match='Expected hard examples'):
        hard_images(tmp_path / 'hard.npz')
    with pytest.raises(ValueError, match='hard_images are rendered'):
        TrainConfig(hard_images=str(path), data='somewhere')
