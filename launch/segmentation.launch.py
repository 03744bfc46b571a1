# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start the node `eunet` on a camera; `--show-args` lists the arguments."""
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from eunet_ros.parameters import SPECS
from eunet_ros.ros import argument_values as read
from eunet_ros.ros.camera_topic import compressed_topic
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('eunet_ros'))

# Parameters of the node that are arguments; an empty one leaves the value to the parameter file.
PARAMETERS = {name: spec for name, spec in SPECS.items() if spec.metadata['launch']}
# Name, default, description.
ARGUMENTS = (
    ('image_topic', '/camera/image_raw',
     "Topic of the camera's images; with compressed images any name that carries them."),
    ('camera_info_topic', '',
     'Topic of the CameraInfo; empty: camera_info beside the image topic.'),
    *((name, '', spec.metadata['description']) for name, spec in PARAMETERS.items()),
    ('namespace', '', 'Namespace of the node; its outputs are <namespace>/eunet/…'),
    ('params_file', str(SHARE / 'config' / 'segmentation.yaml'), 'YAML file of parameters.'),
    ('log_level', 'info',
     "Level of the log: debug (the node's decisions), info, warn, error or fatal."),
    ('respawn', 'false', 'true: start the node again a second after it ended by itself.'),
    ('rviz', 'false', 'true: also start RViz with the overlay and the mask.'),
    ('dds_profile', '',
     'Your own Fast DDS profile; empty: the one for large images.'),
)
# At level debug these loggers write sixty lines a second, which would hide the node's.
QUIET = ('rcl:=info', 'rmw_fastrtps_cpp:=info')


def _convert(name, text):
    kind = type(PARAMETERS[name].default)
    if kind is bool:
        return read.boolean(name, text)
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(
            f'The argument {name} must be a whole number, found {text!r}.') from error


def _nodes(context):
    given = {name: context.launch_configurations[name].strip() for name, _, _ in ARGUMENTS}
    topic = given['image_topic']
    space, slash, _ = topic.removesuffix('/compressed').rpartition('/')
    overrides = {name: _convert(name, given[name]) for name in PARAMETERS if given[name]}
    environment = read.dds_settings(given['dds_profile'])
    parameters = [read.file('params_file', given['params_file'])]
    levels = [given['log_level'], *(QUIET if given['log_level'] == 'debug' else ())]
    nodes = [Node(
        package='eunet_ros', executable='segmentation_node', name='eunet',
        namespace=given['namespace'], output='screen', additional_env=environment,
        parameters=parameters + ([overrides] if overrides else []),
        remappings=[
            ('image', topic),
            ('image/compressed', compressed_topic(topic)),
            ('camera_info', given['camera_info_topic'] or f'{space}{slash}camera_info')],
        respawn=read.boolean('respawn', given['respawn']), respawn_delay=1.0,
        ros_arguments=[part for level in levels for part in ('--log-level', level)])]
    if read.boolean('rviz', given['rviz']):
        nodes.append(Node(
            package='rviz2', executable='rviz2', output='screen', additional_env=environment,
            arguments=['-d', str(SHARE / 'config' / 'segmentation.rviz')]))
    return nodes


def generate_launch_description():
    """Return the description that `ros2 launch` asks for."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        OpaqueFunction(function=_nodes),
    ])
