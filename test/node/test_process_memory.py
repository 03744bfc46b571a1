# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was freed goes back to the system."""
import gc
from pathlib import Path
import subprocess
import sys
import weakref

from eunet_ros.node import process_memory
from eunet_ros.node.process_memory import give_back, HoleTrimmer, transient
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
from eunet_ros.node.process_memory import transient

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


@pytest.mark.process
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_blocks_of_an_engine_leave_no_holes():
    said = subprocess.run([sys.executable, '-c', BLOCKS], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).resolve().parents[2])
    held, left = map(float, said.stdout.split())
    assert held > 90
    assert left < 10, 'freed blocks are still held'


# Blocks of a mask's size between small ones that stay, as after a camera of another size.
HOLES = """
from eunet_ros.node.process_memory import HoleTrimmer, transient

def resident_mib():
    with open('/proc/self/status') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('RssAnon')) / 1024

with transient():
    pass
trimmer = HoleTrimmer(period=0.0)
blocks, pins = zip(*((bytearray(1 << 19), bytearray(1 << 14)) for _ in range(200)))
before = resident_mib()
del blocks
held = resident_mib()
print(trimmer.look(), before - held, before - resident_mib())
"""


@pytest.mark.process
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_holes_between_images_are_given_back():
    said = subprocess.run([sys.executable, '-c', HOLES], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).resolve().parents[2]).stdout.split()
    assert said[0] == 'True'
    assert float(said[1]) < 10, 'there were no holes to begin with'
    assert float(said[2]) > 80


def test_holes_are_not_given_back_at_every_image(monkeypatch):
    trims, now = [], [100.0]
    monkeypatch.setattr(process_memory, '_trim', lambda: trims.append(now[0]))
    monkeypatch.setattr(process_memory.time, 'monotonic', lambda: now[0])
    trimmer = HoleTrimmer(period=10.0)
    for now[0] in (101.0, 109.9, 110.0, 111.0, 119.9, 150.0, 151.0):
        trimmer.look()
    assert trims == [110.0, 150.0]


# As an image is read: blocks that come and go, of a size that glibc would map each time.
IMAGES = """
import resource
from eunet_ros.node.process_memory import transient

with transient():
    pass
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def read():
    return bytes(2764800), bytearray(2764800)

for _ in range(5):
    read()
before = faults()
for _ in range(20):
    read()
print((faults() - before) / 20)
"""


@pytest.mark.process
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='counts page faults of glibc')
def test_images_cost_no_page_faults():
    said = subprocess.run([sys.executable, '-c', IMAGES], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).resolve().parents[2]).stdout
    assert float(said) < 100    # of the 1,350 pages that they have


def test_images_are_in_the_heap_again_after_an_engine_was_not_built(monkeypatch):
    sizes = []
    monkeypatch.setattr(process_memory, '_set_threshold', sizes.append)
    with pytest.raises(ValueError), transient():
        raise ValueError
    assert sizes == [1 << 18, 1 << 25]


def test_another_c_library_is_no_error(monkeypatch):
    def cdll(name):
        raise OSError(name)
    monkeypatch.setattr(process_memory.ctypes, 'CDLL', cdll)
    with transient():
        pass
