# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a GPU says of this package, in one command of minutes: does it run, is it right, how fast.

    python benchmarks/gpu.py --json gpu.json          # on the machine with the GPU; eight minutes
    python benchmarks/gpu.py --only engines threads   # of the stages, some
    python benchmarks/gpu.py --dry-run                # on a CPU: every stage once, tiny, to try it

A stage that fails is said, and never the end of the run; one for which too little time is left is
skipped, and said. The JSON file is written after every stage. Prints Markdown for
docs/performance.md; the exit code is 1 where anything failed.
"""
from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
import copy
from pathlib import Path
import subprocess
import sys
import threading
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
from eunet_ros.model import Segmenter  # noqa: E402
from eunet_ros.model.common.errors import one_line  # noqa: E402
from eunet_ros.model.common.files import write_json  # noqa: E402
from eunet_ros.model.deploy import deploy_image  # noqa: E402
from eunet_ros.model.engines import engine_class, EngineError  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402
from latency import checkpoint_of  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

VARIANTS = ('eunet_n', 'eunet_s', 'eunet')
SIZES = ((384, 640), (544, 960), (512, 512), (720, 1280))


class Run:
    """One run: what it measures on, the time that is left, and what it found."""

    def __init__(self, dry: bool, minutes: float, path: Path | None) -> None:
        self.dry, self.path, self._end = dry, path, perf_counter() + 60 * minutes
        self.device, self.engines = ('cpu', ('torch',)) if dry else ('cuda', ('cuda', 'tensorrt'))
        self.sizes = ((96, 160),) if dry else SIZES
        self.camera = (144, 256) if dry else (720, 1280)
        self.images = 2 if dry else 200
        self.half = torch.bfloat16 if dry else torch.float16
        self.found: dict[str, Any] = {}
        self.failures: list[str] = []

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self._end - perf_counter()

    def fail(self, what: str, error: BaseException | str) -> None:
        """Note and print a failure."""
        kind = '' if isinstance(error, (str, EngineError)) else f'{type(error).__name__}: '
        self.failures.append(f'{what}: {kind}{one_line(error)[:300]}')
        print(f'\nFailed: {self.failures[-1]}', flush=True)

    def scene(self, seed: int, size: tuple[int, int]) -> np.ndarray:
        """Return a rendered image that no training has seen, (h, w, 3) uint8 BGR."""
        return render_scene(90_000 + seed, *size).image

    def start(self, title: str, *command: str, seconds: float = 120) -> str:
        """Run a script of this repository; returns and prints the end of its output."""
        limit = 900 if self.dry else max(5.0, min(seconds, self.left))
        try:
            done = subprocess.run([sys.executable, *command], cwd=ROOT, text=True, timeout=limit,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            text, code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as error:
            text, code = (error.stdout or b'').decode(errors='replace'), -1
        if code:
            self.fail(title, f'exit code {code} (-1: stopped after {limit:.0f} s)')
        end = '\n'.join(text.splitlines()[-40:])
        print(f'\n```\n{end}\n```', flush=True)
        return end


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Return p50 and p99 in milliseconds."""
    return tuple(round(1e3 * float(q), 3) for q in np.percentile(seconds, (50, 99)))


def in_turns(ways: dict[str, Callable[[], object]], images: int) -> dict[str, tuple]:
    """Time ways in turns, so that what disturbs the machine disturbs all alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        for _ in range(min(images, 10)):
            run()
    while times and min(map(len, times.values())) < images:
        for name, run in ways.items():
            run()  # the one before has emptied the caches
            for _ in range(min(images, 10)):
                began = perf_counter()
                run()
                times[name].append(perf_counter() - began)
    return {name: percentiles(found) for name, found in times.items()}


def eager(run: Run, made: Any, image: np.ndarray, kind: torch.dtype,
          layout: torch.memory_format) -> Callable[[], np.ndarray]:
    """Return the network as one would run it first, from an image's bytes to its mask."""
    network = copy.deepcopy(made.network).to(run.device, kind).to(memory_format=layout).eval()
    mean, std = (255 * torch.tensor(v, device=run.device, dtype=kind).view(1, 3, 1, 1)
                 for v in (made.mean, made.std))

    @torch.inference_mode()
    def mask() -> np.ndarray:
        x = torch.from_numpy(image)[None].to(run.device).permute(0, 3, 1, 2).flip(1).to(kind)
        return network((x - mean) / std).argmax(1).to(torch.uint8)[0].cpu().numpy()
    return mask


def engines(run: Run) -> None:
    """Compare and time the engines, with PyTorch eager doing the same job, bytes in, mask out."""
    print('\n| network, input | way | ready s | p50 ms | p99 ms | pixels as the reference |')
    print('|---|---|---|---|---|---|', flush=True)
    rows = run.found['engines'] = []
    for size in run.sizes:
        for variant in VARIANTS[:1] if run.dry else VARIANTS:
            if run.left < 200 and size != run.sizes[0]:
                run.fail(f'{variant} {size}', 'left out, too little time is left')
                continue
            rows += _engines_of(run, variant, size, size == run.sizes[0])


def _engines_of(run: Run, variant: str, size: tuple[int, int], all_of_them: bool) -> list[dict]:
    made, _ = checkpoint_of(variant, size)
    images = [run.scene(k, size) for k in range(1 if run.dry else 3)]
    masks = [Segmenter(made, 'torch', size)(image) for image in images]
    ways, ready, equal, opened = {}, {}, {}, []
    for engine in run.engines:
        try:
            precisions = [p for p in engine_class(engine).precisions if p != 'int8']
            for precision in precisions if all_of_them else precisions[:1]:
                began, way = perf_counter(), f'{engine} {precision}'
                opened.append(Segmenter(made, engine, size, precision=precision))
                ready[way] = round(perf_counter() - began, 2)
                equal[way] = float(np.mean([(opened[-1](i) == m).mean()
                                            for i, m in zip(images, masks)]))
                ways[way] = lambda s=opened[-1]: s.segment(images[0])
        except Exception as error:  # whatever a driver raises is what is looked for
            run.fail(f'{variant} {size} {engine}', error)
    for way, kind, layout in (('eager float32', torch.float32, torch.contiguous_format),
                              ('eager 16 bit', run.half, torch.channels_last)):
        ways[way] = eager(run, made, images[0], kind, layout)
        equal[way] = float((ways[way]() == masks[0]).mean())
    rows = []
    for way, (p50, p99) in in_turns(ways, run.images).items():
        rows.append({'variant': variant, 'size': size, 'way': way, 'ready_s': ready.get(way),
                     'p50_ms': p50, 'p99_ms': p99, 'agreement': equal[way]})
        print(f'| {variant} {size[0]}×{size[1]} | {way} | {ready.get(way, "")} | {p50} | {p99} | '
              f'{equal[way]:.3%} |', flush=True)
    for segmenter in opened:
        segmenter.close()
    return rows


def camera(run: Run) -> None:
    """Time the stages of a camera's image, and the first image of a new size."""
    print('\n| camera image | first of its size ms | preprocess | inference | postprocess ms |')
    print('|---|---|---|---|---|')
    rows = run.found['camera'] = {}
    for engine in run.engines:
        try:
            segmenter = Segmenter('eunet_n', engine)
            image, began = run.scene(0, run.camera), perf_counter()
            segmenter.segment(image)
            first = round(1e3 * (perf_counter() - began), 1)
            stages = [segmenter.segment(image).stage_ms for _ in range(run.images)]
            p50 = {k: round(float(np.median([s[k] for s in stages])), 3) for k in stages[0]}
            rows[engine] = {'first_ms': first, **p50}
            print(f'| {segmenter.describe()} | {first} | '
                  + ' | '.join(map(str, p50.values())) + ' |', flush=True)
            segmenter.close()
        except EngineError as error:
            run.fail(f'camera {engine}', error)


def formats(run: Run) -> None:
    """Time the network alone in a CUDA graph: NHWC and NCHW, both ways to write hardswish."""
    print('\n| network alone | as deployed (NHWC) | NCHW | nn.Hardswish, ms |\n|---|---|---|---|')
    rows = run.found['formats'] = {}
    size = run.sizes[0]
    image = torch.from_numpy(run.scene(0, size))[None].to(run.device)
    for variant in VARIANTS[:1] if run.dry else VARIANTS:
        made, _ = checkpoint_of(variant, size)
        times = []
        for first, swish in ((False, False), (True, False), (False, True)):
            layout = torch.contiguous_format if first else torch.channels_last
            network = deploy_image(made.network, made.mean, made.std).to(run.device, run.half)
            network = network.to(memory_format=layout)
            network.channels_first = first
            for module in network.modules():
                if swish and type(module).__name__ == 'Hardswish':
                    module.forward = torch.nn.functional.hardswish
            times.append(_graph_ms(run, lambda network=network: network(image)))
        rows[variant] = times
        print(f'| {variant} | ' + ' | '.join(f'{t:.3f}' for t in times) + ' |', flush=True)


@torch.inference_mode()
def _graph_ms(run: Run, work: Callable[[], object]) -> float:
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
        if run.device == 'cpu':
            return in_turns({'': work}, 1)[''][0]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            work()
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        for k in range(220):
            if k == 20:
                first.record()
            graph.replay()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 200


def threads(run: Run) -> None:
    """Build and capture engines in a thread while another one works, as the failover does."""
    first, image = Segmenter('eunet_n', run.engines[0], run.sizes[0]), run.scene(0, run.sizes[0])
    raised, done, count = [], threading.Event(), 0

    def build() -> None:
        try:
            for k in range(1 if run.dry else 3):
                other = Segmenter('eunet_s', run.engines[0], run.sizes[0])
                for height in range(100, 102 if run.dry else 112):
                    other.segment(np.zeros((height + k, 160, 3), np.uint8))
                other.close()
        except Exception as error:  # whatever a driver raises
            raised.append(error)
        finally:
            done.set()
    thread = threading.Thread(target=build)
    thread.start()
    while not done.is_set() and len(raised) < 3:
        try:
            first.segment(image)
            count += 1
        except Exception as error:
            raised.append(error)
    thread.join()
    first.close()
    for error in raised:
        run.fail('threads', error)
    run.found['threads'] = {'images': count, 'errors': len(raised)}
    print(f'\n{count} images while engines were built and captured beside, {len(raised)} errors.')


def tests(run: Run) -> None:
    """Run the tests of engines and devices."""
    names = 'test_device_engine.py', 'test_engines.py'
    found = [str(path) for name in names for path in (ROOT / 'test').rglob(name)]
    if len(found) != len(names):
        raise FileNotFoundError(f'Expected {" and ".join(names)} below test/, found {found}.')
    run.start('tests', '-m', 'pytest', '-q', '-rs', '-p', 'no:cacheprovider', *found,
              *(['-k', 'labels or unknown_precision'] if run.dry else []))


def roofline(run: Run) -> None:
    """Bound the layers by bytes and operations."""
    size = [str(side) for side in run.sizes[0]]
    run.start('roofline', 'benchmarks/roofline.py', '--variant', 'eunet_n', '--size', *size,
              *(['--layers', '3'] if run.dry else ['--device', 'cuda', '--precision', 'float16']))


def training(run: Run) -> None:
    """Time a step of training."""
    run.start('training', 'benchmarks/training.py', *(
        ['--variants', 'eunet_n', '--batch', '2', '--steps', '2', '--size', '96', '160',
         '--precision', '32-true'] if run.dry else ['--steps', '20']))


STAGES: dict[str, tuple[float, Callable[[Run], None]]] = {  # seconds that each needs at least
    'engines': (60, engines), 'camera': (20, camera), 'formats': (25, formats),
    'threads': (15, threads), 'tests': (40, tests), 'roofline': (20, roofline),
    'training': (45, training)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description='What a GPU says of this package.')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write what is found there')
    parser.add_argument('--minutes', type=float, default=8.0, help='of the whole run')
    parser.add_argument('--only', nargs='+', default=[*STAGES], choices=[*STAGES])
    parser.add_argument('--dry-run', action='store_true', help='on a CPU, tiny: to try it')
    o = parser.parse_args(arguments)
    if not o.dry_run and not torch.cuda.is_available():
        print('gpu: PyTorch finds no GPU here, so nothing is measured; --dry-run tries the stages '
              'on the CPU.', file=sys.stderr)
        return 1
    run = Run(o.dry_run, o.minutes, o.json)
    name = 'CPU, a dry run: its times mean nothing' if o.dry_run else torch.cuda.get_device_name()
    print(f'## {name}\n\n```\n{machine_lines()}\n```', flush=True)
    for stage in o.only:
        needs, function = STAGES[stage]
        if run.left < needs and not o.dry_run:
            run.fail(stage, f'skipped: {run.left:.0f} s are left, it needs {needs:.0f}')
            continue
        try:
            if function is threads and len(o.only) > 1:  # what it may break, breaks its process
                run.start(stage, __file__, '--only', stage, *['--dry-run'] * o.dry_run)
            else:
                function(run)
        except Exception as error:  # whatever a driver raises: the next stage may work
            run.fail(stage, error)
        if run.path:
            write_json(run.path, {'device': name, 'failures': run.failures, **run.found})
    print(f'\n{len(run.failures)} failures.' + ''.join(f'\n- {text}' for text in run.failures))
    return 1 if run.failures else 0


if __name__ == '__main__':
    sys.exit(main())
