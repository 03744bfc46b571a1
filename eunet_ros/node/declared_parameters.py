# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of `parameters.py` as ROS parameters of a node."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from eunet_ros.parameters import check_names, NodeParameters, SPECS
from eunet_ros.ros.parameter_file import FOREIGN
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node


def refuse_unknown(node: Node, known: Collection[str]) -> None:
    """Raise ValueError for an unknown parameter, which ROS ignores silently."""
    check_names({n for n in getattr(node, '_parameter_overrides', {})
                 if not n.startswith(FOREIGN)}, known)


def declare(node: Node) -> NodeParameters:
    """Declare all parameters and return the values; raises ValueError, ParameterException."""
    refuse_unknown(node, SPECS)
    values = {}
    for spec in fields(NodeParameters):
        meta = spec.metadata
        descriptor = ParameterDescriptor(
            description=meta['description'], read_only=not meta['live'],
            dynamic_typing=isinstance(spec.default, float),  # NodeParameters converts integers
            additional_constraints=(
                f'One of: {", ".join(meta["choices"])}' if meta['choices'] else ''))
        low, high = meta['minimum'], meta['maximum']
        if isinstance(spec.default, float) and low is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif type(spec.default) is int and low is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        values[spec.name] = node.declare_parameter(spec.name, spec.default, descriptor).value
    return NodeParameters(**values)
