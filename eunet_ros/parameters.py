# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The node's parameters: names, types, defaults, ranges, units and meaning, in one place.

    python -m eunet_ros.parameters

writes config/segmentation.yaml and the table of docs/parameters.md from it. No ROS here: the node
declares what stands below, and the launch file has those with `launch` as arguments.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, Field, field, fields
import difflib
from functools import cached_property
import os
from pathlib import Path
import textwrap
from typing import Any

from eunet_ros.model.common.files import written_beside
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, ENGINES, PRECISIONS

NODE_NAME = 'eunet'
TRANSPORTS = ('raw', 'compressed')
RELIABILITIES = ('best_effort', 'reliable')
LEVELS = ('ok', 'warn', 'error')   # of diagnostics, in the order of DiagnosticStatus
MOUNTINGS = ('parameters', 'tf')
ATTITUDES = ('fixed', 'cones', 'imu')
_CORES_TO_SPARE = 4   # from how many on the engine leaves one to ROS
_ROOT = Path(__file__).resolve().parents[1]
YAML_FILE, TABLE_FILE = _ROOT / 'config' / 'segmentation.yaml', _ROOT / 'docs' / 'parameters.md'
_TABLE_HEADING = '## All parameters\n'
_YAML_HEADING = """\
# Every parameter of the node, with its default. Copy this file, change what you need and start
#   ros2 launch eunet_ros segmentation.launch.py params_file:=/path/to/your.yaml
# 'Live' parameters can be changed while the node runs: ros2 param set /eunet overlay_opacity 0.8
# Written from eunet_ros/parameters.py by: python -m eunet_ros.parameters
/**:
  ros__parameters:
"""


def _value(default: Any, description: str, *allowed: Any, live: bool = False,
           launch: bool = False) -> Any:
    """Declare a parameter; allowed: the least and the greatest number, or the choices."""
    choices, limits = (allowed, (None, None)) if isinstance(default, str) else (
        (), allowed or (None, None))
    return field(default=default, metadata={
        'description': description, 'live': live, 'launch': launch, 'choices': choices,
        'minimum': limits[0], 'maximum': limits[1]})


def _live(default: Any, description: str, *allowed: Any) -> Any:
    """Declare a parameter that can be changed while the node runs."""
    return _value(default, description, *allowed, live=True)


@dataclass(frozen=True)
class ConeParameters:
    """What decides which cones are found in a mask, and where; raises ValueError."""

    roi_top: float = _live(
        0.0, "Upper edge of the region of interest, as a share of the image's height from the "
        'top.', 0.0, 1.0)
    roi_bottom: float = _live(
        1.0, 'Lower edge of the region of interest; rows outside are background, and '
        'input_height can be less.', 0.0, 1.0)
    base_frame: str = _value(
        'base_link', 'Frame of the positions of cones (REP 105): x forward, y left, z up.')
    mounting: str = _value(
        'parameters', 'Where the mounting of the camera comes from: the parameters camera_*, or '
        'the transform from the frame of the image to base_frame.', *MOUNTINGS)
    camera_height: float = _live(
        0.0, 'Height of the camera above the ground [m]; 0: not set, positions are withheld.',
        0.0, 20.0)
    camera_pitch: float = _live(
        0.0, 'Pitch of the camera, positive where it looks down [rad].', -1.6, 1.6)
    camera_roll: float = _live(
        0.0, 'Roll of the camera, positive where its right side is low [rad].', -3.2, 3.2)
    camera_yaw: float = _live(
        0.0, 'Yaw of the camera, positive where it looks to the left [rad].', -3.2, 3.2)
    camera_x: float = _live(0.0, 'How far the camera is before base_frame [m].', -20.0, 20.0)
    camera_y: float = _live(
        0.0, 'How far the camera is to the left of base_frame [m].', -20.0, 20.0)
    ground_z: float = _live(
        0.0, 'Height of the ground in base_frame, negative where base_frame is above it [m].',
        -20.0, 20.0)
    attitude: str = _value(
        'fixed', 'Attitude of the car by which cones get positions: that of the mounting; '
        'estimated from the cones of each image; or so, with imu_topic between images.',
        *ATTITUDES)
    attitude_frame: str = _value(
        '', 'Name of a level frame under base_frame, for positions where attitude is not fixed; '
        'published in tf. Empty: none, and positions are in base_frame.')
    attitude_warn: float = _live(
        0.01, 'Diagnostics warn when the mean pitch of 3 s differs from the mounting by more: the '
        'camera was moved [rad].', 0.001, 1.0)
    imu_topic: str = _value(
        '', 'Topic of a sensor_msgs/Imu whose axes are those of base_frame, for attitude: imu.')
    image_rectified: bool = _live(
        False, 'Whether the images are rectified: P of camera_info holds, and no distortion.')
    pixel_stddev: float = _live(
        1.0, 'Standard deviation of the base of a cone in the image, for its variance [px].',
        0.01, 100.0)
    cone_min_pixels: int = _live(10, 'Smallest cone that counts, by its area [px].', 1, 100000)
    cone_min_height: int = _live(4, 'Smallest cone that counts, by its height [px].', 1, 1000)
    cone_min_range: float = _live(0.3, 'Nearest cone that gets a position [m].', 0.0, 1000.0)
    cone_max_range: float = _live(30.0, 'Farthest cone that gets a position [m].', 0.1, 1000.0)
    cone_tracking: bool = _live(
        False, 'Whether cones are followed from image to image: id, age and a steady class.')
    marker_lifetime: float = _live(
        0.5, 'How long a marker stays when no newer one comes [s]; 0: for ever.', 0.0, 3600.0)

    def __post_init__(self) -> None:
        for f in fields(self):  # frozen: no other way to set a field
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name)))
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


@dataclass(frozen=True)
class NodeParameters(ConeParameters):
    """Values of all parameters; raises ValueError where a value is out of its range."""

    weights: str = _value(
        DEFAULT_WEIGHTS, 'Weights: the path of a .safetensors file or the name of shipped ones.',
        launch=True)
    variant: str = _value(
        '', 'Variant that the weights must be of (eunet, eunet_s, eunet_n); empty: any.',
        launch=True)
    engine: str = _value(
        AUTO, 'Engine that runs the network; auto: the fastest that works here.',
        AUTO, *ENGINES, launch=True)
    precision: str = _value(
        'auto', 'Numbers the engine computes in; auto: float32 on a CPU, float16 on a GPU.',
        *PRECISIONS, launch=True)
    input_height: int = _value(
        0, "Height of the network's input [px]; 0: what the weights were trained for.",
        0, 8192, launch=True)
    input_width: int = _value(
        0, "Width of the network's input [px]; 0: what the weights were trained for.",
        0, 8192, launch=True)
    strip: bool = _value(
        True, 'true, for range: a strip along the horizon is segmented at high resolution as '
        'well, if the weights have one or strip_height is set. false, for speed: the whole image '
        'alone.')
    strip_height: int = _value(
        0, "Height of the network's input for the strip [px]; 0: what the weights were made for, "
        'where the input is theirs as well.', 0, 8192)
    strip_width: int = _value(
        0, "Width of the network's input for the strip [px]; 0: as strip_height.", 0, 8192)
    strip_center: float = _live(
        0.0, "Middle of the strip as a share of the image's height from the top, where the "
        'horizon is not known from calibration and mounting; 0: where far cones are found.',
        0.0, 1.0)
    num_threads: int = _value(
        0, 'CPU threads of the engine; 0: all cores, of four or more all but one, which is left '
        'to ROS.', 0, 1024)
    image_transport: str = _value(
        'raw', 'raw: sensor_msgs/Image on image; compressed: CompressedImage on image/compressed.',
        *TRANSPORTS, launch=True)
    image_reliability: str = _value(
        'best_effort', 'Reliability (QoS) of the image subscription; best_effort fits any camera.',
        *RELIABILITIES)
    image_depth: int = _value(
        5, 'Queue depth (QoS) of the image subscription; the newest frame wins at any depth.',
        1, 1000)
    output_reliability: str = _value(
        'reliable', 'Reliability (QoS) of the outputs; reliable fits any subscriber.',
        *RELIABILITIES)
    output_depth: int = _value(5, 'Queue depth (QoS) of the outputs.', 1, 1000)
    enabled: bool = _live(
        True, 'Whether images are segmented; also set by the service ~/set_enabled.')
    classes: str = _live('', 'Names of the classes to publish, separated by commas; empty: all.')
    overlay_opacity: float = _live(0.5, 'Opacity of the class colours in the overlay.', 0.0, 1.0)
    jpeg_quality: int = _live(80, 'JPEG quality of ~/overlay/compressed.', 1, 100)
    image_timeout: float = _live(
        0.5, 'Diagnostics warn when no image has come for this long [s].', 0.05, 3600.0)
    image_timeout_error: float = _live(
        2.0, 'Diagnostics report an error when no image has come for this long [s].', 0.05, 3600.0)
    mask_timeout: float = _live(
        0.5, 'Diagnostics warn when images come and no mask has gone out for this long [s].',
        0.05, 3600.0)
    mask_timeout_error: float = _live(
        1.0, 'Diagnostics report an error when images come and no mask has gone out for this '
        'long [s].', 0.05, 3600.0)
    mask_share_warn: float = _live(
        0.5, 'Warn when a smaller share of the images is masked.', 0.0, 1.0)
    mask_share_error: float = _live(
        0.1, 'Error when a smaller share of the images is masked.', 0.0, 1.0)
    latency_warn: float = _live(
        0.2, 'Warn when p99 of the time from an image to its mask is longer [s].', 0.001, 3600.0)
    latency_error: float = _live(
        1.0, 'Error when p99 of the time from an image to its mask is longer [s].', 0.001, 3600.0)
    error_share_warn: float = _live(
        0.0, 'Warn when more than this share of the images fails.', 0.0, 1.0)
    error_share_error: float = _live(
        0.2, 'Error when more than this share of the images fails.', 0.0, 1.0)
    transport_share: float = _live(
        0.05, 'Share of images lost on the way, or late, above which level_transport holds.',
        0.0, 1.0)
    level_transport: str = _live('warn', 'Level of images that are lost or late.', *LEVELS)
    level_stamps: str = _live(
        'warn', 'Level of stamps at zero, in the future or jumping back, and of two cameras on '
        'one topic.', *LEVELS)
    level_fallback: str = _live(
        'warn', 'Level while another engine stands in for one that failed.', *LEVELS)
    level_throttled: str = _live(
        'warn', 'Level while the CPU or GPU is slowed down because of its heat or power.', *LEVELS)
    engine_retry: float = _live(
        30.0, 'A failed engine is tried again after this time, in the background [s]; 0: never.',
        0.0, 3600.0)
    health_window: float = _live(
        2.0, 'How far back shares and latencies reach in diagnostics [s].', 0.2, 60.0)
    late_image: float = _value(
        0.5, 'An image older than this on arrival counts as late in diagnostics [s].',
        0.01, 3600.0)
    status_period: float = _value(
        0.2, 'Time between two messages on ~/status [s]; its deadline is 2.5 times that.',
        0.05, 10.0)
    diagnostics_period: float = _value(
        1.0, 'Time between two messages on /diagnostics [s]; a new level is published at once.',
        0.1, 3600.0)
    autostart: bool = _value(
        True, 'Configure and activate at start; false: a lifecycle manager does it.', launch=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ('input', 'strip'):
            height, width = (getattr(self, f'{kind}_{side}') for side in ('height', 'width'))
            if (height == 0) != (width == 0):
                raise ValueError(f'Parameters {kind}_height and {kind}_width go together: set '
                                 f'both or neither, found {height} and {width}.')

    @cached_property
    def cones(self) -> ConeParameters:
        return ConeParameters(**{f.name: getattr(self, f.name) for f in fields(ConeParameters)})

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
        """Return the engine's threads, 0 for all cores: with many cores one is left to ROS."""
        cores = len(os.sched_getaffinity(0))
        return self.num_threads or (cores - 1 if cores >= _CORES_TO_SPARE else 0)


_OF_CONES = tuple(f.name for f in fields(ConeParameters))
SPECS: dict[str, Field[Any]] = {
    f.name: f for f in sorted(fields(NodeParameters), key=lambda f: f.name in _OF_CONES)}


def checked(name: str, value: Any) -> Any:
    """Return a parameter's value, a whole number as a float; raises ValueError."""
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


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or "''"


def _allowed(spec: Field[Any]) -> str:
    meta = spec.metadata
    return ', '.join(meta['choices']) or (
        '' if meta['minimum'] is None else f'{meta["minimum"]:g} to {meta["maximum"]:g}')


def written_files() -> dict[Path, str]:
    """Return what the files that are written from the declaration must hold."""
    rows, table = [], ['', '| parameter | default | allowed | meaning |', '|---|---|---|---|']
    for name, spec in SPECS.items():
        meta, default, allowed = spec.metadata, _shown(spec.default), _allowed(spec)
        notes = [meta['description']]
        if allowed:
            notes.append(f'{"One of:" if meta["choices"] else "From"} {allowed}.')
        if meta['live']:
            notes.append('Live.')
        rows += [*textwrap.wrap(' '.join(notes), 99, initial_indent='    # ',
                                subsequent_indent='    # '), f'    {name}: {default}']
        table.append(f'| `{name}`{" (live)" if meta["live"] else ""} | `{default}` | {allowed} '
                     f'| {meta["description"]} |')
    before = TABLE_FILE.read_text(encoding='utf-8').partition(_TABLE_HEADING)[0]
    return {YAML_FILE: _YAML_HEADING + '\n'.join(rows) + '\n',
            TABLE_FILE: before + _TABLE_HEADING + '\n'.join(table) + '\n'}


def main() -> None:
    """Write the files that are stale."""
    for path, content in written_files().items():
        if path.read_text(encoding='utf-8') != content:
            with written_beside(path) as beside:
                beside.write_text(content, encoding='utf-8')
            print(f'{path}: written')


if __name__ == '__main__':
    main()
