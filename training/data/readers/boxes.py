# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the readers of labelled boxes share."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.cone_annotations import class_of
from eunet_ros.model.common.metrics.boxes import NOT_SAID
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.training.data.readers.fsoco import LoadReport
from eunet_ros.training.data.sets import Boxed

Row = TypeVar('Row')


def label_class(name: str, classes: ClassTable) -> int:
    """
    Return the class id of a label by its name, see `class_of`; raises DataError, a clause.

    It is NOT_SAID for 'cone', and for all labels where the weights have one class of cones.
    """
    if name.strip().lower() == 'cone':
        return NOT_SAID
    class_id = class_of(name, classes)
    return NOT_SAID if len(classes.names) == 2 else class_id


def load_each(rows: Iterable[Row], load: Callable[[Row], Boxed], on_error: str,
              report: LoadReport) -> Iterator[Boxed]:
    """Yield an image of each row; on_error: 'skip' notes the error in the report and goes on."""
    for row in rows:
        try:
            item = load(row)
        except DataError as error:
            if on_error == 'raise':
                raise
            report.errors.append(str(error))
        else:
            report.loaded += 1
            yield item
