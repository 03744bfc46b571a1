# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Process: runs a bag's frames through the node's pipeline. Arguments: JOURNAL BAG_NUMBER."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
import time
from types import SimpleNamespace
from typing import Any, NamedTuple, TYPE_CHECKING

from eunet_ros.bags.frame_source import BagSource, Frame, prefetch
from eunet_ros.bags.mask_store import MaskWriter
from eunet_ros.bags.messages import deserialise
from eunet_ros.bags.reader import BagError
from eunet_ros.evaluation.run.journal import FrameRow, Journal
from eunet_ros.evaluation.run.plan import BagEnd, BagFiles, Plan, WeightsPlan
from eunet_ros.evaluation.run.positions import InfoNotes, Places
from eunet_ros.evaluation.run.process import ProgressLine, run_worker, say
from eunet_ros.images.conversions import to_bgr
from eunet_ros.model.common.files import write_json
from eunet_ros.parameters import NodeParameters
import numpy as np

if TYPE_CHECKING:
    from eunet_ros.node.pipeline import FramePipeline

_AHEAD = 6         # images decoded ahead in a thread: 17 MB of 720p
WARM_UP = 5        # runs of each engine before the first frame


class Decoded(NamedTuple):
    """A frame with its picture, (h, w, 3) uint8 BGR, or the reason why it has none."""

    frame: Frame
    image: np.ndarray | None
    error: str
    ms: float


def decode(frames: Iterable[Frame], msgtype: str) -> Iterator[Decoded]:
    for frame in frames:
        began, image, error = time.perf_counter(), None, ''
        try:
            image = to_bgr(deserialise(frame.image, msgtype))
        except ValueError as problem:  # also ConversionError
            error = str(problem)
        yield Decoded(frame, image, error, (time.perf_counter() - began) * 1e3)


def as_message(image: np.ndarray) -> SimpleNamespace:
    """Return a decoded picture as an Image message without copying it."""
    height, width, _ = image.shape
    return SimpleNamespace(height=height, width=width, encoding='bgr8', is_bigendian=0,
                           step=3 * width, data=np.ascontiguousarray(image).reshape(-1))


def make_pipeline(weights: WeightsPlan, node: dict[str, Any], places: Places,
                  threads: int) -> FramePipeline:
    """Return the same pipeline as the node; raises ValueError or EngineError."""
    from eunet_ros.model.segmenter import Segmenter
    from eunet_ros.node.pipeline import FramePipeline, parse_classes
    p = NodeParameters(**node)
    segmenter = Segmenter(
        weights.given, p.engine, p.input_size, p.variant, p.num_threads or threads, p.precision,
        lambda text: say('says', text=text), strip_size=p.strip_size)
    if segmenter.checkpoint.sha256 != weights.sha256:
        raise ValueError(f'The weights {weights.given} have changed: start again with '
                         '--restart.')
    keep = parse_classes(p.classes, segmenter.classes)
    return FramePipeline(segmenter, p.overlay_opacity, keep, p.region,
                         lambda size, msg: places.horizon(size), p.strip_center)


class Recording:
    """The files of a bag's frames and masks; new ones are appended."""

    def __init__(self, files: BagFiles, weights: int) -> None:
        paths = [files.masks(k) for k in range(weights)]
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        self._journal = Journal(files.frames, lambda row: all(
            end <= size for end, size in zip(row['ends'], sizes)))
        last = self._journal.last
        self._at = last['ends'] if last else [0] * weights
        self._masks = [MaskWriter(path, end) for path, end in zip(paths, self._at)]
        self.done = self._journal.count

    def add(self, row: FrameRow, masks: list[np.ndarray | None]) -> None:
        due = self._journal.sync_is_due
        row.masks = [None if mask is None else at for mask, at in zip(masks, self._at)]
        for k, (writer, mask) in enumerate(zip(self._masks, masks)):
            if mask is not None:
                self._at[k] = writer.append(row.stamp, row.time, mask)
                writer.flush(due)
        # Write the masks before the row that refers to them.
        row.ends = self._at
        self._journal.append(row)
        self.done += 1

    def close(self) -> None:
        for writer in self._masks:
            writer.flush(True)
            writer.close()
        self._journal.close()


def run_frame(decoded: Decoded, pipelines: list[FramePipeline],
              ) -> tuple[FrameRow, list[np.ndarray | None]]:
    from eunet_ros.model.engines import EngineError
    frame, masks = decoded.frame, [None] * len(pipelines)
    row = FrameRow(index=frame.index, time=frame.time, stamp=frame.stamp, error=decoded.error,
                   stage_ms=[None] * len(pipelines))
    if decoded.image is None:
        return row, masks
    row.size = decoded.image.shape[:2]
    for k, pipeline in enumerate(pipelines):
        try:
            products = pipeline.run(as_message(decoded.image))
        except (EngineError, ValueError) as error:
            row.error = str(error)
            continue
        stages = {**products.stage_ms, 'decode': decoded.ms}
        stages['total'] = sum(stages.values())
        row.stage_ms[k] = {name: round(ms, 3) for name, ms in stages.items()}
        masks[k] = products.mask
    return row, masks


def segment_bag(plan: Plan, number: int, files: BagFiles) -> None:
    """Segment a bag's remaining frames; raises ValueError, OSError."""
    bag, places, progress = plan.bags[number], Places.of(plan, number), ProgressLine()
    recording = Recording(files, len(plan.weights))
    pipelines: list[FramePipeline] = []
    end = BagEnd(complete=True)
    try:
        pipelines = [make_pipeline(w, plan.node, places, plan.threads) for w in plan.weights]
        write_json(files.folder / 'engine.json', [
            {'engine': p.segmenter.engine.name, 'precision': p.segmenter.engine.precision,
             'input_size': list(p.segmenter.input_size)} for p in pipelines])
        source = BagSource(bag.path, bag.image_topic)
        say('ready', done=recording.done,
            on_gpu=all(p.segmenter.engine.on_gpu for p in pipelines))
        todo = decode((f for f in source.frames() if f.index >= recording.done), source.msgtype)
        warm, infos = False, InfoNotes()
        with closing(todo if plan.alone else prefetch(todo, _AHEAD)) as frames:
            for decoded in frames:
                info = infos.note(decoded.frame)
                if info:
                    places.calibrate(decoded.frame.camera_info)
                if not warm and decoded.image is not None:
                    for pipeline in pipelines:
                        for _ in range(WARM_UP):
                            pipeline.run(as_message(decoded.image))
                    warm, began = True, time.monotonic()
                    say('warm', at=began, done=recording.done)
                row, masks = run_frame(decoded, pipelines)
                row.camera_info = info
                recording.add(row, masks)
                progress.show(recording.done)
    except BagError as error:
        end = BagEnd(error=str(error))
    finally:
        recording.close()
        for pipeline in pipelines:
            pipeline.segmenter.close()
    say('progress', done=recording.done, at=time.monotonic())
    write_json(files.end, vars(end))


if __name__ == '__main__':
    run_worker('segment', segment_bag, beside=False)
