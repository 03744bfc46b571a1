# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Real kills and interrupts: what was done is kept, and the end is that of an unbroken run."""
import csv
import os
from pathlib import Path
import signal
import subprocess
import time

from bag_making import make_bag
from eunet_ros.bags.reader import Bag
from eunet_ros.evaluation.run.folder import read_report
from eunet_ros.evaluation.run.journal import Journal, read_rows
from eunet_ros.evaluation.run.runner import MODULES
from evaluation_making import command, comparable, ENVIRONMENT, evaluate, refused
import pytest

pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')

# Slow, 20 s of CPU each: three evaluations of five processes, which all import their libraries.
FRAMES = 60   # so many that an evaluation is not over before something is killed


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bags')
    return [make_bag(folder / name, FRAMES) for name in ('first', 'second')]


@pytest.fixture(scope='module')
def unbroken(bags, tiny_weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp('unbroken')
    evaluate(folder, *bags, '--weights', tiny_weights, '--processes', 2)
    return folder / 'out'


def processes_of(parent, role):
    """Return the numbers of a process's children that do a role."""
    found = []
    for entry in Path('/proc').iterdir():
        try:
            if entry.name.isdigit():
                fields = (entry / 'stat').read_text().rpartition(')')[2].split()
                told = (entry / 'cmdline').read_text()
                if int(fields[1]) == parent and f'{MODULES[role]}\0' in told:
                    found.append(int(entry.name))
        except (OSError, ValueError, IndexError):
            continue
    return sorted(found)


def start(folder, bags, weights, *arguments):
    return subprocess.Popen(
        command('--output', folder / 'out', '--engine', 'torch', '--processes', 2, '--weights',
                weights, *bags, *arguments),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=ENVIRONMENT)


def until(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(0.005)


def done(folder):
    """Return how many frames each bag's journal has."""
    journal = folder / 'out' / 'journal'
    return [sum(1 for _ in read_rows(journal / f'bag_{n}' / 'frames.jsonl', dict))
            for n in (0, 1)]


def assert_same(folder, other):
    """Compare all but what is measured: report, rows of frames, and the messages of the bags."""
    assert comparable(read_report(folder / 'report.json')) == comparable(
        read_report(other / 'report.json'))
    ours, theirs = (list(csv.DictReader((f / 'metrics.csv').open())) for f in (folder, other))
    for row, expected in zip(ours, theirs, strict=True):
        assert {k: v for k, v in row.items() if not k.endswith('_ms')} == {
            k: v for k, v in expected.items() if not k.endswith('_ms')}
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in other.iterdir())
    for name in ('bag_first', 'bag_second'):
        with Bag(folder / name) as made, Bag(other / name) as expected:
            assert set(made.topics) == set(expected.topics)
            assert list(made.raw_of(list(made.topics))) == list(
                expected.raw_of(list(made.topics)))


@pytest.mark.process
def test_two_processes_are_killed_and_it_is_gone_on_with(
        tmp_path, capsys, bags, tiny_weights, unbroken):
    parent = start(tmp_path, bags, tiny_weights)
    try:
        until(lambda: min(done(tmp_path)) >= 5, parent)
        os.kill(processes_of(parent.pid, 'segment')[0], signal.SIGKILL)
        scored = tmp_path / 'out' / 'journal' / 'bag_1' / 'scores_0.jsonl'
        until(lambda: len(list(read_rows(scored, dict))) >= 3, parent)
        os.kill(processes_of(parent.pid, 'score')[-1], signal.SIGKILL)
        _, err = parent.communicate(timeout=60)
    finally:
        parent.kill()
    assert 'Traceback' not in err
    assert parent.returncode == 1
    assert err.count('was killed (signal 9)') >= 2 and '--resume' in err
    partial = read_report(tmp_path / 'out' / 'report.json')
    assert not partial['complete'] and 5 <= partial['frames_done'] < 2 * FRAMES
    assert 'This report is partial' in (tmp_path / 'out' / 'index.html').read_text()
    # Without --resume nothing of it is lost by mistake.
    err = refused(capsys, tmp_path, *bags, '--weights', tiny_weights)
    assert 'unfinished evaluation' in err and '--resume' in err
    evaluate(tmp_path, *bags, '--weights', tiny_weights, '--processes', 2, '--resume')
    assert_same(tmp_path / 'out', unbroken)


@pytest.mark.process
def test_all_is_killed_and_it_is_gone_on_with(tmp_path, bags, tiny_weights, unbroken):
    parent = start(tmp_path, bags, tiny_weights)
    try:
        until(lambda: min(done(tmp_path)) >= 5, parent)
        children = [p for role in ('segment', 'score') for p in processes_of(parent.pid, role)]
        for victim in [parent.pid, *children]:
            os.kill(victim, signal.SIGKILL)
    finally:
        parent.kill()
        parent.communicate()
    # As a power cut leaves it: a row that was cut short.
    journal = tmp_path / 'out' / 'journal' / 'bag_0' / 'frames.jsonl'
    data = journal.read_bytes()
    journal.write_bytes(data[:-20])
    evaluate(tmp_path, *bags, '--weights', tiny_weights, '--processes', 2, '--resume')
    assert_same(tmp_path / 'out', unbroken)


@pytest.mark.process
def test_interrupt_leaves_a_partial_report(tmp_path, capsys, bags, tiny_weights):
    parent = start(tmp_path, bags, tiny_weights)
    try:
        until(lambda: min(done(tmp_path)) >= 5, parent)
        parent.send_signal(signal.SIGINT)
        out, err = parent.communicate(timeout=60)
    finally:
        parent.kill()
    assert parent.returncode == 130
    assert 'Traceback' not in err and 'It was interrupted' in err and '--resume' in err
    report = read_report(tmp_path / 'out' / 'report.json')
    assert not report['complete'] and 'It was interrupted.' in report['partial_because']
    assert '(partial)' in out
    # Another plan is no continuation of this one.
    err = refused(capsys, tmp_path, bags[0], '--weights', tiny_weights, '--resume')
    assert 'differs in the bags' in err and len(err.strip().splitlines()) == 1


def test_a_journal_drops_what_was_cut_short(tmp_path):
    path = tmp_path / 'rows.jsonl'
    journal = Journal(path)
    for i in range(3):
        journal.append({'i': i})
    journal.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert journal.count == whole[:cut].count(b'\n')
        journal.append({'i': 'next'})
        journal.close()
        assert list(read_rows(path, dict))[journal.count] == {'i': 'next'}
