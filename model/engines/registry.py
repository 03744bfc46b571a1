# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines by name, and the choice among them."""
from __future__ import annotations

from collections.abc import Sequence
import importlib
from typing import TYPE_CHECKING

from eunet_ros.model.common.errors import unknown
from eunet_ros.model.engines.base import Engine, EngineError, EngineOptions, NoHardwareError

if TYPE_CHECKING:
    from eunet_ros.model.checkpoint import Checkpoint

# Fastest first: the order in which `auto` tries them. Each module is imported when it is tried.
ENGINES = {'tensorrt': 'TensorrtEngine', 'cuda': 'CudaEngine',
           'openvino': 'OpenvinoEngine', 'torch': 'TorchEngine'}
AUTO = 'auto'


def check_engine_name(name: str) -> None:
    """Raise ValueError, naming the nearest, where there is no engine of that name."""
    names = (AUTO, *ENGINES)
    if name not in names:
        raise ValueError(unknown('engine', name, names))


def engine_class(name: str) -> type[Engine]:
    """Return the class of an engine that runs here; raises ValueError or EngineError."""
    if name not in ENGINES:
        check_engine_name(name)
        raise ValueError(f'{name} stands for the first engine that works: name one.')
    module = importlib.import_module(f'{__package__}.{name}_engine')
    found = getattr(module, ENGINES[name])
    found.check_available()
    return found


def create_engines(name: str, checkpoint: Checkpoint,
                   options: Sequence[EngineOptions]) -> tuple[list[Engine], list[str]]:
    """Build an engine by name, or the first that works, for each of `options`; and failures."""
    check_engine_name(name)
    failures: list[str] = []
    for candidate in ENGINES if name == AUTO else (name,):
        try:
            kind = engine_class(candidate)
            return [kind(checkpoint, given) for given in options], failures
        except EngineError as error:
            if name != AUTO:
                raise
            if not isinstance(error, NoHardwareError):
                failures.append(str(error))
    raise EngineError(f'No engine works on this machine: {" ".join(failures)}')
