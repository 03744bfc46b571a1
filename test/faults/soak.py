# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Let the node work for long under random faults, and account for every image.

    make soak MINUTES=30
    python test/faults/soak.py --minutes 8 --seed 3

Camera (30 Hz, 1280x720), node and recorder are processes over DDS. The first and the last minute
are calm. In the first third the node is also killed; then, in its last life, a listener stands
still until the histories of all outputs are full (42 MiB), every other fault comes twice as a
warm-up, and all comes again at random until the end. Memory is measured each second: growth is
that of the first to the last third of the time between warm-up and the last rest, all under the
same faults, and in the same state before and after: deactivated, and what malloc has handed out,
which a leak makes grow. Right after activation memory is told, too, but not judged: it moves by
15 MiB with the images that the subscription has queued, and the holes that images come to lie in.
"""
import argparse
import json
import os
from pathlib import Path
import random
import signal
from statistics import median
import subprocess
import sys
import tempfile
import threading
import time

HERE = Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE), str(HERE.parents[1])]  # a checkout need not be installed

from eunet_ros.replay.drive import drive_environment  # noqa: E402
from soak_report import account, again, lines, minutes, Notes, OPEN, thirds  # noqa: E402

CALM_S = 60.0
PAUSE_S = (2.0, 5.0)      # between two faults
RESTS, REST_S = 6, 5.0    # how often and how long memory is measured in the same state
STATES = 'inactive MiB', 'activated MiB', 'in use MiB'
AGAIN_S = 2.0             # promised: masks within so long of a fault's end
GROWTH = 0.01
SIZES = ((720, 1280), (480, 640), (600, 960))


def process_usage(pid):
    """Return own and shared memory [MiB], threads and handles of a process."""
    proc = Path(f'/proc/{pid}')
    status = dict(line.split(':', 1) for line in (proc / 'status').read_text().splitlines())
    memory = [int(status[key].split()[0]) / 1024 for key in ('RssAnon', 'RssShmem')]
    return (*memory, int(status['Threads']), len(list((proc / 'fd').iterdir())))


class Soak:
    """The processes, and what happened to them."""

    def __init__(self, folder, seed, options):
        self.folder, self.options, self.rng = folder, options, random.Random(seed)
        self.env = {**drive_environment(True, os.environ), 'EUNET_TEST_FAULTS': str(folder)}
        self.children = {}
        self.killed, self.absences, self.faults, self.usages = set(), [], [], []
        self.start_node()
        self.start('recorder', [HERE / 'soak_peers.py', 'recorder', folder / 'masks.txt'])
        self.start_camera()
        self.ended = threading.Event()
        threading.Thread(target=self.watch, daemon=True).start()

    # --- processes ----------------------------------------------------------------------------

    def start(self, name, command):
        with open(self.folder / f'{name}.log', 'a') as log:
            self.children[name] = subprocess.Popen(
                [sys.executable, *map(str, command)], env=self.env, stdout=log,
                stderr=subprocess.STDOUT)

    def start_node(self):
        o = self.options
        self.start('node', [
            HERE / 'faulty_node.py', '--ros-args', '-r', 'image:=/camera/image_raw',
            '-p', f'weights:={o.weights}', '-p', f'engine:={o.engine}', '-p', 'engine_retry:=2.0',
            '-p', f'input_height:={o.input[0]}', '-p', f'input_width:={o.input[1]}'])

    def start_camera(self, size=SIZES[0]):
        self.start('camera', [HERE / 'soak_peers.py', 'camera', self.folder / 'sent.txt',
                              '--size', *size])

    def end(self, name, number=signal.SIGTERM):
        self.children[name].send_signal(number)
        self.children[name].wait(30)

    def log_size(self, name):
        return (self.folder / name).stat().st_size if (self.folder / name).exists() else 0

    def until(self, condition, what, timeout=90.0):
        end = time.monotonic() + timeout
        while not condition():
            for name, child in self.children.items():
                if child.poll() is not None:
                    raise RuntimeError(f'The {name} ended with {child.returncode} before {what}; '
                                       f'see {self.folder / name}.log')
            if time.monotonic() > end:
                raise RuntimeError(f'Waited {timeout:.0f} s in vain for {what}')
            time.sleep(0.02)

    def largest_images(self):
        """Let the camera send those of the beginning."""
        self.end('camera')
        self.start_camera()
        self.until_more('sent.txt', 'the camera')

    def until_more(self, name, what):
        """Wait until a file of notes grows."""
        before = self.log_size(name)
        self.until(lambda: self.log_size(name) > before, what)

    def segmenting(self):
        return (self.folder / 'node.log').read_text(errors='replace').count('Segmenting ')

    def chosen(self):
        """Tell whether the node's own engine works, and none stands in for it."""
        log = (self.folder / 'node.log').read_text(errors='replace')
        engine = self.options.engine
        back = max(log.rfind(f'{engine} works again'), log.rfind('Segmenting '))
        return back > log.rfind(f'Engine failed ({engine}')

    # --- faults: each returns when it is over, and the time of its end --------------------------

    def camera_restart(self):
        self.end('camera')
        time.sleep(self.rng.uniform(0.2, 3.0))
        self.start_camera(self.rng.choice(SIZES))
        self.until_more('sent.txt', 'the camera to be back')
        return time.time_ns()

    def node_killed(self):
        pid, ready = self.children['node'].pid, self.segmenting()
        begin = time.time_ns()
        self.end('node', signal.SIGKILL)
        self.killed.add(pid)
        self.start_node()
        self.until(lambda: self.segmenting() > ready, 'the node to be active again')
        self.absences.append((begin, time.time_ns()))
        return time.time_ns()

    def node_frozen(self):
        """Stand still for a moment, as under a debugger or where memory is swapped out."""
        self.children['node'].send_signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.3, 1.5))
        self.children['node'].send_signal(signal.SIGCONT)
        return time.time_ns()

    def peer(self, what):
        """Let a process of its own disturb the node."""
        subprocess.run([sys.executable, str(HERE / 'soak_disturb.py'), what], env=self.env,
                       check=True, timeout=90, stdout=subprocess.DEVNULL)
        return time.time_ns()

    def listeners(self):
        return self.peer('listeners')

    def pictures(self):
        """
        Let a listener of every output stand still, which fills the outputs' histories.

        Fast DDS keeps what such a listener has not acknowledged, output_depth images of each
        output, and keeps that memory for good, in blocks of the largest image they ever held.
        """
        with subprocess.Popen(
                [sys.executable, str(HERE / 'soak_disturb.py'), 'pictures'], env=self.env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
            if listener.stdout.readline() != 'listening\n':
                raise RuntimeError('The listener of every output got none of one; see above')
            listener.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            listener.send_signal(signal.SIGCONT)
            listener.communicate('enough\n', 30)
        return time.time_ns()

    def parameters(self):
        return self.peer('parameters')

    def disabled(self):
        return self.peer('disabled')

    def deactivated(self):
        begin = time.time_ns()
        end = self.peer('deactivated')
        self.absences.append((begin, end))
        return end

    def engine_fails(self):
        self.inject(fail={self.options.engine: self.rng.choice(('lost', 'memory', 'odd'))})
        time.sleep(self.rng.uniform(1.0, 3.0))
        self.inject()
        return time.time_ns()

    def every_engine_fails(self):
        self.inject(fail={self.options.engine: 'lost', 'torch': 'memory'})
        time.sleep(self.rng.uniform(1.0, 3.0))
        self.inject()
        return time.time_ns()

    def inject(self, **wanted):
        beside = self.folder / 'faults.tmp'
        beside.write_text(json.dumps(wanted))
        beside.replace(self.folder / 'faults.json')

    # --- the run ------------------------------------------------------------------------------

    def fault(self, name):
        began = time.time_ns()
        self.faults.append((name, began, getattr(self, name)()))
        self.until_more('masks.txt', f'masks after {name}')
        time.sleep(self.rng.uniform(*PAUSE_S))

    def rest(self):
        """Return memory [MiB], medians: while inactive, while active, and what is in use then."""
        self.largest_images()
        self.until(self.chosen, 'the chosen engine to be back')
        found = []
        for _ in range(RESTS):
            self.fault('deactivated')
            began, ended = self.faults[-1][1:]
            time.sleep(REST_S)
            found.append((min(value for at, value in self.column(0, began) if at <= ended),
                          *(median(value for at, value in column if at >= ended + 1e9)
                            for column in (self.column(0), self.in_use()))))
        return [median(values) for values in zip(*found)]

    def column(self, number, since=0):
        """Return (time, value) of a column of `process_usage`, of the last node."""
        usages = list(self.usages)
        return [(at, used[number]) for at, pid, *used in usages
                if pid == usages[-1][1] and at >= since]

    def in_use(self, since=0):
        """Return (time, MiB) of the last node; of zeros where its C library does not tell."""
        found = [(int(at), float(mib)) for at, pid, mib in self.rows('malloc.txt')
                 if int(pid) == self.children['node'].pid and int(at) >= since]
        return found or [(at, 0.0) for at, _ in self.column(0, since)]

    def watch(self):
        """Measure the node each second, while there is one."""
        while not self.ended.wait(1.0):
            pid = self.children['node'].pid
            try:
                used = process_usage(pid)
            except (OSError, KeyError):      # it was killed just now
                continue
            self.usages.append((time.time_ns(), pid, *used))
            with open(self.folder / 'usage.txt', 'a') as file:
                print(*self.usages[-1], file=file)

    def run(self, duration):
        """Do it; returns the start, and the time from which memory is compared."""
        gentle = ['camera_restart', 'node_frozen', 'listeners', 'parameters', 'disabled',
                  'deactivated', 'engine_fails', 'every_engine_fails']
        self.until(lambda: self.log_size('masks.txt') > 0, 'the first mask')
        time.sleep(10.0)                     # what the first images cost
        start = time.monotonic()
        self.zero = time.time_ns()
        time.sleep(CALM_S)
        while time.monotonic() - start < 0.3 * duration:
            self.fault(self.rng.choice([*gentle, 'node_killed']))
        self.fault('node_killed')
        self.largest_images()                # they stay in the histories
        for name in ('pictures', *gentle, *gentle):
            self.fault(name)
        self.rests = [self.rest()]
        self.warm = time.time_ns()
        while True:                          # once at least: its time is divided into thirds
            self.fault(self.rng.choice(gentle))
            if time.monotonic() - start > duration - CALM_S - 2.5 * RESTS * REST_S:
                break
        self.tired = time.time_ns()
        self.rests.append(self.rest())       # the last minute has the first one's images, too
        self.last = time.time_ns()
        time.sleep(CALM_S)

    def close(self):
        self.ended.set()
        for name in ('camera', 'node', 'recorder'):
            child = self.children.get(name)
            if child and child.poll() is None:
                time.sleep(0.5)              # the last images become masks
                self.end(name)

    def rows(self, name):
        """Return the words of each line of a file; none where there is no file."""
        path = self.folder / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def notes(self):
        rows = self.rows
        return Notes([int(r[0]) for r in rows('sent.txt')],
                     {int(r[0]): int(r[1]) for r in rows('masks.txt')},
                     [(int(r[0]), r[1], int(r[2])) for r in rows('fates.txt')],
                     self.killed, self.absences, time.time_ns())


def report(soak, notes):
    """Print the tables; returns what does not hold."""
    found, wrong = account(notes), []
    # Images sent before the node was there are no part of the run.
    first = min(stamp for _, event, stamp in notes.fates if event == 'received')
    found = {stamp: what for stamp, what in found.items() if stamp >= first}
    print('\n'.join(lines(found)))
    if OPEN in found.values():
        wrong.append('images are unexplained')
    print(f'\n{"minute":<8}{"sent":>7}{"masked":>8}{"p50 ms":>9}{"p99 ms":>9}')
    for number, row in enumerate(minutes(notes, found, soak.zero), 1):
        print(f'{number:<8}{row["sent"]:>7}{row["masked"]:>8}{row["p50"]:>9.1f}{row["p99"]:>9.1f}')
    calm = [minutes(notes, found, at)[0] for at in (soak.zero, soak.last)]
    print('calm minutes: p99 of the first {:.1f} ms, of the last {:.1f} ms'.format(
        *(row['p99'] for row in calm)))
    if calm[1]['p99'] > 1.1 * calm[0]['p99']:
        wrong.append('p99 of the last minute is more than 10 % above that of the first')
    print(f'\n{"fault":<22}{"times":>6}{"masks again, longest s":>24}')
    for name in sorted({name for name, _, _ in soak.faults}):
        took = [again(notes, end) for n, _, end in soak.faults if n == name]
        print(f'{name:<22}{len(took):>6}{max(took):>24.2f}')
        if max(took) > AGAIN_S:
            wrong.append(f'no mask within {AGAIN_S:.0f} s after {name}')
    print(f'\n{"after warm-up":<18}{"first third":>12}{"last third":>12}{"lowest, highest":>20}')
    parts = {}
    for name, column in (
            ('memory MiB', soak.column(0, soak.warm)), ('in use MiB', soak.in_use(soak.warm)),
            ('shared MiB', soak.column(1, soak.warm)), ('threads', soak.column(2, soak.warm)),
            ('handles', soak.column(3, soak.warm))):
        values = [value for _, value in column]
        first, last = thirds([row for row in column if row[0] <= soak.tired])
        parts[name] = first, last
        print(f'{name:<18}{first:>12.1f}{last:>12.1f}{min(values):>12.1f}{max(values):>8.1f}')
    print(f'{"in the same state":<18}{"before":>12}{"after":>12}')
    for name, first, last in zip(STATES, *soak.rests):
        print(f'{name:<18}{first:>12.1f}{last:>12.1f}{last / (first or 1.0) - 1:>+12.2%}')
        parts[name] = first, last
    for name in ('memory MiB', 'inactive MiB', 'in use MiB'):
        if parts[name][1] > (1 + GROWTH) * parts[name][0]:
            wrong.append(f'{name[:-4]} grew by more than 1 %')
    if any(last > first + 0.5 for first, last in (parts['threads'], parts['handles'])):
        wrong.append('threads or handles grew')
    return wrong


def main(arguments=None):
    """Run from the command line; returns 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--minutes', type=float, default=30.0, help='at least 8')
    parser.add_argument('--seed', type=int, default=1, help='of the faults')
    parser.add_argument('--weights', default='eunet_n')
    parser.add_argument('--engine', default='openvino')
    parser.add_argument('--input', type=int, nargs=2, default=(384, 640))
    parser.add_argument('--keep', type=Path, help='folder for the notes and logs; must not exist')
    o = parser.parse_args(arguments)
    if o.minutes < 8:
        print(f'soak: expected at least 8 minutes, found {o.minutes:g}', file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = o.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=not o.keep)
        soak = Soak(folder, o.seed, o)
        try:
            soak.run(60 * o.minutes)
        except (RuntimeError, subprocess.SubprocessError) as error:
            print(f'soak: {error}', file=sys.stderr)
            return 1
        finally:
            soak.close()
        wrong = report(soak, soak.notes())
    print('\n' + ('\n'.join(f'DOES NOT HOLD: {text}' for text in wrong) or 'all of it holds'))
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
