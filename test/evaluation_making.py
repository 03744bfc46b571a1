# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluations for tests, run as users run them."""
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile

from eunet_ros.bags.mask_store import MaskReader
from eunet_ros.evaluation import __main__ as evaluate_bag
from eunet_ros.evaluation.options import make_plan, parse
from eunet_ros.evaluation.run.plan import bag_files
from eunet_ros.evaluation.run.segment import segment_bag
from eunet_ros.evaluation.scoring.metric_table import entry_of, metrics_of
import numpy as np

ENVIRONMENT = {**os.environ, 'OMP_NUM_THREADS': '1'}


def command(*arguments):
    return [sys.executable, '-m', 'eunet_ros.evaluate_bag', *map(str, arguments)]


def evaluate(folder, *arguments, seconds=120, code=0):
    """Evaluate into folder/out; returns the report (None for none), stdout and stderr."""
    done = subprocess.run(
        command('--output', Path(folder) / 'out', '--engine', 'torch', *arguments),
        capture_output=True, text=True, timeout=seconds, cwd=folder, env=ENVIRONMENT)
    assert 'Traceback' not in done.stderr, done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    path = Path(folder) / 'out' / 'report.json'
    report = json.loads(path.read_text()) if path.exists() else None
    return report, done.stdout, done.stderr


def refused(capsys, folder, *arguments):
    """Ask in this process for what cannot be evaluated into folder/out; returns stderr."""
    capsys.readouterr()
    code = evaluate_bag.main(
        ['--output', str(Path(folder) / 'out'), '--engine', 'torch', *map(str, arguments)])
    said = capsys.readouterr()
    assert (code, said.out) == (1, ''), said
    return said.err


def masks_of(folder, bag, weights, **parameters):
    """Return the masks of a bag, segmented in this process; parameters: of the node."""
    file = Path(folder) / 'node.yaml'
    file.write_text(json.dumps({'/eunet': {'ros__parameters': parameters}}))
    plan, _ = make_plan(parse([str(bag), '--weights', str(weights), '--engine', 'torch',
                               '--params-file', str(file)]), 1)
    with tempfile.TemporaryDirectory(dir=folder) as journal:
        files = bag_files(Path(journal), 0)
        files.folder.mkdir()
        segment_bag(plan, 0, files)
        masks = MaskReader(files.masks(0))
        return [masks.read(i).mask for i in range(len(masks))]


def counts(report, k=0):
    """Return the confusion of weights, [true, predicted]."""
    return np.array(report['weights'][k]['scores']['confusion'])


def comparable(report):
    """Return a report without measured values: equal for equal frames, weights and engines."""
    return {name: value for name, value in report.items() if name not in ('speed', 'run', 'live')}


def missing_metrics(report):
    """Return the names of metrics that a report has no entry for; one of None is an entry."""
    missing, entry = [], entry_of(report, 0)
    for metric in metrics_of(entry['classes']):
        *folders, last = metric.path
        inner = entry
        for name in folders:
            inner = inner.get(name) or {}
        if last not in inner:
            missing.append(metric.name)
    return missing
