# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the files of the output folder from the journals, also from incomplete ones."""
from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from eunet_ros.evaluation.page.ground_pictures import ground_frames
from eunet_ros.evaluation.page.page import write_page
from eunet_ros.evaluation.page.pictures import worst_frames
from eunet_ros.evaluation.page.recordings import recordings_of
from eunet_ros.evaluation.page.report import make_report, write_metrics
from eunet_ros.evaluation.page.text import truth_notes
from eunet_ros.evaluation.run.folder import METRICS, OutputFolder, PAGE, REPORT
from eunet_ros.evaluation.run.live import live_figures
from eunet_ros.evaluation.run.plan import BagEnd, OFFLINE, Plan
from eunet_ros.evaluation.run.runner import Runner, Show
from eunet_ros.evaluation.scoring.summary import summarise
from eunet_ros.evaluation.scoring.truth import open_truth
from eunet_ros.model.common.errors import sentence
from eunet_ros.model.common.files import write_json
from eunet_ros.replay.figures import machine


def finish(plan: Plan, folder: OutputFolder, runner: Runner, run: dict[str, Any],
           refused: list[str], interrupted: bool, show: Show) -> dict[str, Any]:
    """Write report.json, metrics.csv and the page; returns the report. OSError, ValueError."""
    show('Writing the report', 0, 1)
    ends = runner.ends()
    truths = [_truth(plan, number) for number in range(len(plan.bags))]
    summary = summarise(plan, folder.journal, ends, truths)
    partial, again = _missing(plan, summary.bags, ends, runner.errors, refused, interrupted)
    run = {**run, 'ended': datetime.now(timezone.utc).isoformat(timespec='seconds'),
           'images_per_s': runner.rate(), 'processes': plan.workers,
           'one_at_a_time': plan.alone, 'machine': machine()}
    live = None if plan.mode == OFFLINE else live_figures(plan, folder.journal, summary.frames)
    report = make_report(plan, summary, partial, runner.engines(), run, live)
    write_metrics(folder.path / METRICS, plan, summary.frames)
    files = [name for number in range(len(plan.bags)) for name in recordings_of(plan, number)]
    write_page(folder.path / PAGE, plan, report, summary.frames,
               worst_frames(plan, folder.journal, summary.frames),
               ground_frames(plan, folder.journal, summary.frames),
               [n for n in (REPORT, METRICS, *files) if n == REPORT or (folder.path / n).exists()])
    write_json(folder.path / REPORT, report)
    if not again:
        folder.finish()
    return report


def _truth(plan: Plan, number: int) -> dict[str, Any] | None:
    try:
        truth = open_truth(plan.truth, Path(plan.bags[number].path), plan.truth_classes)
    except ValueError as error:
        return {'source': '', 'masks': 0, 'error': str(error)}
    if truth is None:
        return None
    truth.close()
    return {'source': truth.source, 'masks': len(truth.stamps),
            'files_without_stamp': getattr(truth, 'unnamed', 0),
            'error': getattr(truth, 'broken', '')}


def _truth_of_none(plan: Plan, bags: list[dict[str, Any]]) -> list[str]:
    """Return a sentence if there should be ground truth but no image can be scored with it."""
    truths = [bag['truth'] for bag in bags if bag['truth'] and bag['frames_masked']]
    asked = plan.truth.get('folder') or plan.truth.get('topic')
    unusable = asked or any(t['errors'] or t['error'] for t in truths)
    if not truths or not unusable or any(
            t['frames_with_truth'] and not t['only_ignored'] for t in truths):
        return []
    why = next((note for t in truths for note in reversed(truth_notes(t))), 'no stamp is equal')
    return [f'No image is scored by ground truth{", which was asked for" if asked else ""}: '
            f'{sentence(why)}']


def _missing(plan: Plan, bags: list[dict[str, Any]], ends: list[BagEnd], errors: list[str],
             refused: list[str], interrupted: bool) -> tuple[list[str], bool]:
    """Return sentences about missing results, and whether --resume can add them."""
    reasons = [f'Left out: {text}' for text in refused]
    again = interrupted or bool(errors)
    if interrupted:
        reasons.append('It was interrupted.')
    reasons += errors
    reasons += _truth_of_none(plan, bags)
    for bag, end in zip(bags, ends):
        if bag['error'] and bag['error'] not in errors:
            reasons.append(f'{bag["label"]}: {bag["error"]}')
        if bag['frames_done'] and not bag['frames_masked']:
            why = bag['errors'][0]['sentence'] if bag['errors'] else 'the node returned no mask'
            reasons.append(f'No image of {bag["label"]} has a mask: {why}')
        if bag['frames_done'] < bag['frames']:
            reasons.append(f'{bag["frames_done"]} of {bag["frames"]} frames of {bag["label"]} are '
                           'evaluated.')
            again = again or end.complete or end.again
    return reasons, again
