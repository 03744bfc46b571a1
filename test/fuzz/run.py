# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Fuzz what reads bytes from strangers, guided by coverage (Atheris, libFuzzer for Python).

    make fuzz                                   # a minute of everything
    make fuzz RUNS=100000 TARGETS="image cdr"
    python test/fuzz/run.py --runs 1000000      # shared among all targets

Each target runs in a process of its own; what it finds stays in the corpus folder, and an input
that it fails on in crashes/ below it. Where Atheris is not installed, inputs are mutated without
guidance, and the table says so.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import importlib.util
import os
from pathlib import Path
import random
import re
import subprocess
import sys
import time

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE))
_DEAR_SHARE = 0.1    # of the runs of a cheap target that one gets that takes milliseconds
_LIMITS = ['-timeout=20', '-rss_limit_mb=3000', '-print_final_stats=1', '-verbosity=1']
# Coverage is of these alone: the other libraries below them have fuzzers of their own.
_OURS = ('eunet_ros', 'rosbags')


def guided(name: str, runs: int, seconds: int, corpus: Path) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris
    with atheris.instrument_imports(include=list(_OURS)):
        importlib.import_module('rosbags.rosbag2')  # else only where a bag is opened
        import targets
    targets.lower_limits()
    target = targets.TARGETS[name]
    for index, seed in enumerate(target.seeds()):
        (corpus / f'seed_{index}').write_bytes(seed)
    arguments = [sys.argv[0], str(corpus), f'-runs={runs}', f'-max_len={targets.MAX_BYTES}',
                 f'-artifact_prefix={corpus}/crashes/', *_LIMITS]
    if name == 'checkpoint':
        arguments[3] = '-max_len=160000'
    if seconds:
        arguments.append(f'-max_total_time={seconds}')
    atheris.Setup(arguments, target.run)
    atheris.Fuzz()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, change, cut and repeat some of the bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 5, 20))):
        at = rng.randrange(len(out)) if out else 0
        kind = rng.randrange(6)
        if kind == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and out:
            out[at] = rng.randrange(256)
        elif kind == 2:
            del out[at:at + rng.randrange(1, 9)]
        elif kind == 3:
            out[at:at] = out[at:at + rng.randrange(1, 33)]
        elif kind == 4:
            out[at:at + 4] = rng.choice((b'\xff' * 4, b'\0' * 4, b'\x7f\xff\xff\xff', b'1e999'))
        else:
            del out[at + rng.randrange(64):]
    return bytes(out)


def unguided(name: str, runs: int, seconds: int, corpus: Path) -> None:
    """Do it without Atheris; prints what libFuzzer would."""
    import targets
    targets.lower_limits()
    target, rng = targets.TARGETS[name], random.Random(0)
    seeds, done = target.seeds(), 0
    end = time.monotonic() + (seconds or 1e9)
    while done < runs and time.monotonic() < end:
        data = mutate(rng.choice(seeds), rng)
        try:
            target.run(data)
        except Exception as error:
            (corpus / 'crashes' / f'crash-{done}').write_bytes(data)
            print(f'ERROR: {type(error).__name__}: {error}', file=sys.stderr)
        done += 1
    print(f'stat::number_of_executed_units: {done}', file=sys.stderr)
    targets.forget()


def report(name: str, text: str, seconds: float, corpus: Path) -> str:
    """Return a target's row of the table."""
    runs = (re.findall(r'number_of_executed_units: +(\d+)', text)
            or re.findall(r'^#(\d+)', text, re.M))
    covered = re.findall(r'cov: (\d+) ft: (\d+)', text)
    crashes = list((corpus / 'crashes').iterdir())
    memory = re.findall(r'peak_rss_mb: +(\d+)', text)
    return (f'{name:<18}{int(runs[-1]) if runs else 0:>9}{seconds:>8.0f}'
            f'{covered[-1][0] if covered else "-":>8}{covered[-1][1] if covered else "-":>9}'
            f'{memory[-1] if memory else "-":>8}{len(crashes):>9}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz from the command line; returns 1 where something was found."""
    if '--one' in (sys.argv if arguments is None else arguments):
        names = None   # not imported yet: Atheris instruments what it imports itself
    else:
        import targets
        names = list(targets.TARGETS)
    parser = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('targets', nargs='*', help='default: all')
    parser.add_argument('--runs', type=int, default=0, help='inputs, of all targets together')
    parser.add_argument('--seconds', type=int, default=0, help='at most, of each target')
    parser.add_argument('--corpus', type=Path, default=Path('runs/fuzz'))
    parser.add_argument('--one', action='store_true', help=argparse.SUPPRESS)
    o = parser.parse_args(arguments)
    known = importlib.util.find_spec('atheris') is not None
    if o.one:
        (guided if known else unguided)(o.targets[0], o.runs, o.seconds, o.corpus)
        return 0
    unknown = sorted(set(o.targets) - set(names))
    if unknown or o.runs < 0 or o.seconds < 0 or not (o.runs or o.seconds):
        print(f'fuzz: unknown target {unknown[0]}, expected one of {", ".join(names)}'
              if unknown else 'fuzz: give --runs or --seconds, above 0', file=sys.stderr)
        return 2
    names = o.targets or names
    shares = [1.0 if targets.TARGETS[n].cheap else _DEAR_SHARE for n in names]
    print(f'{"Atheris" if known else "not guided: pip install atheris"}\n'
          f'{"target":<18}{"inputs":>9}{"s":>8}{"edges":>8}{"features":>9}{"MiB":>8}'
          f'{"findings":>9}', flush=True)
    found = False
    for name, share in zip(names, shares):
        corpus = (o.corpus / name).absolute()
        (corpus / 'crashes').mkdir(parents=True, exist_ok=True)
        runs = round(o.runs * share / sum(shares)) if o.runs else 10 ** 9
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(HERE / 'run.py'), name, '--one', '--runs', str(runs), '--seconds',
             str(o.seconds), '--corpus', str(corpus)], text=True, errors='replace',
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env={**os.environ, 'OPENCV_LOG_LEVEL': 'OFF'})
        (corpus / 'crashes').parent.with_suffix('.log').write_text(done.stderr[-200_000:])
        print(report(name, done.stderr, time.monotonic() - began, corpus), flush=True)
        found |= done.returncode != 0 or any((corpus / 'crashes').iterdir())
    return int(found)


if __name__ == '__main__':
    sys.exit(main())
