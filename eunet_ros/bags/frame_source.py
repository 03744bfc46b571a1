# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image sources of a replay, a bag or a folder, and when each image is due; no ROS imports."""
from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import time
from typing import NamedTuple, TypeVar

import cv2
from eunet_ros.bags import messages
from eunet_ros.bags.messages import COMPRESSED_IMAGE, NS
from eunet_ros.bags.reader import Bag, BagError, find_camera_info, find_image_topic
from eunet_ros.model.common.files import visible
from eunet_ros.model.common.image_header import read_header
from eunet_ros.model.common.pictures import is_turned, read_file, read_picture
from eunet_ros.model.common.supervisely import DataError

DEFAULT_HZ = 15.0                  # of a folder's images
FOLDER_TOPIC = '/camera/image_raw'
_FOLDER_FRAME_ID = 'camera_optical_frame'
_STORED = {'.jpg': 'jpeg', '.jpeg': 'jpeg', '.png': 'png', '.webp': 'webp'}  # sent as they are
_ENCODED = ('.bmp', '.tif', '.tiff', '.ppm', '.pgm')                         # sent as JPEG
_JPEG_QUALITY = 95
_T = TypeVar('_T')
SourceError = DataError   # a folder that cannot be played, or a part without frames


class Frame(NamedTuple):
    """An image to send; time of recording and stamp in ns, image and camera_info as CDR bytes."""

    index: int
    time: int
    stamp: int
    image: bytes
    camera_info: bytes | None


class BagSource:
    """The camera of a bag, with its camera_info; see `find_image_topic`. Raises BagError."""

    def __init__(self, path: str | Path, image_topic: str = '') -> None:
        self.path = Path(path).expanduser()
        with Bag(self.path) as bag:
            self._image = find_image_topic(bag.topics.values(), image_topic, bag.encoding)
            self._info = find_camera_info(bag.topics.values(), self._image)
            self.warning = bag.warning
        self.bag_topic = self._image.name
        self.topic, self.msgtype, self.count = (
            self._image.base, self._image.msgtype, self._image.count)
        self.has_camera_info = self._info is not None

    def frames(self) -> Iterator[Frame]:
        """Read the images from the start; raises BagError where the bag is damaged."""
        with Bag(self.path) as bag:
            # Read all of them first, they are small: an image may precede its camera_info.
            infos = [] if self._info is None else sorted(
                (_stamp(bag, raw), raw) for _, raw in bag.raw(self._info))
            stamps = [stamp for stamp, _ in infos]
            for index, (recorded, raw) in enumerate(bag.raw(self._image)):
                stamp = _stamp(bag, raw)
                info = infos[max(0, bisect_right(stamps, stamp) - 1)][1] if infos else None
                yield Frame(index, recorded, stamp, raw, info)


class FolderSource:
    """
    The visible images of a folder in natural order of names, sent as CompressedImage at a rate.

    JPEG, PNG and WebP files are sent unchanged unless their EXIF orientation rotates them; others
    are converted to JPEG. Raises SourceError, ImportError.
    """

    topic, msgtype, has_camera_info, warning = FOLDER_TOPIC, COMPRESSED_IMAGE, False, ''

    def __init__(self, folder: str | Path, hz: float = DEFAULT_HZ) -> None:
        self.path, self.hz = Path(folder).expanduser(), hz
        messages.typestore()   # raises ImportError without rosbags
        if not self.path.is_dir():
            raise SourceError(f'There is no folder {self.path}: give a folder of images.')
        known = (*_STORED, *_ENCODED)
        self.files = [p for p in visible(self.path) if p.suffix.lower() in known]
        if not self.files:
            raise SourceError(f'{self.path} holds no images: expected files that end in '
                              f'{", ".join(known)}.')
        for file in self.files:
            if not file.stat().st_size:
                raise SourceError(f'{file} is empty: remove it.')
            # Check them before the first one is played.
            if file.suffix.lower() in _STORED and read_header(read_file(file)) is None:
                raise SourceError(f'{file} is not an image that can be read: remove it.')
        self.count = len(self.files)

    def frames(self) -> Iterator[Frame]:
        """Read the images from the start; raises SourceError for a file that is not an image."""
        for index, file in enumerate(self.files):
            stamp = round(index * NS / self.hz)
            name, data = _encoded(file)
            msg = messages.compressed_image(stamp, _FOLDER_FRAME_ID,
                                            f'bgr8; {name} compressed bgr8', data)
            yield Frame(index, stamp, stamp, messages.serialise(msg), None)


Source = BagSource | FolderSource   # topic: the base topic; warning: see `Bag`


def open_source(bag: str | Path | None, images: str | Path | None, image_topic: str = '',
                hz: float = DEFAULT_HZ) -> Source:
    """Return the source of a bag or of a folder; raises BagError or SourceError."""
    return FolderSource(images, hz) if images else BagSource(bag or '', image_topic)


class Pacer:
    """When frames are due after the first one was sent; rate: 2 plays twice as fast. clock: ns."""

    def __init__(self, rate: float, clock: Callable[[], int] = time.monotonic_ns) -> None:
        if not 0.01 <= rate <= 100.0:
            raise ValueError(f'Expected a rate from 0.01 to 100, found {rate}.')
        self._rate, self._clock = rate, clock
        self._zero: tuple[int, int] | None = None
        self._held: int | None = None

    def remaining(self, recorded: int) -> float:
        """Return the seconds until the frame recorded at that time is due; negative if late."""
        now = self._now()
        self._zero = first, began = self._zero or (recorded, now)
        return (began + (recorded - first) / self._rate - now) / NS

    def reached(self) -> int | None:
        """Return the current time of the recording [ns]; None before the first frame."""
        if self._zero is None:
            return None
        first, began = self._zero
        return first + round((self._now() - began) * self._rate)

    def _now(self) -> int:
        return self._clock() if self._held is None else self._held

    def hold(self) -> None:
        """Stop the time."""
        self._held = self._now()

    def go_on(self) -> None:
        """Continue from the time at which it was stopped."""
        if self._held is not None and self._zero is not None:
            first, began = self._zero
            self._zero = first, began + self._clock() - self._held
        self._held = None


def part_of(source: Source, start: float = 0.0, duration: float | None = None,
            loop: bool = False) -> Iterator[tuple[int, Frame]]:
    """
    Yield (due time [ns], frame) of a part of a source, repeatedly with `loop`.

    start, duration: the part in seconds from the first frame. A frame is due at its time; each
    further round follows the one before after the usual step. Raises SourceError without frames.
    """
    offset, last, step = 0, None, round(NS / DEFAULT_HZ)
    while True:
        first, any_frame = None, False
        for frame in source.frames():
            first = frame.time if first is None else first
            at = (frame.time - first) / NS
            if at < start:
                continue
            if duration is not None and at >= start + duration:
                break
            if last is not None and not any_frame:
                offset = last + step - frame.time
            elif last is not None and 0 < frame.time + offset - last < NS:
                step = frame.time + offset - last
            any_frame, last = True, frame.time + offset
            yield last, frame
        if not any_frame:
            raise SourceError(f'No frame lies at {start:g} s and after in the recording: '
                              'begin earlier.')
        if not loop:
            return


def prefetch(items: Iterator[_T], depth: int) -> Iterator[_T]:
    """Read up to `depth` items ahead in a thread; its errors are raised here in order."""
    pool, end = ThreadPoolExecutor(1, 'prefetch'), object()
    try:
        ahead = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, items, end))
            yield item
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _stamp(bag: Bag, raw: bytes) -> int:
    try:
        return messages.stamp_of(raw)
    except ValueError as error:
        raise BagError(f'{bag.path}: {error}') from error


def _encoded(file: Path) -> tuple[str, bytes]:
    """Return (codec, bytes) of an image file, turned as its EXIF orientation says."""
    data, name = read_file(file), _STORED.get(file.suffix.lower())
    if name and not is_turned(file, data):
        return name, data.tobytes()
    image = read_picture(file)
    if name == 'png':
        return 'png', cv2.imencode('.png', image)[1].tobytes()
    return 'jpeg', cv2.imencode(
        '.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
