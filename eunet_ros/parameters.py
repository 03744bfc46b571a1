# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The node's parameters: names, types, defaults, ranges, units and meaning, in one place.

No ROS here: the node declares what stands below, and a test holds config/segmentation.yaml to it.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
import difflib
import os
from typing import Any

from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, ENGINES, PRECISIONS

NODE_NAME = 'eunet'
TRANSPORTS = ('raw', 'compressed')
RELIABILITIES = ('best_effort', 'reliable')
LEVELS = ('ok', 'warn', 'error')   # of diagnostics, in the order of DiagnosticStatus
MOUNTINGS = ('parameters', 'tf')
ATTITUDES = ('fixed', 'cones', 'imu')
_CORES_TO_SPARE = 4   # from how many on the engine leaves one to ROS


def _parameter(default: Any, description: str, *, live: bool = False,
               minimum: float | None = None, maximum: float | None = None,
               choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={
        'description': description, 'live': live, 'minimum': minimum, 'maximum': maximum,
        'choices': choices})


@dataclass(frozen=True)
class NodeParameters:
    """Values of all parameters; raises ValueError where a value is out of its range."""

    weights: str = _parameter(
        DEFAULT_WEIGHTS, 'Weights: the path of a .safetensors file or the name of shipped ones.')
    variant: str = _parameter(
        '', 'Variant that the weights must be of (eunet, eunet_s, eunet_n); empty: any.')
    engine: str = _parameter(
        AUTO, 'Engine that runs the network; auto: the fastest that works here.',
        choices=(AUTO, *ENGINES))
    precision: str = _parameter(
        'auto', 'Numbers the engine computes in; auto: float32 on a CPU, float16 on a GPU.',
        choices=PRECISIONS)
    input_height: int = _parameter(
        0, "Height of the network's input [px]; 0: what the weights were trained for.",
        minimum=0, maximum=8192)
    input_width: int = _parameter(
        0, "Width of the network's input [px]; 0: what the weights were trained for.",
        minimum=0, maximum=8192)
    strip: bool = _parameter(
        True, 'Range: a strip along the horizon is segmented at high resolution as well, if the '
        'weights have one or strip_height is set; false, speed: the whole image alone.')
    strip_height: int = _parameter(
        0, "Height of the network's input for the strip [px]; 0: what the weights were made for, "
        'where the input is theirs as well.', minimum=0, maximum=8192)
    strip_width: int = _parameter(
        0, "Width of the network's input for the strip [px]; 0: as above.", minimum=0,
        maximum=8192)
    strip_center: float = _parameter(
        0.0, "Middle of the strip as a share of the image's height from the top, where the "
        'horizon is not known from calibration and mounting; 0: where far cones are found.',
        live=True, minimum=0.0, maximum=1.0)
    num_threads: int = _parameter(
        0, 'CPU threads of the engine; 0: all cores, of four or more all but one, which is left '
        'to ROS.', minimum=0, maximum=1024)
    image_transport: str = _parameter(
        'raw', 'raw: sensor_msgs/Image on image; compressed: CompressedImage on image/compressed.',
        choices=TRANSPORTS)
    image_reliability: str = _parameter(
        'best_effort', 'Reliability (QoS) of the image subscription; best_effort fits any camera.',
        choices=RELIABILITIES)
    image_depth: int = _parameter(
        5, 'Queue depth (QoS) of the image subscription; the newest frame wins at any depth.',
        minimum=1, maximum=1000)
    output_reliability: str = _parameter(
        'reliable', 'Reliability (QoS) of the outputs; reliable fits any subscriber.',
        choices=RELIABILITIES)
    output_depth: int = _parameter(
        5, 'Queue depth (QoS) of the outputs.', minimum=1, maximum=1000)
    enabled: bool = _parameter(
        True, 'Whether images are segmented; also set by the service ~/set_enabled.', live=True)
    classes: str = _parameter(
        '', 'Names of the classes to publish, separated by commas; empty: all.', live=True)
    roi_top: float = _parameter(
        0.0, "Region of interest: its upper edge, as a share of the image's height from the top.",
        live=True, minimum=0.0, maximum=1.0)
    roi_bottom: float = _parameter(
        1.0, 'Its lower edge; rows outside are background, and input_height can be less.',
        live=True, minimum=0.0, maximum=1.0)
    overlay_opacity: float = _parameter(
        0.5, 'Opacity of the class colours in the overlay, 0 to 1.', live=True,
        minimum=0.0, maximum=1.0)
    jpeg_quality: int = _parameter(
        80, 'JPEG quality of ~/overlay/compressed, 1 to 100.', live=True, minimum=1, maximum=100)
    image_timeout: float = _parameter(
        0.5, 'Diagnostics warn when no image has come for this long [s].', live=True,
        minimum=0.05, maximum=3600.0)
    image_timeout_error: float = _parameter(
        2.0, 'The same is an error after this long [s].', live=True, minimum=0.05, maximum=3600.0)
    mask_timeout: float = _parameter(
        0.5, 'Diagnostics warn when images come and no mask has gone out for this long [s].',
        live=True, minimum=0.05, maximum=3600.0)
    mask_timeout_error: float = _parameter(
        1.0, 'No mask is an error after this long [s].', live=True, minimum=0.05, maximum=3600.0)
    mask_share_warn: float = _parameter(
        0.5, 'Warn when a smaller share of the images is masked.', live=True,
        minimum=0.0, maximum=1.0)
    mask_share_error: float = _parameter(
        0.1, 'An error when a smaller share of the images is masked.', live=True,
        minimum=0.0, maximum=1.0)
    latency_warn: float = _parameter(
        0.2, 'Warn when p99 of the time from an image to its mask is longer [s].', live=True,
        minimum=0.001, maximum=3600.0)
    latency_error: float = _parameter(
        1.0, 'An error when p99 of the time from an image to its mask is longer [s].', live=True,
        minimum=0.001, maximum=3600.0)
    error_share_warn: float = _parameter(
        0.0, 'Warn when more than this share of the images fails.', live=True,
        minimum=0.0, maximum=1.0)
    error_share_error: float = _parameter(
        0.2, 'An error when more than this share of the images fails.', live=True,
        minimum=0.0, maximum=1.0)
    transport_share: float = _parameter(
        0.05, 'Share of images lost on the way, or late, above which level_transport holds.',
        live=True, minimum=0.0, maximum=1.0)
    level_transport: str = _parameter(
        'warn', 'Level of images that are lost or late.', live=True, choices=LEVELS)
    level_stamps: str = _parameter(
        'warn', 'Level of stamps at zero, in the future or jumping back, and of two cameras on '
        'one topic.', live=True, choices=LEVELS)
    level_fallback: str = _parameter(
        'warn', 'Level while another engine stands in for one that failed.', live=True,
        choices=LEVELS)
    level_throttled: str = _parameter(
        'warn', 'Level while the CPU or GPU is slowed down because of its heat or power.',
        live=True, choices=LEVELS)
    engine_retry: float = _parameter(
        30.0, 'After so long a failed engine is tried again, in the background [s]; 0: never.',
        live=True, minimum=0.0, maximum=3600.0)
    health_window: float = _parameter(
        2.0, 'How far back shares and latencies reach in diagnostics [s].', live=True,
        minimum=0.2, maximum=60.0)
    late_image: float = _parameter(
        0.5, 'An image older than this on arrival counts as late in diagnostics [s].',
        minimum=0.01, maximum=3600.0)
    status_period: float = _parameter(
        0.2, 'Time between two messages on ~/status [s]; its deadline is 2.5 times that.',
        minimum=0.05, maximum=10.0)
    diagnostics_period: float = _parameter(
        1.0, 'Time between two messages on /diagnostics [s]; a new level is told at once.',
        minimum=0.1, maximum=3600.0)
    base_frame: str = _parameter(
        'base_link', 'Frame of the positions of cones (REP 105): x forward, y left, z up.')
    mounting: str = _parameter(
        'parameters', 'Where the mounting of the camera comes from: the parameters camera_*, or '
        'the transform from the frame of the image to base_frame.', choices=MOUNTINGS)
    camera_height: float = _parameter(
        0.0, 'Height of the camera above the ground [m]; 0: not set, positions are withheld.',
        live=True, minimum=0.0, maximum=20.0)
    camera_pitch: float = _parameter(
        0.0, 'Pitch of the camera, positive where it looks down [rad].', live=True,
        minimum=-1.6, maximum=1.6)
    camera_roll: float = _parameter(
        0.0, 'Roll of the camera, positive where its right side is low [rad].', live=True,
        minimum=-3.2, maximum=3.2)
    camera_yaw: float = _parameter(
        0.0, 'Yaw of the camera, positive where it looks to the left [rad].', live=True,
        minimum=-3.2, maximum=3.2)
    camera_x: float = _parameter(
        0.0, 'How far the camera is before base_frame [m].', live=True, minimum=-20.0,
        maximum=20.0)
    camera_y: float = _parameter(
        0.0, 'How far the camera is to the left of base_frame [m].', live=True, minimum=-20.0,
        maximum=20.0)
    ground_z: float = _parameter(
        0.0, 'Height of the ground in base_frame, negative where base_frame is above it [m].',
        live=True, minimum=-20.0, maximum=20.0)
    attitude: str = _parameter(
        'fixed', 'Attitude of the car by which cones get positions: that of the mounting; '
        'estimated from the cones of each image; or so, with imu_topic between images.',
        choices=ATTITUDES)
    attitude_frame: str = _parameter(
        '', 'Name of a level frame under base_frame, for positions where attitude is not fixed; '
        'published in tf. Empty: none, and positions are in base_frame.')
    attitude_warn: float = _parameter(
        0.01, 'Diagnostics warn when the mean pitch of 3 s differs from the mounting by more: the '
        'camera was moved [rad].', live=True, minimum=0.001, maximum=1.0)
    imu_topic: str = _parameter(
        '', 'Topic of a sensor_msgs/Imu whose axes are those of base_frame, for attitude: imu.')
    image_rectified: bool = _parameter(
        False, 'Whether the images are rectified: P of camera_info holds, and no distortion.',
        live=True)
    pixel_stddev: float = _parameter(
        1.0, 'Standard deviation of the base of a cone in the image, for its variance [px].',
        live=True, minimum=0.01, maximum=100.0)
    cone_min_pixels: int = _parameter(
        10, 'Smallest cone that counts, by its area [px].', live=True, minimum=1, maximum=100000)
    cone_min_height: int = _parameter(
        4, 'Smallest cone that counts, by its height [px].', live=True, minimum=1, maximum=1000)
    cone_min_range: float = _parameter(
        0.3, 'Nearest cone that gets a position [m].', live=True, minimum=0.0, maximum=1000.0)
    cone_max_range: float = _parameter(
        30.0, 'Farthest cone that gets a position [m].', live=True, minimum=0.1, maximum=1000.0)
    cone_tracking: bool = _parameter(
        False, 'Whether cones are followed from image to image: id, age and a steady class.',
        live=True)
    marker_lifetime: float = _parameter(
        0.5, 'How long a marker stays when no newer one comes [s]; 0: for ever.', live=True,
        minimum=0.0, maximum=3600.0)
    autostart: bool = _parameter(
        True, 'Configure and activate at start; false: a lifecycle manager does it.')

    def __post_init__(self) -> None:
        for f in fields(self):  # frozen: no other way to set a field
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name)))
        for kind in ('input', 'strip'):
            height, width = (getattr(self, f'{kind}_{side}') for side in ('height', 'width'))
            if (height == 0) != (width == 0):
                raise ValueError(f'Parameters {kind}_height and {kind}_width go together: set '
                                 f'both or neither, found {height} and {width}.')
        if self.roi_bottom - self.roi_top < 0.01:
            raise ValueError(
                'Parameter roi_bottom must be above roi_top by 0.01 or more, found '
                f'{self.roi_bottom} and {self.roi_top}.')

        if self.attitude == 'imu' and not self.imu_topic:
            raise ValueError('Parameter attitude is imu and imu_topic is empty: set imu_topic, or '
                             'attitude to cones.')
        if self.cone_max_range <= self.cone_min_range:
            raise ValueError(
                'Parameter cone_max_range must be above cone_min_range, found '
                f'{self.cone_max_range} and {self.cone_min_range}.')

    @property
    def region(self) -> tuple[float, float]:
        """Return the region of interest: upper and lower edge, as shares of the height."""
        return self.roi_top, self.roi_bottom

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Return the network's input (height, width), None for the checkpoint's."""
        return (self.input_height, self.input_width) if self.input_height else None

    @property
    def strip_size(self) -> tuple[int, int] | None:
        """Return the network's input for the strip, None for the checkpoint's, zeros for none."""
        if not self.strip:
            return 0, 0
        return (self.strip_height, self.strip_width) if self.strip_height else None

    @property
    def engine_threads(self) -> int:
        """
        Return the threads of the engine, 0 for as many as there are cores.

        A pinned thread that shares its core with ROS keeps all others waiting; on few cores one
        thread less would cost more.
        """
        cores = len(os.sched_getaffinity(0))
        return self.num_threads or (cores - 1 if cores >= _CORES_TO_SPARE else 0)


SPECS = {f.name: f for f in fields(NodeParameters)}


def checked(name: str, value: Any) -> Any:
    """
    Return a parameter's value; a whole number stands for a float.

    Raises ValueError, saying what was expected, where the value is not allowed.
    """
    spec = SPECS[name]
    meta, expected = spec.metadata, type(spec.default)
    if expected is float and type(value) is int:
        value = float(value)
    if type(value) is not expected:
        raise ValueError(f'Parameter {name} must be of type {expected.__name__}, found '
                         f'{value!r} of type {type(value).__name__}.')
    if meta['choices'] and value not in meta['choices']:
        near = difflib.get_close_matches(value, meta['choices'], 1)
        hint = f'; did you mean {near[0]}?' if near else '.'
        raise ValueError(f'Parameter {name} must be one of {", ".join(meta["choices"])}, found '
                         f'{value!r}{hint}')
    if meta['minimum'] is not None and not meta['minimum'] <= value <= meta['maximum']:
        raise ValueError(f'Parameter {name} must be from {meta["minimum"]} to {meta["maximum"]}, '
                         f'found {value}.')
    return value


def check_names(names: Collection[str], known: Collection[str] = SPECS) -> None:
    """Raise ValueError, naming the nearest, where a name is no parameter of the node."""
    for name in sorted(set(names) - set(known)):
        near = difflib.get_close_matches(name, known, 1)
        hint = f'did you mean {near[0]}?' if near else f'expected one of {", ".join(known)}.'
        raise ValueError(f'The node has no parameter {name!r}; {hint}')
