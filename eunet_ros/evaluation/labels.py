# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Exports frames and their masks as a project, to correct them by hand and to train on."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
import re

import cv2
from eunet_ros.bags.messages import deserialise
from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.cones.detection import number_cones
from eunet_ros.evaluation.run.folder import OutputFolder
from eunet_ros.evaluation.run.journal import FrameRow, read_rows
from eunet_ros.evaluation.run.plan import bag_files, FrameMasks, Plan
from eunet_ros.evaluation.run.runner import Show
from eunet_ros.images.conversions import to_bgr
from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.image_header import PNG
from eunet_ros.model.common.label_writer import Item, write_coco, write_project
import numpy as np

SUPERVISELY, COCO = FORMATS = ('supervisely', 'coco')
_DATASET = 'drives'
_KEPT = 0.8   # share of a single bag for COCO's train; the rest is val
_SUFFIXES = {b'\xff\xd8\xff': '.jpg', PNG: '.png'}


def source_name(label: str) -> str:
    """
    Return a bag's label as the source of its images: without underscores or a leading number.

    >>> source_name('rosbag2_2026_05_01'), source_name('2026-05-01')
    ('rosbag2-2026-05-01', 'bag-2026-05-01')
    """
    name = re.sub(r'[\W_]+', '-', label).strip('-')
    return name if name[:1].isalpha() else f'bag-{name}'


def stored_picture(msg: object) -> tuple[np.ndarray | bytes, str]:
    """Return a picture to write and its suffix: the encoded bytes if they decode to the same."""
    image = to_bgr(msg)
    if hasattr(msg, 'format'):
        suffix = next((s for start, s in _SUFFIXES.items()
                       if msg.data[:len(start)].tobytes() == start), None)
        # Red and blue may be swapped, or EXIF may rotate it.
        if suffix and np.array_equal(cv2.imdecode(msg.data, cv2.IMREAD_COLOR), image):
            return msg.data.tobytes(), suffix
    return image, '.png'


def _is_chosen(row: FrameRow, every: int) -> bool:
    return row.index % every == 0 and row.masks[0] is not None


def _items(plan: Plan, folder: OutputFolder, every: int, classes: ClassTable,
           show: Show) -> Iterator[tuple[str, Item]]:
    """Yield COCO's part and the item of each chosen frame; the last of several bags is val."""
    names, binary, last = set(), len(plan.weights[0].classes) == 2, len(plan.bags) - 1
    for number, bag_plan in enumerate(plan.bags):
        files, source = bag_files(folder.journal, number), source_name(bag_plan.label)
        # The report has the error of a damaged bag.
        with closing(FrameMasks(files)) as masks, suppress(BagError), Bag(bag_plan.path) as bag:
            images = bag.raw(bag.topics[bag_plan.image_topic])
            for (_, raw), row in zip(images, read_rows(files.frames, FrameRow)):
                show(f'Writing the labels of {bag_plan.label}', row.index, bag_plan.frames)
                if not _is_chosen(row, every):
                    continue
                name = f'{source}_{row.stamp:019d}'  # the format of --truth
                name = name if name not in names else f'{source}_{number}-{row.index}'
                names.add(name)
                held_out = number == last if last else row.index >= _KEPT * bag_plan.frames
                mask = masks.of(row)[0]
                if binary:  # the colours of cones are not known
                    mask = (mask > 0) * np.uint8(classes.id_of('unknown_cone'))
                image, suffix = stored_picture(deserialise(raw, bag_plan.msgtype))
                numbers, ids = number_cones(mask, classes)
                yield ('val' if held_out else 'train',
                       Item(name + suffix, image, ids, numbers))


def export_labels(plan: Plan, folder: OutputFolder, kind: str, every: int, show: Show) -> int:
    """Write every n-th frame that has a mask; returns how many. Raises ValueError, OSError."""
    table = plan.weights[0].table
    classes = cone_classes() if len(table.names) == 2 else table
    if not any(_is_chosen(row, every) for number in range(len(plan.bags))
               for row in read_rows(bag_files(folder.journal, number).frames, FrameRow)):
        return 0
    items = _items(plan, folder, every, classes, show)
    if kind == COCO:
        return write_coco(folder.labels, items, classes)
    return write_project(folder.labels, (item for _, item in items), _DATASET, classes, border=0)
