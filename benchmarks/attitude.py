# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Measure what the attitude from cones does for positions, in rendered drives that pitch and roll.

    python benchmarks/attitude.py
    python benchmarks/attitude.py --drives 1 --seconds 4 --weights ''     # on true masks

Each drive is rendered twice: its body moves as that of a race car does, and it is rigid, so that
the mounting is constant and perfect. Two more drives have their camera knocked by one degree.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from pathlib import Path
import sys
import time
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _cone_truth import ground_of, match, RANGES  # noqa: E402
from _machine import machine_lines  # noqa: E402
from _moving_drive import MovingDrive  # noqa: E402
import cv2  # noqa: E402
from eunet_ros.cones.attitude import AngularRates, Attitude, AttitudeFilter  # noqa: E402
from eunet_ros.cones.detection import Cones, find_cones  # noqa: E402
from eunet_ros.cones.ground import Ground  # noqa: E402
from eunet_ros.model.common.files import write_json  # noqa: E402
from eunet_ros.model.common.resources import DEFAULT_WEIGHTS  # noqa: E402
from eunet_ros.model.engines import EngineError  # noqa: E402
import numpy as np  # noqa: E402

SEED = 620            # of the first drive; nothing was chosen on it
HZ = 30.0
_IMU_HZ, _IMU_DEG_S = 200.0, (0.1, 0.3)  # bias and noise of its rates [deg/s]
_WARN = 0.01          # rad, of the mean pitch: the default of the node
_KNOCK_S, _KNOCK_DEG = 4.0, 1.0
_ROWS = (*RANGES, (10, 20))
_MOST = (1, 2, 4, 6, 10, 1000)  # cones, the nearest of a frame, that the filter is given


@dataclass(frozen=True)
class View:
    """What is kept of a frame: seconds, the cones that are there and found, the true attitude."""

    t: float
    truth: Sequence[Any]
    cones: Cones
    pitch: float
    roll: float


def views(drive: MovingDrive, seconds: float, segmenter: Any) -> tuple[Ground, list[View]]:
    """Return the ground of a drive's mounting, and its frames."""
    ground, found = replace(ground_of(drive.camera), max_range=30.0), []
    for k in range(round(seconds * HZ)):
        scene = drive.render(k / HZ)
        mask = (segmenter.segment(scene.image, ground.horizon_row()).mask if segmenter
                else scene.mask)
        # The vertical in axes of the body: of roll, then pitch, about fixed axes.
        x, y, z = (ground_of(scene.camera).pose.rotation @ ground.pose.rotation.T)[2]
        found.append(View(k / HZ, scene.cones, find_cones(mask), -math.asin(x),
                          math.atan2(y, z)))
    return ground, found


def measured_rates(frames: Sequence[View]) -> AngularRates:
    """Return what an IMU measures in a drive, with noise and a bias."""
    rng, rates = np.random.default_rng(SEED), AngularRates(10 * round(frames[-1].t * _IMU_HZ))
    times = np.arange(0, frames[-1].t, 1 / _IMU_HZ)
    true = np.array([(v.t, v.pitch, v.roll) for v in frames]).T
    noise = np.radians(rng.normal(*_IMU_DEG_S, (len(times), 2)))
    for t, (pitch, roll) in zip(times, noise + np.stack([
            np.gradient(np.interp(times, true[0], angle), times) for angle in true[1:]], 1)):
        rates.add(round(t * 1e9), pitch, roll)
    return rates


def follow(ground: Ground, frames: Sequence[View], most: int = 1000,
           rates: AngularRates | None = None) -> list[Attitude]:
    """Return the attitude in each frame, from its `most` nearest cones, and an IMU's rates."""
    attitude = AttitudeFilter()
    return [attitude.update(view.cones.select(np.arange(min(most, len(view.cones)))), ground,
                            round(view.t * 1e9), rates) for view in frames]


def errors(ground: Ground, frames: Sequence[View],
           attitudes: Sequence[Attitude] | None) -> np.ndarray:
    """
    Return distance, error [m] and the error by its stated standard deviation, a row a cone.

    attitudes: None for the mounting alone.
    """
    rows = []
    for k, view in enumerate(frames):
        own = {found: true for true, found in match(view.truth, view.cones).items()}
        located, which = (attitudes[k].locate(view.cones, ground) if attitudes
                          else ground.locate(view.cones))
        precise = np.linalg.inv(located.covariance)
        for number, place, information in zip(which.tolist(), located.xyz[:, :2], precise):
            cone = view.truth[own[number]] if number in own else None
            if cone is not None and not cone.knocked_over:
                off = place - (cone.x, cone.y)
                rows.append((math.hypot(cone.x, cone.y), math.hypot(*off),
                             math.sqrt(off @ information @ off)))
    return np.array(rows)


def by_distance(table: np.ndarray) -> list[dict[str, Any]]:
    """Return medians and shares of what `errors` returns."""
    rows = []
    for low, high in _ROWS:
        part = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        share = part[:, 1] / part[:, 0]
        rows.append({'metres': [low, high], 'cones': len(part),
                     'median': float(np.median(share)), 'p90': float(np.percentile(share, 90)),
                     'within_two_sigma': float(np.mean(part[:, 2] < math.sqrt(-2 * math.log(
                         1 - 0.9545))))})
    return rows


def pitch_row(frames: Sequence[View], attitudes: Sequence[Attitude],
              which: np.ndarray) -> dict[str, Any]:
    """Return how far pitch and roll are off in some frames [deg], and how often within 2 sigma."""
    row: dict[str, Any] = {'frames': int(which.sum())}
    for axis, name in enumerate(('pitch', 'roll')):
        off = np.array([getattr(a, name) - getattr(v, name)
                        for a, v in zip(attitudes, frames)])[which]
        stddev = np.sqrt([a.covariance[axis, axis] for a in attitudes])[which]
        row[name] = {'median': math.degrees(np.median(np.abs(off))),
                     'p95': math.degrees(np.percentile(np.abs(off), 95)),
                     'stated': math.degrees(np.median(stddev)),
                     'within_two_sigma': float(np.mean(np.abs(off) < 2 * stddev))}
    return row


def warned(attitudes: Sequence[Attitude]) -> list[int]:
    """Return the frames in which the node would warn that the camera has moved."""
    return [k for k, a in enumerate(attitudes) if abs(a.mean_pitch) > _WARN]


def times(ground: Ground, frames: Sequence[View]) -> dict[str, float]:
    """Return the milliseconds that `AttitudeFilter.update` takes, on one core."""
    attitude, taken = AttitudeFilter(), []
    for view in frames:
        began = time.perf_counter()
        attitude.update(view.cones, ground, round(view.t * 1e9))
        taken.append((time.perf_counter() - began) * 1e3)
    return {'p50_ms': float(np.median(taken)), 'least_ms': float(np.min(taken)),
            'p99_ms': float(np.percentile(taken, 99)),
            'cones': float(np.mean([len(v.cones) for v in frames]))}


def measure(o: argparse.Namespace, segmenter: Any) -> dict[str, Any]:
    """Return the report of all drives."""
    moving, rigid = [], []
    for number in range(o.drives):
        for kind, moves in ((moving, True), (rigid, False)):
            kind.append(views(MovingDrive(SEED + number, moves=moves), o.seconds, segmenter))
            print(f'rendered: drive {number + 1}, {"moving" if moves else "rigid"}',
                  file=sys.stderr)
    report: dict[str, Any] = {'positions': {}, 'pitch': [], 'knocked': []}
    for name, drives in (('moving', moving), ('rigid', rigid)):
        both = {mode: np.concatenate([
            errors(ground, frames, None if mode == 'fixed' else follow(
                ground, frames, rates=measured_rates(frames) if mode == 'imu' else None))
            for ground, frames in drives]) for mode in ('fixed', 'cones', 'imu')}
        report['positions'][name] = {mode: by_distance(e) for mode, e in both.items()}
    frames = [view for _, some in moving for view in some]
    for most in _MOST:
        attitudes = [a for ground, some in moving for a in follow(ground, some, most)]
        count = np.array([a.cones for a in attitudes])
        named = ((f'{most} nearest', count >= 0),) if most < 1000 else (
            ('all', count >= 0), ('6 and more count', count >= 6))
        report['pitch'] += [{'cones': name, 'mean': float(count[which].mean()),
                             **pitch_row(frames, attitudes, which)} for name, which in named]
    attitudes = [a for ground, some in moving
                 for a in follow(ground, some, rates=measured_rates(some))]
    everything = np.ones(len(frames), bool)
    report['pitch'].append({'cones': 'all, and an IMU', 'mean': report['pitch'][-1]['mean'],
                            **pitch_row(frames, attitudes, everything)})
    report['warnings'] = {name: sum(bool(warned(follow(*drive))) for drive in drives)
                          for name, drives in (('moving', moving), ('rigid', rigid))}
    for number, sign in enumerate((1, -1)):
        drive = MovingDrive(SEED + number, knock=(_KNOCK_S, sign * _KNOCK_DEG))
        ground, some = views(drive, _KNOCK_S + 4, segmenter)
        after = [k / HZ - _KNOCK_S for k in warned(follow(ground, some))]
        report['knocked'].append({'degrees': sign * _KNOCK_DEG,
                                  'warned_after_s': after[0] if after else None})
    report['time'] = times(*max(moving, key=lambda d: sum(len(v.cones) for v in d[1])))
    return report


def show(report: dict[str, Any]) -> None:
    """Print the tables."""
    for name, modes in report['positions'].items():
        print(f'\n{name}: error of positions\n{"":<14}{"cones":>7}'
              + ''.join(f'{f"{mode}: median":>16}{"p90":>9}{"in 2 sigma":>12}' for mode in modes))
        for rows in zip(*modes.values()):
            print(f'{"{} to {} m".format(*rows[0]["metres"]):<14}{rows[0]["cones"]:>7}'
                  + ''.join(f'{100 * r["median"]:>14.2f} %{100 * r["p90"]:>7.1f} %'
                            f'{100 * r["within_two_sigma"]:>10.1f} %' for r in rows))
    print(f'\n{"moving: cones":<20}{"mean":>6}{"frames":>8}' + ''.join(
        f'{axis + ": median":>15}{"p95":>8}{"stated":>8}{"in 2 sigma":>12}'
        for axis in ('pitch', 'roll')))
    for row in report['pitch']:
        print(f'{row["cones"]:<20}{row["mean"]:>6.1f}{row["frames"]:>8}' + ''.join(
            f'{row[a]["median"]:>14.3f}°{row[a]["p95"]:>7.3f}°{row[a]["stated"]:>7.3f}°'
            f'{100 * row[a]["within_two_sigma"]:>10.1f} %' for a in ('pitch', 'roll')))
    print('\nUndisturbed drives with a warning: ' + ', '.join(
        f'{count} {name}' for name, count in report['warnings'].items()))
    for row in report['knocked']:
        after = row['warned_after_s']
        print(f'Knocked by {row["degrees"]:+.0f}°: '
              + ('no warning' if after is None else f'warning after {after:.2f} s'))
    print('update of {cones:.0f} cones, one core: p50 {p50_ms:.2f} ms, p99 {p99_ms:.2f} ms, '
          'least {least_ms:.2f} ms'.format(**report['time']))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure from the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description='Measure what the attitude from cones does for positions.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--weights', default=DEFAULT_WEIGHTS, help="'' for true masks")
    parser.add_argument('--drives', type=int, default=4, help='tracks, each another one')
    parser.add_argument('--seconds', type=float, default=10.0, help='of each drive')
    parser.add_argument('--json', type=Path, help='file to write the report to')
    o, segmenter = parser.parse_args(arguments), None
    try:
        if o.drives < 1 or not 1 <= o.seconds <= 30:
            raise ValueError('--drives must be at least 1 and --seconds from 1 to 30.')
        if o.json and o.json.exists():
            raise ValueError(f'{o.json} exists: choose another file, or remove it first.')
        if o.weights:
            from eunet_ros.model import Segmenter
            segmenter = Segmenter(o.weights)
        cv2.setNumThreads(1)
        print(f'Machine\n{machine_lines()}\n{o.drives} drives of {o.seconds:g} s, {HZ:g} Hz, '
              f'masks: {o.weights or "true"}')
        report = measure(o, segmenter)
        if o.json:
            write_json(o.json, report)
    except (ValueError, OSError, EngineError) as error:
        print(f'attitude: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('attitude: interrupted, nothing was written.', file=sys.stderr)
        return 130
    finally:
        if segmenter:
            segmenter.close()
    show(report)
    return 0


if __name__ == '__main__':
    sys.exit(main())
