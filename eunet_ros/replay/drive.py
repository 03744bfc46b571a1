# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A live drive by three processes: recorder, node and player."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
import ctypes
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from eunet_ros.ros.dds_profile import profile_settings, TRANSPORTS_VARIABLE

_STOP_S = (10.0, 3.0)     # timeouts after SIGINT, then after SIGTERM
_READY_S = 30.0           # for the recorder to start, and for the player to find the node
_LAST_MASK_S = 3.0        # to wait for missing masks, from the last one on
_LAST_DIAGNOSTICS_S = 2.5
_MAX_DOMAIN = 101         # ports of higher domains overlap Linux's ephemeral ports
_PR_SET_PDEATHSIG = 1


class DemoError(ValueError):
    """A drive that failed, in one sentence."""


@dataclass
class DriveRecord:
    """The events of a drive; lists have an entry for each frame sent."""

    sent: list[tuple[int, int, int]] = field(default_factory=list)  # index, stamp, stamp sent [ns]
    masked: int = 0   # number of masks returned
    diagnostics: dict[str, str] = field(default_factory=dict)       # the node's last table
    sent_at: list[int] = field(default_factory=list)                # ns since the epoch
    late_ms: list[float] = field(default_factory=list)


def drive_environment(dds_profile: bool, base: Mapping[str, str]) -> dict[str, str]:
    """Return the processes' environment: a domain of their own, on this machine alone."""
    domains = {str(i) for i in range(1, _MAX_DOMAIN + 1)} - {base.get('ROS_DOMAIN_ID')}
    env = {'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp', **base, 'PYTHONUNBUFFERED': '1',
           'ROS_DOMAIN_ID': random.choice(sorted(domains)),
           'RCUTILS_CONSOLE_OUTPUT_FORMAT': '[{severity}] {message}'}
    if base.get('ROS_DISTRO') in ('foxy', 'galactic', 'humble'):
        env['ROS_LOCALHOST_ONLY'] = '1'
    else:
        env.pop('ROS_LOCALHOST_ONLY', None)
        env['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if dds_profile:
        env.update(profile_settings(env))
    else:
        env.setdefault(TRANSPORTS_VARIABLE, 'DEFAULT')
    return env


class Child:
    """A Python module as a process; its JSON lines on stdout, and its end, go to `events`."""

    def __init__(self, name: str, module: str, args: Sequence[str], env: Mapping[str, str],
                 events: queue.Queue[tuple[Any, dict[str, Any]]], label: Any = None) -> None:
        self.name, self._events = name, events
        self._label = label or name
        self._errors: deque[str] = deque(maxlen=200)
        # In its own session: Ctrl+C reaches only the parent, which ends all children in order.
        self._process = subprocess.Popen(
            [sys.executable, '-m', module, *args], env=dict(env), text=True, errors='replace',
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=_prepare_child)
        self._threads = [threading.Thread(target=t, daemon=True)
                         for t in (self._read_events, self._read_errors)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def last_line(self) -> str:
        """Return the last line that it printed, for a progress display."""
        return _message(self._errors[-1]) if self._errors else ''

    @property
    def sentence(self) -> str:
        lines = [line for line in self._errors if line.strip()]
        bad = [line for line in lines if line.startswith(('[ERROR]', '[FATAL]', f'{self.name}:'))]
        if bad:
            return _message(bad[-1]).removeprefix(f'{self.name}: ')
        return (f'{self.name} ended with exit code {self.exit_code}; its last output: '
                f'{_message(lines[-1]) if lines else "nothing"}')

    def stop(self) -> None:
        """End it: SIGINT, then SIGTERM, then SIGKILL."""
        for sign, seconds in zip((signal.SIGINT, signal.SIGTERM, signal.SIGKILL),
                                 (*_STOP_S, None)):
            if self._process.poll() is None:
                self._process.send_signal(sign)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(seconds)
        for thread in self._threads:
            thread.join(1.0)

    def _read_events(self) -> None:
        for line in self._process.stdout:
            try:
                event = json.loads(line)
                self._events.put((self._label, event if isinstance(event, dict) else {}))
            except ValueError:
                self._errors.append(line.rstrip())
        self._process.wait()
        self._threads[1].join(1.0)  # so that `sentence` is complete when the end is reported
        self._events.put((self._label, {'event': 'exit'}))

    def _read_errors(self) -> None:
        for line in self._process.stderr:
            self._errors.append(line.rstrip())


class LiveDrive:
    """Runs recorder, node and player until all frames are played; raises DemoError."""

    def __init__(self, folder: Path, node_args: Sequence[str], player_args: Sequence[str],
                 env: Mapping[str, str], start_timeout: float,
                 show: Callable[[str, int, int], None],
                 recorder_args: Sequence[str] = ()) -> None:
        self._recorder_args = recorder_args
        self._folder, self._node_args, self._player_args = folder, node_args, player_args
        self._env, self._start_timeout, self._show = env, start_timeout, show
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._children: dict[str, Child] = {}
        self._ended: set[str] = set()
        self._seen: set[str] = set()
        self.record = DriveRecord()

    def run(self) -> DriveRecord:
        """Run the drive; all processes have ended when this returns or raises."""
        try:
            self._start('recorder', 'eunet_ros.replay.recorder',
                        [str(self._folder), '--log', '-', *self._recorder_args])
            self._until(lambda: 'ready' in self._seen, _READY_S, 'The recorder did not start')
            self._start('eunet', 'eunet_ros.segmentation_node', self._node_args)
            # The node must have found the recorder: without subscribers it skips images.
            self._until(lambda: self.record.diagnostics.get('mask subscribers', '0') != '0',
                        self._start_timeout, 'The node was not ready')
            self._start('play_bag', 'eunet_ros.play_bag', [
                *self._player_args, '--log', '-', '--wait-for-subscribers', f'{_READY_S:g}'])
            self._until(lambda: self.record.sent or 'play_bag' in self._ended, 2 * _READY_S,
                        'The player did not start')
            self._until(lambda: 'play_bag' in self._ended, None, '')
            self._finish()
        finally:
            for name in ('play_bag', 'eunet', 'recorder'):
                if name in self._children:
                    self._children[name].stop()
        while not self._events.empty():
            self._take(0.0)
        return self.record

    def _start(self, name: str, module: str, args: Sequence[str]) -> None:
        self._children[name] = Child(name, module, args, self._env, self._events)

    def _until(self, done: Callable[[], Any], timeout: float | None, problem: str) -> None:
        end = None if timeout is None else time.monotonic() + timeout
        while not done():
            self._take(0.2)
            for name in sorted(self._ended):
                child = self._children[name]
                if name != 'play_bag' or child.exit_code:
                    raise DemoError(child.sentence)
            if end and time.monotonic() > end:
                last = list(self._children.values())[-1]
                raise DemoError(f'{problem} within {timeout:g} s; its last output: '
                                f'{last.last_line or "nothing"}')

    def _finish(self) -> None:
        """Wait for the last masks, and for diagnostics that count them."""
        end = time.monotonic() + _LAST_MASK_S
        while self.record.masked < len(self.record.sent) and time.monotonic() < end:
            before = self.record.masked
            self._take(0.1)
            if self.record.masked > before:
                end = time.monotonic() + _LAST_MASK_S
        end = time.monotonic() + _LAST_DIAGNOSTICS_S
        while time.monotonic() < end and (
                int(self.record.diagnostics.get('masked', 0)) < self.record.masked):
            self._take(0.1)

    def _take(self, timeout: float) -> None:
        """Process one event, if one comes within timeout."""
        record, name, event = self.record, '', {}
        with suppress(queue.Empty):
            name, event = self._events.get(timeout=timeout)
        kind = event.get('event', '')
        self._seen.add(kind)
        if kind == 'sent':
            record.sent.append((event['index'], event['bag_stamp'], event['sent_stamp']))
            record.sent_at.append(event['at'])
            record.late_ms.append(event['late_ms'])
        elif kind == 'mask':
            record.masked += 1
        elif kind == 'diagnostics' and 'segmentation' in event['name']:
            record.diagnostics = event['values']
        elif kind == 'exit':
            self._ended.add(name)
        node = self._children.get('eunet')
        self._show(node.last_line if node else '', len(record.sent), record.masked)


def _message(line: str) -> str:
    """Return a line without the prefixes of loggers."""
    for mark in ('[INFO] ', '[WARN] ', '[ERROR] ', '[FATAL] ',
                 'eunet: ', 'play_bag: ', 'recorder: '):
        line = line.removeprefix(mark)
    return line


def _prepare_child() -> None:
    """Let SIGINT end this process, and Linux end it when its parent is killed."""
    # Background jobs of a shell ignore SIGINT, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == 'linux':
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def check_ros() -> None:
    """Raise DemoError where rclpy cannot be found."""
    from importlib.util import find_spec
    if find_spec('rclpy') is None:
        raise DemoError(
            f'ROS 2 (rclpy) is not importable by {sys.executable}: source your ROS 2 first '
            '(source /opt/ros/<distro>/setup.bash), or run make demo, which installs it.')


def node_arguments(topic: str, compressed: bool, parameters: Mapping[str, Any],
                   folder: Path) -> list[str]:
    """Return the node's command line for a base topic; parameters are in a file in `folder`."""
    values = {**parameters, 'image_transport': 'compressed' if compressed else 'raw'}
    path = folder / 'node_parameters.yaml'
    # JSON is YAML. A command line would change the type of a value such as 1e3.
    path.write_text(json.dumps({'/**': {'ros__parameters': values}}))
    namespace = topic.rpartition('/')[0]
    return ['--ros-args', '-r', f'image:={topic}', '-r', f'camera_info:={namespace}/camera_info',
            '--params-file', os.fspath(path)]
