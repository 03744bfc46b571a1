# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how long the network takes on this machine: our engines and the usual ways beside them.

    python benchmarks/latency.py --json latency.json

Everything is measured in turns, a few images each, so that a machine that gets slower or busier
slows all alike. Run it on an idle machine: the load is printed.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
import json
import os
from pathlib import Path
import sys
from time import perf_counter, sleep

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _baselines import BASELINES, torch_compile, UnavailableError  # noqa: E402
from _machine import machine_lines  # noqa: E402
from eunet_ros.model.checkpoint import (  # noqa: E402
    available_weights,
    Checkpoint,
    load_checkpoint,
    random_checkpoint,
)
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.engines import engine_class, EngineError, ENGINES  # noqa: E402
from eunet_ros.model.engines.base import HostEngine  # noqa: E402
from eunet_ros.model.eunet import VARIANTS  # noqa: E402
from eunet_ros.model.segmenter import NO_STRIP, Segmenter  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

SINGLE = (544, 960)   # an input of about as much work as whole image and strip together
STAGES = ('preprocess', 'inference', 'postprocess', 'strip', 'merge')
CAMERA = (720, 1280)
SECONDS_EACH = 5.0   # slow contenders get as many images as fit, at least three
TURN = 5             # images measured in a row
SETTLE = 0.02        # s; threads of the one before spin for a while


@dataclass
class Contender:
    """One way to run one variant: `run` is one image, `times` are the measured ones [s]."""

    variant: str
    engine: str
    precision: str
    baseline: bool
    run: Callable[[], object]
    images: int = 0
    times: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the name of the row."""
        return f'{self.variant} {self.engine}'

    def percentile(self, q: float) -> float:
        """Return a percentile of the measured times in milliseconds."""
        return float(np.percentile(self.times, q) * 1e3)


def timed(run: Callable[[], object]) -> float:
    """Run once; returns the seconds it took."""
    start = perf_counter()
    run()
    return perf_counter() - start


def measure(contenders: list[Contender], most: int) -> None:
    """Warm up, then measure all in turns; fills `times`."""
    for c in contenders:
        first = timed(c.run)
        typical = timed(c.run) if first < 1 else first
        c.images = min(most, max(3, int(SECONDS_EACH / typical)))
    turns = max(-(-c.images // TURN) for c in contenders)
    for turn in range(turns):
        for c in contenders:
            # Each spreads its images evenly over all turns.
            count = c.images * (turn + 1) // turns - c.images * turn // turns
            if not count:
                continue
            sleep(SETTLE)
            if c.images > TURN:
                c.run()  # the one before has emptied the caches
            c.times += [timed(c.run) for _ in range(count)]


def contenders_of(checkpoint: Checkpoint, threads: int,
                  compiled: bool) -> tuple[list[Contender], list[Segmenter]]:
    """Build every way to run one variant, ours as segmenters too; prints why one is left out."""
    name, (height, width) = checkpoint.variant, checkpoint.input_size
    strip, checkpoint = checkpoint.strip_size, replace(checkpoint, strip_size=None)
    rng, found, segmenters = np.random.default_rng(0), [], []
    batch = rng.integers(0, 256, (1, height, width, 3), np.uint8)
    for engine_name in ENGINES:
        if engine_name == 'torch':  # what 'torch eager' measures, without the normalisation
            continue
        # A precision that the processor has not is computed in another one.
        by_precision: dict[str, Segmenter] = {}
        try:
            for wanted in engine_class(engine_name).precisions:
                if wanted == 'int8':
                    continue  # it needs images of one's own to be made
                made = Segmenter(checkpoint, engine_name, num_threads=threads, precision=wanted)
                by_precision.setdefault(made.engine.precision, made)
        except EngineError as error:
            print(f'Left out: {name} {engine_name}: {error}')
        segmenters += by_precision.values()
        for size, strip_size in ((SINGLE, NO_STRIP), ((height, width), strip)) if (
                strip and by_precision) else ():
            segmenters.append(Segmenter(checkpoint, engine_name, size, num_threads=threads,
                                        strip_size=strip_size))
        for precision, segmenter in by_precision.items():
            engine = segmenter.engine
            if isinstance(engine, HostEngine):
                label = engine_name if precision == 'float32' else f'{engine_name} {precision}'
                found.append(Contender(name, label, precision, False,
                                       lambda engine=engine: engine.infer(batch)))
    x = rng.normal(0, 1, (1, 3, height, width)).astype(np.float32)
    ways = {**BASELINES, **({'torch.compile': torch_compile} if compiled else {})}
    for way, build in ways.items():
        try:
            run, precision = build(checkpoint, x, threads)
        except UnavailableError as error:
            print(f'Left out: {name} {way}: {error}')
            continue
        found.append(Contender(name, way, precision, True, run))
    return found, segmenters


def engine_table(contenders: list[Contender]) -> str:
    """Return the table of the engines alone."""
    eager = {c.variant: c.percentile(50) for c in contenders if c.engine == 'torch eager'}
    lines = [f'{"network alone":<30}{"precision":<10}{"images":>7}{"p50 ms":>9}{"p90 ms":>9}'
             f'{"p99 ms":>9}{"images/s":>10}{"speed-up":>10}']
    for c in contenders:
        p50 = c.percentile(50)
        lines.append(
            f'{c.name:<30}{c.precision:<10}{len(c.times):>7}{p50:>9.1f}{c.percentile(90):>9.1f}'
            f'{c.percentile(99):>9.1f}{1e3 / p50:>10.1f}{eager[c.variant] / p50:>9.1f}x')
    return '\n'.join(lines)


def stage_table(segmenters: list[Segmenter], most: int) -> str:
    """Measure whole segmenters on a camera image, by stage; returns the table."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    image = np.kron(noise, np.ones((CAMERA[0] // 9, CAMERA[1] // 16, 1), np.uint8))
    rows: list[list[tuple[float, ...]]] = [[] for _ in segmenters]
    covered = [100 * float((segmenter(image) > 0).mean()) for segmenter in segmenters]
    end = perf_counter() + SECONDS_EACH * len(segmenters)
    for _ in range(most):
        for row, segmenter in zip(rows, segmenters):
            stages = segmenter.segment(image, CAMERA[0] / 2).stage_ms
            row.append((*(stages.get(name, np.nan) for name in STAGES), sum(stages.values())))
        if perf_counter() > end and len(rows[0]) >= 3:
            break
    lines = [f'{f"image {CAMERA[1]}x{CAMERA[0]}, p50 ms":<46}' + ''.join(
        f'{name:>13}' for name in (*STAGES, 'total', 'total p99', 'covered'))]
    for segmenter, row, share in zip(segmenters, rows, covered):
        p50, p99 = np.percentile(row, 50, 0), np.percentile(row, 99, 0)
        engine = segmenter.engine
        label = f'{segmenter.checkpoint.variant} {engine.name} {engine.precision}'
        for size in filter(None, (segmenter.input_size, segmenter.strip_size)):
            label += ' {}x{}'.format(*size)
        lines.append(f'{label:<46}' + ''.join(
            f'{"-" if np.isnan(v) else f"{v:.1f}":>13}' for v in (*p50, p99[-1]))
                     + f'{share:>12.0f}%')
    return '\n'.join(lines)


def checkpoint_of(variant: str, size: tuple[int, int]) -> tuple[Checkpoint, str]:
    """Return a variant's shipped weights, or random ones, and which of both."""
    torch.manual_seed(0)
    if variant in available_weights():
        return replace(load_checkpoint(variant, variant), input_size=size), 'shipped weights'
    return random_checkpoint(variant, cone_classes(), size), 'random weights'


def write_json(path: Path, contenders: list[Contender], size: tuple[int, int]) -> None:
    """Write the rows beside their place and rename them."""
    rows = [{'name': c.name, 'engine': c.engine, 'variant': c.variant, 'precision': c.precision,
             'height': size[0], 'width': size[1], 'baseline': c.baseline,
             **{f'p{q}_ms': round(c.percentile(q), 3) for q in (50, 90, 99)}}
            for c in contenders]
    beside = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        beside.write_text(json.dumps(rows, indent=1) + '\n')
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; raises ValueError for values that cannot be."""
    parser = argparse.ArgumentParser(
        description='Measure the latency of the networks on this machine, with baselines.')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows there')
    parser.add_argument('--variants', nargs='+', default=[*reversed(VARIANTS)], metavar='NAME')
    parser.add_argument('--height', type=int, default=384, help="of the network's input")
    parser.add_argument('--width', type=int, default=640, help="of the network's input")
    parser.add_argument('--runs', type=int, default=200, help='most images for each row')
    parser.add_argument('--threads', type=int, default=0, help='CPU threads, 0 for all')
    parser.add_argument('--compile', action='store_true', help='measure torch.compile, too')
    options = parser.parse_args(arguments)
    if options.runs < 1 or options.threads < 0:
        raise ValueError('--runs must be 1 or more and --threads 0 or more, found '
                         f'{options.runs} and {options.threads}.')
    if options.json and not options.json.absolute().parent.is_dir():
        raise ValueError(f'The folder of {options.json} does not exist, make it first.')
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    try:
        options = parse(arguments)
        size = (options.height, options.width)
        if options.threads:
            torch.set_num_threads(options.threads)
        checkpoints = {name: checkpoint_of(name, size) for name in options.variants}
    except ValueError as error:
        print(f'latency: {error}', file=sys.stderr)
        return 1
    print(f'Machine\n{machine_lines()}\n  threads: {options.threads or "each library as it likes"}'
          f' (torch: {torch.get_num_threads()})\nInput {size[0]}x{size[1]} (height x width), '
          'batch 1; ' + ', '.join(f'{n}: {w}' for n, (_, w) in checkpoints.items()))
    built = [contenders_of(checkpoint, options.threads, options.compile)
             for checkpoint, _ in checkpoints.values()]
    contenders, segmenters = ([item for group in groups for item in group]
                              for groups in zip(*built))
    measure(contenders, options.runs)
    print(f'\n{engine_table(contenders)}\n', flush=True)
    if options.json:
        write_json(options.json, contenders, size)
    if segmenters:
        print(stage_table(segmenters, options.runs))
    return 0


if __name__ == '__main__':
    sys.exit(main())
