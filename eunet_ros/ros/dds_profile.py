# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The Fast DDS profile for large images: config/fastdds_large_images.xml; no ROS imports."""
from __future__ import annotations

from collections.abc import Mapping, MutableMapping
import os
from pathlib import Path

from eunet_ros.model.common.resources import share_file

PROFILE = 'config/fastdds_large_images.xml'
_SHARED_MEMORY, _SEGMENT_BYTES = Path('/dev/shm'), 72_000_000   # of each process, with its queues
MAX_IMAGE_BYTES = 60_000_000   # that it carries, measured: its segment has 64 MB
_SHOWN = 128   # characters that `ros2 topic echo` shows
_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_IN_WORKING_DIRECTORY = ('DEFAULT_FASTDDS_PROFILES.xml', 'DEFAULT_FASTRTPS_PROFILES.xml')
# The user's choice of transports, which our profile would override.
TRANSPORTS_VARIABLE = 'FASTDDS_BUILTIN_TRANSPORTS'


def profile_variable(environment: Mapping[str, str]) -> str:
    """Return the variable that the distribution's Fast DDS reads; it was renamed after Iron."""
    return _VARIABLES[environment.get('ROS_DISTRO') in ('foxy', 'galactic', 'humble', 'iron')]


def uses_fast_dds(environment: Mapping[str, str]) -> bool:
    """Return whether the RMW implementation is Fast DDS, the default of all distributions used."""
    return (environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp').startswith(
        'rmw_fastrtps')


def users_choice(environment: Mapping[str, str]) -> str:
    """Return the user's setting that takes precedence over our profile, '' for none."""
    for name in _VARIABLES:
        path = environment.get(name, '')
        if path and Path(path).is_file():
            return f'{name}={path}'
    if environment.get(TRANSPORTS_VARIABLE):
        return f'{TRANSPORTS_VARIABLE}={environment[TRANSPORTS_VARIABLE]}'
    if environment.get('SKIP_DEFAULT_XML_FILE') != '1':
        for name in _IN_WORKING_DIRECTORY:
            if Path(name).is_file():
                return os.path.abspath(name)
    return ''


def obstacle(environment: Mapping[str, str]) -> str:
    """Return a sentence about a setting that disables the profile, '' for none."""
    if not uses_fast_dds(environment):
        return ''
    for name in _VARIABLES:
        path = environment.get(name, '')
        if path and not Path(path).is_file():
            return f'{name} names {path}, which is not a file: correct or unset it.'
    if not users_choice(environment) and _SHARED_MEMORY.is_dir():
        free = os.statvfs(_SHARED_MEMORY)
        if free.f_bavail * free.f_frsize < _SEGMENT_BYTES:
            return (f'{_SHARED_MEMORY} has less than {_SEGMENT_BYTES // 1_000_000} MB free, so '
                    'that large images get lost: start the container with --ipc=host or '
                    '--shm-size=1g.')
    return ''


def profile_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to the environment, none if the user has chosen."""
    if not uses_fast_dds(environment) or users_choice(environment):
        return {}
    return {profile_variable(environment): str(share_file(PROFILE))}


def apply_profile(environment: MutableMapping[str, str] = os.environ) -> str:
    """Activate the profile, before rclpy.init; returns the result of `obstacle`."""
    found = obstacle(environment)
    if not found.startswith(str(_SHARED_MEMORY)):  # Fast DDS would ignore all of it
        environment.update(profile_settings(environment))
    return found


def advice(images: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a clause about the setting for the camera driver; images: 'raw 2.8 MB images'."""
    path = str(share_file(PROFILE))
    home = environment.get('HOME', '').rstrip('/')
    short = f'~{path[len(home):]}' if home and path.startswith(f'{home}/') else path
    variable = profile_variable(environment)
    texts = [f'{words} {variable}={shown}' for words in (
        f'{images} are lost: start the camera driver with', f'{images} lost: camera needs',
        f'{images}:') for shown in (path, short)]
    return (next((text for text in texts if len(text) <= _SHOWN), texts[-1])
            + ' in the environment of the camera driver, or use compressed images')
