# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines that run a network: `registry` lists them, `base` defines their interface."""
from eunet_ros.model.engines.base import (
    DeviceLostError,
    Engine,
    EngineError,
    EngineOptions,
    NotFiniteError,
    PRECISIONS,
    Segmentation,
)
from eunet_ros.model.engines.registry import (
    AUTO,
    check_engine_name,
    create_engines,
    engine_class,
    ENGINES,
)

__all__ = ['AUTO', 'ENGINES', 'PRECISIONS', 'DeviceLostError', 'Engine', 'EngineError',
           'EngineOptions', 'NotFiniteError', 'Segmentation', 'check_engine_name',
           'create_engines', 'engine_class']
