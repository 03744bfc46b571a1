# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Heat and power that slow a processor down, read from files laid out as Linux does."""
from types import SimpleNamespace

from eunet_ros.node.throttling import ThrottleWatch
import pytest


class Machine:
    """A tree of files like /sys."""

    def __init__(self, root):
        self.root, self.now = root, 0.0

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text}\n')

    def watch(self, nvml=None):
        return ThrottleWatch(self.root, nvml, self.clock)

    def clock(self):
        self.now += 1.0
        return self.now


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_nothing_is_said_where_nothing_can_be_read(machine):
    watch = machine.watch()
    assert watch.look() == '' and watch.sources == 'none readable'


@pytest.mark.parametrize('kind, told', [
    ('Processor', True), ('thermal-cpufreq-0', True), ('thermal-devfreq-1', True),
    ('gpu-throttle-alert', True), ('cpu-throttle-alert', True), ('pwm-fan', False),
    ('hot-surface-alert', False)])
def test_cooling_devices_but_not_fans(machine, kind, told):
    machine.write('class/thermal/cooling_device0/type', kind)
    machine.write('class/thermal/cooling_device0/cur_state', 0)
    watch = machine.watch()
    assert watch.look() == ''
    machine.write('class/thermal/cooling_device0/cur_state', 3)
    assert bool(watch.look()) == told
    machine.write('class/thermal/cooling_device0/cur_state', 0)
    assert watch.look() == ''


def test_thermal_zones(machine):
    zone = 'class/thermal/thermal_zone0/'
    for name, text in (('type', 'gpu-thermal'), ('temp', 60_000), ('trip_point_0_type', 'active'),
                       ('trip_point_0_temp', 50_000), ('trip_point_1_type', 'passive'),
                       ('trip_point_1_temp', 85_000)):
        machine.write(zone + name, text)
    watch = machine.watch()
    assert watch.look() == '' and watch.sources == '1 thermal zones'
    machine.write(zone + 'temp', 86_200)
    said = watch.look()
    assert all(words in said for words in ('gpu-thermal', '86 °C', '85 °C'))


def test_counters_of_the_cpu(machine):
    counter = 'devices/system/cpu/cpu1/thermal_throttle/core_throttle_count'
    machine.write(counter, 7)     # since the machine was started: says nothing of now
    watch = machine.watch()
    assert watch.look() == ''
    machine.write(counter, 9)
    assert 'CPU was slowed down' in watch.look()
    assert watch.look() == ''


def test_nvml(machine):
    reasons = [0x1]               # idle
    nvml = SimpleNamespace(
        nvmlInit=lambda: None, nvmlDeviceGetCount=lambda: 1, nvmlDeviceGetHandleByIndex=int,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda gpu: reasons[0])
    watch = machine.watch(nvml)
    assert watch.look() == '' and watch.sources == '1 NVML'
    reasons[0] = 0x40
    assert 'GPU 0' in watch.look()
    del nvml.nvmlDeviceGetCurrentClocksThrottleReasons
    assert watch.look() == ''


@pytest.mark.parametrize('text', ['', 'N/A', '9' * 40, '\x00'])
def test_what_is_odd_is_left_out(machine, text):
    machine.write('class/thermal/cooling_device0/type', 'Processor')
    machine.write('class/thermal/cooling_device0/cur_state', text)
    machine.write('class/thermal/thermal_zone0/temp', text)
    assert machine.watch().look() == ''


def test_it_is_read_twice_a_second_at_most(machine):
    machine.write('class/thermal/cooling_device0/type', 'Processor')
    machine.write('class/thermal/cooling_device0/cur_state', 1)
    watch = ThrottleWatch(machine.root, None, lambda: machine.now)
    assert watch.look()
    machine.write('class/thermal/cooling_device0/cur_state', 0)
    assert watch.look()           # what it saw before
    machine.now = 0.6
    assert not watch.look()
