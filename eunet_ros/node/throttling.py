# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Detects a CPU or GPU that is throttled by temperature or power; no ROS.

Sources: the kernel's cooling devices, thermal zones and Intel's throttle counters under /sys, and
NVML if nvidia-ml-py (pynvml) is installed. An idle CPU that clocks down is not throttled.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import re
import time
from typing import Any

# Cooling devices that reduce speed, unlike fans. Jetson's are called …-alert.
_SLOWING = re.compile(r'processor|cpufreq|devfreq|(cpu|gpu|soc)[-_]?throttl', re.IGNORECASE)
# nvmlClocksEventReasons: hardware slowdown, its thermal and power brake, software thermal.
_NVML_REASONS = {0x8: 'hardware slowdown', 0x20: 'its temperature', 0x40: 'its temperature',
                 0x80: 'the power supply'}
_PERIOD_S = 0.5


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ''


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if re.fullmatch(r'-?\d{1,18}', text) else None


class ThrottleWatch:
    """Looks at most twice a second; nvml: pynvml or None, by default the one installed."""

    def __init__(self, root: Path = Path('/sys'), nvml: Any = 'installed',
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next, self._seen = clock, 0.0, ''
        thermal = root / 'class' / 'thermal'
        # Search for the files once: a look must be fast.
        self._devices = [(kind, path / 'cur_state')
                         for path in sorted(thermal.glob('cooling_device*'))
                         if _SLOWING.search(kind := _read(path / 'type'))]
        self._zones = [zone for path in sorted(thermal.glob('thermal_zone*'))
                       if (zone := _zone(path))]
        self._counters = sorted(root.glob(
            'devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count'))
        self._counted = self._count()
        self._nvml, self._gpus = _gpus(nvml)

    @property
    def sources(self) -> str:
        """Return what can be read here, for the diagnostics' table."""
        found = {'cooling devices': self._devices, 'thermal zones': self._zones,
                 'CPU counters': self._counters, 'NVML': self._gpus}
        return ', '.join(f'{len(v)} {k}' for k, v in found.items() if v) or 'none readable'

    def look(self) -> str:
        """Return a sentence where something is slowed down, else an empty text."""
        now = self._clock()
        if now >= self._next:
            self._next = now + _PERIOD_S
            self._seen = self._look()
        return self._seen

    def _look(self) -> str:
        for kind, path in self._devices:
            state = _number(path)
            if state:
                return f'{kind} is slowed down by the kernel (cooling state {state})'
        for kind, path, trip in self._zones:
            value = _number(path)
            if value is not None and value >= trip:
                return (f'{kind} is at {value / 1e3:.0f} °C, at {trip / 1e3:.0f} °C it is slowed '
                        'down')
        before, self._counted = self._counted, self._count()
        if self._counted > before:
            return 'the CPU was slowed down because of its temperature'
        for index, gpu in enumerate(self._gpus):
            reasons = self._reasons(gpu)
            for bit, word in _NVML_REASONS.items():
                if reasons & bit:
                    return f'GPU {index} is slowed down by {word}'
        return ''

    def _count(self) -> int:
        return sum(_number(path) or 0 for path in self._counters)

    def _reasons(self, gpu: Any) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu))
        except Exception:  # NVML's own errors
            return 0


def _zone(path: Path) -> tuple[str, Path, int] | None:
    """Return name, file and lowest temperature (in 1/1000 °C) at which a zone slows down."""
    trips = [_number(path / f'trip_point_{kind.name.split("_")[2]}_temp')
             for kind in path.glob('trip_point_*_type') if _read(kind) in ('passive', 'hot')]
    trips = [trip for trip in trips if trip and trip > 0]
    return (_read(path / 'type') or path.name, path / 'temp', min(trips)) if trips else None


def _gpus(nvml: Any) -> tuple[Any, list[Any]]:
    try:
        if nvml == 'installed':
            import pynvml as nvml
        if nvml is None:
            return None, []
        nvml.nvmlInit()
        return nvml, [nvml.nvmlDeviceGetHandleByIndex(i)
                      for i in range(nvml.nvmlDeviceGetCount())]
    except Exception:  # no package, no driver, no GPU
        return None, []
