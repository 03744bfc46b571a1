# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Show what each randomisation of the renderer brings: train without it, score on other scenes.

    python benchmarks/randomisation.py --steps 2000
    python benchmarks/randomisation.py --only everything 'no clutter' --steps 200

Every contender gets as many scenes and steps from the same random weights; the scenes that score
them are the benchmark's, with everything in them. The weights stay in a folder, to be scored on
labelled photographs with training/evaluate.py.
"""
from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
import sys

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _contest import (  # noqa: E402
    Contender,
    run_contest,
    score_columns,
    SCORE_HEAD,
)
from _machine import machine_lines  # noqa: E402
from eunet_ros.training.config import TrainConfig  # noqa: E402
from eunet_ros.training.renderer.profiles import Profile, TRAIN  # noqa: E402
from eunet_ros.training.run_folder import new_folder  # noqa: E402

_ONE_CAMERA = {
    'mount_height': (0.9, 1.1), 'pitch_deg': (4.0, 6.0), 'roll_deg': (0.0, 0.0), 'canted': 0.0,
    'hfov_deg': (85.0, 90.0), 'telephoto': 0.0, 'k1': (0.0, 0.0), 'principal_shift': 0.0}
_CLEAN_SENSOR = {
    'exposure_stops': (0.0, 0.0), 'gamma': (1.0, 1.0), 'contrast': (1.0, 1.0),
    'saturation': (1.0, 1.0), 'white_balance': 0.0, 'motion_blur': 0.0, 'defocus': (0.0, 0.0),
    'read_noise': (0.0, 0.0), 'shot_noise': (0.0, 0.0), 'vignette': (0.0, 0.0), 'flare': 0.0,
    'glare': 0.0, 'smudges': 0.0, 'bayer': 0.0, 'rescale': 0.0, 'sharpen': 0.0, 'jpeg': 0.0}
_ONE_LIGHT = {
    'sun_elevation_deg': (40.0, 45.0), 'overcast': 0.0, 'sun_strength': (0.6, 0.65),
    'clear_clouds': (0.2, 0.3), 'haze_per_m': (0.0, 0.0), 'tint': 0.0, 'strong_tint': 0.0,
    'wet': 0.0, 'shaded': 0.0, 'indoor': 0.0}
WITHOUT: dict[str, Profile] = {
    'everything': TRAIN,
    'no clutter': replace(TRAIN, far_props=(0, 0), near_props=(0, 0), marks=(0, 1), own_car=0.0,
                          oddments=0.0),
    'one light': replace(TRAIN, **_ONE_LIGHT),
    'one camera': replace(TRAIN, **_ONE_CAMERA),
    'clean sensor': replace(TRAIN, **_CLEAN_SENSOR),
    'tracks only': replace(TRAIN, layouts={'track': 0.91, 'none': 0.09}),
    'new cones': replace(TRAIN, hue_jitter=0.0, fade=(0.0, 0.0), dirt=(0.0, 0.0),
                         sticker_missing=0.0, sticker_damaged=0.0, dented=0.0, lettered=0.0,
                         knocked_over=0.0, tilted=0.0),
    'one ground': replace(TRAIN, surfaces={'asphalt': 1.0}, textures=(0,), backdrops=(0,),
                          ground_tone=(0.0, 0.0), second_surface=0.0, indoor=0.0),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, score and print; returns the exit code."""
    parser = argparse.ArgumentParser(description='What each randomisation brings.')
    parser.add_argument('--only', nargs='+', choices=list(WITHOUT), default=list(WITHOUT))
    parser.add_argument('--images', type=int, default=2500)
    parser.add_argument('--steps', type=int, default=2000)
    parser.add_argument('--scenes', type=int, default=200, help='of the benchmark, to score on')
    parser.add_argument('--cache', default='runs/cache', help='folder of the rendered scenes')
    parser.add_argument('--output', type=Path, default=Path('runs/randomisation'))
    o = parser.parse_args(arguments)
    try:
        if o.scenes < 1:
            raise ValueError(f'--scenes must be at least 1, found {o.scenes}.')
        config = TrainConfig(
            images=o.images, steps=o.steps, validate_every=o.steps, augment=False, lr=7e-4,
            warm_up=0.1, cone_weight=1.0, color_weight=0.5, cache=o.cache)
        folder = new_folder(o.output)
    except (ValueError, OSError) as error:
        print(f'randomisation: {error}', file=sys.stderr)
        return 1
    print(f'{o.images} scenes, {o.steps} steps each, scored on {o.scenes} benchmark scenes.')
    print(f'{machine_lines()}\n\n{"":<16}{SCORE_HEAD}')
    contenders = [Contender(name, profile=WITHOUT[name]) for name in o.only]
    return run_contest('randomisation', contenders, config, 0, o.scenes, folder,
                       lambda row: f'{row["name"]:<16}{score_columns(row)}')


if __name__ == '__main__':
    sys.exit(main())
