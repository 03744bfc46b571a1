# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Run weights over every frame of recorded drives: how good, how fast, and where they fail.

    python -m eunet_ros.evaluate_bag my_drive --weights eunet_n

No ROS is needed, except with --live. docs/evaluation.md tells the rest.
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
from eunet_ros.evaluation.run.folder import OutputFolder
from eunet_ros.evaluation.run.live import play_all
from eunet_ros.evaluation.run.plan import bag_files, OFFLINE, Plan
from eunet_ros.evaluation.run.progress import Progress
from eunet_ros.evaluation.run.runner import Runner
from eunet_ros.evaluation.scoring.gate import (
    check,
    check_frames,
    check_names,
    parse_gates,
    read_baseline,
    table_lines,
)
from eunet_ros.model.common.files import refuse_existing
from eunet_ros.replay.drive import DemoError

INTERRUPTED = 130


def main(args: list[str] | None = None) -> int:
    """Evaluate; returns the exit code: 1 where something is missing or a gate fails."""
    o = parse(args)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(o)
    except (ValueError, DemoError, ImportError) as error:
        print(f'evaluate_bag: {error}', file=sys.stderr)
    except OSError as error:
        told = f'{error.filename}: {error.strerror}.' if error.filename else str(error)
        print(f'evaluate_bag: {told}', file=sys.stderr)
    except KeyboardInterrupt:
        print('evaluate_bag: interrupted.', file=sys.stderr)
        return INTERRUPTED
    return 1


def run(o: argparse.Namespace) -> int:
    """Evaluate as the options say; returns the exit code. Raises ValueError, OSError."""
    gates, baseline = parse_gates(o.fail_under), read_baseline(o.baseline)
    plan, refused = make_plan(o, cores())
    check_names(gates, plan.weights[0].table.names)
    if baseline is not None:
        check_frames(baseline, plan.bags)
    folder = OutputFolder(o.output)
    with Progress('evaluate_bag') as progress:
        for sentence in refused:
            progress.say(f'evaluate_bag: left out: {sentence}')
        before = folder.report()
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
    for sentence in report['partial_because']:
        print(f'evaluate_bag: partial: {sentence}', file=sys.stderr)
    if folder.unfinished:
        print('evaluate_bag: what is done is kept, the same command with --resume goes on.',
              file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return _judge(report, gates, baseline, refused)


def _evaluate(o: argparse.Namespace, plan: Plan, folder: OutputFolder, progress: Progress,
              refused: list[str], resumed: bool) -> tuple[dict[str, Any], bool]:
    """Return the report, and whether it was interrupted."""
    run = {'started': datetime.now(timezone.utc).isoformat(timespec='seconds'),
           'resumed': resumed}
    runner = Runner(plan, folder.journal, _render_arguments(o), cores(), progress.show)
    interrupted = False
    try:
        if plan.mode == OFFLINE:
            runner.run()
        else:
            _play(plan, folder, progress)
            runner.run(segment=False)
    except KeyboardInterrupt:
        interrupted = True
        progress.say('evaluate_bag: interrupted; writing what is done …')
    if runner.errors and not interrupted and not runner.counted():
        folder.discard()
        raise ValueError(runner.errors[0])
    if o.export_labels and not interrupted and not runner.errors:
        count = export_labels(plan, folder, o.export_labels, o.export_every, progress.show)
        progress.say(f'evaluate_bag: {count} images with masks are in {folder.labels}.' if count
                     else 'evaluate_bag: no labels are written: no image has a mask.')
    report = finish(plan, folder, runner, run, refused, interrupted, progress.show)
    return report, interrupted


def _play(plan: Plan, folder: OutputFolder, progress: Progress) -> None:
    try:
        play_all(plan, folder.journal, progress.show)
    except (ValueError, DemoError):
        if not any(bag_files(folder.journal, n).end.exists() for n in range(len(plan.bags))):
            folder.discard()
        raise


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _render_arguments(o: argparse.Namespace) -> list[str] | None:
    if o.bag_topics == 'none' and not o.video:
        return None
    return [o.bag_topics, 'video' if o.video else 'no-video']


def _judge(report: dict[str, Any], gates: list[Any], baseline: dict[str, Any] | None,
           refused: list[str]) -> int:
    """Return the exit code, and print what fails."""
    rows = check(report, gates, baseline)
    if rows:
        print('\n'.join(table_lines(rows)))
    failed = any(row.failed for row in rows)
    return 1 if failed or refused or not report['complete'] else 0


if __name__ == '__main__':
    sys.exit(main())
