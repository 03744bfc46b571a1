# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Figures of cones on the ground: how many have positions, and the errors of these."""
from __future__ import annotations

from typing import Any

from eunet_ros.evaluation.run.journal import MaskScores, ScoreRow
from eunet_ros.model.common.metrics.cones import recall_row
import numpy as np

DISTANCE_EDGES = (5.0, 10.0, 15.0, 20.0)   # m from base_link: from each up to below the next
DISTANCE_BINS = ('<5', '5-10', '10-15', '15-20', '>=20')


class Positions:
    """Accumulates the positions of one set of weights' cones."""

    def __init__(self) -> None:
        self.frames = self.placed = 0
        self.counts = np.zeros((len(DISTANCE_BINS), 3), np.int64)   # cones, found, right class
        self.pitches: list[float] = []       # of frames, against the mounting [deg]
        self.shares: list[float] = []        # see MaskScores.far_moved
        self.errors: list[list[list[float]]] = [[] for _ in DISTANCE_BINS]  # distance, error

    def add(self, row: ScoreRow, scores: MaskScores, binary: bool) -> None:
        """Add a frame's scores, unless positions are rejected; binary: any class is right."""
        if scores.placed is None:
            return
        self.frames += 1
        self.placed += scores.placed
        if scores.pitch_deg is not None:
            self.pitches.append(scores.pitch_deg)
        if scores.far_moved is not None:
            self.shares.append(scores.far_moved)
        for distance, (_, true_class, taken) in zip(row.true_distances, scores.outcomes):
            if distance is not None:
                right = taken == true_class or (binary and taken > 0)
                self.counts[distance_bin(distance)] += [1, taken > 0, right]
        for distance, error in scores.position_errors:
            self.errors[distance_bin(distance)].append([distance, error])

    def to_report(self) -> dict[str, Any] | None:
        """Return the figures, None if no cones have positions."""
        if not self.frames:
            return None
        by_distance = {}
        for name, (cones, found, right), pairs in zip(
                DISTANCE_BINS, self.counts.tolist(), self.errors):
            distance, error = np.array(pairs, float).reshape(-1, 2).T
            by_distance[name] = {
                **recall_row(cones, found, right), 'compared': len(error),
                'error_m': {f'p{q}': float(np.percentile(error, q)) if len(error) else None
                            for q in (50, 90)},
                'error_share_p50': float(np.median(error / distance)) if len(error) else None}
        pitch = None
        if self.pitches:
            pitch = {'frames': len(self.pitches), 'mean': float(np.mean(self.pitches)),
                     'moves_far_cones': float(np.median(self.shares)) if self.shares else None,
                     **{f'p{q}': float(np.percentile(self.pitches, q)) for q in (5, 50, 95)}}
        return {'frames': self.frames, 'cones_per_image': self.placed / self.frames,
                'pitch_deg': pitch, 'by_distance': by_distance}


def distance_bin(distance: float) -> int:
    """Return the number of the DISTANCE_BINS that a distance in metres falls into."""
    return int(np.searchsorted(DISTANCE_EDGES, distance, 'right'))
