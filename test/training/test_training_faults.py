# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a training run is told in a sentence, and nothing is lost."""
from dataclasses import replace
import json
import os
import re
import resource
from shutil import copytree
import signal
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('lightning', reason='lightning is not installed')

from eunet_ros.model import load_checkpoint  # noqa: E402,I100
from eunet_ros.model.common.files import written_beside  # noqa: E402
from eunet_ros.model.common.label_writer import Item, write_project  # noqa: E402
from eunet_ros.training.callbacks import BesideCheckpointIO, EndAtSigterm  # noqa: E402
from eunet_ros.training.config import TrainConfig  # noqa: E402
from eunet_ros.training.data.render_fsoco import items  # noqa: E402
from eunet_ros.training.loop import make_trainer, world  # noqa: E402
from eunet_ros.training.losses import segmentation_loss  # noqa: E402
from eunet_ros.training.train import explain, main  # noqa: E402
import torch  # noqa: E402
from training_runs import command  # noqa: E402


@pytest.fixture(scope='module')
def bare(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bare') / 'fsoco'
    empty = np.zeros((72, 108), np.uint8)
    write_project(folder, [Item(f'cam{i}_0.png', np.dstack([empty] * 3), empty)
                           for i in range(4)], border=0)
    return folder


@pytest.fixture(scope='module')
def broken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('broken') / 'fsoco'
    write_project(folder, items(9, 5, 72, 108, sources=3), 'team', border=0)
    (folder / 'team/img/cam01_00004.png').write_bytes(b'not a picture')
    return folder


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp('single') / 'fsoco'
    write_project(folder, items(1, 5, 72, 108, sources=1), 'team', border=0)
    return folder


@pytest.fixture(scope='module')
def empty(tmp_path_factory):
    folder = tmp_path_factory.mktemp('empty') / 'fsoco'
    write_project(folder, [], 'team', border=0)
    return folder


@pytest.mark.train
def test_broken_images_are_left_out_and_counted(tmp_path, cache, broken):
    assert main(command(cache, tmp_path / 'run', data=broken, on_error='skip', steps=1,
                        validate_every=1)) == 0
    told = load_checkpoint(tmp_path / 'run' / 'eunet_n.safetensors').training
    assert sorted(told[part]['skipped'] for part in ('train', 'val')) == [0, 1]


@pytest.mark.parametrize('options, said', [
    ({'data': '{tmp}/missing'}, 'does not exist. Download the segmentation part of FSOCO'),
    ({'weights': '{tmp}/w.safetensors'}, 'There is no weights file'),
    ({'split': '{tmp}/none.json', 'data': '{project}'}, 'none.json'),
    ({'on_error': 'ignore'}, "on_error must be .* found 'ignore'"),
    ({'precision': 'int4'}, "precision must be .* found 'int4'"),
    pytest.param({'lr': 1e30, 'gradient_clip': 0}, 'The loss is not finite at step',
                 marks=pytest.mark.train),
    ({'data': '{bare}'}, 'No cone pixels in the sampled'),
    ({'data': '{empty}'}, 'No image with an annotation'),
    ({'data': '{bare}', 'data_format': 'coco', 'on_error': 'skip'}, 'image of COCO stops the run'),
    ({'data': '{single}'}, r'3 parts .* found 1 \(cam00\)'),
    ({'ema': 1.0}, 'ema must be below 1'),
    ({'batch': 4, 'devices': 4}, '4 processes .* found 2'),
    ({'batch': 3, 'devices': 2}, 'batch of 3 .* 2 processes'),
    ({'light': 1.5}, 'light .* at most 1, found 1.5'),
    ({'norm': 'instance'}, "norm must be .* batch, group, layer, .*'instance'"),
    ({'weights': '{weights}', 'norm': 'group'}, 'norm batch'),
    ({'data': '{broken}'}, 'cam01_00004.png is not an image'),
])
def test_what_goes_wrong_is_a_sentence(
        tmp_path, cache, cone_project, bare, broken, empty, single, tiny_weights, capsys, options,
        said):
    places = {'tmp': tmp_path, 'project': cone_project, 'bare': bare, 'broken': broken,
              'empty': empty, 'single': single, 'weights': tiny_weights}
    options = {k: str(v).format(**places) for k, v in options.items()}
    given = {'images': 6, 'validation_images': 2, 'steps': 6, 'validate_every': 3, **options}
    assert main(command(cache, tmp_path / 'run', **given)) == 1
    error = capsys.readouterr().err
    assert re.search(said, error) and 'Traceback' not in error, error
    kept = tmp_path / 'run'
    assert not kept.exists() or (kept / 'config.json').exists()


@pytest.mark.train
def test_a_batch_larger_than_the_set(tmp_path, cache, cone_project):
    """Crops are drawn again and again: a set of few images fills any batch."""
    assert main(command(cache, tmp_path / 'run', data=cone_project, batch=16, steps=1,
                        validate_every=1)) == 0
    assert load_checkpoint(tmp_path / 'run' / 'eunet_n.safetensors').training['step'] == 1


@pytest.mark.train
def test_a_mask_that_reaches_outside_the_image_is_cut_and_counted(tmp_path, cache):
    project = tmp_path / 'fsoco'
    write_project(project, items(6, 5, 72, 108, sources=3), 'team', border=0)
    path = next((project / 'team' / 'ann').glob('*.json'))
    content = json.loads(path.read_text())
    moved = next(o for o in content['objects'] if o['geometryType'] == 'bitmap')
    moved['bitmap']['origin'] = [100, 68]
    path.write_text(json.dumps(content))
    assert main(command(cache, tmp_path / 'run', data=project, steps=1, validate_every=1)) == 0
    told = load_checkpoint(tmp_path / 'run' / 'eunet_n.safetensors').training
    # Unless its source is in the part that is not looked at.
    split = json.loads((tmp_path / 'run' / 'split.json').read_text())
    expected = 0 if any(path.stem in name for name in split['test']) else 1
    assert sum(told[part]['objects cut at the edge'] for part in ('train', 'val')) == expected


def limit_file_size(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def small_files():
    """No file may become larger than 300 kB: as on a full disk, writing fails midway."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit_file_size(300_000)
    yield
    limit_file_size(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.train
def test_a_full_disk(tmp_path, cache, small_files, capsys):
    """Of a run that cannot save: a sentence, and what the run is made of is there."""
    run = tmp_path / 'run'
    assert main(command(cache, run, images=6, validation_images=2, steps=1,
                        validate_every=1)) == 1
    error = capsys.readouterr().err
    assert 'step 1 (File too large)' in error and 'nothing had been saved' in error
    assert 'Traceback' not in error
    assert (run / 'config.json').exists() and not list(run.glob('.*')) + list(run.glob('*.ckpt'))
    # Rendered scenes are not half there either, and no memory map of them crashes.
    assert main(command(tmp_path / 'other', run, images=20, validation_images=2)) == 1
    assert 'File too large' in capsys.readouterr().err
    assert not list((tmp_path / 'other').glob('*npy*')) + list((tmp_path / 'other').glob('.*tmp'))


def test_a_failed_save_leaves_the_former_checkpoint(tmp_path, small_files):
    path = tmp_path / 'last.ckpt'
    path.write_bytes(b'former')
    with pytest.raises(OSError, match='File too large'):
        BesideCheckpointIO().save_checkpoint({'a': torch.zeros(200_000)}, path)
    assert path.read_bytes() == b'former' and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_may_not_be_written(tmp_path, cache, capsys):
    closed = tmp_path / 'closed'
    closed.mkdir(mode=0o500)
    assert main(command(cache, closed / 'run', images=6, validation_images=2)) == 1
    assert 'Permission denied' in capsys.readouterr().err


def test_an_output_that_is_below_a_file(tmp_path, cache, capsys):
    (tmp_path / 'file').write_text('')
    assert main(command(cache, tmp_path / 'file' / 'run', images=6, validation_images=2)) == 1
    error = capsys.readouterr().err
    assert f"{tmp_path / 'file'}: File exists." in error and 'Traceback' not in error


@pytest.mark.parametrize('gpus, options, said', [
    (0, {'accelerator': 'gpu'}, 'accelerator is gpu'),
    (2, {'devices': 4}, 'devices is 4 .* 2 GPUs')])
def test_gpus_that_are_not_there(monkeypatch, gpus, options, said):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    with pytest.raises(ValueError, match=said):
        world(replace(TrainConfig(), **options))
    assert world(replace(TrainConfig(), accelerator='cpu', devices=2)) == (2, 1)
    assert world(replace(TrainConfig(), devices=0)) == (max(1, gpus), 1)


@pytest.mark.parametrize(('processes', 'handler'), [
    (1, signal.SIG_DFL), (2, signal.default_int_handler)])
def test_sigterm_interrupts_each_of_several_processes(tmp_path, processes, handler):
    """Lightning's handler has them wait for each other, now and then forever."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        for callback in make_trainer(TrainConfig(), tmp_path, first=False).callbacks:
            if isinstance(callback, EndAtSigterm):
                callback.on_train_start(SimpleNamespace(world_size=processes), None)
        assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_crop_of_padding_alone_costs_nothing():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = segmentation_loss(logits, torch.full((1, 4, 4), 255), torch.ones(3), 1.0, 1.0)
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize('error, said', [
    (RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.'), 'memory ran out'),
    (RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly'), 'memory ran out'),
    (RuntimeError('Connection closed by peer [127.0.0.1]:1'), 'Another process of this run'),
    (OSError(28, 'No space left on device'), 'step 5 (No space left on device)'),
    (RuntimeError('Caught RuntimeError in DataLoader worker process 0.'), None),
    (RuntimeError('The server socket has failed to listen: EADDRINUSE'), None)])
def test_what_is_told_of_an_error(tmp_path, error, said):
    told = explain(error, TrainConfig(), tmp_path, 5)
    assert told is None if said is None else said in str(told)


def test_errors_that_name_no_file_are_given_one(tmp_path):
    with pytest.raises(OSError, match=r'\[Errno 28\] .*b\.bin'), written_beside(
            tmp_path / 'b.bin'):
        raise OSError(28, 'No space left on device')
    with pytest.raises(OSError, match=r'^A process was killed$'), written_beside(tmp_path / 'b'):
        raise OSError('A process was killed')


@pytest.mark.train
def test_a_run_that_does_not_tell_its_architecture(tmp_path, small_run):
    run = copytree(small_run, tmp_path / 'run')
    told = json.loads((run / 'run.json').read_text())
    assert told.pop('architecture')['norm'] == 'batch'
    (run / 'run.json').write_text(json.dumps(told))
    assert main(['--resume', str(run)]) == 0
