# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Process: writes output bag and video. Arguments: JOURNAL NUMBER TOPICS video|no-video."""
from __future__ import annotations

from contextlib import closing, nullcontext, suppress
import os
from pathlib import Path
import shutil

from eunet_ros.bags import messages
from eunet_ros.bags.messages import deserialise, serialise
from eunet_ros.bags.reader import Bag, BagError, find_camera_info
from eunet_ros.bags.writer import BagWriter
from eunet_ros.cones.drawing import draw_cones
from eunet_ros.cones.locator import Seen
from eunet_ros.cones.messages import annotations
from eunet_ros.evaluation.page.frame_pictures import draw_mask
from eunet_ros.evaluation.run.folder import BAG, VIDEO
from eunet_ros.evaluation.run.journal import FrameRow, read_rows
from eunet_ros.evaluation.run.live import published_messages
from eunet_ros.evaluation.run.plan import BagFiles, FrameMasks, OFFLINE, Plan
from eunet_ros.evaluation.run.positions import Places
from eunet_ros.evaluation.run.process import ProgressLine, run_worker, say
from eunet_ros.evaluation.scoring.truth import find_truth_topic
from eunet_ros.images.conversions import encode_jpeg, to_bgr
from eunet_ros.images.video import Video
import numpy as np

_JPEG_QUALITY = 85
_DEFAULT_HZ = 15.0
_NAMESPACES = {'A': '/eunet', 'B': '/eunet_b'}


def recordings_of(plan: Plan, number: int) -> tuple[str, str]:
    """Return the names of a bag's output bag and video in the folder."""
    end = '' if len(plan.bags) == 1 else f'_{plan.bags[number].label}'
    return f'{BAG}{end}', f'{VIDEO}{end}.mp4'


def node_topics(space: str) -> dict[str, str]:
    """Return the topics of `node_messages` and their types; space: the node's name."""
    return {f'{space}/mask': messages.IMAGE,
            f'{space}/overlay/compressed': messages.COMPRESSED_IMAGE}


def cone_topics(space: str) -> dict[str, str]:
    """Return the topics of cones that have positions, and their types."""
    return {f'{space}/cones': messages.POINT_CLOUD, f'{space}/cone_markers': messages.MARKERS}


def node_messages(space: str, stamp: int, frame_id: str, mask: np.ndarray,
                  jpeg: bytes) -> dict[str, bytes]:
    """Return the node's messages for an image, by topic; jpeg: the overlay."""
    image = messages.compressed_image(stamp, frame_id, 'bgr8; jpeg compressed bgr8', jpeg)
    return dict(zip(node_topics(space), (
        serialise(messages.mono_image(stamp, frame_id, mask)), serialise(image))))


def draw_overlay(image: np.ndarray, mask: np.ndarray, seen: Seen | None,
                 table_bgr: np.ndarray) -> np.ndarray:
    """Return a picture overlaid with a mask and with the boxes and distances of its cones."""
    overlay = draw_mask(image, mask, table_bgr)
    if seen is not None and seen.located is not None:
        draw_cones(overlay, seen.located, table_bgr)
    return overlay


def frame_hz(files: BagFiles) -> float:
    """Return the median rate of a bag's frames."""
    steps = np.diff([row.time for row in read_rows(files.frames, FrameRow)])
    steps = steps[steps > 0]
    return float(np.clip(1e9 / np.median(steps), 1.0, 240.0)) if steps.size else _DEFAULT_HZ


class Renderer:
    """Writes the output bag and the video of one bag."""

    def __init__(self, plan: Plan, number: int, files: BagFiles) -> None:
        self._plan, self._files = plan, files
        self._bag_plan = plan.bags[number]
        self._tables = [w.table.table_bgr for w in plan.weights]
        self._masks, self._places = FrameMasks(files), Places.of(plan, number)

    def run(self, which: str, bag_path: Path | None, video_path: Path | None) -> None:
        """Write them; which: topics of the input. Raises OSError, BagError."""
        video = closing(Video(video_path, frame_hz(self._files))) if video_path else nullcontext()
        with closing(self._masks), video as video, Bag(self._bag_plan.path) as bag, (
                BagWriter(bag_path) if bag_path else nullcontext()) as writer:
            names = self._announce(bag, which, writer)
            rows, progress, done = read_rows(self._files.frames, FrameRow), ProgressLine(), 0
            with suppress(BagError):  # the report has the error of a damaged bag
                for name, at, raw in bag.raw_of(names):
                    if writer is not None:
                        writer.flush(before=at)
                        writer.write(name, at, raw)
                    if name != self._bag_plan.image_topic:
                        continue
                    row = next(rows, None)
                    if row is None:  # the last evaluated frame was before
                        break
                    self._frame(row, raw, writer, video)
                    done += 1
                    progress.show(done)
            say('progress', done=done)

    def _announce(self, bag: Bag, which: str, writer: BagWriter | None) -> list[str]:
        plan, image = self._plan, bag.topics[self._bag_plan.image_topic]
        if writer is None:
            return [image.name]
        own, cones, copied = {}, {}, []
        for space in (_NAMESPACES[w.label] for w in plan.weights):
            own |= {**node_topics(space), f'{space}/annotations': messages.ANNOTATIONS}
            cones |= cone_topics(space)
        topics = bag.topics.values() if which == 'all' else (
            image, find_camera_info(bag.topics.values(), image),
            find_truth_topic(bag, plan.truth.get('topic', '')))
        for topic in topics:
            if topic and topic.count and topic.name not in {*own, *cones}:
                with suppress(KeyError):  # the bag does not define its type
                    writer.add_topic(topic.name, topic.msgtype, bag.definition(topic.name))
                    copied.append(topic.name)
        for name, kind in own.items():
            writer.add_topic(name, kind)
        if plan.is_live:
            self._add_published(writer)
        return copied

    def _add_published(self, writer: BagWriter) -> None:
        """Write the other messages of a live node; the node of B was named as that of A."""
        first = next((row.time for row in read_rows(self._files.frames, FrameRow)), 0)
        for k, weights in enumerate(self._plan.weights):
            kinds, rows = published_messages(self._files, k, first)
            names = {n: n.replace(_NAMESPACES['A'], _NAMESPACES[weights.label], 1) for n in kinds}
            added = {n: new for n, new in names.items() if new not in writer.topics}
            for name, new in added.items():
                writer.add_topic(new, kinds[name])
            for at, name, raw in rows:
                if name in added:
                    writer.write(added[name], at, raw)

    def _frame(self, row: FrameRow, raw: bytes, writer: BagWriter | None,
               video: Video | None) -> None:
        self._places.follow(row)
        try:
            msg = deserialise(raw, self._bag_plan.msgtype)
            image = to_bgr(msg)
        except ValueError:
            return
        stamp, drawn = messages.stamp_of(raw), []
        for k, mask in enumerate(self._masks.of(row)):
            if mask is None:
                drawn.append(image)
                continue
            seen = self._places.find(k, mask, stamp)
            drawn.append(draw_overlay(image, mask, seen, self._tables[k]))
            if writer is not None:
                # In live mode, a mask was published after its latency.
                took = (row.stage_ms[k] or {}).get('total', 0.0)
                delay = 0 if self._plan.mode == OFFLINE else round(
                    1e6 * took * self._plan.live.get('rate', 1.0))
                weights = self._plan.weights[k]
                space = _NAMESPACES[weights.label]
                made = {
                    **node_messages(space, stamp, msg.header.frame_id, mask,
                                    encode_jpeg(drawn[-1], _JPEG_QUALITY)),
                    f'{space}/annotations': serialise(annotations(
                        messages.message_class, msg.header, seen.cones, seen.distances,
                        weights.table)),
                    **self._cones(k, space, stamp, seen, writer)}
                for name, data in made.items():
                    writer.write(name, row.time + delay, data)
        if video:
            video.write(np.hstack(drawn))

    def _cones(self, k: int, space: str, stamp: int, seen: Seen,
               writer: BagWriter) -> dict[str, bytes]:
        """Return the messages of located cones; none in live mode, which has the node's own."""
        if seen.located is None or self._plan.is_live:
            return {}
        topics = cone_topics(space)
        for name, kind in topics.items():
            if name not in writer.topics:
                writer.add_topic(name, kind)
        return dict(zip(topics, self._places.messages(k, stamp, seen)))


def render_bag(plan: Plan, number: int, files: BagFiles, which: str, video: str) -> None:
    """Write a bag's recordings; which: all, camera or none. Raises OSError, BagError."""
    out = files.folder.parent.parent
    bag_name, video_name = recordings_of(plan, number)
    # Written to the journal and then moved: a kill does not damage former ones.
    bag_beside, video_beside = files.folder / 'output_bag', files.folder / 'output.mp4'
    shutil.rmtree(bag_beside, ignore_errors=True)
    video_beside.unlink(missing_ok=True)
    Renderer(plan, number, files).run(which, None if which == 'none' else bag_beside,
                                      video_beside if video == 'video' else None)
    if bag_beside.exists():
        shutil.rmtree(out / bag_name, ignore_errors=True)
        bag_beside.rename(out / bag_name)
    if video_beside.exists():
        os.replace(video_beside, out / video_name)


if __name__ == '__main__':
    run_worker('render', render_bag)
