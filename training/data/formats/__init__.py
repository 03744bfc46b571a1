# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The formats of data sets, one module each; `registry` has their names."""
from eunet_ros.training.data.formats.registry import format_module, FORMATS, open_sets, RENDERED

__all__ = ['FORMATS', 'RENDERED', 'format_module', 'open_sets']
