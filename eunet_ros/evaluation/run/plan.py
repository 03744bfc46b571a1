# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The plan of an evaluation: bags, weights, ground truth; a file that all processes read."""
from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import cache
import hashlib
import json
from pathlib import Path
from typing import Any

from eunet_ros.bags.mask_store import read_mask
from eunet_ros.evaluation.run.journal import FrameRow
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.files import visible, write_json
import numpy as np

PLAN_FILE = 'plan.json'
FORMAT = 2  # of report.json; increased when the definition of a metric changes
JOURNAL_FORMAT = 2   # increased when rows of journals change
OFFLINE, LIVE, RECORDED = 'offline', 'live', 'recorded'


@dataclass
class BagPlan:
    """A bag to evaluate."""

    label: str          # unique among the bags
    path: str
    image_topic: str    # of the camera
    msgtype: str
    frames: int
    content: str        # see `content_of`
    recording: str = ''     # in mode RECORDED, the bag with the node's masks
    mounting: dict[str, Any] = field(default_factory=dict)  # parameters of the node, if known
    warning: str = ''   # see `Bag`


@dataclass
class WeightsPlan:
    """Weights and how they are run; label: A or B, classes: rows of `ClassTable`."""

    label: str
    given: str
    sha256: str
    variant: str
    classes: list[dict[str, Any]]
    input_size: tuple[int, int]

    @property
    def table(self) -> ClassTable:
        return ClassTable.from_list(self.classes)


@dataclass
class Plan:
    """The whole plan; `key` must be the same for a resumed run."""

    mode: str
    bags: list[BagPlan]
    weights: list[WeightsPlan]
    truth: dict[str, Any]   # see `open_truth`, and tolerance_ns
    node: dict[str, Any]    # parameters of the node
    shards: int = 1         # processes that score a bag
    workers: int = 1        # bags that are segmented in parallel
    threads: int = 0        # CPU threads of each engine, 0 for all
    alone: bool = False     # nothing runs beside the engine
    live: dict[str, Any] = field(default_factory=dict)
    report_format: int = 1  # of the version that made the plan
    journal_format: int = 1

    @property
    def truth_classes(self) -> ClassTable:
        """Return the classes for masks made from a project's annotations."""
        return next((w.table for w in self.weights if len(w.classes) > 2), cone_classes())

    @property
    def is_live(self) -> bool:
        return self.mode == LIVE

    def key(self) -> dict[str, Any]:
        return {'format': (self.report_format, self.journal_format), 'mode': self.mode,
                'live': self.live, 'node': self.node, 'truth': self.truth,
                'bags': [(b.label, b.content, b.image_topic, b.frames, b.mounting)
                         for b in self.bags],
                'weights': [(w.given, w.sha256, tuple(w.input_size), w.classes)
                            for w in self.weights]}

    def difference(self, other: Plan) -> str:
        """Return in words how another plan differs, '' if it does not."""
        words = {'format': 'the version of the program', 'mode': 'mode',
                 'live': 'the options of live replay', 'node': "the node's parameters",
                 'truth': 'the ground truth', 'bags': 'the bags, their files, topic or mounting',
                 'weights': 'the weights'}
        ours, theirs = self.key(), other.key()
        return ', '.join(words[name] for name in ours
                         if json.dumps(ours[name]) != json.dumps(theirs[name]))

    def save(self, folder: Path) -> None:
        write_json(folder / PLAN_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Plan:
        """Read it; raises ValueError if the file is not a plan."""
        try:
            rows = json.loads((folder / PLAN_FILE).read_text())
            rows['bags'] = [BagPlan(**row) for row in rows['bags']]
            rows['weights'] = [WeightsPlan(**row) for row in rows['weights']]
            return cls(**rows)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f'{folder / PLAN_FILE} cannot be read ({error}): start again with '
                             '--restart.') from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, None if it cannot be read."""
    with suppress(OSError, ValueError):
        return json.loads(path.read_text(encoding='utf-8'))
    return None


def content_of(path: Path) -> str:
    """Return a hash of the names, sizes and modification times of a bag's files."""
    files = [p for p in visible(path) if p.is_file()] if path.is_dir() else [path]
    told = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


@dataclass
class BagEnd:
    """How the frames of a bag ended; again: another run may add missing frames."""

    complete: bool = False
    error: str = ''
    again: bool = False


class BagFiles:
    """Paths of the files of a bag's evaluation, in the journal's folder; end: of a BagEnd."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.frames, self.end = folder, folder / 'frames.jsonl', folder / 'end.json'

    def masks(self, weights: int) -> Path:
        return self.folder / f'masks_{"ab"[weights]}.bin'

    def scores(self, shard: int) -> Path:
        return self.folder / f'scores_{shard}.jsonl'


class FrameMasks:
    """Reads the masks of a bag's frames."""

    def __init__(self, files: BagFiles) -> None:
        self._stack = ExitStack()
        self.close = self._stack.close
        self._file = cache(lambda k: self._stack.enter_context(open(files.masks(k), 'rb')))

    def of(self, frame: FrameRow) -> list[np.ndarray | None]:
        return [None if place is None else read_mask(self._file(k), place).mask
                for k, place in enumerate(frame.masks)]


def bag_files(journal: Path, number: int) -> BagFiles:
    return BagFiles(journal / f'bag_{number}')
