# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The real node with engines that fail on request: for tests, in a process of its own.

The folder in EUNET_TEST_FAULTS may hold faults.json: {"fail": {"openvino": "lost"}, "build":
["openvino"], "slow": 0.05, "hang": true}. It is read at every image, so that faults come and go
while the node runs. What becomes of each image is appended to fates.txt, a line each, at once,
and to malloc.txt each second the memory that is in use.
"""
import ctypes
import json
import os
from pathlib import Path
import sys
import threading
import time

sys.path.insert(1, str(Path(__file__).resolve().parents[2]))  # a checkout need not be installed

from eunet_ros.model.engines import registry  # noqa: E402
from eunet_ros.model.engines.base import EngineError, HostEngine  # noqa: E402
from eunet_ros.node import segmentation_node  # noqa: E402
from eunet_ros.node.stream_statistics import NodeStatistics  # noqa: E402
from eunet_ros.ros.process import run  # noqa: E402

FOLDER = Path(os.environ['EUNET_TEST_FAULTS'])
# Made anew each time: an error keeps the frames, and so the engine, that it went through.
ERRORS = {'lost': lambda: EngineError('The device was lost.'),
          'memory': lambda: MemoryError('out of memory'),
          'odd': lambda: RuntimeError('CUDA error: unspecified launch failure')}


class _Mallinfo2(ctypes.Structure):
    """Of mallinfo(3): bytes in the heaps in use, and in blocks mapped on their own."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        'arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
        'fordblks', 'keepcost')]


def wanted():
    try:
        return json.loads((FOLDER / 'faults.json').read_text())
    except FileNotFoundError:
        return {}


def inject():
    segment, engine_class = HostEngine.segment, registry.engine_class

    def faulty_segment(engine, image):
        faults = wanted()
        time.sleep(faults.get('slow', 0.0))
        while wanted().get('hang'):
            time.sleep(0.02)
        if engine.name in faults.get('fail', {}):
            raise ERRORS[faults['fail'][engine.name]]()
        return segment(engine, image)

    def faulty_class(name):
        if name in wanted().get('build', ()):
            raise EngineError(f'The engine {name} cannot be built.')
        return engine_class(name)
    HostEngine.segment, registry.engine_class = faulty_segment, faulty_class


def count_memory(seconds=1.0):
    """Write each second what malloc has handed out [MiB]; holes in its heaps are none of it."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'mallinfo2'):       # glibc before 2.33, musl
        return
    libc.mallinfo2.restype = _Mallinfo2

    def count():
        while True:
            time.sleep(seconds)
            found = libc.mallinfo2()
            in_use = (found.uordblks + found.hblkhd) / 2 ** 20
            with open(FOLDER / 'malloc.txt', 'a') as file:
                file.write(f'{time.time_ns()} {os.getpid()} {in_use:.1f}\n')
    threading.Thread(target=count, daemon=True).start()


def trace():
    """Write what becomes of each image, so that nothing is lost with the process."""
    file = os.open(FOLDER / 'fates.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    made = NodeStatistics.__post_init__

    def traced(statistics):
        made(statistics)
        statistics.trace = lambda event, stamp: os.write(
            file, f'{os.getpid()} {event} {stamp}\n'.encode())
    NodeStatistics.__post_init__ = traced


if __name__ == '__main__':
    inject()
    trace()
    count_memory()
    run(segmentation_node.main)
