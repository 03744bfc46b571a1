# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The node's parameters: names, types, defaults, ranges, units and meanings; no ROS.

    python -m eunet_ros.parameters    # writes config/segmentation.yaml and docs/parameters.md

The launch file has the parameters with `launch` as arguments.
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

from eunet_ros.model.common.errors import nearest
from eunet_ros.model.common.files import written_beside
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS
from eunet_ros.model.engines import AUTO, ENGINES, PRECISIONS

NODE_NAME = 'eunet'
RELIABILITIES = ('best_effort', 'reliable')
LEVELS = ('ok', 'warn', 'error')   # of diagnostics, in the order of DiagnosticStatus
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
    """Parameters of the detection and positions of cones; raises ValueError."""

    roi_top: float = _live(
        0.0, 'Upper edge of the region of interest, as a share of the image height.', 0.0, 1.0)
    roi_bottom: float = _live(
        1.0, 'Lower edge of it; rows outside are background, input_height can be less.', 0.0, 1.0)
    base_frame: str = _value(
        'base_link', 'Frame of the positions of cones (REP 105): x forward, y left, z up.')
    mounting: str = _value(
        'parameters', 'Source of the mounting of the camera: the parameters camera_*, or the '
        'transform from the frame of the image to base_frame.', 'parameters', 'tf')
    camera_height: float = _live(
        0.0, 'Height of the camera above the ground [m]; 0: not set, no positions.', 0.0, 20.0)
    camera_pitch: float = _live(
        0.0, 'Pitch of the camera, positive if it looks down [rad].', -1.6, 1.6)
    camera_roll: float = _live(
        0.0, 'Roll of the camera, positive if its right side is low [rad].', -3.2, 3.2)
    camera_yaw: float = _live(
        0.0, 'Yaw of the camera, positive if it looks to the left [rad].', -3.2, 3.2)
    camera_x: float = _live(0.0, 'Camera position in base_frame, forward [m].', -20.0, 20.0)
    camera_y: float = _live(0.0, 'Camera position in base_frame, to the left [m].', -20.0, 20.0)
    ground_z: float = _live(
        0.0, 'Height of the ground in base_frame, negative below it [m].', -20.0, 20.0)
    attitude: str = _value(
        'fixed', 'Attitude of the car for positions: that of the mounting; estimated from the '
        'cones of each image; or the same with imu_topic between images.', 'fixed', 'cones', 'imu')
    attitude_frame: str = _value(
        '', 'Name of a level frame under base_frame, published in tf, for positions if attitude '
        'is not fixed. Empty: none, and positions are in base_frame.')
    attitude_warn: float = _live(
        0.01, 'Warn that the camera has moved if the mean pitch of 3 s is off by more [rad].',
        0.001, 1.0)
    imu_topic: str = _value(
        '', 'Topic of a sensor_msgs/Imu with the axes of base_frame, for attitude: imu.')
    image_rectified: bool = _live(
        False, 'Whether images are rectified: P of camera_info applies, without distortion.')
    pixel_stddev: float = _live(
        1.0, "Standard deviation of a cone's base in the image, for its variance [px].",
        0.01, 100.0)
    cone_min_pixels: int = _live(10, 'Smallest cone that counts, by its area [px].', 1, 100000)
    cone_min_height: int = _live(4, 'Smallest cone that counts, by its height [px].', 1, 1000)
    cone_min_range: float = _live(0.3, 'Nearest cone that gets a position [m].', 0.0, 1000.0)
    cone_max_range: float = _live(30.0, 'Farthest cone that gets a position [m].', 0.1, 1000.0)
    cone_tracking: bool = _live(
        False, 'Whether cones are tracked from image to image: id, age and a steady class.')
    marker_lifetime: float = _live(
        0.5, 'Lifetime of markers without an update [s]; 0: forever.', 0.0, 3600.0)

    def __post_init__(self) -> None:
        for f in fields(self):  # frozen: no other way to set a field
            object.__setattr__(self, f.name, checked(f.name, getattr(self, f.name)))
        if self.roi_bottom - self.roi_top < 0.01:
            raise ValueError('Parameter roi_bottom must be above roi_top by 0.01 or more, found '
                             f'{self.roi_bottom} and {self.roi_top}.')
        if self.attitude == 'imu' and not self.imu_topic:
            raise ValueError('Parameter attitude is imu and imu_topic is empty: set imu_topic, or '
                             'attitude to cones.')
        if self.cone_max_range <= self.cone_min_range:
            raise ValueError('Parameter cone_max_range must be above cone_min_range, found '
                             f'{self.cone_max_range} and {self.cone_min_range}.')

    @property
    def region(self) -> tuple[float, float]:
        """Return the region of interest: upper and lower edge, as shares of the height."""
        return self.roi_top, self.roi_bottom


@dataclass(frozen=True)
class NodeParameters(ConeParameters):
    """Values of all parameters; raises ValueError for a value out of range."""

    weights: str = _value(
        '', 'Weights: path of a .safetensors file or a shipped name; empty: those of the variant, '
        f'without one {DEFAULT_WEIGHTS}.', launch=True)
    variant: str = _value(
        '', 'Required variant of the weights (eunet, eunet_s, eunet_n); empty: any.', launch=True)
    engine: str = _value(
        AUTO, 'Engine that runs the network; auto: the fastest that works here.',
        AUTO, *ENGINES, launch=True)
    precision: str = _value(
        'auto', 'Number format of the engine; auto: float32 on a CPU, float16 on a GPU.',
        *PRECISIONS, launch=True)
    input_height: int = _value(
        0, "Height of the network's input [px]; 0: that of training.", 0, 8192, launch=True)
    input_width: int = _value(
        0, "Width of the network's input [px]; 0: that of training.", 0, 8192, launch=True)
    strip: bool = _value(
        True, 'true, for range: also segment a strip along the horizon at high resolution, if the '
        'weights have one or strip_height is set. false, for speed: only the whole image.')
    strip_height: int = _value(
        0, "Height of the network's input for the strip [px]; 0: that of the weights, if the "
        'input is theirs as well.', 0, 8192)
    strip_width: int = _value(
        0, "Width of the network's input for the strip [px]; 0: as strip_height.", 0, 8192)
    strip_center: float = _live(
        0.0, 'Middle of the strip as a share of the image height, if the horizon is unknown '
        '(no calibration or mounting); 0: at far cones.', 0.0, 1.0)
    num_threads: int = _value(
        0, 'CPU threads of the engine; 0: all cores, minus one for ROS if there are four or more.',
        0, 1024)
    image_transport: str = _value(
        'raw', 'raw: sensor_msgs/Image on image; compressed: CompressedImage on image/compressed.',
        'raw', 'compressed', launch=True)
    image_reliability: str = _value(
        'best_effort', 'Reliability (QoS) of the image subscription; best_effort fits any camera.',
        *RELIABILITIES)
    image_depth: int = _value(
        5, 'Queue depth (QoS) of images; the newest frame is used at any depth.', 1, 1000)
    output_reliability: str = _value(
        'reliable', 'Reliability (QoS) of the outputs; reliable fits any subscriber.',
        *RELIABILITIES)
    output_depth: int = _value(5, 'Queue depth (QoS) of the outputs.', 1, 1000)
    enabled: bool = _live(
        True, 'Whether images are segmented; also set by the service ~/set_enabled.')
    classes: str = _live('', 'Names of the classes to publish, separated by commas; empty: all.')
    overlay_opacity: float = _live(0.5, 'Opacity of the class colours in the overlay.', 0.0, 1.0)
    jpeg_quality: int = _live(80, 'JPEG quality of ~/overlay/compressed.', 1, 100)
    image_timeout: float = _live(0.5, 'Warn if no image arrives for this long [s].', 0.05, 3600.0)
    image_timeout_error: float = _live(
        2.0, 'Error if no image arrives for this long [s].', 0.05, 3600.0)
    mask_timeout: float = _live(
        0.5, 'Warn if images arrive and no mask is published for this long [s].', 0.05, 3600.0)
    mask_timeout_error: float = _live(
        1.0, 'Error if images arrive and no mask is published for this long [s].', 0.05, 3600.0)
    mask_share_warn: float = _live(0.5, 'Warn if a smaller share of images is masked.', 0.0, 1.0)
    mask_share_error: float = _live(0.1, 'Error if a smaller share of images is masked.', 0.0, 1.0)
    latency_warn: float = _live(
        0.2, 'Warn if p99 of the time from an image to its mask is longer [s].', 0.001, 3600.0)
    latency_error: float = _live(
        1.0, 'Error if p99 of the time from an image to its mask is longer [s].', 0.001, 3600.0)
    error_share_warn: float = _live(0.0, 'Warn if a larger share of images fails.', 0.0, 1.0)
    error_share_error: float = _live(0.2, 'Error if a larger share of images fails.', 0.0, 1.0)
    transport_share: float = _live(
        0.05, 'Share of lost or late images above which level_transport applies.', 0.0, 1.0)
    level_transport: str = _live('warn', 'Level of images that are lost or late.', *LEVELS)
    level_stamps: str = _live(
        'warn', 'Level of stamps that are zero, in the future or jump back, and of two cameras on '
        'one topic.', *LEVELS)
    level_fallback: str = _live(
        'warn', 'Level while another engine replaces one that failed.', *LEVELS)
    level_throttled: str = _live(
        'warn', 'Level while the CPU or GPU is throttled by temperature or power.', *LEVELS)
    engine_retry: float = _live(
        30.0, 'Time after which a failed engine is retried in the background [s]; 0: never.',
        0.0, 3600.0)
    health_window: float = _live(
        2.0, 'Window of shares and latencies in diagnostics [s].', 0.2, 60.0)
    late_image: float = _value(
        0.5, 'Age on arrival above which an image counts as late in diagnostics [s].',
        0.01, 3600.0)
    status_period: float = _value(
        0.2, 'Period of ~/status [s]; its deadline is 2.5 periods.', 0.05, 10.0)
    diagnostics_period: float = _value(
        1.0, 'Period of /diagnostics [s]; a new level is published at once.', 0.1, 3600.0)
    autostart: bool = _value(
        True, 'Configure and activate at start; false: a lifecycle manager does it.', launch=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, 'weights', self.weights or self.variant or DEFAULT_WEIGHTS)
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
        raise ValueError(f'Parameter {name} must be one of {", ".join(meta["choices"])}, found '
                         f'{value!r}{nearest(value, meta["choices"])}')
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
