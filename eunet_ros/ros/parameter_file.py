# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads ROS parameter files as rclpy (node.cpp) and rcl_yaml_param_parser (parse.c) do."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
import re
from typing import Any

from eunet_ros.model.common.files import PlainLoader, read_yaml
import yaml

_VALUES = 'ros__parameters'
_WORD = '!word'
_TRUE = {'Y', 'y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'}
_FALSE = {'N', 'n', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'}
_INTEGER = re.compile(r'\s*[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)')      # as strtoll
_FLOAT = re.compile(r'\s*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)',
                    re.IGNORECASE)                                               # as strtod
_SPECIAL = re.compile(r'[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)')
# Parameters of any node, not of ours.
FOREIGN = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class _Words(PlainLoader):
    """Interprets unquoted words as rcl does, and keys as text."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _WORD
        return super().resolve(kind, value, implicit)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {str(key.value): self.construct_object(value, deep=True)
                for key, value in node.value}


def _word(loader: _Words, node: yaml.ScalarNode) -> Any:
    if not node.value:
        raise yaml.YAMLError(f'expected a value in line {node.start_mark.line + 1}')
    return parsed(node.value)


_Words.add_constructor(_WORD, _word)


def parsed(text: str) -> bool | int | float | str:
    """Return the value of an unquoted word of a parameter file in rcl."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        digits = text.strip().lstrip('+-')
        base = 16 if digits[:2].lower() == '0x' else 8 if digits[0] == '0' else 10
        number = int(digits, base) * (-1 if '-' in text else 1)
        if -2 ** 63 <= number < 2 ** 63:
            return number
    if _SPECIAL.fullmatch(text):
        return float(text.replace('.', ''))
    number = float(text) if _FLOAT.fullmatch(text) else None
    if number is None or (abs(number) == float('inf') and 'i' not in text.lower()):  # too large
        return text
    return number


def read_parameter_file(path: Path) -> dict[str, dict[str, Any]]:
    """Return values by node name, perhaps with wildcards; raises ValueError or OSError."""
    try:
        content = read_yaml(path, _Words)
        found: dict[str, dict[str, Any]] = {}
        _collect({} if content is None else content, '', found)
    except ValueError as error:
        raise ValueError(f'{path} is not a parameter file of ROS: {error}.') from error
    return found


def _collect(content: Any, name: str, found: dict[str, dict[str, Any]]) -> None:
    if not isinstance(content, dict):
        raise ValueError(f'expected a mapping of node names{name and f" below {name}"}')
    for key, value in content.items():
        if key == _VALUES:
            if not name or not isinstance(value, dict):
                raise ValueError('expected ros__parameters as a mapping below a node name')
            _flatten(value, '', found.setdefault(name, {}))
        else:
            _collect(value, f'{name}/{key.lstrip("/")}', found)


def _flatten(values: Mapping[str, Any], prefix: str, out: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _flatten(value, f'{prefix}{key}.', out)
        else:
            out[f'{prefix}{key}'] = value


def matches(entry: str, node: str) -> bool:
    """Return whether an entry of a file is for a node, by its fully qualified name."""
    # As rclpy does it: * is a part of a name, ** any number of them, also none.
    return re.fullmatch(entry.replace('/*', r'(/\w+)'), node) is not None


def values_for(content: Mapping[str, Mapping[str, Any]], node: str) -> dict[str, Any]:
    """Return the values for a node; the last of several matching entries wins."""
    return {name: value for entry, given in content.items() if matches(entry, node)
            for name, value in given.items()}


def unused(path: Path, node: str, content: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a sentence if a file has no values for a node, else ''."""
    if any(matches(entry, node) for entry in content):
        return ''
    return (f'{path} has no parameters for the node {node}: expected an entry {node} or /**, '
            f'found {", ".join(content) or "none"}.')


def _node_named(content: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Return the full name of the one node that a file is for; raises ValueError for several."""
    found = {f'/{name}': values_for(content, f'/{name}')}
    for entry in content:
        space, _, last = entry.rpartition('/')
        if last in (name, '*', '**'):
            node = f'{space.replace("/**", "").replace("/*", "/any")}/{name}'
            found[node] = values_for(content, node)
    if len(found) > 1 and not any(f'/{name}' == entry for entry in content):
        # Values that hold for any node hold for these, too.
        named = {node: values for node, values in found.items() if values != found[f'/{name}']}
        found = named or found
    if any(values != next(iter(found.values())) for values in found.values()):
        raise ValueError(f'expected values for one node {name}, found different ones for '
                         f'{", ".join(sorted(found))}: leave one of them')
    return next(iter(found))


def read_values(path: Path, name: str, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return a file's values for a node in any namespace; raises ValueError or OSError."""
    content = read_parameter_file(path)
    try:
        node = _node_named(content, name)
    except ValueError as error:
        raise ValueError(f'{path}: {error}.') from error
    warning = unused(path, node, content)
    if warning:
        warn(warning)
    return {name: value for name, value in values_for(content, node).items()
            if not name.startswith(FOREIGN)}
