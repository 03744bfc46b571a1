# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is to be evaluated: bags, weights, ground truth; kept as a file that all processes read."""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
import hashlib
import json
from pathlib import Path
from typing import Any, BinaryIO

from eunet_ros.bags.mask_store import read_mask
from eunet_ros.evaluation.run.journal import FrameRow
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.files import visible, write_json
import numpy as np

PLAN_FILE = 'plan.json'
FORMAT = 2  # of report.json; it counts up where a metric is defined differently
JOURNAL_FORMAT = 2
OFFLINE, LIVE, RECORDED = 'offline', 'live', 'recorded'


@dataclass
class BagPlan:
    """
    A bag to evaluate.

    label: unique among the bags. image_topic, msgtype: of the camera. recording: in mode
    RECORDED, the bag with the node's masks. content: what tells its files from others. mounting:
    the node's parameters that say how its camera was mounted, where they are known. warning: of
    the bag, see `Bag`.
    """

    label: str
    path: str
    image_topic: str
    msgtype: str
    frames: int
    content: str
    recording: str = ''
    mounting: dict[str, Any] = field(default_factory=dict)
    warning: str = ''


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
    """
    The whole plan; what `key` returns must be the same for a resumed run.

    truth: see `open_truth`, with 'tolerance_ns'. node: parameters of the node that the frames
    are run with. shards: processes that score a bag. workers: bags that are segmented at once;
    threads: CPU threads of each engine, 0 for all. alone: nothing runs beside the engine.
    report_format, journal_format: of the version that made the plan.
    """

    mode: str
    bags: list[BagPlan]
    weights: list[WeightsPlan]
    truth: dict[str, Any]
    node: dict[str, Any]
    shards: int = 1
    workers: int = 1
    threads: int = 0
    alone: bool = False
    live: dict[str, Any] = field(default_factory=dict)
    report_format: int = 1
    journal_format: int = 1

    @property
    def truth_classes(self) -> ClassTable:
        """Return the classes that a project's annotations are painted with."""
        tables = [w.table for w in self.weights if len(w.classes) > 2]
        return tables[0] if tables else cone_classes()

    def key(self) -> dict[str, Any]:
        return {'format': (self.report_format, self.journal_format), 'mode': self.mode,
                'live': self.live, 'node': self.node, 'truth': self.truth,
                'bags': [(b.label, b.content, b.image_topic, b.frames, b.mounting)
                         for b in self.bags],
                'weights': [(w.given, w.sha256, tuple(w.input_size), w.classes)
                            for w in self.weights]}

    def difference(self, other: Plan) -> str:
        """Return in words where another plan differs, '' where it does not."""
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
        """Read it; raises ValueError where the file is not one."""
        try:
            rows = json.loads((folder / PLAN_FILE).read_text())
            rows['bags'] = [BagPlan(**row) for row in rows['bags']]
            rows['weights'] = [WeightsPlan(**row) for row in rows['weights']]
            return cls(**rows)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(f'{folder / PLAN_FILE} cannot be read ({error}): begin again with '
                             '--restart.') from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, None where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


def content_of(path: Path) -> str:
    """Return a hash of the names, sizes and times of change of a bag's files."""
    files = [p for p in visible(path) if p.is_file()] if path.is_dir() else [path]
    told = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


@dataclass
class BagEnd:
    """How the frames of a bag ended; again: a second run may bring what is missing."""

    complete: bool = False
    error: str = ''
    again: bool = False


@dataclass(frozen=True)
class BagFiles:
    """Where the files of a bag's evaluation are, in the journal's folder."""

    folder: Path

    @property
    def frames(self) -> Path:
        return self.folder / 'frames.jsonl'

    def masks(self, weights: int) -> Path:
        return self.folder / f'masks_{"ab"[weights]}.bin'

    def scores(self, shard: int) -> Path:
        return self.folder / f'scores_{shard}.jsonl'

    @property
    def end(self) -> Path:
        """Return the file that says that all frames are there, or why not."""
        return self.folder / 'end.json'


class FrameMasks:
    """Reads the masks of a bag's frames."""

    def __init__(self, files: BagFiles) -> None:
        self._files = files
        self._open: dict[int, BinaryIO] = {}

    def of(self, frame: FrameRow) -> list[np.ndarray | None]:
        for k, place in enumerate(frame.masks):
            if place is not None and k not in self._open:
                self._open[k] = open(self._files.masks(k), 'rb')
        return [None if place is None else read_mask(self._open[k], place).mask
                for k, place in enumerate(frame.masks)]

    def close(self) -> None:
        for file in self._open.values():
            file.close()


def bag_files(journal: Path, number: int) -> BagFiles:
    return BagFiles(journal / f'bag_{number}')
