# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a published number must carry: the machine and the versions."""
from __future__ import annotations

import os
from pathlib import Path
import platform
import sys

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from eunet_ros.replay.figures import cpu_name, package_version, system_name  # noqa: E402

LIBRARIES = ('torch', 'openvino', 'onnxruntime', 'numpy', 'opencv-python-headless',
             'opencv-python')


def describe_machine() -> dict[str, str]:
    """Return processor, cores, memory, system, Python and library versions, for people."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30
    return {
        'CPU': cpu_name(),
        'cores': f'{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}',
        'memory': f'{memory:.0f} GiB',
        'load before': f'{os.getloadavg()[0]:.1f}',
        'system': f'{system_name()}, {platform.machine()}',
        'Python': platform.python_version(),
        **{name: number for name in LIBRARIES if (number := package_version(name))},
    }


def machine_lines() -> str:
    """Return `describe_machine` as indented lines."""
    return '\n'.join(f'  {name}: {value}' for name, value in describe_machine().items())
