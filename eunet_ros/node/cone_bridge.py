# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Publish the cones of the node `eunet` as the messages of a driverless stack.

    ros2 run eunet_ros cone_bridge --ros-args -p stack:=eufs_msgs -r stack_cones:=/cones

The stack's message package must be installed; config/cone_messages.yaml says how cones become its
messages, and the parameter `config` names another file.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
import sys
from typing import Any

from eunet_ros.cones.messages import read_points
from eunet_ros.model.common.classes import cone_classes
from eunet_ros.model.common.errors import sentence
from eunet_ros.model.common.files import user_path
from eunet_ros.node.cone_publisher import LABELS
from eunet_ros.node.cone_stacks import read_stacks, stack_message
from eunet_ros.node.declared_parameters import refuse_unknown
from eunet_ros.node.outputs import latched, OUTPUTS
from eunet_ros.ros import process
from eunet_ros.ros.message_classes import message_class
import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

PARAMETERS = {'stack': "The stack whose messages are published. Default: 'fs_msgs'.",
              'config': 'File of stacks; empty: config/cone_messages.yaml of this package.'}


def installed(name: str) -> Any:
    """Return the class of a message; raises ValueError where its package is not installed."""
    try:
        return message_class(name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f'{name} cannot be imported ({error}): install and source the '
                         'package.') from error


class StackNode(Node):
    """A node with the parameters `stack` and `config`; raises ValueError."""

    def __init__(self, name: str, parameters: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        refuse_unknown(self, parameters)
        name = self.declare_parameter('stack', 'fs_msgs').value
        path = self.declare_parameter('config', '').value
        stacks = read_stacks(user_path(path) if path else None)
        if name not in stacks:
            raise ValueError(f'The parameter stack must be one of {", ".join(stacks)}, found '
                             f'{name!r}.')
        self.stack, self.names = stacks[name], dict(enumerate(cone_classes().names))  # by id
        self.kind = installed(self.stack.type)
        installed(self.stack.cone)
        try:  # what the node publishes names its classes; without vision_msgs it cannot
            self._labels = self.create_subscription(
                message_class(OUTPUTS[LABELS].kind), f'eunet/{LABELS}', self._on_labels,
                latched())
        except (ImportError, AttributeError):
            pass

    def _on_labels(self, info: Any) -> None:
        self.names = {label.class_id: label.class_name for label in info.class_map}


class ConeBridge(StackNode):
    """Subscribes to eunet/cones and publishes stack_cones; raises ValueError, in a sentence."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('cone_bridge', PARAMETERS, **kwargs)
        self._publisher = self.create_publisher(self.kind, 'stack_cones', 5)
        self._subscription = self.create_subscription(
            PointCloud2, 'eunet/cones', self._on_cones, 5)

    def _on_cones(self, cloud: PointCloud2) -> None:
        self._publisher.publish(stack_message(
            message_class, self.stack, cloud.header, read_points(cloud), self.names))


def run_node(name: str, description: str, parameters: Mapping[str, str],
             make: Callable[[], Node], args: list[str] | None = None) -> int:
    """Run a node until SIGINT or SIGTERM; returns the exit code."""
    node = None
    given = sys.argv if args is None else args
    process.check_arguments(given, name, description, parameters)
    try:
        process.initialise(given)
        node = make()
        process.warn_of_unused_files(node, given)
        process.only_note_signals()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (ValueError, OSError, ParameterException) as error:
        process.complain(f'{name}: {sentence(error)}')
        return 1
    finally:
        process.only_note_signals()
        if node:
            node.destroy_node()
        process.shut_down()
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the bridge until SIGINT or SIGTERM; returns the exit code."""
    return run_node('cone_bridge', 'Publish eunet/cones as the messages of a driverless stack on '
                    'stack_cones.', PARAMETERS, ConeBridge, args)
