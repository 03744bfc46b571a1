# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of every image of a soak, and the table of its minutes; no ROS."""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

import numpy as np

S = 1_000_000_000
MASKED = 'masked'
LOST_MASK = 'masked, the mask did not arrive'
KILLED = 'in work when the node was killed'
ABSENT = 'sent while no node listened'
LOST = 'lost in DDS on the way to the node'
OPEN = 'unexplained'


@dataclass
class Notes:
    """
    What the processes wrote down, times in ns since the epoch.

    sent: stamps. arrived: when each mask came, by stamp. fates: (pid, event, stamp) in order.
    killed: pids that were killed. absences: (from, start of the search for its end): no node is
    there from the first until an image that it receives after the second. end: of the run.
    """

    sent: list[int]
    arrived: dict[int, int]
    fates: list[tuple[int, str, int]]
    killed: set[int] = field(default_factory=set)
    absences: list[tuple[int, int]] = field(default_factory=list)
    end: int = 0


def account(notes: Notes) -> dict[int, str]:
    """Return what became of each image that was sent, by stamp: one reason each."""
    received: dict[int, int] = {}
    ended: dict[int, str] = {}
    for pid, event, stamp in notes.fates:
        if event == 'received':
            received[stamp] = pid
        else:
            ended[stamp] = event
    known = np.array(sorted(received), np.int64)
    gaps = []
    for begin, search in notes.absences:
        after = known[known >= search]
        gaps.append((begin, int(after[0]) if after.size else notes.end))
    found = {}
    for stamp in notes.sent:
        if stamp in ended:
            event = ended[stamp]
            found[stamp] = (MASKED if stamp in notes.arrived else LOST_MASK) if (
                event == 'masked') else event.replace('_', ': ')
        elif stamp in received:
            found[stamp] = KILLED if received[stamp] in notes.killed else OPEN
        else:
            found[stamp] = ABSENT if any(a <= stamp < b for a, b in gaps) else LOST
    return found


def minutes(notes: Notes, found: dict[int, str], start: int) -> list[dict[str, float]]:
    """Return a row of each minute: images, masks, p50 and p99 of stamp to mask [ms]."""
    rows = []
    for begin in range(start, notes.end, 60 * S):
        stamps = [s for s in notes.sent if begin <= s < begin + 60 * S]
        if len(stamps) < 30:
            continue
        took = [(notes.arrived[s] - s) / 1e6 for s in stamps if s in notes.arrived]
        p50, p99 = np.percentile(took, (50, 99)) if took else (0.0, 0.0)
        counts = Counter(found[s] for s in stamps)
        rows.append({'sent': len(stamps), 'masked': counts[MASKED], 'p50': p50, 'p99': p99})
    return rows


def again(notes: Notes, end: int) -> float:
    """Return the seconds from a fault's end to the first mask of an image sent after it."""
    times = [at for stamp, at in notes.arrived.items() if stamp >= end]
    return (min(times) - end) / S if times else float('inf')


def thirds(column: list[tuple[int, float]]) -> tuple[float, float]:
    """Return the medians of (time, value) in the first and in the last third of the time."""
    begin, end = column[0][0], column[-1][0]
    third = (end - begin) / 3
    return (median(value for at, value in column if at <= begin + third),
            median(value for at, value in column if at >= end - third))


def lines(found: dict[int, str]) -> list[str]:
    """Return the account: sent = the sum of what stands below it."""
    counts = Counter(found.values())
    order = [MASKED, *sorted(set(counts) - {MASKED, OPEN}), OPEN]
    rows = [f'{"sent":<40}{len(found):>8}']
    rows += [f'  {name:<38}{counts[name]:>8}' for name in order]
    assert sum(counts.values()) == len(found)
    return rows
