# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whole runs: on a project in FSOCO's format, interrupted and resumed, shared by processes."""
import json
import os
from pathlib import Path
import pickle
import platform
from shutil import copytree
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('lightning', reason='lightning is not installed')

from eunet_ros.model import load_checkpoint, Segmenter  # noqa: E402,I100
from eunet_ros.training import export  # noqa: E402
from eunet_ros.training.curves import read_curves  # noqa: E402
from eunet_ros.training.data.readers.rendered import rendered_set, RenderedScenes  # noqa: E402
from eunet_ros.training.train import main  # noqa: E402
from lightning.pytorch import Trainer  # noqa: E402
import torch  # noqa: E402
from training_runs import command, SMALL, start  # noqa: E402


def start_until_saved(cache, run, **options):
    """Start a run in a process; returns once it has saved something."""
    process = start(cache, run, **options)
    end = time.monotonic() + 60
    while not (run / 'last.ckpt').exists():
        assert process.poll() is None and time.monotonic() < end, process.stderr.read()
        time.sleep(0.002)
    return process


def test_a_missing_package_is_a_sentence(tmp_path, cache, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lion_pytorch.foreach', None)
    monkeypatch.delitem(sys.modules, 'eunet_ros.training.task', raising=False)
    assert main(command(cache, tmp_path / 'run')) == 1
    assert 'A Python package is missing' in capsys.readouterr().err


@pytest.mark.train
def test_denormals_are_flushed_in_a_run_alone(tmp_path, cache, monkeypatch):
    seen, fit = [], Trainer.fit

    def watched(*arguments, **options):
        seen.append(float(torch.tensor([1e-39]) * 1.0))
        return fit(*arguments, **options)
    monkeypatch.setattr(Trainer, 'fit', watched)
    assert main(command(cache, tmp_path / 'run', images=6, validation_images=2, steps=2,
                        validate_every=2)) == 0
    assert seen == [0.0] and float(torch.tensor([1e-39]) * 1.0) > 0.0


FAULTS = """
import resource
from eunet_ros.training.loop import cpu_settings
import torch

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(1 << 24)          # 64 MiB: more than any threshold of mmap
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults())
with cpu_settings():
    faults()
    print(faults())
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='another C library has no mallopt')
def test_a_step_takes_the_memory_that_the_one_before_freed():
    said = subprocess.run([sys.executable, '-c', FAULTS], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).resolve().parents[2])
    before, kept = map(int, said.stdout.split())
    assert kept < before / 4


@pytest.mark.train
def test_slow_bfloat16_is_told(tmp_path, cache, capsys, monkeypatch):
    monkeypatch.setattr('eunet_ros.training.train._has_bfloat16', lambda: False)
    assert main(command(cache, tmp_path / 'run', images=6, validation_images=2, steps=2,
                        validate_every=2, accelerator='cpu', precision='bf16-mixed')) == 0
    assert '--precision 32-true' in capsys.readouterr().out


@pytest.mark.train
def test_training_on_a_project(tmp_path, cache, cone_project):
    assert main(command(cache, tmp_path / 'run', data=cone_project, steps=4,
                        validate_every=2)) == 0
    run = tmp_path / 'run'
    checkpoint = load_checkpoint(run / 'eunet_n.safetensors', 'eunet_n')
    told = checkpoint.training
    split = json.loads((run / 'split.json').read_text())
    assert told['train']['images'] == len(split['train']) and told['border'] == 140
    # No camera is on both sides.
    assert not set(told['train']['sources']) & set(told['val']['sources'])
    assert 'test' not in told and str(cone_project) not in json.dumps(told)
    assert (run / 'curves.png').stat().st_size > 1000
    assert Segmenter(checkpoint, 'torch')(np.zeros((48, 64, 3), np.uint8)).shape == (48, 64)
    # The same split again, decoded once; one class.
    before = {p: p.stat().st_mtime_ns for p in cache.glob('fsoco_*/pixels.bin')}
    assert main(command(cache, tmp_path / 'two', data=cone_project, split=run / 'split.json',
                        steps=2, validate_every=2, binary='true', augment='false')) == 0
    assert {p: p.stat().st_mtime_ns for p in cache.glob('fsoco_*/pixels.bin')} == before
    two = load_checkpoint(tmp_path / 'two' / 'eunet_n.safetensors')
    assert two.classes.names == ('background', 'cone') and two.network.num_classes == 1


# Slow, 15 s of CPU: a run is only killed in its middle where it has many steps, and the process
# imports Lightning first, as does each of two.
LONG = {'images': 6, 'validation_images': 2, 'steps': 59, 'validate_every': 3, 'light': 0.5,
        'blur': 0.5, 'weather': 0.5, 'attention': 'lska'}


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory, cache):
    run = tmp_path_factory.mktemp('whole') / 'run'
    assert main(command(cache, run, **LONG)) == 0
    return run


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 1])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(tmp_path, cache, whole_run, workers):
    process = start_until_saved(cache, tmp_path / 'cut', **LONG, workers=workers)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    os.rename(tmp_path / 'cut', tmp_path / 'moved')
    assert main(['--resume', str(tmp_path / 'moved')]) == 0
    os.rename(tmp_path / 'moved', tmp_path / 'cut')
    whole, cut = read_curves(whole_run), read_curves(tmp_path / 'cut')
    assert len(whole['loss']) == 60 and len(whole['miou']) == 20
    # What the kill lost of the first log is only what was not yet on disk.
    known = dict(cut['loss'])
    resumed = [(step, value) for step, value in whole['loss'] if step in known]
    assert len(resumed) > 6 and resumed[-1][0] == 59
    assert [known[step] for step, _ in resumed] == pytest.approx([v for _, v in resumed], abs=1e-6)
    one, two = (load_checkpoint(run / 'eunet_n.safetensors')
                for run in (whole_run, tmp_path / 'cut'))
    for name, tensor in one.network.state_dict().items():
        np.testing.assert_allclose(two.network.state_dict()[name], tensor, atol=1e-3)


@pytest.mark.train
def test_export_of_a_run(tmp_path, small_run, capsys):
    run = copytree(small_run, tmp_path / 'run')
    assert export.main([str(run), '--output', str(tmp_path / 'mine.safetensors')]) == 0
    assert load_checkpoint(tmp_path / 'mine.safetensors').scores['validation crops']
    assert load_checkpoint(tmp_path / 'mine.safetensors').input_size == (64, 96)
    larger = str(tmp_path / 'larger.safetensors')
    assert export.main([str(run), '--output', larger, '--input-size', '96', '160',
                        '--strip-size', '32', '320', '--thresholds', '-1', '2']) == 0
    assert load_checkpoint(larger).thresholds == (-1, 2)
    assert load_checkpoint(larger).input_size == (96, 160)
    assert load_checkpoint(larger).strip_size == (32, 320)
    capsys.readouterr()
    assert export.main([str(run), '--output', str(tmp_path / 'o'), '--input-size', '9', '9']) == 1
    assert 'the nearest is 32x32' in capsys.readouterr().err
    assert export.main([str(run), '--output', str(tmp_path / 'mine.safetensors')]) == 1
    assert 'mine.safetensors exists' in capsys.readouterr().err
    (run / 'best.ckpt').write_bytes(b'nothing')
    assert export.main([str(run), '--output', str(tmp_path / 'other.safetensors')]) == 1
    assert 'Cannot read the weights' in capsys.readouterr().err
    assert export.main([str(tmp_path)]) == 1
    assert 'is not the folder of a run' in capsys.readouterr().err


@pytest.mark.train
def test_a_checkpoint_cannot_run_code(tmp_path, small_run, capsys):
    run = copytree(small_run, tmp_path / 'run')

    class Attack:

        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'attacked'),)
    (run / 'best.ckpt').write_bytes(pickle.dumps({'state_dict': Attack()}))
    assert export.main([str(run), '--output', str(tmp_path / 'o.safetensors')]) == 1
    assert 'Cannot read the weights' in capsys.readouterr().err
    assert not (tmp_path / 'attacked').exists()


@pytest.mark.train
@pytest.mark.parametrize(('number', 'devices'), [
    (signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGTERM, 2)])
def test_interrupted(tmp_path, cache, number, devices):
    process = start_until_saved(cache, tmp_path / 'run', images=6, validation_images=2,
                                steps=100_000, validate_every=3, devices=devices,
                                accelerator='cpu', batch=2)
    os.killpg(process.pid, number)  # as a terminal, timeout and systemd do
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1 and 'Interrupted at step' in error
    assert f'--resume {tmp_path / "run"} continues' in error and 'Traceback' not in error


def test_resume_needs_a_run(tmp_path, capsys):
    assert main(['--resume', str(tmp_path)]) == 1
    assert 'is not the folder of a run' in capsys.readouterr().err
    for more in (['--lr', '1'], ['--config', str(SMALL['config'])]):
        assert main(['--resume', str(tmp_path), *more]) == 1
        assert 'use it without other options' in capsys.readouterr().err
    for name in ('config.json', 'run.json'):
        (tmp_path / name).write_text('{}')
    assert main(['--resume', str(tmp_path)]) == 1
    assert 'holds no last.ckpt' in capsys.readouterr().err
    (tmp_path / 'last.ckpt').write_bytes(b'half')
    assert main(['--resume', str(tmp_path)]) == 1
    assert 'Cannot read the weights' in capsys.readouterr().err


# Left out is what each process averages over its own share: norm, Dice, weights of pixels.
SHARED = {'images': 6, 'validation_images': 3, 'steps': 6, 'validate_every': 3, 'batch': 4,
          'norm': 'group', 'dice_weight': 0, 'cone_weight': 1, 'color_weight': 0, 'ema': 0}


@pytest.fixture(scope='module')
def alone(tmp_path_factory, cache):
    """Return the curves of a run in one process."""
    run = tmp_path_factory.mktemp('alone') / 'run'
    assert main(command(cache, run, **SHARED)) == 0
    return read_curves(run)


@pytest.mark.slow
@pytest.mark.parametrize('before', [(), ('torchrun', '--standalone', '--nproc-per-node', '2')],
                         ids=['own', 'torchrun'])
def test_two_processes_do_what_one_does(tmp_path, cache, alone, before):
    """The same crops, gradients and scores, of an uneven validation too."""
    options = dict(SHARED)
    if before:
        before = [sys.executable, '-m', 'torch.distributed.run', *before[1:]]
    else:
        options['devices'] = 2
    process = start(cache, tmp_path / 'two', before, **options)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    two = read_curves(tmp_path / 'two')
    assert len(alone['loss']) > 3 and len(alone['miou']) == 2
    for name, expected in alone.items():
        assert [step for step, _ in two[name]] == [step for step, _ in expected]
        assert [v for _, v in two[name]] == pytest.approx([v for _, v in expected], abs=1e-4)
    assert not (tmp_path / 'two_2').exists()
    weights = load_checkpoint(tmp_path / 'two' / 'eunet_n.safetensors')
    assert weights.network.variant.norm == 'group'


@pytest.mark.train
def test_pictures_and_logs(tmp_path, cache):
    run = tmp_path / 'run'
    assert main(command(cache, run, images=6, validation_images=5, steps=4, validate_every=2,
                        tensorboard='true')) == 0
    panel = cv2.imread(str(run / 'panel.png'))
    assert panel.shape == (2 * 32, 3 * 64, 3)  # a batch of two
    # The first column is the image, the second shows its truth.
    assert (panel[:, :64] != panel[:, 64:128]).any()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(str(run / 'logs'))
    events.Reload()
    told = events.Tags()
    assert {'loss', 'dice', 'miou'} <= set(told['scalars'])
    assert [e.step for e in events.Images('validation')] == [2, 4]


@pytest.mark.train
def test_scenes_rendered_on_the_fly_are_the_same(tmp_path, cache, small_run):
    kept, fresh = rendered_set(cache, 0, 6, 64, 96), RenderedScenes(0, 6, 64, 96)
    assert fresh.shape == kept.shape and len(fresh) == 6
    np.testing.assert_array_equal(np.stack([fresh[i] for i in range(6)]), kept)
    assert main(command(cache, tmp_path / 'run', on_the_fly='true', images=6,
                        validation_images=2, steps=2, validate_every=1)) == 0
    assert read_curves(tmp_path / 'run') == read_curves(small_run)
