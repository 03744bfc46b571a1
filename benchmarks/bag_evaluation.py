# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how near the evaluation of a bag comes to the engine's own rate, and its memory.

    python benchmarks/bag_evaluation.py --frames 1000
    python benchmarks/bag_evaluation.py --frames 10000 --rounds 1     # memory over a long bag

A drive is rendered and shown again and again, JPEG at 1280x720 with its true masks. The engine's
own rate is that of `Segmenter.segment` alone, on the same images, already decoded.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import json
from pathlib import Path
import subprocess
import sys
import tempfile
import time

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(_ROOT))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
import cv2  # noqa: E402
from eunet_ros.bags.messages import (  # noqa: E402
    COMPRESSED_IMAGE,
    compressed_image,
    header,
    IMAGE,
    serialise,
    with_stamp,
)
from eunet_ros.bags.writer import BagWriter  # noqa: E402
from eunet_ros.model import Segmenter  # noqa: E402
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS  # noqa: E402
from eunet_ros.model.engines import AUTO, EngineError, ENGINES  # noqa: E402
from eunet_ros.ros.raw_images import image_bytes  # noqa: E402
from eunet_ros.training.renderer import Drive  # noqa: E402
import numpy as np  # noqa: E402

RENDERED = 24
HZ = 15.0
START_NS = 1_767_225_600_000_000_000
_ROLES = ('segment', 'score', 'recordings', 'evaluate_bag')


def scenes(size: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rendered images and their true masks."""
    return [(s.image, s.mask) for s in Drive(3, *size).frames(RENDERED, hz=4.0)]


def write_drive(folder: Path, shown: Sequence[tuple[np.ndarray, np.ndarray]], frames: int,
                raw: bool) -> None:
    """Write the drive as a bag."""
    images, masks = [], []
    for image, mask in shown:
        if raw:
            images.append(image_bytes(header(0, 'camera'), image, 'bgr8'))
        else:
            data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
            images.append(serialise(compressed_image(0, 'camera', 'jpeg', data.tobytes())))
        masks.append(serialise(compressed_image(
            0, 'camera', 'png', cv2.imencode('.png', mask)[1].tobytes())))
    topic = '/camera/image_raw' if raw else '/camera/image_raw/compressed'
    with BagWriter(folder) as bag:
        bag.add_topic(topic, IMAGE if raw else COMPRESSED_IMAGE)
        bag.add_topic('/ground_truth/mask/compressed', COMPRESSED_IMAGE)
        for i in range(frames):
            stamp = START_NS + round(i * 1e9 / HZ)
            bag.write(topic, stamp, with_stamp(images[i % RENDERED], stamp))
            bag.write('/ground_truth/mask/compressed', stamp,
                      with_stamp(masks[i % RENDERED], stamp))
            bag.flush(before=stamp)


def engine_rate(weights: str, engine: str, shown: Sequence[tuple[np.ndarray, np.ndarray]],
                seconds: float) -> float:
    """Return the images a second of the engine alone."""
    segmenter = Segmenter(weights, engine)
    segmenter.warm_up(*shown[0][0].shape[:2])
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        segmenter.segment(shown[count % len(shown)][0])
        count += 1
    rate = count / (time.perf_counter() - began)
    segmenter.close()
    return rate


def descendants(parent: int) -> Iterator[tuple[str, float]]:
    """Yield (role, resident MiB) of a process and its children."""
    for entry in Path('/proc').iterdir():
        try:
            fields = (entry / 'stat').read_text().rpartition(')')[2].split()
            if entry.name.isdigit() and parent in (int(entry.name), int(fields[1])):
                told = (entry / 'cmdline').read_text()
                role = next((r for r in _ROLES if f'.{r}\0' in told), 'other')
                yield role, int(fields[21]) * 4096 / 2 ** 20
        except (OSError, ValueError, IndexError):
            continue


def evaluate(bag: Path, out: Path, o: argparse.Namespace) -> tuple[dict, float, dict]:
    """Evaluate; returns the report, the seconds in all, and MiB by role over time."""
    command = [sys.executable, '-m', 'eunet_ros.evaluate_bag', str(bag), '--output', str(out),
               '--weights', o.weights, '--engine', o.engine]
    if not o.recordings:
        command += ['--bag-topics', 'none', '--no-video']
    began, memory = time.perf_counter(), {}
    # An error stays visible: stderr is left alone.
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for role, mib in descendants(process.pid):
                memory.setdefault(role, []).append(mib)
            time.sleep(0.5)
    if process.returncode:
        raise ValueError('The evaluation failed, see above.')
    seconds = time.perf_counter() - began
    return json.loads((out / 'report.json').read_text()), seconds, memory


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; raises ValueError for values that cannot be."""
    parser = argparse.ArgumentParser(
        description="Measure an evaluation against the engine's own rate.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--frames', type=int, default=1000)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280), metavar=('H', 'W'))
    parser.add_argument('--weights', default=DEFAULT_WEIGHTS)
    parser.add_argument('--engine', default=AUTO, choices=(AUTO, *ENGINES))
    parser.add_argument('--seconds', type=float, default=10.0, help='of the engine alone')
    parser.add_argument('--rounds', type=int, default=3, help='evaluations, one after another')
    parser.add_argument('--raw', action='store_true', help='raw images instead of JPEG')
    parser.add_argument('--no-recordings', dest='recordings', action='store_false',
                        help='neither output bag nor video')
    o = parser.parse_args(arguments)
    if o.frames < 10 or o.rounds < 1 or o.seconds <= 0 or min(o.size) < 16:
        raise ValueError('--frames must be at least 10, --rounds 1, --seconds above 0 and --size '
                         f'16 each way, found {o.frames}, {o.rounds}, {o.seconds:g} and '
                         f'{o.size[0]} {o.size[1]}.')
    return o


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    try:
        o = parse(arguments)
        print(f'Machine\n{machine_lines()}\n', flush=True)
        shown = scenes(tuple(o.size))
        with tempfile.TemporaryDirectory() as work:
            bag = Path(work) / 'drive'
            write_drive(bag, shown, o.frames, o.raw)
            own, rates = [engine_rate(o.weights, o.engine, shown, o.seconds)], []
            for number in range(o.rounds):
                report, seconds, memory = evaluate(bag, Path(work) / f'out_{number}', o)
                own.append(engine_rate(o.weights, o.engine, shown, o.seconds))
                rates.append(report['run']['images_per_s'])
    except (ValueError, OSError, EngineError) as error:
        print(f'bag_evaluation: {error}', file=sys.stderr)
        return 1
    shares = [rate / (0.5 * (a + b)) for rate, a, b in zip(rates, own, own[1:])]
    kind = 'raw' if o.raw else 'JPEG'
    print(f'{o.frames} frames {o.size[1]}x{o.size[0]} {kind}, {report["weights"][0]["engine"]}, '
          f'Dice {report["weights"][0]["scores"]["dice"]}')
    print(f"engine's own rate   {' '.join(f'{r:7.1f}' for r in own)} images/s, before and after")
    print(f"while segmenting    {' '.join(f'{r:7.1f}' for r in rates)} images/s, "
          f'{" ".join(f"{100 * s:.0f} %" for s in shares)} of it, '
          f'{100 * float(np.median(shares)):.0f} % in the median')
    print(f'all in all          {o.frames / seconds:8.1f} images/s, {seconds:.1f} s with start, '
          f'scores{", bag, video" if o.recordings else ""} and page')
    print(f'\n{"memory, MiB":<16}{"quarters of its life, mean":>36}{"largest":>10}')
    for role, values in sorted(memory.items()):
        parts = [float(np.mean(p)) for p in np.array_split(values, 4) if len(p)]
        print(f'{role:<16}{" ".join(f"{p:8.0f}" for p in parts):>36}{max(values):>10.0f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
