# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""False cones: predicted where no cone is."""
from __future__ import annotations

from typing import NamedTuple

from eunet_ros.model.common.classes import IGNORE_ID
from eunet_ros.model.common.metrics.cones import label_parts
import numpy as np

MIN_FALSE_PIXELS = 12   # of a part of the mask that counts
FALSE_CONE_ONE_IN = 10  # it is false where less than one in so many of them is a true cone's


class FalseCones(NamedTuple):
    """False cones: most frequent class (n,), counted pixels (n,), mean v and u (n, 2) [px]."""

    class_id: np.ndarray
    pixels: np.ndarray
    middle: np.ndarray


def find_false_cones(truth: np.ndarray, predicted: np.ndarray) -> FalseCones:
    """
    Return the 8-connected parts of the prediction that are false cones.

    Such a part has MIN_FALSE_PIXELS or more pixels, of which less than one in FALSE_CONE_ONE_IN is
    on a true cone. Ignored pixels connect, but do not count.
    """
    part = predicted != 0
    places = np.flatnonzero(part)
    labels, count = label_parts(part, places)
    t = truth.reshape(-1)[places]
    known = t != IGNORE_ID
    size = np.bincount(labels[known], minlength=count)
    on_cones = np.bincount(labels[known & (t != 0)], minlength=count)
    false = np.flatnonzero((size >= MIN_FALSE_PIXELS) & (FALSE_CONE_ONE_IN * on_cones < size))
    renumbered = np.full(count, -1)
    renumbered[false] = np.arange(len(false))
    own = renumbered[labels]
    votes = np.zeros((len(false), 256), np.int64)
    counted = known & (own >= 0)
    np.add.at(votes, (own[counted], predicted.reshape(-1)[places[counted]]), 1)
    whole = np.bincount(own[own >= 0], minlength=len(false))
    middle = np.stack([np.bincount(own[own >= 0], values[own >= 0], len(false)) / whole
                       for values in np.divmod(places, truth.shape[1])], axis=1)
    return FalseCones(votes.argmax(1), size[false], middle)
