# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Score the cones of the node `eunet` against those of a simulator, while both run.

    ros2 run eunet_ros cone_score --ros-args -p stack:=eufs_msgs -r truth:=/ground_truth/cones

True cones in a message with a header are relative to the car at its stamp. Without a header
(fs_msgs/Track) they are in the world frame, and `odometry` has the pose of the car.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
import math
from typing import Any

from eunet_ros.cones.messages import read_points
from eunet_ros.evaluation.run.journal import MaskScores, ScoreRow
from eunet_ros.evaluation.scoring.position_errors import Positions
from eunet_ros.node import cone_bridge
from eunet_ros.node.cone_stacks import stack_cones
from eunet_ros.node.outputs import latched
from eunet_ros.ros.process import run
import numpy as np
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import PointCloud2

PARAMETERS = {**cone_bridge.PARAMETERS, 'stack': "The simulator's messages. Default: 'fs_msgs'.",
              'reach': 'True cones farther away do not count [m]. Default: 15.0.',
              'view': 'Angle ahead of the car in which they count [deg]. Default: 90.0.'}
_SAME_M, _SAME_SHARE = 0.5, 0.1   # maximum error of a match: the larger of m, share of distance
_TOGETHER_NS = 30_000_000         # maximum difference of stamps
_TELL_S = 10.0
_ANY_CLASS = 'unknown_cone'       # a simulator's cone without a colour matches any class


def from_car(xy: np.ndarray, pose: Any) -> np.ndarray:
    """Return positions (n, 2) in the world relative to a car; pose: geometry_msgs/Pose."""
    q, p = pose.orientation, pose.position
    yaw = math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y ** 2 + q.z ** 2))
    c, s = math.cos(yaw), math.sin(yaw)
    return (xy - [p.x, p.y]) @ np.array([[c, -s], [s, c]])


class ConeScore:
    """Accumulates the errors of cones on the ground; reach and view [rad]: see PARAMETERS."""

    def __init__(self, reach: float, view: float) -> None:
        self._reach, self._view = reach, view
        self.positions, self.false = Positions(), 0

    def _counts(self, xy: np.ndarray) -> np.ndarray:
        return ((np.hypot(*xy.T) <= self._reach)
                & (np.abs(np.arctan2(xy[:, 1], xy[:, 0])) <= self._view / 2))

    def add(self, rows: np.ndarray, names: Mapping[int, str], true_names: Sequence[str],
            true_xy: np.ndarray) -> None:
        """Add an image's cones, POINT rows; names: of their class ids."""
        found = np.stack([rows['x'], rows['y']], axis=1).astype(np.float64)
        distance = np.hypot(*true_xy.T)
        apart = np.linalg.norm(true_xy[:, None] - found, axis=2)
        pairs = np.argwhere(apart <= np.maximum(_SAME_M, _SAME_SHARE * distance)[:, None])
        self.false += len(np.setdiff1d(np.flatnonzero(self._counts(found)), pairs[:, 1]))
        same: dict[int, int] = {}
        for k, j in sorted(pairs.tolist(), key=lambda pair: apart[tuple(pair)]):
            if k not in same and j not in same.values():
                same[k] = j
        row, scores = ScoreRow(index=0), MaskScores([], placed=len(rows))
        for k in np.flatnonzero(self._counts(true_xy)).tolist():
            right = k in same and true_names[k] in (
                _ANY_CLASS, names.get(int(rows['class_id'][same[k]])))
            row.true_distances.append(float(distance[k]))
            scores.outcomes.append([0, 1, (1 if right else 2) if k in same else 0])
            if k in same:
                scores.position_errors.append([float(distance[k]), float(apart[k, same[k]])])
        self.positions.add(row, scores, binary=False)

    def __str__(self) -> str:
        report = self.positions.to_report()
        if report is None:
            return 'No image is scored yet: no cones, or no true cones with the same stamp.'
        lines = [f'{report["frames"]} images, {self.false / report["frames"]:.2f} false cones '
                 'an image']
        for name, row in report['by_distance'].items():
            if row['cones']:
                error = row['error_m']
                lines.append(
                    f'{name:>5} m: {row["cones"]} cones, {row["recall"]:.1%} found, '
                    f'{row["recall_right_class"]:.1%} right class' + (
                        f', error p50 {error["p50"]:.2f} m, p90 {error["p90"]:.2f} m'
                        if row['compared'] else ''))
        return '\n'.join(lines)


class ScoreNode(cone_bridge.StackNode):
    """Subscribes to eunet/cones, truth and, if the truth has no header, odometry."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('cone_score', PARAMETERS, **kwargs)
        self.score = ConeScore(self.declare_parameter('reach', 15.0).value,
                               math.radians(self.declare_parameter('view', 90.0).value))
        self._truth: deque[Any] = deque(maxlen=500 if self.stack.header else 1)
        self._poses: deque[Any] = self._truth if self.stack.header else deque(maxlen=500)
        self.create_subscription(self.kind, 'truth', lambda msg: self._truth.append(msg),
                                 10 if self.stack.header else latched())
        if not self.stack.header:
            self.create_subscription(cone_bridge.installed('nav_msgs/msg/Odometry'), 'odometry',
                                     lambda msg: self._poses.append(msg), 50)
        self.create_subscription(PointCloud2, 'eunet/cones', self.on_cones, 5)
        self.create_timer(_TELL_S, lambda: self.get_logger().info(str(self.score)),
                          clock=Clock(clock_type=ClockType.STEADY_TIME))

    def on_cones(self, cloud: PointCloud2) -> None:
        """Score an image's cones if the truth with its stamp is known."""
        def apart(message: Any) -> int:
            a, b = message.header.stamp, cloud.header.stamp
            return abs((a.sec - b.sec) * 1_000_000_000 + a.nanosec - b.nanosec)
        nearest = min(self._poses, key=apart, default=None)
        if nearest is None or not self._truth or apart(nearest) > _TOGETHER_NS:
            return
        names, xy = stack_cones(self.stack, nearest if self.stack.header else self._truth[0])
        if not self.stack.header:
            xy = from_car(xy, nearest.pose.pose)
        self.score.add(read_points(cloud), self.names, names, xy)

    def destroy_node(self) -> None:
        """Print the score of the whole run, then end."""
        if hasattr(self, 'score'):  # rclpy also destroys nodes whose constructor failed
            print(self.score)
        super().destroy_node()


def main() -> None:
    """Run it as this process, until SIGINT or SIGTERM."""
    run(lambda: cone_bridge.run_node(
        'cone_score', "Score eunet/cones against a simulator's cones.", PARAMETERS, ScoreNode))


if __name__ == '__main__':
    main()
