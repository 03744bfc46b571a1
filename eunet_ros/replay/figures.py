# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of a drive for report.json: rates, latencies, the machine; no ROS imports."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform
import re
from typing import Any

import cv2
from eunet_ros.replay.drive import DriveRecord
import numpy as np

_STAGE = re.compile(r'(.+) p(50|99) \[ms\]')


def rate_hz(times: Sequence[int]) -> float | None:
    """Return the mean rate of events at these times (ns, ascending), None for fewer than two."""
    if len(times) < 2 or times[-1] <= times[0]:
        return None
    return round((len(times) - 1) * 1e9 / (times[-1] - times[0]), 2)


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """Return p50, p90, p99 and max of milliseconds; None without values."""
    found = np.fromiter(values, float)
    levels = [*np.percentile(found, (50, 90, 99)), found.max()] if found.size else [None] * 4
    return {name: None if level is None else round(float(level), 3)
            for name, level in zip(('p50', 'p90', 'p99', 'max'), levels)}


def stage_ms(diagnostics: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return {stage: {p50, p99}} from rows such as 'decode p50 [ms]', in their order."""
    stages: dict[str, dict[str, float]] = {}
    for key, value in diagnostics.items():
        match = _STAGE.fullmatch(key)
        if match:
            stages.setdefault(match[1], {})[f'p{match[2]}'] = float(value)
    return stages


def machine() -> dict[str, Any]:
    """Return hardware, operating system and versions of packages (None: not installed)."""
    return {
        'cpu': cpu_name(), 'cores': len(os.sched_getaffinity(0)),
        'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        'os': system_name(), 'python': platform.python_version(),
        'versions': {'torch': package_version('torch'), 'openvino': package_version('openvino'),
                     'opencv': cv2.__version__, 'numpy': np.__version__,
                     'rclpy': package_version('rclpy') or package_version('ros-rclpy')}}


def make_report(record: DriveRecord, arrivals: Mapping[int, int], scores: Mapping[str, Any],
                source: str, image_topic: str, started: datetime) -> dict[str, Any]:
    """Return report.json; arrivals: of masks by stamp [ns], scores: dice, iou, miou."""
    sent = [stamp for *_, stamp in record.sent]
    masked = sum(stamp in arrivals for stamp in sent)
    rows = record.diagnostics
    return {
        'frames_sent': len(sent), 'frames_masked': masked, 'frames_dropped': len(sent) - masked,
        'camera_hz': rate_hz(sent), 'mask_hz': rate_hz(sorted(arrivals.values())),
        'latency_ms': percentiles((at - stamp) / 1e6 for stamp, at in arrivals.items()),
        'stage_ms': stage_ms(rows),
        **scores, 'cones': None,
        'engine': rows.get('engine'), 'variant': rows.get('variant'),
        'weights_sha256': rows.get('weights sha256'), 'machine': machine(),
        'started': started.astimezone(timezone.utc).isoformat(timespec='seconds'),
        'bag': source, 'image_topic': image_topic,
        'duration_s': round((sent[-1] - sent[0]) / 1e9, 2) if sent else 0.0}


def cpu_name() -> str:
    """Return the name of the processor, as Linux reports it."""
    text = ''
    with suppress(OSError):
        text = Path('/proc/cpuinfo').read_text()
    match = re.search(r'^(?:model name|Model)\s*:\s*(.+)$', text, re.MULTILINE)
    return match[1] if match else platform.processor() or platform.machine()


def system_name() -> str:
    """Return the name and version of the operating system and its kernel."""
    try:
        return f'{platform.freedesktop_os_release()["PRETTY_NAME"]}, {platform.release()}'
    except (OSError, KeyError):
        return platform.platform()


def package_version(package: str) -> str | None:
    """Return the version of an installed package, None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
