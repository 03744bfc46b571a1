# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Play a bag into the node, record its outputs, and report; `--show-args` lists the arguments.

It needs ros2 bag; `ros2 run eunet_ros evaluate_bag BAG --live` does the same without it.
"""
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import signal
import tempfile

from ament_index_python.packages import get_package_share_directory
from eunet_ros.ros import argument_values as read
from eunet_ros.ros.camera_topic import compressed_topic, named_compressed
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import SignalProcess
from launch_ros.actions import Node
import yaml

SHARE = Path(get_package_share_directory('eunet_ros'))
LAST_MASKS_S = 3.0      # wait for masks after the last image
SETTLE_S = 2.0          # wait until the node has found the recorder
NODE_S = 600            # wait for the node, which may build an engine
RECORDED = ('mask', 'camera_info', 'cones', 'cone_markers')

# Name, default, description.
ARGUMENTS = (
    ('bag', '', 'The rosbag2 to play: its folder.'),
    ('output', 'replay', 'Folder of the report; the recording goes to <output>_recording.'),
    ('image_topic', '/camera/image_raw', "Topic of the camera's images, also with /compressed."),
    ('image_transport', 'raw', 'raw, or compressed for a bag with <image_topic>/compressed.'),
    ('weights', '', 'Weights: path of a .safetensors file, or the name of shipped ones.'),
    ('engine', '', 'Engine that runs the network: auto or a name.'),
    ('params_file', str(SHARE / 'config' / 'segmentation.yaml'), 'YAML file of parameters.'),
    ('player', 'own', 'own: play_bag of this package, which waits for the node; ros2: ros2 bag '
                      'play, which begins after `delay`.'),
    ('delay', '20.0', 'Seconds that ros2 bag play waits for the node to be ready.'),
    ('rate', '1.0', 'Speed of the replay.'),
    ('start', '0.0', 'Begin so many seconds into the bag.'),
    ('clock', 'true', 'true: publish /clock and let the node use it (use_sim_time).'),
    ('qos', str(SHARE / 'config' / 'replay_qos.yaml'), 'QoS overrides for ros2 bag.'),
    ('report', 'true', 'false: record only, and evaluate later with evaluate_bag --recording.'),
    ('dds_profile', '', 'Your own Fast DDS profile; empty: the one for large images.'),
)
TOPICS = ('/camera/image_raw', '/camera/camera_info')  # that the QoS file names


def _qos_file(path, image_topic, info_topic):
    """Return the path of the QoS overrides with the names of these topics in them."""
    try:
        profiles = yaml.safe_load(Path(path).read_text())   # with aliases, as ros2 bag reads it
        if not isinstance(profiles, dict) or not all(isinstance(t, str) for t in profiles):
            raise ValueError('it is no mapping of topics')
    except (OSError, ValueError, yaml.YAMLError) as error:
        words = ' '.join(str(error).split())
        raise ValueError(f'Expected a YAML file of QoS overrides for ros2 bag in {path}, but '
                         f'{words}.') from error
    if (image_topic, info_topic) == TOPICS:
        return path
    renamed = {ours + end: theirs + end for end in ('', '/compressed')
               for ours, theirs in zip(TOPICS, (image_topic, info_topic))}
    named = {renamed.get(topic, topic): profile for topic, profile in profiles.items()}
    with tempfile.NamedTemporaryFile('w', prefix='replay_qos_', suffix='.yaml',
                                     delete=False) as file:
        yaml.safe_dump(named, file)
    return file.name


def _actions(context):
    given = {name: context.launch_configurations[name].strip() for name, _, _ in ARGUMENTS}
    if not (shutil.which('ros2') and find_spec('ros2bag')):
        raise ValueError('This launch file records with ros2 bag, which is not installed: install '
                         'it, or run ros2 run eunet_ros evaluate_bag BAG --live without it.')
    if not given['bag']:
        raise ValueError('Name the bag to play: bag:=/path/to/drive.')
    bag, output = (os.path.abspath(os.path.expanduser(given[n])) for n in ('bag', 'output'))
    if not os.path.exists(bag):
        raise ValueError(f'There is no bag at {bag}: give the folder of a rosbag2.')
    recording = f'{output}_recording'
    if os.path.exists(recording):
        raise ValueError(f'{recording} exists: choose another output, or move it away.')
    topic = given['image_topic'].removesuffix('/compressed')
    transport = read.choice('image_transport', given['image_transport'], ('raw', 'compressed'))
    compressed = transport == 'compressed' or named_compressed(given['image_topic'])
    images = compressed_topic(topic) if compressed else topic
    info = f'{topic.rpartition("/")[0]}/camera_info'
    rate, start = read.number('rate', given['rate'], 0.01, 100), read.number(
        'start', given['start'], 0, 1e9)
    delay = read.number('delay', given['delay'], 0, 3600)
    clock = read.boolean('clock', given['clock'])
    qos = _qos_file(read.file('qos', given['qos']), topic, info)
    environment = read.dds_settings(given['dds_profile'])
    params_file = read.file('params_file', given['params_file'])
    with_report = read.boolean('report', given['report'])
    overrides = {'image_transport': 'compressed' if compressed else 'raw', 'use_sim_time': clock}
    overrides.update({name: given[name] for name in ('weights', 'engine') if given[name]})
    node = Node(
        package='eunet_ros', executable='segmentation_node', name='eunet', output='screen',
        additional_env=environment, parameters=[params_file, overrides],
        remappings=[('image', topic), ('image/compressed', compressed_topic(topic)),
                    ('camera_info', info)])
    wanted = '|'.join([f'/eunet/({"|".join(RECORDED)})', '/diagnostics', images, info])
    recorder = ExecuteProcess(
        cmd=['ros2', 'bag', 'record', '-o', recording, '--qos-profile-overrides-path', qos,
             '-e', f'^({wanted})$'], output='screen', additional_env=environment)
    if read.choice('player', given['player'], ('own', 'ros2')) == 'own':
        player = Node(
            package='eunet_ros', executable='play_bag', output='screen',
            additional_env=environment,
            arguments=[bag, '--image-topic', images, '--publish-as', topic, '--rate', f'{rate:g}',
                       '--start', f'{start:g}', '--wait-for-subscribers', str(NODE_S),
                       '--wait-for-recorder-of', f'/eunet/{RECORDED[0]}', '--delay',
                       str(SETTLE_S), *(['--clock'] if clock else [])])
    else:
        player = ExecuteProcess(
            cmd=['ros2', 'bag', 'play', bag, '--rate', f'{rate:g}', '--start-offset',
                 f'{start:g}', *(['--delay', f'{delay:g}'] if delay else []),  # it refuses 0
                 '--qos-profile-overrides-path', qos,
                 *(['--clock', '100'] if clock else []), '--topics', images, info],
            output='screen', additional_env=environment)
    report = ExecuteProcess(
        cmd=['ros2', 'run', 'eunet_ros', 'evaluate_bag', bag, '--recording', recording,
             '--image-topic', images, '--output', output, '--params-file', params_file,
             *(['--weights', given['weights']] if given['weights'] else [])], output='screen')
    end = [Shutdown(reason='the replay is done')]
    stop = EmitEvent(event=SignalProcess(signal_number=signal.SIGINT,
                                         process_matcher=matches_action(recorder)))
    played = []

    def on_player(event):
        _expect(event.returncode == 0, 'The player failed', event)
        played.append(True)
        return [TimerAction(period=LAST_MASKS_S, actions=[stop])]

    def on_recorder(event):
        _expect(played, 'ros2 bag record ended before the player', event)
        return [report] if with_report else end

    def on_report(event):
        _expect(event.returncode == 0, 'evaluate_bag failed', event)
        return end

    def on_node(event):
        _expect(False, 'The node ended before the replay was done', event)
    return [*(RegisterEventHandler(OnProcessExit(target_action=process,
                                                 on_exit=_unless_shut_down(on_exit)))
              for process, on_exit in ((player, on_player), (recorder, on_recorder),
                                       (report, on_report), (node, on_node))),
            recorder, node, player]


def _expect(holds, otherwise, event):
    """Raise RuntimeError unless it holds: ros2 launch ends all processes and exits with 1."""
    if not holds:
        raise RuntimeError(f'{otherwise}: exit code {event.returncode}.')


def _unless_shut_down(handler):
    """Return a handler that does nothing while launch shuts down all processes."""
    return lambda event, context: None if context.is_shutdown else handler(event)


def generate_launch_description():
    """Return the description that `ros2 launch` asks for."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        OpaqueFunction(function=_actions),
    ])
