# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure the node as a car would: from the camera's stamp to the mask in another process.

    python benchmarks/node_latency.py
    python benchmarks/node_latency.py --compressed --seconds 20
    python benchmarks/node_latency.py --cones --loads                # what positions cost
    python benchmarks/node_latency.py --loads 3 --seconds 600        # does memory stay flat?

Camera, node and this script are three processes that talk over DDS. First at a camera's rate, then
at 1, 2 and 3 times the rate that the node can work at, which is what its own stages add up to.
"""
from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import os
from pathlib import Path
import queue
import sys
import tempfile
import time
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
from eunet_ros.model.common.files import write_json  # noqa: E402
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS  # noqa: E402
from eunet_ros.model.engines import AUTO, ENGINES, PRECISIONS  # noqa: E402
from eunet_ros.replay.drive import (  # noqa: E402
    check_ros,
    Child,
    DemoError,
    drive_environment,
    node_arguments,
)
from eunet_ros.replay.figures import latency_ms, stage_ms  # noqa: E402

_START_S = 120.0
_SETTLE_S = 2.0   # at the beginning of a run, not counted
_HERE = Path(__file__).resolve().parent


@dataclass
class Run:
    """One rate: what came back, and how the node's memory went."""

    hz: float
    arrivals: dict[int, int] = field(default_factory=dict)  # by stamp, ns
    cone_arrivals: dict[int, int] = field(default_factory=dict)
    diagnostics: dict[str, str] = field(default_factory=dict)
    memory_mib: list[float] = field(default_factory=list)

    def row(self, name: str, seconds: float) -> dict[str, Any]:
        """Return what a table shows of it."""
        first = min(self.arrivals, default=0) + int(_SETTLE_S * 1e9)
        counted = {stamp: at for stamp, at in self.arrivals.items() if stamp >= first}
        span = (max(counted) - min(counted)) / 1e9 if len(counted) > 1 else seconds
        quarter = max(1, len(self.memory_mib) // 4)
        return {'name': name, 'camera_hz': self.hz, 'mask_hz': len(counted) / span,
                'latency_ms': latency_ms(counted), 'stage_ms': stage_ms(self.diagnostics),
                'cones_latency_ms': latency_ms({
                    stamp: at for stamp, at in self.cone_arrivals.items() if stamp >= first}),
                'memory_mib': [sum(part) / len(part) for part in (
                    self.memory_mib[:quarter], self.memory_mib[-quarter:]) if part]}


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process, 0 where it is gone."""
    try:
        pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf('SC_PAGE_SIZE') / 2 ** 20


class Listener:
    """Takes masks and diagnostics in this process."""

    def __init__(self) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy
        from sensor_msgs.msg import Image
        rclpy.init()
        self._node = rclpy.create_node('listener')
        qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        self.run: Run | None = None
        self._kept = [
            self._node.create_subscription(Image, '/eunet/mask', self._on_mask, qos, raw=True),
            self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_rows, 10)]
        self._cones: Any = None
        self._qos = qos
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)

    def want_cones(self, wanted: bool) -> None:
        """Subscribe to the positions of cones, or no longer."""
        from sensor_msgs.msg import PointCloud2
        if self._cones is not None:
            self._node.destroy_subscription(self._cones)
            self._cones = None
        if wanted:
            self._cones = self._node.create_subscription(
                PointCloud2, '/eunet/cones', self._on_cones, self._qos, raw=True)

    def spin(self, seconds: float) -> None:
        """Take what comes within so long."""
        self._executor.spin_once(timeout_sec=seconds)

    def _on_mask(self, raw: bytes) -> None:
        from eunet_ros.bags.messages import stamp_of
        now = time.time_ns()
        if self.run:
            self.run.arrivals[stamp_of(raw)] = now

    def _on_cones(self, raw: bytes) -> None:
        from eunet_ros.bags.messages import stamp_of
        now = time.time_ns()
        if self.run:
            self.run.cone_arrivals[stamp_of(raw)] = now

    def _on_rows(self, message: Any) -> None:
        for status in message.status:
            if self.run and 'segmentation' in status.name:
                self.run.diagnostics = {v.key: v.value for v in status.values}

    def close(self) -> None:
        """Free what it holds."""
        from eunet_ros.ros.process import shut_down
        self._executor.shutdown()
        self._node.destroy_node()
        shut_down()


def measure(o: argparse.Namespace, listener: Listener, hz: float, work: Path,
            env: Mapping[str, str]) -> Run:
    """Run camera and node at a rate; raises DemoError where one of them fails."""
    events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    parameters = {'weights': o.weights, 'engine': o.engine, 'precision': o.precision,
                  'num_threads': o.threads, 'camera_height': 1.05, 'camera_pitch': 0.0873}
    run, children = Run(hz), []
    try:
        node = Child('eunet', 'eunet_ros.segmentation_node',
                     node_arguments('/camera/image_raw', o.compressed, parameters, work), env,
                     events)
        children.append(node)
        camera = Child('camera', '_camera', [
            '--hz', str(hz), '--seconds', str(o.seconds + _SETTLE_S), '--height',
            str(o.size[0]), '--width', str(o.size[1]),
            *(['--compressed'] if o.compressed else [])],
            {**env, 'PYTHONPATH': os.pathsep.join(filter(None, (
                str(_HERE), str(_HERE.parent), env.get('PYTHONPATH', ''))))}, events)
        children.append(camera)
        listener.run, seen = run, 0.0
        end = time.monotonic() + _START_S
        while camera.exit_code is None:
            listener.spin(0.1)
            if node.exit_code is not None:
                raise DemoError(node.sentence)
            if not run.arrivals and time.monotonic() > end:
                raise DemoError(f'No mask came within {_START_S:g} s; the node says: '
                                f'{node.last_line or "nothing"}')
            if run.arrivals and time.monotonic() > seen + 1.0:
                seen = time.monotonic()
                run.memory_mib.append(resident_mib(node.pid))
        if camera.exit_code:
            raise DemoError(camera.sentence)
        last = time.monotonic() + 1.5
        while time.monotonic() < last:
            listener.spin(0.1)
    finally:
        listener.run = None
        for child in reversed(children):
            child.stop()
    if not run.arrivals:
        raise DemoError(f'The node returned no mask; it says: {node.last_line or "nothing"}')
    return run


def show(row: Mapping[str, Any]) -> None:
    """Print a run's row."""
    latency = row['latency_ms']
    memory = ' to '.join(f'{m:.0f}' for m in row['memory_mib'])
    print(f'{row["name"]:<18}{row["camera_hz"]:>8.1f}{row["mask_hz"]:>8.1f}'
          + ''.join(f'{latency[p]:>8.1f}' for p in ('p50', 'p90', 'p99', 'max'))
          + f'   {memory}', flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; raises ValueError for values that cannot be."""
    parser = argparse.ArgumentParser(
        description="Measure from the camera's stamp to the mask in another process.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--weights', default=DEFAULT_WEIGHTS)
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--precision', default='auto', choices=PRECISIONS)
    parser.add_argument('--threads', type=int, default=0, help='of the engine, 0 for all cores')
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--hz', type=float, default=15.0, help='of the camera, unloaded')
    parser.add_argument('--loads', type=float, nargs='*', default=[1.0, 2.0, 3.0],
                        help='times the rate that the node can work at')
    parser.add_argument('--seconds', type=float, default=15.0, help='of each run')
    parser.add_argument('--compressed', action='store_true', help='JPEG instead of raw images')
    parser.add_argument('--cones', action='store_true',
                        help='once more unloaded, with a listener for the positions of cones')
    parser.add_argument('--json', type=Path, help='file to write the rows to')
    o = parser.parse_args(arguments)
    if not (0.1 <= o.hz <= 1000 and o.seconds > 0 and all(0 < load <= 10 for load in o.loads)):
        raise ValueError('--hz must be from 0.1 to 1000, --seconds above 0 and --loads from 0 to '
                         f'10, found {o.hz}, {o.seconds} and {o.loads}.')
    if min(o.size) < 16:
        raise ValueError(f'--size must be at least 16 each way, found {o.size[0]} and '
                         f'{o.size[1]}.')
    if o.json and o.json.exists():
        raise ValueError(f'{o.json} exists: choose another --json, or remove it first.')
    if o.json and not o.json.absolute().parent.is_dir():
        raise ValueError(f'The folder of {o.json} does not exist, make it first.')
    return o


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    listener = None
    try:
        o = parse(arguments)
        check_ros()
        env = drive_environment(True, os.environ)
        os.environ.update(env)
        listener = Listener()
        kind = 'JPEG' if o.compressed else 'bgr8'
        print(f'Machine\n{machine_lines()}\n{o.weights} on {o.engine}, precision {o.precision}; '
              f'images {o.size[1]}x{o.size[0]} {kind}, {o.seconds:g} s each\n')
        print(f'{"":<18}{"camera":>8}{"masks":>8}{"p50":>8}{"p90":>8}{"p99":>8}{"max":>8}'
              '   memory of the node\n'
              f'{"":<18}{"Hz":>8}{"Hz":>8}{"ms":>8}{"ms":>8}{"ms":>8}{"ms":>8}   MiB')
        with tempfile.TemporaryDirectory() as work:
            rows = [measure(o, listener, o.hz, Path(work), env).row('unloaded', o.seconds)]
            show(rows[0])
            if o.cones:
                listener.want_cones(True)
                run = measure(o, listener, o.hz, Path(work), env)
                listener.want_cones(False)
                with_cones = run.row('with cones', o.seconds)
                show(with_cones)
                rows.append(with_cones)
            capacity = 1e3 / rows[0]['stage_ms']['total']['p50']
            for load in o.loads:
                run = measure(o, listener, load * capacity, Path(work), env)
                rows.append(run.row(f'{load:g} x capacity', o.seconds))
                show(rows[-1])
    except (ValueError, OSError, DemoError) as error:
        print(f'node_latency: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('node_latency: interrupted', file=sys.stderr)
        return 130
    finally:
        if listener:
            listener.close()
    stages = rows[0]['stage_ms']
    print(f'\n{"stage, unloaded":<18}{"p50 ms":>8}{"p99 ms":>8}')
    for name, values in stages.items():
        print(f'{name:<18}{values["p50"]:>8.2f}{values["p99"]:>8.2f}')
    engine = sum(stages[s]['p50'] for s in ('preprocess', 'inference', 'postprocess'))
    whole = rows[0]['latency_ms']['p50']
    print(f'\nStamp to mask {whole:.1f} ms, of which the engine takes {engine:.1f}: '
          f'{whole - engine:.1f} ms for everything else.')
    if o.cones:
        before, after = (row['latency_ms']['p50'] for row in rows[:2])
        print(f'With a listener for cones, masks take {after - before:+.1f} ms and the positions '
              f'arrive {rows[1]["cones_latency_ms"]["p50"] or 0:.1f} ms after the stamp (p50), '
              f'{(rows[1]["cones_latency_ms"]["p50"] or 0) - before:+.1f} ms after masks without '
              'them. Stages: ' + ', '.join(
                  f'{name} {rows[1]["stage_ms"][name]["p50"]:.2f}' for name in ('draw', 'cones')
                  if name in rows[1]['stage_ms']))
    if o.json:
        write_json(o.json, rows)
    return 0


if __name__ == '__main__':
    from eunet_ros.ros.process import run as run_process
    run_process(main)
