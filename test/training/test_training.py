# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training: configuration, losses, crops, and a small run whose weights the node can load."""
import csv
from dataclasses import replace
import pickle
from types import SimpleNamespace

import cv2
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.resources import share_file
import numpy as np
import pytest

pytest.importorskip('lightning', reason='lightning is not installed')

from eunet_ros.model import load_checkpoint, Segmenter  # noqa: E402,I100
from eunet_ros.training import losses  # noqa: E402
from eunet_ros.training.callbacks import ramped_decay  # noqa: E402
from eunet_ros.training.config import parse_command_line, TrainConfig  # noqa: E402
from eunet_ros.training.data.crops import (  # noqa: E402
    count_pixels,
    CropDataset,
    EpochSampler,
)
from eunet_ros.training.data.formats import open_sets  # noqa: E402
from eunet_ros.training.data.readers import rendered  # noqa: E402
from eunet_ros.training.data.readers.rendered import rendered_set  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402
from eunet_ros.training.run_folder import new_folder  # noqa: E402
from eunet_ros.training.task import packed_pixels  # noqa: E402
from eunet_ros.training.train import main  # noqa: E402
import torch  # noqa: E402
from torch.utils.data import ConcatDataset  # noqa: E402

SYNTHETIC = str(share_file('config/training/synthetic.yaml'))


@pytest.fixture(scope='module')
def scenes(cache):
    return rendered_set(cache, 0, 6, 64, 96)


def test_shipped_configuration_is_valid():
    config = parse_command_line(['--config', SYNTHETIC])
    assert (config.variant, config.batch) == ('eunet_n', 4)


def test_command_line_overrides_the_file(tmp_path):
    path = tmp_path / 'c.yaml'
    path.write_text('lr: 1\nsteps: 7\n')
    config = parse_command_line(['--config', str(path), '--steps', '9'])
    assert (config.lr, config.steps) == (1.0, 9)


@pytest.mark.parametrize('text, said', [
    ('stesp: 3', "'stesp'; did you mean steps?"), ('- 1', 'found list'), ('a: [', 'Cannot read'),
    ('steps: many', "must be of type int, found 'many'"), ('batch: 0', 'at least 1, found 0'),
    ('variant: eunet_x', "Unknown variant 'eunet_x'"), ('crop_height: 250', 'multiples of 32'),
    ('crop_width: 1280', 'must fit into the image'), ('lr: .nan', 'at least 1e-12, found nan')])
def test_bad_configuration_ends_in_a_sentence(tmp_path, capsys, text, said):
    path = tmp_path / 'c.yaml'
    path.write_text(text)
    assert main(['--config', str(path)]) == 1
    error = capsys.readouterr().err
    assert said in error and 'Traceback' not in error


@pytest.mark.parametrize('words, said', [
    (['--stesp', '3'], "unknown field 'stesp'; did you mean steps?"),
    (['--crop-hight=3'], "unknown field 'crop_hight'; did you mean crop_height?"),
    (['three'], "has 'three', which belongs to no option")])
def test_unknown_options_are_refused_with_the_nearest(capsys, words, said):
    assert main(words) == 1
    assert said in capsys.readouterr().err


def test_underscores_on_the_command_line():
    assert parse_command_line(['--crop_height', '192', '--crop_width=320']).crop_height == 192


def test_class_weights():
    weights = losses.class_weights([1000, 10, 40], cone_weight=2.0, balance=0.5)
    assert weights.tolist() == pytest.approx([1, 2 * 2.5 ** 0.5, 2 * 0.625 ** 0.5])
    assert losses.class_weights([9, 5, 0], 3.0, 0.0).tolist() == [1, 3, 3]


def plain_loss(logits, target, weight, dice_weight, color_weight, miss_weight):
    """Return the loss as PyTorch's own functions compute it, for its gradient."""
    known, cone = target != 255, (target > 0) & (target != 255)
    entropy = torch.nn.functional.cross_entropy(logits, target, weight, ignore_index=255)
    share = (1 - logits.softmax(1)[:, 0]) * known
    overlap = (share * cone).sum()
    cost = 2 * (miss_weight * (cone.sum() - overlap) + (1 - miss_weight) * (share.sum() - overlap))
    dice = (2 * overlap + 50) / (2 * overlap + cost + 50)
    colors = torch.nn.functional.cross_entropy(logits.movedim(1, -1)[cone][:, 1:],
                                               target[cone] - 1)
    return entropy + dice_weight * (1 - dice) + color_weight * colors


@pytest.mark.parametrize('options', [(0, 0, 0.5), (1.5, 0, 0.5), (2, 0.5, 0.7), (0, 1, 0.5)])
@pytest.mark.parametrize(('shape', 'layout'), [
    ((2, 5, 6, 8), torch.contiguous_format), ((2, 5, 6, 8), torch.channels_last),
    ((6, 5, 16), torch.contiguous_format)])
def test_the_loss_and_its_gradient_are_those_of_pytorch(shape, layout, options):
    torch.manual_seed(1)
    logits = torch.randn(shape, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    target = torch.randint(0, 5, (shape[0], *shape[2:]))
    target[0, 1] = 255
    weight = torch.tensor([1, 2, 0.5, 3, 1], dtype=torch.float64)
    losses_and_gradients = []
    for loss in (losses.segmentation_loss, plain_loss):
        value = 3 * loss(logits, target, weight, *options)
        losses_and_gradients.append((value, *torch.autograd.grad(value, logits)))
    torch.testing.assert_close(*losses_and_gradients)


@pytest.mark.parametrize('stem', [1, 2, 4])
def test_packed_logits_have_the_loss_of_unpacked_ones(stem):
    torch.manual_seed(2)
    packed = torch.randn(2, 3 * stem ** 2, 16 // stem, 24 // stem)
    target = torch.randint(0, 3, (2, 16, 24))
    pairs = packed_pixels(packed, target, stem), (
        torch.nn.functional.pixel_shuffle(packed, stem), target)
    one, other = (losses.segmentation_loss(*pair, torch.tensor([1.0, 2.0, 3.0]), 1.0, 1.0)
                  for pair in pairs)
    torch.testing.assert_close(one, other)


def test_losses_by_hand():
    logits = torch.log(torch.tensor([[[[0.5, 0.9]], [[0.5, 0.1]]]]))  # (1, 2, 1, 2)
    target, weight = torch.tensor([[[1, 0]]]), torch.tensor([1.0, 4.0])

    def loss(target, dice_weight=0.0, color_weight=0.0):
        return float(losses.segmentation_loss(logits, target, weight, dice_weight, color_weight))
    entropy = -(4 * np.log(0.5) + np.log(0.9)) / 5
    assert loss(target) == pytest.approx(entropy)
    # overlap 0.5, predicted 0.6, true 1, 50 pixels on both sides; one cone class has no colour
    assert loss(target, 2.0, 1.0) == pytest.approx(entropy + 2 * (1 - 51 / 51.6))
    ignored = torch.tensor([[[1, 255]]])
    assert loss(ignored, 2.0, 1.0) == pytest.approx(-np.log(0.5) + 2 * (1 - 51 / 51.5))


def test_colour_loss_looks_at_cones_alone():
    logits = torch.tensor([9.0, 1.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 1, 4)
    target, weight = torch.tensor([[[0, 2, 1, 255]]]), torch.ones(3)

    def colors(target):
        with_colors, without = (losses.segmentation_loss(logits, target, weight, 0, w)
                                for w in (1, 0))
        return float(with_colors - without)
    expected = (np.log(1 + np.exp(-2)) + np.log(1 + np.exp(2))) / 2
    assert colors(target) == pytest.approx(expected, abs=1e-6)
    assert colors(torch.zeros(1, 1, 4, dtype=torch.long)) == 0


def test_one_logit_is_binary_cross_entropy():
    logits, target = torch.randn(2, 1, 4, 4), torch.randint(0, 2, (2, 4, 4))
    torch.testing.assert_close(
        losses.segmentation_loss(losses.with_background(logits), target, torch.ones(2), 0, 0),
        torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], target.float()))


def test_the_average_forgets_the_random_start():
    assert [ramped_decay(0.998, n) for n in (0, 8, 4500)] == [0.1, 0.5, 0.998]
    start = 1.0
    for n in range(200):
        start *= ramped_decay(0.998, n)
    assert start < 1e-6 < 0.998 ** 200


def test_rendered_set_is_kept_and_read_only(cache, scenes):
    assert scenes.shape == (6, 64, 96, 4) and not scenes.flags.writeable
    assert set(np.unique(scenes[..., 3])) <= set(range(6))
    [file] = cache.glob('*_0_6_64x96.npy')
    before = file.stat().st_mtime_ns
    np.testing.assert_array_equal(rendered_set(cache, 0, 6, 64, 96), scenes)
    assert file.stat().st_mtime_ns == before
    assert sum(count_pixels(scenes, 6)) == 6 * 64 * 96


def test_crops_are_the_same_for_the_same_seed(scenes):
    def item(seed, index):
        image, mask = CropDataset(scenes, (32, 64), 20, 0.7, seed)[index]
        assert image.shape == (3, 32, 64) and image.dtype == torch.uint8
        assert mask.shape == (32, 64) and mask.dtype == torch.int64
        return image, mask
    for index in range(10):
        one, two = item(3, index), item(3, index)
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert not torch.equal(item(3, 0)[0], item(4, 0)[0])


def test_epochs_follow_each_other():
    sampler = EpochSampler(3)
    assert (len(sampler), list(sampler)) == (3, [0, 1, 2])
    sampler.set_epoch(2)
    assert list(sampler) == [6, 7, 8]


def test_a_memory_map_is_not_copied_to_other_processes(scenes):
    data = CropDataset(scenes, (32, 64), 6, 0.5, 0)
    packed = pickle.dumps(data)
    assert len(packed) < scenes.nbytes / 10
    again = pickle.loads(packed)
    assert isinstance(again.scenes, np.memmap) and not again.scenes.flags.writeable
    for one, two in zip(data[3], again[3]):
        assert torch.equal(one, two)


def test_sets_of_two_sizes_as_one(tmp_path):
    paths = [tmp_path / f'{k}.npy' for k in (0, 1)]
    rng = np.random.default_rng(0)
    for path, size in zip(paths, ((48, 80), (72, 120))):
        np.save(path, rng.integers(0, 3, (3, *size, 4), np.uint8))
    both = ConcatDataset([np.load(path, mmap_mode='r') for path in paths])
    assert len(both) == 6
    assert [both[k].shape[:2] for k in range(6)] == 3 * [(48, 80)] + 3 * [(72, 120)]
    assert np.array_equal(both[4], np.load(paths[1])[1])
    with pytest.raises(IndexError):
        both[6]
    assert sum(count_pixels(both, 3)) == 3 * (48 * 80 + 72 * 120)
    data = CropDataset(both, (32, 64), 12, 0.5, 0)
    sent = pickle.dumps(data)
    assert len(sent) < 5000  # the files, not what is in them
    again = pickle.loads(sent)
    for k in range(12):
        for mine, other in zip(data[k], again[k]):
            assert torch.equal(mine, other)


def test_large_images_are_of_one_and_a_half_times_the_size(tmp_path):
    config = TrainConfig(images=2, large_images=1, validation_images=1, height=64, width=96,
                         crop_height=32, crop_width=64, cache=str(tmp_path))
    train = open_sets(config).train
    assert [train[k].shape for k in range(3)] == [(64, 96, 4), (64, 96, 4), (96, 144, 4)]
    assert np.array_equal(train[2][..., 3], render_scene(2, 96, 144).mask)
    flying = open_sets(replace(config, on_the_fly=True)).train
    assert np.array_equal(flying[2], train[2])
    with pytest.raises(ValueError, match='large_images are rendered'):
        replace(config, data='somewhere')


def test_scenes_on_the_fly_are_rendered_once_for_all_their_crops(monkeypatch):
    rendered_now = []

    def render(seed, height, width, *rest):
        rendered_now.append(seed)
        noise = np.random.default_rng(seed).integers(0, 6, (height, width, 4), np.uint8)
        return SimpleNamespace(image=noise[..., :3], mask=noise[..., 3])
    monkeypatch.setattr(rendered, 'render_scene', render)
    flying = rendered.RenderedScenes(5000, 200, 32, 64)
    crops = CropDataset(flying, (32, 32), 400, 0.0, 0, augment=False, per_scene=2)
    images = [crops[k][0] for k in range(256)]
    assert len(rendered_now) == len(set(rendered_now)) == 128
    assert {5000 + number for number in crops._order[:128].tolist()} == set(rendered_now)
    differ = sum(not torch.equal(images[k], images[k + 64]) for k in range(64))
    assert differ > 32  # the same scenes, cut elsewhere
    assert torch.equal(CropDataset(flying, (32, 32), 400, 0.0, 0, augment=False, per_scene=2)[70][
        0], images[70])


def test_crops_of_one_class_and_unchanged(scenes):
    many, one = (CropDataset(scenes, (64, 96), 6, 0.0, 0, binary, augment=False)
                 for binary in (False, True))
    order = np.random.default_rng(0).permutation(6)
    for index in range(6):
        image, mask = many[index]
        scene = scenes[order[index]]
        np.testing.assert_array_equal(image.permute(1, 2, 0), scene[..., 2::-1])
        np.testing.assert_array_equal(mask, scene[..., 3])
        assert torch.equal(one[index][1], (mask > 0).long())


def test_image_and_mask_are_cut_alike():
    """A picture in which the colour says the class: after every crop it still does."""
    mask = np.kron(np.random.default_rng(0).integers(0, 2, (4, 6)), np.ones((16, 16), int))
    scene = np.zeros((1, 64, 96, 4), np.uint8)
    scene[0, ..., 2], scene[0, ..., 3] = mask * 200, mask  # red where the class is 1
    data = CropDataset(scene, (32, 64), 30, 0.5, 0)
    for image, cut in (data[i] for i in range(30)):
        red = image[0].float()
        threshold = (red.max() + red.min()) / 2
        if 0.1 < cut.float().mean() < 0.9:
            assert ((red > threshold) == (cut == 1)).float().mean() > 0.9


def test_masks_of_zoomed_and_rotated_crops_are_not_displaced():
    """By less than a tenth of a pixel on average: a network learns any displacement."""
    rng = np.random.default_rng(0)
    scenes = np.zeros((100, 96, 144, 4), np.uint8)
    for scene in scenes:
        x, y = rng.integers(30, (114, 66)).tolist()
        disc = cv2.circle(np.zeros((96, 144), np.uint8), (x, y), 7, 1, -1)
        scene[disc == 1] = 255, 255, 255, 1
    offsets, whole = [], np.s_[2:-2, 2:-2]
    crops = CropDataset(scenes, (64, 96), 100, 1.0, 0)
    for image, mask in (crops[i] for i in range(100)):
        bright, cone = (image[0] - image[0].min()) * (mask != 255), mask == 1
        if cone.sum() == cone[whole].sum() and (mask == 255).sum() < 400:
            centre = [(part.nonzero() * part[part > 0][:, None]).sum(0) / part.sum()
                      for part in (bright.double(), cone.double())]
            offsets.append(centre[1] - centre[0])
    assert len(offsets) > 40
    assert torch.stack(offsets).mean(0).abs().max() < 0.1


def test_no_run_is_overwritten(tmp_path):
    assert [new_folder(tmp_path / 'run').name for _ in range(3)] == ['run', 'run_2', 'run_3']


@pytest.mark.train
def test_a_small_run_learns_and_its_weights_load(tmp_path, cache):
    arguments = {
        'config': SYNTHETIC, 'images': 6, 'validation-images': 2, 'height': 64, 'width': 96,
        'crop-height': 64, 'crop-width': 96, 'steps': 40, 'batch': 4, 'lr': 2e-3, 'ema': 0.8,
        'validate-every': 20, 'workers': 0, 'threads': 1, 'cone-crops': 1.0, 'cache': cache,
        'output': tmp_path / 'run'}
    command = [word for k, v in arguments.items() for word in (f'--{k}', str(v))]
    assert main(command) == 0
    path = tmp_path / 'run' / 'eunet_n.safetensors'
    checkpoint = load_checkpoint(path, 'eunet_n')
    assert checkpoint.classes == cone_classes() and checkpoint.input_size == (64, 96)
    assert checkpoint.training['config']['steps'] == 40
    assert 0 <= checkpoint.scores['validation crops']['dice'] <= 1
    assert Segmenter(path, 'torch')(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64)
    # And training goes on from them.
    command += ['--weights', str(path), '--steps', '2', '--validate-every', '2']
    assert main(command) == 0
    with open(tmp_path / 'run_2' / 'logs' / 'metrics.csv') as file:
        assert [row['dice'] for row in csv.DictReader(file) if row['dice']]


@pytest.mark.train
def test_weights_of_another_variant_are_refused_or_widened(tmp_path, cache, tiny_weights, capsys):
    run = tmp_path / 'run'
    command = ['--config', SYNTHETIC, '--weights', str(tiny_weights), '--variant', 'eunet_s',
               '--images', '2', '--validation-images', '1', '--height', '64', '--width', '96',
               '--crop-height', '64', '--crop-width', '96', '--steps', '1', '--workers', '0',
               '--cache', str(cache), '--output', str(run)]
    assert main(command) == 1
    assert 'weights of eunet_n, not of eunet_s' in capsys.readouterr().err
    assert main([*command, '--widen', 'true']) == 0
    checkpoint = load_checkpoint(run / 'eunet_s.safetensors', 'eunet_s')
    assert checkpoint.training['started from'] == load_checkpoint(tiny_weights).training
    assert main([*command, '--widen', 'true', '--new-head', 'true']) == 1
    assert 'leave new_head out' in capsys.readouterr().err


def test_a_later_stage_can_see_other_scenes(cache):
    config = replace(TrainConfig(), data='', images=1, validation_images=1, height=64, width=96,
                     crop_height=64, crop_width=96, cache=str(cache))
    first, second, both = (open_sets(replace(config, first_image=n, images=count)).train
                           for n, count in ((0, 1), (1, 1), (0, 2)))
    assert not np.array_equal(first[0], second[0])
    assert np.array_equal(both[0], first[0]) and np.array_equal(both[1], second[0])
    with pytest.raises(ValueError, match='beyond are the images to validate on'):
        open_sets(replace(config, first_image=1_000_000_000))
