# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The folder of a run.

config.json, run.json (data, architecture, versions), split.json (of a project), logs*/
(metrics.csv, TensorBoard), last.ckpt and best.ckpt (Lightning), panel.png (images, truth and
prediction), curves.png, and <variant>.safetensors, which the node loads.
"""
from __future__ import annotations

from dataclasses import asdict, replace
import json
from pathlib import Path
import pickle
from typing import Any

from eunet_ros.model.checkpoint import Checkpoint, NO_THRESHOLDS
from eunet_ros.model.common.classes import ClassTable
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.eunet import EUnet, get_variant, Variant
from eunet_ros.training.config import TrainConfig
import torch

CONFIG, RUN, SPLIT = 'config.json', 'run.json', 'split.json'
LAST, BEST = 'last.ckpt', 'best.ckpt'
# Paths of this machine.
_PRIVATE = ('output', 'cache', 'weights', 'data', 'hard_images', 'split', 'resume')


def new_folder(path: Path) -> Path:
    """Make the folder, or path_2, path_3 … where it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    candidate, number = path, 1
    while True:
        try:
            candidate.mkdir()
            return candidate
        except FileExistsError:
            number += 1
            candidate = path.with_name(f'{path.name}_{number}')


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f'{folder} is not the folder of a run: its {name} cannot be read '
                         f'({one_line(error)}).') from error
    if not isinstance(content, dict):
        raise ValueError(f'{folder} is not the folder of a run: its {name} is not a JSON object.')
    return content


def read_run_config(folder: Path) -> TrainConfig:
    """Return the configuration of a run; raises ValueError."""
    try:
        return replace(TrainConfig(**_read_json(folder, CONFIG)), resume='')
    except TypeError as error:
        raise ValueError(f'{folder / CONFIG} is of another version: {error}.') from error


def _architecture(config: TrainConfig, run: dict[str, Any]) -> Variant:
    try:
        return Variant(**run.get('architecture', get_variant(config.variant).to_dict()))
    except TypeError as error:
        raise ValueError(f"The run's architecture in {RUN} is of another version: {error}."
                         ) from error


def _load(path: Path) -> dict[str, Any]:
    """Load one of Lightning's checkpoints; nothing in it runs as code."""
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(f'Cannot read the weights in {path}: {one_line(error)}.') from error


def read_interrupted(folder: Path) -> tuple[TrainConfig, int]:
    """Return the configuration to resume a run, and the steps done; raises ValueError."""
    config, run = read_run_config(folder), _read_json(folder, RUN)
    if not (folder / LAST).is_file():
        raise ValueError(f'{folder} holds no {LAST}: the run was interrupted before it saved '
                         'anything. Start a new run.')
    step = int(_load(folder / LAST)['global_step'])
    if (folder / SPLIT).is_file():
        config = replace(config, split=str(folder / SPLIT),
                         border=run['training'].get('border', config.border))
    # Of the weights from which the run started.
    architecture = _architecture(config, run)
    return replace(config, weights='', gate=architecture.gate, attention=architecture.attention,
                   norm=architecture.norm), step


def describe(config: TrainConfig, data: dict[str, Any],
             started_from: dict[str, Any] | None) -> dict[str, Any]:
    """Return the description of the training in a checkpoint, without paths of this machine."""
    fields = {k: v for k, v in asdict(config).items() if k not in _PRIVATE}
    return {**data, 'config': fields,
            **({} if started_from is None else {'started from': started_from})}


def run_checkpoint(folder: Path) -> Checkpoint:
    """Return the best weights of a run, or its last; raises ValueError if there are none."""
    config, run = read_run_config(folder), _read_json(folder, RUN)
    path = next((folder / n for n in (BEST, LAST) if (folder / n).is_file()), None)
    if path is None:
        raise ValueError(f'{folder} holds neither {BEST} nor {LAST}: the run has not saved '
                         'any weights yet.')
    state = _load(path)
    try:
        classes = ClassTable.from_list(run['classes'])
        network = EUnet(classes.num_logits, _architecture(config, run))
        network.load_state_dict({
            k.removeprefix('network.'): v for k, v in state['state_dict'].items()
            if k.startswith('network.')}, strict=True)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f'Cannot use the weights in {path}: {one_line(error)}.') from error
    scores = {k: round(v, 4) for k, v in state.get('eunet_scores', {}).items()}
    return Checkpoint(
        network.eval(), config.variant, classes, (config.height, config.width),
        training={**run['training'], 'step': state['global_step']},
        scores={'validation crops': scores} if scores else {},
        strip_size=tuple(run['strip_size']) if run.get('strip_size') else None,
        thresholds=tuple(run.get('thresholds', NO_THRESHOLDS)))
