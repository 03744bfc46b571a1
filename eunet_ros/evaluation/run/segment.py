# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The process that runs every frame of a bag through the node's code path, and keeps the masks.

    python -m eunet_ros.evaluation.run.segment JOURNAL BAG_NUMBER

Images are read and decoded ahead in a thread, so that the engine need not wait.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple, TYPE_CHECKING

from eunet_ros.bags.frame_source import BagSource, Frame, prefetch
from eunet_ros.bags.mask_store import MaskWriter
from eunet_ros.bags.messages import deserialise
from eunet_ros.bags.reader import BagError
from eunet_ros.evaluation.run.journal import Journal, Row
from eunet_ros.evaluation.run.plan import bag_files, BagFiles, Plan, WeightsPlan
from eunet_ros.evaluation.run.positions import InfoNotes, Places
from eunet_ros.evaluation.run.process import run_worker, Say
from eunet_ros.images.conversions import compressed_to_bgr, image_to_bgr
from eunet_ros.model.common.files import write_json
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.node.pipeline import FramePipeline

_AHEAD = 6         # decoded images: 17 MB of 720p
_TELL_S = 0.25
WARM_UP = 5        # runs of each engine before the first frame


class Decoded(NamedTuple):
    """A frame with its picture, (h, w, 3) uint8 BGR, or the sentence of why there is none."""

    frame: Frame
    image: np.ndarray | None
    error: str
    ms: float


def decode(frames: Iterable[Frame], msgtype: str) -> Iterator[Decoded]:
    """Decode frames as the node does."""
    for frame in frames:
        began, image, error = time.perf_counter(), None, ''
        try:
            msg = deserialise(frame.image, msgtype)
            image = compressed_to_bgr(msg) if hasattr(msg, 'format') else image_to_bgr(msg)
        except ValueError as problem:  # ConversionError among them
            error = str(problem)
        yield Decoded(frame, image, error, (time.perf_counter() - began) * 1e3)


def as_message(image: np.ndarray) -> SimpleNamespace:
    """Return a decoded picture as an Image message that the node's pipeline takes without copy."""
    height, width, _ = image.shape
    return SimpleNamespace(height=height, width=width, encoding='bgr8', is_bigendian=0,
                           step=3 * width, data=np.ascontiguousarray(image).reshape(-1))


def make_pipeline(weights: WeightsPlan, places: Places, threads: int, say: Say) -> FramePipeline:
    """Return the pipeline as the node makes it; raises ValueError or EngineError."""
    from eunet_ros.model.segmenter import Segmenter
    from eunet_ros.node.pipeline import FramePipeline, parse_classes
    p = places.parameters
    segmenter = Segmenter(
        weights.given, p.engine, p.input_size, p.variant, p.num_threads or threads, p.precision,
        lambda text: say('says', text=text), strip_size=p.strip_size)
    if segmenter.checkpoint.sha256 != weights.sha256:
        raise ValueError(f'The weights {weights.given} were changed meanwhile: begin again with '
                         '--restart.')
    keep = parse_classes(p.classes, segmenter.classes)
    return FramePipeline(segmenter, p.overlay_opacity, keep, p.region,
                         lambda size, msg: places.horizon(size), p.strip_center)


class Recording:
    """The files that a bag's frames and masks go to; goes on where they were left."""

    def __init__(self, files: BagFiles, weights: int) -> None:
        paths = [files.masks(k) for k in range(weights)]
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        self._journal = Journal(files.frames, lambda row: all(
            end <= size for end, size in zip(row['at'], sizes)))
        last = self._journal.last
        self._at = list(last['at']) if last else [0] * weights
        self._masks = [MaskWriter(path, end) for path, end in zip(paths, self._at)]
        self.done = self._journal.count

    def add(self, row: Row, masks: list[np.ndarray | None]) -> None:
        """Keep a frame and its masks; None where there is none."""
        places: list[int | None] = []
        due = self._journal.sync_is_due
        for k, (writer, mask) in enumerate(zip(self._masks, masks)):
            places.append(None if mask is None else self._at[k])
            if mask is not None:
                self._at[k] = writer.append(row['s'], row['t'], mask)
                writer.flush(due)
        # First the masks, then the row that speaks of them.
        self._journal.append({**row, 'm': places, 'at': self._at})
        self.done += 1

    def close(self) -> None:
        """Write all to disk."""
        for writer in self._masks:
            writer.flush(True)
            writer.close()
        self._journal.close()


def run_frame(decoded: Decoded, pipelines: list[FramePipeline],
              ) -> tuple[Row, list[np.ndarray | None]]:
    """Return the row of a frame and its masks."""
    from eunet_ros.model.engines import EngineError
    frame = decoded.frame
    row: Row = {'i': frame.index, 't': frame.time, 's': frame.stamp}
    if decoded.image is None:
        return {**row, 'e': decoded.error}, [None] * len(pipelines)
    row.update(h=decoded.image.shape[0], w=decoded.image.shape[1], ms=[])
    masks: list[np.ndarray | None] = []
    for pipeline in pipelines:
        try:
            products = pipeline.run(as_message(decoded.image))
        except (EngineError, ValueError) as error:
            row['e'] = str(error)
            masks.append(None)
            row['ms'].append(None)
            continue
        stages = {**products.stage_ms, 'decode': decoded.ms}
        stages['total'] = sum(stages.values())
        row['ms'].append({name: round(ms, 3) for name, ms in stages.items()})
        masks.append(products.mask)
    return row, masks


def segment_bag(plan: Plan, number: int, files: BagFiles, say: Say) -> None:
    """Segment a bag's frames that are not done yet; see the module. Raises ValueError, OSError."""
    bag, places = plan.bags[number], Places(plan, number)
    recording = Recording(files, len(plan.weights))
    pipelines: list[FramePipeline] = []
    end: Row = {'complete': True, 'error': ''}
    try:
        pipelines = [make_pipeline(w, places, plan.threads, say) for w in plan.weights]
        write_json(files.folder / 'engine.json', [
            {'engine': p.segmenter.engine.name, 'precision': p.segmenter.engine.precision,
             'input_size': list(p.segmenter.input_size)} for p in pipelines])
        source = BagSource(bag.path, bag.image_topic)
        say('ready', done=recording.done,
            on_gpu=all(p.segmenter.engine.on_gpu for p in pipelines))
        todo = decode((f for f in source.frames() if f.index >= recording.done), source.msgtype)
        told, warm, infos = time.monotonic(), False, InfoNotes()
        with closing(todo if plan.alone else prefetch(todo, _AHEAD)) as frames:
            for decoded in frames:
                noted = infos.note({}, decoded.frame)
                places.follow(noted)
                if not warm and decoded.image is not None:
                    for pipeline in pipelines:
                        for _ in range(WARM_UP):
                            pipeline.run(as_message(decoded.image))
                    warm, began = True, time.monotonic()
                    say('warm', at=began, done=recording.done)
                row, masks = run_frame(decoded, pipelines)
                recording.add({**row, **noted}, masks)
                if time.monotonic() - told > _TELL_S:
                    told = time.monotonic()
                    say('progress', done=recording.done)
    except BagError as error:
        end = {'complete': False, 'error': str(error)}
    finally:
        recording.close()
        for pipeline in pipelines:
            pipeline.segmenter.close()
    say('progress', done=recording.done, at=time.monotonic())
    write_json(files.end, end)


def main() -> int:
    """Segment the bag that the command line names."""
    def work(say: Say) -> None:
        journal, number = Path(sys.argv[1]), int(sys.argv[2])
        plan = Plan.load(journal)
        segment_bag(plan, number, bag_files(journal, number), say)
    return run_worker('segment', work)


if __name__ == '__main__':
    sys.exit(main())
