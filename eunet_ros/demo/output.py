# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output of the demo: a bag, a video, a picture and scores; no ROS imports."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
from typing import Any

import cv2
from eunet_ros.bags.frame_source import BagSource, FolderSource, Frame, Source
from eunet_ros.bags.mask_store import MaskReader
from eunet_ros.bags.messages import CAMERA_INFO, COMPRESSED_IMAGE, deserialise, with_stamp
from eunet_ros.bags.reader import BagError
from eunet_ros.bags.writer import BagWriter
from eunet_ros.cones.drawing import draw_from_above
from eunet_ros.cones.locator import Seen
from eunet_ros.evaluation.page import recordings
from eunet_ros.evaluation.page.frame_pictures import draw_sheet
from eunet_ros.evaluation.run.positions import Places
from eunet_ros.evaluation.scoring.truth import as_binary, open_truth
from eunet_ros.images.conversions import encode_jpeg, to_bgr
from eunet_ros.images.video import Video
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.files import rounded
from eunet_ros.model.common.metrics.pixels import confusion_matrix, pixel_scores
from eunet_ros.replay.drive import DemoError, DriveRecord
import numpy as np

REPORT, BAG, VIDEO, PICTURE = 'report.json', 'bag', 'overlay.mp4', 'overlay.png'
CONES = 'cones.png'  # PICTURE's image beside a view of the ground from above
OVERLAYS = 'overlays'  # of a folder's pictures
_CONTENT = {REPORT, BAG, VIDEO, PICTURE, CONES, OVERLAYS}
_SPACE = '/eunet'
_JPEG_QUALITY = 85


@dataclass
class RecordedDrive:
    """A finished drive; places: None if the mounting of the camera is not known."""

    source: Source
    record: DriveRecord
    masks: MaskReader
    classes: ClassTable
    places: Places | None = None

    def __post_init__(self) -> None:
        self.sent_of = {stamp: sent for _, stamp, sent in self.record.sent}
        self._sent = {index: sent for index, _, sent in self.record.sent}
        self._place = {stamp: i for i, stamp in enumerate(self.masks.arrivals)}

    def frames(self) -> Iterator[tuple[Frame, int]]:
        """Yield the frames that were sent, each with the stamp it was sent with [ns]."""
        for frame in self.source.frames():
            if frame.index in self._sent:
                yield frame, self._sent[frame.index]

    def mask(self, sent: int) -> np.ndarray | None:
        """Return the mask of the frame sent with that stamp, None if it has none."""
        place = self._place.get(sent)
        return None if place is None else self.masks.read(place).mask

    def image(self, frame: Frame) -> np.ndarray | None:
        """Return a frame's picture as BGR, None if it cannot be decoded."""
        with suppress(ValueError):
            return to_bgr(deserialise(frame.image, self.source.msgtype))
        return None

    def cones(self, frame: Frame, sent: int, mask: np.ndarray) -> Seen | None:
        """Return the cones of a frame's mask; sent: the stamp it was sent with, ns."""
        if self.places is None:
            return None
        if frame.camera_info is not None:
            self.places.calibrate(frame.camera_info)
        return self.places.find(0, mask, sent)

    def truths(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (stamp sent [ns], true class ids) of frames with ground truth; raises BagError."""
        binary = len(self.classes.names) == 2
        truth = isinstance(self.source, BagSource) and open_truth(
            {}, self.source.path, cone_classes() if binary else self.classes)
        if not truth:
            return
        with closing(truth):
            stamps = [stamp for stamp in truth.stamps if stamp in self.sent_of]
            if not stamps:
                raise BagError(f'no message of {truth.source} has the stamp of an image')
            for stamp in stamps:
                try:
                    mask = truth.mask(stamp)
                except ValueError as error:  # ConversionError, TruthError
                    raise BagError(f'Ground truth on {truth.source}: {error}') from error
                yield self.sent_of[stamp], as_binary(mask) if binary else mask


def score(drive: RecordedDrive) -> dict[str, Any]:
    """Return dice, iou and miou, all None without ground truth; raises ValueError (BagError)."""
    names = drive.classes.names
    counts = np.zeros((len(names) + 1, len(names) + 1), np.int64)
    for sent, truth in drive.truths():
        mask = drive.mask(sent)
        if mask is not None:
            counts += confusion_matrix(truth, mask, len(names))
    return rounded(pixel_scores(counts, names), 4)


def write_recordings(folder: Path, drive: RecordedDrive, hz: float,
                     done: Callable[[], None]) -> dict[str, Any] | None:
    """
    Write the bag and the video; done() is called after each frame. Raises OSError, BagError.

    The bag has images as sent, lossless masks, overlays as JPEG. hz: of the video. A folder of
    pictures also gets each overlay as a file. Returns `cones` of report.json, None without places.
    """
    source, table = drive.source, drive.classes.table_bgr
    topic = f'{source.topic}/compressed' if source.msgtype == COMPRESSED_IMAGE else source.topic
    info_topic = f'{source.topic.rpartition("/")[0]}/camera_info'
    cones_topic, cones_kind = next(iter(recordings.cone_topics(_SPACE).items()))
    topics = {topic: source.msgtype, **recordings.node_topics(_SPACE)}
    if source.has_camera_info:
        topics[info_topic] = CAMERA_INFO
    if drive.places:
        topics[cones_topic] = cones_kind
    video, found = Video(folder / VIDEO, hz), []
    with closing(video), BagWriter(folder / BAG) as bag:
        for name, kind in topics.items():
            bag.add_topic(name, kind)
        arrivals = drive.masks.arrivals
        for frame, sent in drive.frames():
            bag.flush(before=sent)
            bag.write(topic, sent, with_stamp(frame.image, sent))
            if frame.camera_info and source.has_camera_info:
                bag.write(info_topic, sent, with_stamp(frame.camera_info, sent))
            image, mask = drive.image(frame), drive.mask(sent)
            if image is not None and mask is not None:
                frame_id = deserialise(frame.image, source.msgtype).header.frame_id
                seen = drive.cones(frame, sent, mask)
                image = recordings.draw_overlay(image, mask, seen, table)
                jpeg = encode_jpeg(image, _JPEG_QUALITY)
                messages = recordings.node_messages(_SPACE, sent, frame_id, mask, jpeg)
                found.append(seen)
                if seen and seen.located:
                    messages[cones_topic] = drive.places.messages(0, sent, seen)[0]
                for name, raw in messages.items():
                    bag.write(name, arrivals[sent], raw)
                if isinstance(source, FolderSource):
                    _write_overlay(folder / OVERLAYS, source.files, frame.index, jpeg)
            if image is not None:
                video.write(image)
            done()
    return _cones_report(found) if drive.places else None


def _cones_report(found: list[Seen]) -> dict[str, Any]:
    """Return `cones` of report.json; means are None without images."""
    def mean(counts: Iterable[int]) -> float | None:
        return round(sum(counts) / len(found), 2) if found else None
    return {'per_image': mean(len(seen.cones) for seen in found),
            'with_position_per_image': mean(len(s.located.cones) for s in found if s.located),
            'positions_withheld': found[-1].reason if found else ''}


def _write_overlay(folder: Path, files: list[Path], index: int, jpeg: bytes) -> None:
    """Write a picture's overlay: a.jpg for a.png, or a.png.jpg if the folder also has a.jpg."""
    file = files[index]
    alone = sum(other.stem == file.stem for other in files) == 1
    folder.mkdir(exist_ok=True)
    (folder / f'{file.stem if alone else file.name}.jpg').write_bytes(jpeg)


def write_picture(path: Path, drive: RecordedDrive, title: str, note: str) -> bool:
    """Write the frame with most cones of the middle third, and CONES; returns whether it did."""
    stamps = list(drive.masks.arrivals)
    third, sent_stamps = len(stamps) // 3, set(drive.sent_of.values())
    middle = [stamp for stamp in stamps[third:len(stamps) - third] if stamp in sent_stamps]
    if not middle:
        return False
    best = max(middle, key=lambda stamp: np.count_nonzero(drive.mask(stamp)))
    frame = next(f for f, sent in drive.frames() if sent == best)
    image, mask = drive.image(frame), drive.mask(best)
    if image is None:
        return False
    seen = drive.cones(frame, best, mask)
    located = seen.located if seen else None
    truth = None
    with suppress(ValueError):  # `score` reports it
        truth = next((truth for sent, truth in drive.truths() if sent == best), None)
    table = drive.classes.table_bgr
    pictures = {path: draw_sheet(image, mask, truth, drive.classes.names, table, title, note,
                                 located)}
    if located:
        overlay = recordings.draw_overlay(image, mask, seen, table)
        height = image.shape[0]
        pictures[path.with_name(CONES)] = np.hstack([
            overlay, draw_from_above(located, table, (height, height * 3 // 4))])
    for file, picture in pictures.items():
        if not cv2.imwrite(str(file), picture):
            raise OSError(f'{file} could not be written')
    return True


def check_output(folder: Path) -> None:
    """Raise DemoError if the folder exists and was not made by the demo."""
    for place in (folder, folder.with_name(f'{folder.name}.old')):
        if place.exists() and not _made_by_demo(place):
            raise DemoError(f'{place} exists and was not made by the demo: choose another '
                            '--output, or move it away.')


def put_in_place(made: Path, folder: Path) -> Path | None:
    """Rename the finished folder to `folder`; returns the new path of a former one, or None."""
    check_output(folder)
    kept = None
    if folder.exists():
        kept = folder.with_name(f'{folder.name}.old')
        if kept.exists():
            shutil.rmtree(kept)
        folder.rename(kept)
    made.rename(folder)
    return kept


def _made_by_demo(folder: Path) -> bool:
    """Return whether a folder is empty, or has the demo's report and no files of others."""
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir() if not entry.name.startswith('._')}
    names -= {'.DS_Store', 'Thumbs.db'}  # made by file managers
    if not names:
        return True
    try:
        report: Mapping[str, Any] = json.loads((folder / REPORT).read_text())
        return names <= _CONTENT and 'frames_sent' in report
    except (OSError, ValueError, TypeError):
        return False
