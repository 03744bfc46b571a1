# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The launch file against stand-ins for launch and launch_ros, which are not on the package index.

What it hands to them is checked here; that the real ones take it was checked with the sources of
launch and launch_ros of Humble, Jazzy and Rolling (see README.md).
"""
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

from eunet_ros.model.common.resources import share_file
from eunet_ros.parameters import SPECS
import pytest

PATH = share_file('launch/segmentation.launch.py')
SHARE = PATH.parents[1]


class Recorded:

    def __init__(self, *positional, **named):
        self.positional, self.named = positional, named


@pytest.fixture
def load(monkeypatch):
    def load_launch_file(distribution='jazzy'):
        monkeypatch.setenv('ROS_DISTRO', distribution)
        for name, members in {
                'ament_index_python': [], 'launch': ['LaunchDescription'], 'launch_ros': [],
                'launch.actions': ['DeclareLaunchArgument', 'OpaqueFunction'],
                'launch_ros.actions': ['Node']}.items():
            module = ModuleType(name)
            for member in members:
                setattr(module, member, type(member, (Recorded,), {}))
            monkeypatch.setitem(sys.modules, name, module)
        packages = ModuleType('ament_index_python.packages')
        packages.get_package_share_directory = lambda name: str(SHARE)
        monkeypatch.setitem(sys.modules, 'ament_index_python.packages', packages)
        for variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
            monkeypatch.delenv(variable, raising=False)
        spec = importlib.util.spec_from_file_location('segmentation_launch', PATH)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return load_launch_file


def nodes(module, **given):
    *arguments, function = module.generate_launch_description().positional[0]
    values = {a.positional[0]: a.named['default_value'] for a in arguments}
    assert set(given) <= set(values)
    context = SimpleNamespace(launch_configurations={**values, **given})
    return [n.named for n in function.named['function'](context)]


def test_every_argument_is_explained(load):
    *arguments, _ = load().generate_launch_description().positional[0]
    assert arguments and all(len(a.named['description']) > 15 for a in arguments)


def test_defaults_leave_everything_to_the_parameter_file(load):
    [node] = nodes(load())
    assert node['parameters'] == [str(SHARE / 'config' / 'segmentation.yaml')]
    assert dict(node['remappings']) == {
        'image': '/camera/image_raw', 'image/compressed': '/camera/image_raw/compressed',
        'camera_info': '/camera/camera_info'}
    assert (node['name'], node['executable']) == ('eunet', 'segmentation_node')


def test_arguments_override_with_the_parameters_types(load):
    [node] = nodes(load(), weights='/w.safetensors', input_height='384', input_width='640',
                   autostart='False', image_topic='/front/image', image_transport='compressed')
    overrides = node['parameters'][1]
    assert overrides == {'weights': '/w.safetensors', 'input_height': 384, 'input_width': 640,
                         'autostart': False, 'image_transport': 'compressed'}
    assert {n: type(v) for n, v in overrides.items()} == {
        n: type(SPECS[n].default) for n in overrides}
    assert dict(node['remappings'])['camera_info'] == '/front/camera_info'


@pytest.mark.parametrize('topic, compressed, info', [
    ('/cam/image/compressed', '/cam/image/compressed', '/cam/camera_info'),
    ('/pylon/image_compressed', '/pylon/image_compressed', '/pylon/camera_info'),
    ('image', 'image/compressed', 'camera_info')])
def test_a_topic_of_compressed_images_is_taken_as_it_is(load, topic, compressed, info):
    [node] = nodes(load(), image_topic=topic, image_transport='compressed')
    assert dict(node['remappings']) == {
        'image': topic, 'image/compressed': compressed, 'camera_info': info}


@pytest.mark.parametrize('distribution, variable', [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTDDS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_dds_profile(load, distribution, variable, tmp_path):
    module, mine = load(distribution), tmp_path / 'mine.xml'
    mine.write_text('<profiles/>')
    for none in ('none', ''):      # the node would take the same one by itself
        assert nodes(module, dds_profile=none)[0]['additional_env'] == {
            variable: str(SHARE / 'config' / 'fastdds_large_images.xml')}
    assert nodes(module, dds_profile=str(mine))[0]['additional_env'] == {variable: str(mine)}


def test_a_profile_of_the_users_own_wins(load, monkeypatch, tmp_path):
    module = load()
    (tmp_path / 'mine.xml').write_text('<profiles/>')
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', str(tmp_path / 'mine.xml'))
    assert nodes(module)[0]['additional_env'] == {}


def test_the_home_in_paths(load, monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    for name in ('mine.yaml', 'mine.xml'):
        (tmp_path / name).write_text('')
    [node] = nodes(load(), params_file='~/mine.yaml', dds_profile='~/mine.xml')
    assert node['parameters'] == [str(tmp_path / 'mine.yaml')]
    assert list(node['additional_env'].values()) == [str(tmp_path / 'mine.xml')]


def launched(entities, configurations, described):
    """Return the nodes of included launch files, with the scopes of launch."""
    found = []
    for entity in entities:
        if type(entity).__name__ == 'GroupAction':
            found += launched(entity.positional[0], dict(configurations), described)
        else:
            configurations.update(entity.named['launch_arguments'])
            *arguments, function = described
            for a in arguments:
                configurations.setdefault(a.positional[0], a.named['default_value'])
            found += function.named['function'](
                SimpleNamespace(launch_configurations=configurations))
    return [getattr(node, 'named', node) for node in found]


def test_two_cameras_as_the_page_shows(load, monkeypatch):
    described = load().generate_launch_description().positional[0]
    code = (SHARE / 'docs' / 'parameters.md').read_text().partition('```python\n')[2]
    for name, members in {
            'launch.actions': ['GroupAction', 'IncludeLaunchDescription'],
            'launch.launch_description_sources': ['PythonLaunchDescriptionSource'],
            'launch.substitutions': ['PathJoinSubstitution'],
            'launch_ros.substitutions': ['FindPackageShare']}.items():
        module = sys.modules.get(name) or ModuleType(name)
        for member in members:
            setattr(module, member, type(member, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, module)
    shown = {}
    exec(code.partition('```')[0], shown)

    def cameras():
        return launched(shown['generate_launch_description']().positional[0], {}, described)
    left, right = cameras()
    assert [n['namespace'] for n in (left, right)] == ['left', 'right']
    assert [dict(n['remappings'])['image'] for n in (left, right)] == [
        '/left/image_raw', '/right/image_raw']
    assert left['parameters'][1:] == [{'image_transport': 'compressed'}]
    assert right['parameters'][1:] == []
    shown['GroupAction'] = lambda entities: entities[0]      # without groups it leaks
    assert cameras()[1]['parameters'][1:] == [{'image_transport': 'compressed'}]


def test_rviz_on_request(load):
    assert [n['package'] for n in nodes(load(), rviz='true')] == ['eunet_ros', 'rviz2']


def test_debug_is_not_drowned(load):
    [node] = nodes(load(), log_level='debug')
    assert node['ros_arguments'][:2] == ['--log-level', 'debug']
    assert 'rcl:=info' in node['ros_arguments']
    assert nodes(load(), log_level='warn')[0]['ros_arguments'] == ['--log-level', 'warn']


def test_respawn_on_request(load):
    assert [nodes(load(), respawn=text)[0]['respawn'] for text in ('false', 'true')] == [
        False, True]


@pytest.mark.parametrize('given, said', [
    ({'params_file': '/nowhere.yaml'}, 'params_file names /nowhere.yaml, which is not a file'),
    ({'dds_profile': '/nowhere.xml'}, 'dds_profile names /nowhere.xml, which is not a file'),
    ({'rviz': 'perhaps'}, "rviz must be .* found 'perhaps'"),
    ({'input_height': 'tall'}, "input_height must be .* found 'tall'")])
def test_wrong_values_end_in_a_sentence(load, given, said):
    with pytest.raises(ValueError, match=said):
        nodes(load(), **given)
