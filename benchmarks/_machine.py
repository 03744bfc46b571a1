# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a published number must carry: the machine and the versions."""
from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform

LIBRARIES = ('torch', 'openvino', 'onnxruntime', 'numpy', 'opencv-python-headless',
             'opencv-python')


def cpu_model() -> str:
    """Return the processor's name, as the system gives it."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    for key in ('model name', 'Model', 'Hardware'):  # the latter two on Arm
        for line in lines:
            if line.startswith(key) and ':' in line:
                return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()


def system_name() -> str:
    """Return the name and version of the operating system."""
    try:
        return platform.freedesktop_os_release()['PRETTY_NAME']
    except (OSError, KeyError):
        return platform.platform()


def versions() -> dict[str, str]:
    """Return the versions of the installed libraries that the numbers depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory, system, Python and library versions, for people."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    return {
        'CPU': cpu_model(),
        'cores': f'{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}',
        'memory': f'{memory:.0f} GiB',
        'load before': f'{os.getloadavg()[0]:.1f}',
        'system': f'{system_name()}, {platform.machine()}',
        'Python': platform.python_version(),
        **versions(),
    }


def machine_lines() -> str:
    """Return `describe_machine` as indented lines."""
    return '\n'.join(f'  {name}: {value}' for name, value in describe_machine().items())
