# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Start the node `eunet` on a camera; `--show-args` lists the arguments."""
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from eunet_ros.ros import argument_values as read
from eunet_ros.ros.camera_topic import compressed_topic
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

SHARE = Path(get_package_share_directory('eunet_ros'))

# Name, default, description. An empty default leaves the value to the parameter file.
ARGUMENTS = (
    ('image_topic', '/camera/image_raw',
     "Topic of the camera's images; with compressed images any name that carries them."),
    ('image_transport', '', 'raw, or compressed to subscribe to <image_topic>/compressed.'),
    ('camera_info_topic', '',
     'Topic of the CameraInfo; empty: camera_info beside the image topic.'),
    ('weights', '', 'Weights: path of a .safetensors file, or the name of shipped ones.'),
    ('variant', '', 'Variant that the weights must be of (eunet, eunet_s, eunet_n); empty: any.'),
    ('engine', '', 'Engine that runs the network: auto or a name.'),
    ('precision', '', 'Numbers the engine computes in: auto or a name.'),
    ('input_height', '', "Height of the network's input [px]; set with input_width."),
    ('input_width', '', "Width of the network's input [px]; set with input_height."),
    ('namespace', '', 'Namespace of the node; its outputs are <namespace>/eunet/…'),
    ('params_file', str(SHARE / 'config' / 'segmentation.yaml'), 'YAML file of parameters.'),
    ('log_level', 'info',
     "Level of the log: debug (the node's decisions), info, warn, error or fatal."),
    ('autostart', '', 'false: stay unconfigured until a lifecycle manager configures the node.'),
    ('respawn', 'false', 'true: start the node again a second after it ended by itself.'),
    ('rviz', 'false', 'true: also start RViz with the overlay and the mask.'),
    ('dds_profile', '',
     'Fast DDS profile of yours; empty: the one that keeps large images from being lost.'),
)
# Loggers that at level debug tell sixty things a second, between which the node's own are lost.
QUIET = ('rcl:=info', 'rmw_fastrtps_cpp:=info')
# Launch arguments that are parameters of the node, with their types.
PARAMETERS = {
    'image_transport': str, 'weights': str, 'variant': str, 'engine': str,
    'precision': str, 'input_height': int, 'input_width': int, 'autostart': bool,
}


def _convert(name, text):
    kind = PARAMETERS[name]
    if kind is bool:
        return read.boolean(name, text)
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(
            f'The argument {name} must be a whole number, found {text!r}.') from error


def _sibling(topic, name):
    """Return the topic `name` beside a topic: /camera/image_raw -> /camera/<name>."""
    space, slash, _ = topic.removesuffix('/compressed').rpartition('/')
    return f'{space}{slash}{name}'


def _nodes(context):
    given = {name: context.launch_configurations[name].strip() for name, _, _ in ARGUMENTS}
    topic = given['image_topic']
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
            ('camera_info', given['camera_info_topic'] or _sibling(topic, 'camera_info'))],
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
