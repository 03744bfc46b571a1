# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of `parameters.py` as ROS parameters of a node."""
from __future__ import annotations

from dataclasses import fields

from eunet_ros.parameters import check_names, NodeParameters
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

_FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


def declare(node: Node) -> NodeParameters:
    """
    Declare every parameter of the node, with description and range, and return the values.

    Raises ValueError or rclpy's ParameterException where one is unknown or wrong.
    """
    # Overrides of undeclared parameters are silently ignored by ROS: a typo would run with a
    # default.
    given = {n for n in getattr(node, '_parameter_overrides', {})
             if not n.startswith(_FOREIGN)}
    check_names(given)
    values = {}
    for spec in fields(NodeParameters):
        meta = spec.metadata
        descriptor = ParameterDescriptor(
            description=meta['description'], read_only=not meta['live'],
            additional_constraints=(
                f'One of: {", ".join(meta["choices"])}' if meta['choices'] else ''))
        low, high = meta['minimum'], meta['maximum']
        if isinstance(spec.default, float) and low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=low, to_value=high)]
        elif type(spec.default) is int and low is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        values[spec.name] = node.declare_parameter(
            spec.name, spec.default, descriptor).value
    return NodeParameters(**values)
