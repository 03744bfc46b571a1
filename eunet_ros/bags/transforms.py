# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fixed transforms of a recording, from its /tf_static; no ROS imports."""
from __future__ import annotations

from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.cones.ground import Pose, pose_of_transform
from eunet_ros.cones.locator import Withheld
import numpy as np

TOPIC = '/tf_static'
_KIND = 'tf2_msgs/msg/TFMessage'


class BagTransforms:
    """The fixed frames of a bag, each with its pose in its parent (REP 105); raises BagError."""

    def __init__(self, bag: Bag) -> None:
        self._parents: dict[str, tuple[str, Pose]] = {}
        topic = bag.topics.get(TOPIC)
        if topic is None or topic.msgtype != _KIND:
            return
        for _, msg in bag.messages(topic):
            for stamped in msg.transforms:
                t, q = stamped.transform.translation, stamped.transform.rotation
                child, parent = (name.lstrip('/') for name in (
                    stamped.child_frame_id, stamped.header.frame_id))
                try:
                    pose = pose_of_transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
                except ValueError as error:
                    raise BagError(f'{bag.path}, {TOPIC}: {error} from {child!r} to {parent!r}'
                                   ) from error
                self._parents[child] = parent, pose

    def pose(self, frame: str, base_frame: str) -> Pose:
        """Return the pose of a frame in another one; raises Withheld if they are not connected."""
        there, here = self._chain(frame.lstrip('/')), self._chain(base_frame.lstrip('/'))
        meeting = next((name for name in there if name in here), None)
        if meeting is None:
            known = ', '.join(sorted(self._parents)) or 'none'
            raise Withheld(f'{TOPIC} of the bag does not connect {frame!r} with {base_frame!r} '
                           f'(frames in it: {known}): record it, or give --mounting')
        a, b = there[meeting], here[meeting]
        return Pose(b.rotation.T @ a.rotation, b.rotation.T @ (a.origin - b.origin))

    def _chain(self, frame: str) -> dict[str, Pose]:
        """Return the pose of a frame in itself, in its parent, and so on."""
        found = {frame: Pose(np.eye(3), np.zeros(3))}
        pose = found[frame]
        while frame in self._parents:
            frame, step = self._parents[frame]
            if frame in found:  # a loop; tf2 rejects it
                break
            pose = Pose(step.rotation @ pose.rotation, step.rotation @ pose.origin + step.origin)
            found[frame] = pose
        return found
