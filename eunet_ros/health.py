# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the node's figures mean: a level, one sentence and a table; no ROS imports."""
from __future__ import annotations

from eunet_ros.node_statistics import Snapshot

OK, WARN, ERROR = 0, 1, 2   # diagnostic_msgs/DiagnosticStatus
_RECENT_ERROR_S = 5.0
_LOST_SHARE = 0.05          # of the camera's images, before the transport is blamed


def assess(state: Snapshot, active: bool, enabled: bool, image_timeout: float,
           topic: str) -> tuple[int, str]:
    """
    Return the level and a sentence for the node's state.

    image_timeout: seconds without an image before that is a warning. topic: the images' source.
    """
    if not active:
        return OK, 'inactive'
    if not enabled:
        return OK, 'disabled by parameter or service'
    age = state.last_image_age_s
    if age is None:
        return WARN, (f'no image has arrived on {topic}; check the topic, its type and the QoS '
                      'reliability of the publisher')
    if age > image_timeout:
        return WARN, f'no image on {topic} for {age:.1f} s'
    if state.since_error_s is not None and state.since_error_s < _RECENT_ERROR_S:
        return ERROR, state.last_error
    received = state.counts.get('received', 0)
    transport = ('start the camera driver with FASTDDS_DEFAULT_PROFILES_FILE set to '
                 'config/fastdds_large_images.xml of eunet_ros')
    if state.lost > _LOST_SHARE * (received + state.lost) and state.lost >= 5:
        return WARN, (f'{state.lost} of {received + state.lost} images were lost on the way; '
                      f'{transport}')
    if state.late > _LOST_SHARE * received and state.late >= 5:
        return WARN, f'{state.late} of {received} images arrived late; {transport}'
    if state.counts.get('dropped_unwatched', 0) == received:
        return OK, 'idle: nobody subscribes to an output'
    return OK, f'{state.rate_out:.1f} masks/s'


def with_cones(level: int, message: str, reason: str) -> tuple[int, str]:
    """Return the level and the sentence where positions of cones are withheld for a reason."""
    if level != OK or not reason:
        return level, message
    return WARN, f'{message}; positions of cones are withheld: {reason}'


def table(state: Snapshot) -> dict[str, str]:
    """Return the rows of the diagnostics message."""
    rows = {'rate in [Hz]': f'{state.rate_in:.2f}', 'rate out [Hz]': f'{state.rate_out:.2f}'}
    for name in ('received', 'masked', 'dropped_newer', 'dropped_bad', 'dropped_engine',
                 'dropped_unwatched', 'dropped_disabled'):
        rows[name] = str(state.counts.get(name, 0))
    rows['lost in transport (estimate)'] = str(state.lost)
    rows['late on arrival'] = str(state.late)
    for name, (p50, p99) in state.stage_ms.items():
        rows[f'{name} p50 [ms]'] = f'{p50:.2f}'
        rows[f'{name} p99 [ms]'] = f'{p99:.2f}'
    rows['last error'] = state.last_error
    return rows
