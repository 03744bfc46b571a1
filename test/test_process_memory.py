# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was freed goes back to the system."""
import gc
from pathlib import Path
import subprocess
import sys
import weakref

from eunet_ros import process_memory
from eunet_ros.process_memory import give_back, GrowthWatch, keep_in_heap, transient
import pytest


class Node:
    """Something that refers to itself, as an error's frames do."""

    def __init__(self):
        self.me = self


def test_what_refers_to_itself_is_freed():
    gc.disable()
    try:
        gone = weakref.ref(Node())
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()


# In a process of its own: in one that did much else, other memory comes and goes meanwhile.
BLOCKS = """
from eunet_ros.process_memory import transient

def resident_mib():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('RssAnon')) / 1024

with transient():
    pass                        # from now on such blocks come out of the heap
before = resident_mib()
with transient():
    blocks, pins = zip(*((bytearray(1 << 19), bytearray(1 << 14)) for _ in range(200)))
held = resident_mib()
del blocks
print(held - before, resident_mib() - before)
"""


def run_apart(script):
    """Run a script in a process of its own; returns the numbers that it prints."""
    said = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).resolve().parents[1])
    return map(float, said.stdout.split())


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_blocks_of_an_engine_leave_no_holes():
    held, left = run_apart(BLOCKS)
    assert held > 90
    assert left < 10, 'freed blocks are still held'


@pytest.mark.parametrize('in_heap, size', [(False, 1 << 20), (True, 1 << 25)])
def test_the_threshold_of_an_engine_holds_after_another_was_not_built(monkeypatch, in_heap, size):
    monkeypatch.setattr(process_memory, '_usual', 0)
    sizes = []
    monkeypatch.setattr(process_memory, '_set_threshold', sizes.append)
    keep_in_heap(in_heap)
    with pytest.raises(ValueError), transient():
        raise ValueError
    assert sizes == [size, 1 << 18, size]


def test_another_c_library_is_no_error(monkeypatch):
    def cdll(name):
        raise OSError(name)
    monkeypatch.setattr(process_memory.ctypes, 'CDLL', cdll)
    with transient():
        pass


class Process:
    """Memory and time that go as told; after the first minutes, in which it has trimmed."""

    def __init__(self):
        self.held, self.now, self.trims = 200 << 20, 0.0, []
        self.watch = GrowthWatch(lambda: self.held, lambda: self.trims.append(self.now),
                                 lambda: self.now)
        self.looks(*[200] * 130)

    def looks(self, *mib):
        """Look once a second; returns in which of them it trimmed."""
        began, before = self.now, len(self.trims)
        for held in mib:
            self.held = held << 20
            self.watch.look()
            self.now += 1.0
        return [int(at - began) for at in self.trims[before:]]


def test_what_grew_is_given_back_at_once():
    process = Process()
    assert process.looks(203, 204, 200) == []
    assert process.looks(205) == [0]


def test_growth_is_above_the_least():
    process = Process()
    assert process.looks(198, 202) == []
    assert process.looks(203) == [0]


def test_what_is_used_after_a_trim_is_needed():
    process = Process()
    assert process.looks(205, 208) == [0]
    assert process.looks(213) == [0]


def test_trims_become_rare():
    assert Process().trims == [0, 2, 6, 14, 30, 62, 126]
    process = Process()
    assert process.looks(*[200] * 200) == [60, 124, 188]
    assert process.looks(205, *[200] * 20) == [0, 2, 6, 14], 'growth makes them frequent'


def test_looks_are_a_second_apart():
    process = Process()
    process.looks(200)
    process.held, process.now = 300 << 20, process.now - 1.0
    for _ in range(9):
        process.now += 0.1
        process.watch.look()
    assert process.trims[-1] == 126


# Small blocks are not mapped on their own, and what lies between keeps them apart.
HOLES = """
from eunet_ros.process_memory import GrowthWatch
times = iter(range(9))
watch = GrowthWatch(clock=lambda: next(times))
def mib():
    return watch._used() / 2 ** 20
watch.look(), watch.look()   # trims, and measures what is needed
before = mib()
blocks, pins = zip(*((bytearray(100_000), bytearray(1_000)) for _ in range(600)))
del blocks
held = mib()
watch.look()
print(held - before, mib() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_holes_in_the_heap_are_given_back():
    held, left = run_apart(HOLES)
    assert held > 50
    assert left < 10
