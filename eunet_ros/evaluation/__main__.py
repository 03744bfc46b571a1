# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Run weights over every frame of recorded drives: quality, speed, and the worst frames.

    python -m eunet_ros.evaluate_bag my_drive --weights eunet_n

ROS is needed only with --live. See docs/evaluation.md.
"""
from __future__ import annotations

import argparse
from datetime import datetime, timezone
import os
import signal
import sys
from typing import Any

from eunet_ros.evaluation.finish import finish
from eunet_ros.evaluation.labels import export_labels
from eunet_ros.evaluation.options import make_plan, parse, space_needed
from eunet_ros.evaluation.page.text import result_lines
from eunet_ros.evaluation.run.folder import OutputFolder, read_report, REPORT
from eunet_ros.evaluation.run.live import play_all
from eunet_ros.evaluation.run.plan import OFFLINE, Plan
from eunet_ros.evaluation.run.progress import Progress
from eunet_ros.evaluation.run.runner import Runner
from eunet_ros.evaluation.scoring import gate
from eunet_ros.model.common.errors import sentence
from eunet_ros.model.common.files import refuse_existing

INTERRUPTED = 130


def main(args: list[str] | None = None) -> int:
    """Evaluate; returns the exit code: 1 if something is missing or a gate fails."""
    o = parse(args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(o)
    except (ValueError, ImportError, OSError) as error:
        print(f'evaluate_bag: {sentence(error)}', file=sys.stderr)
    except KeyboardInterrupt:
        print('evaluate_bag: interrupted.', file=sys.stderr)
        return INTERRUPTED
    return 1


def run(o: argparse.Namespace) -> int:
    """Evaluate with these options; returns the exit code. Raises ValueError, OSError."""
    gates, baseline = gate.parse_gates(o.fail_under), gate.read_baseline(o.baseline)
    plan, refused = make_plan(o, cores())
    gate.check_names(gates, plan.weights[0].table.names)
    if baseline is not None:
        gate.check_frames(baseline, plan.bags)
    folder = OutputFolder(o.output)
    with Progress('evaluate_bag') as progress:
        for text in refused:
            progress.say(f'evaluate_bag: left out: {text}')
        before = read_report(folder.path / REPORT)
        if o.resume and not folder.unfinished and before:
            if o.export_labels and not folder.labels.exists():
                raise ValueError(f'{folder.path} is finished and its masks are removed: run it '
                                 'without --resume to export labels.')
            progress.say(f'evaluate_bag: {folder.path} is finished, nothing is left to do.')
            return _judge(before, gates, baseline, refused)
        if o.export_labels:
            refuse_existing(folder.labels)
        folder.check_space(space_needed(plan, o.bag_topics, o.video))
        resumed = folder.begin(plan, o.resume, o.restart)
        report, interrupted = _evaluate(o, plan, folder, progress, refused, resumed)
    for line in result_lines(report, folder.path):
        print(line)
    for text in report['partial_because']:
        print(f'evaluate_bag: partial: {text}', file=sys.stderr)
    if folder.unfinished:
        print('evaluate_bag: results so far are kept; continue with the same command and '
              '--resume.', file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return _judge(report, gates, baseline, refused)


def _evaluate(o: argparse.Namespace, plan: Plan, folder: OutputFolder, progress: Progress,
              refused: list[str], resumed: bool) -> tuple[dict[str, Any], bool]:
    """Return the report, and whether it was interrupted."""
    run = {'started': datetime.now(timezone.utc).isoformat(timespec='seconds'),
           'resumed': resumed}
    render = [o.bag_topics, 'video' if o.video else 'no-video']
    runner = Runner(plan, folder.journal, None if render == ['none', 'no-video'] else render,
                    cores(), progress.show)
    interrupted = False
    try:
        if plan.mode != OFFLINE:
            try:
                play_all(plan, folder.journal, progress.show)
            except ValueError:
                if not any(runner.files(n).end.exists() for n in range(len(plan.bags))):
                    folder.discard()
                raise
        runner.run(segment=plan.mode == OFFLINE)
    except KeyboardInterrupt:
        interrupted = True
        progress.say('evaluate_bag: interrupted; writing the results so far …')
    if runner.errors and not interrupted and not runner.counted():
        folder.discard()
        raise ValueError(runner.errors[0])
    if o.export_labels and not interrupted and not runner.errors:
        count = export_labels(plan, folder, o.export_labels, o.export_every, progress.show)
        progress.say(f'evaluate_bag: {count} images with masks are in {folder.labels}.' if count
                     else 'evaluate_bag: no labels are written: no image has a mask.')
    report = finish(plan, folder, runner, run, refused, interrupted, progress.show)
    return report, interrupted


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _judge(report: dict[str, Any], gates: list[Any], baseline: dict[str, Any] | None,
           refused: list[str]) -> int:
    """Return the exit code, and print which gates fail."""
    rows = gate.check(report, gates, baseline)
    if rows:
        print('\n'.join(gate.table_lines(rows)))
    failed = any(row.failed for row in rows)
    return 1 if failed or refused or not report['complete'] else 0


if __name__ == '__main__':
    sys.exit(main())
