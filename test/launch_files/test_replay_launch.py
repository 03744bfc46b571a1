# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""replay.launch.py against stand-ins for launch and launch_ros; see test_launch.py."""
import importlib.util
from pathlib import Path
import sys
from types import ModuleType, SimpleNamespace

from eunet_ros.evaluation import options
from eunet_ros.model.common.resources import share_file
import pytest
import yaml

PATH = share_file('launch/replay.launch.py')
STAND_INS = {
    'ament_index_python': [], 'launch': ['LaunchDescription'], 'launch_ros': [],
    'launch.actions': ['DeclareLaunchArgument', 'EmitEvent', 'ExecuteProcess', 'OpaqueFunction',
                       'RegisterEventHandler', 'Shutdown', 'TimerAction'],
    'launch.event_handlers': ['OnProcessExit'], 'launch.events': [],
    'launch.events.process': ['SignalProcess'], 'launch_ros.actions': ['Node']}


class Recorded:

    def __init__(self, *positional, **named):
        self.positional, self.named = positional, named


@pytest.fixture
def module(monkeypatch):
    for name, members in STAND_INS.items():
        stand_in = ModuleType(name)
        for member in members:
            setattr(stand_in, member, type(member, (Recorded,), {}))
        monkeypatch.setitem(sys.modules, name, stand_in)
    sys.modules['launch.events'].matches_action = lambda action: action
    packages = ModuleType('ament_index_python.packages')
    packages.get_package_share_directory = lambda name: str(PATH.parents[1])
    monkeypatch.setitem(sys.modules, 'ament_index_python.packages', packages)
    for variable in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(variable, raising=False)
    spec = importlib.util.spec_from_file_location('replay_launch', PATH)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded, 'find_spec', lambda name: name)
    monkeypatch.setattr(loaded.shutil, 'which', lambda name: name)
    return loaded


def exited(code, shutdown=False):
    """Return the event of a process that ended, and launch's context."""
    return SimpleNamespace(returncode=code), SimpleNamespace(is_shutdown=shutdown)


def actions(module, **given):
    *arguments, function = module.generate_launch_description().positional[0]
    values = {a.positional[0]: a.named['default_value'] for a in arguments}
    assert set(given) <= set(values)
    context = SimpleNamespace(launch_configurations={**values, **given})
    return function.named['function'](context)


def test_the_player_feeds_the_node_and_ros2_bag_records(module, tmp_path):
    bag, out = tmp_path / 'drive', tmp_path / 'out'
    bag.mkdir()
    *handlers, recorder, node, player = actions(module, bag=str(bag), output=str(out))
    assert node.named['parameters'][1] == {'image_transport': 'raw', 'use_sim_time': True}
    assert player.named['executable'] == 'play_bag'
    assert player.named['arguments'][:5] == [
        str(bag), '--image-topic', '/camera/image_raw', '--publish-as', '/camera/image_raw']
    assert '--clock' in player.named['arguments']
    told = player.named['arguments']
    assert told[told.index('--wait-for-recorder-of') + 1] == '/eunet/mask'
    command = recorder.named['cmd']
    assert command[:5] == ['ros2', 'bag', 'record', '-o', f'{out}_recording']
    assert all(topic in command[-1] for topic in ('/eunet/(mask|', '/diagnostics', '/camera/'))
    for process in (recorder, node, player):
        assert list(process.named['additional_env']) == ['FASTDDS_DEFAULT_PROFILES_FILE']
    # The player's end stops the recorder, whose end begins the report, whose end ends all.
    ends = {id(h.positional[0].named['target_action']): h.positional[0].named['on_exit']
            for h in handlers}
    [timer] = ends[id(player)](*exited(0))
    [stop] = timer.named['actions']
    assert stop.named['event'].named['process_matcher'] is recorder
    [report] = ends[id(recorder)](*exited(-2))
    [last] = ends[id(report)](*exited(0))
    assert type(last).__name__ == 'Shutdown'
    # The command that it ends with is one that evaluate_bag understands.
    assert report.named['cmd'][:4] == ['ros2', 'run', 'eunet_ros', 'evaluate_bag']
    o = options.parse(report.named['cmd'][4:])
    assert (o.bags, o.recording) == ([bag], Path(f'{out}_recording'))
    assert (o.output, o.image_topic) == (out, '/camera/image_raw')


def test_ros2_bag_plays_other_topics_with_their_qos(module, tmp_path):
    *_, recorder, _, player = actions(
        module, bag=str(tmp_path), output=str(tmp_path / 'out'), player='ros2', rate='0.5',
        image_topic='/front/image', image_transport='compressed', clock='false')
    command = player.named['cmd']
    assert command[:6] == ['ros2', 'bag', 'play', str(tmp_path), '--rate', '0.5']
    assert command[-3:] == ['--topics', '/front/image/compressed', '/front/camera_info']
    assert '--clock' not in command
    path = command[command.index('--qos-profile-overrides-path') + 1]
    assert path in recorder.named['cmd']
    profiles = yaml.safe_load(Path(path).read_text())
    assert profiles['/front/image/compressed']['reliability'] == 'reliable'
    assert set(profiles) >= {'/front/camera_info', '/eunet/mask'}
    Path(path).unlink()


def ends(module, tmp_path, **given):
    handlers = actions(module, bag=str(tmp_path), output=str(tmp_path / 'out'), **given)[:4]
    return [h.positional[0].named['on_exit'] for h in handlers]


def test_what_fails_is_an_error_of_launch(module, tmp_path):
    """Launch ends with 1 where a handler raises; at its own end nothing is a failure."""
    player, recorder, report, node = ends(module, tmp_path)
    for handler, code, said in ((player, 1, 'player'), (recorder, 0, 'ros2 bag record'),
                                (report, 1, 'evaluate_bag'), (node, 0, 'node')):
        with pytest.raises(RuntimeError, match=f'{said}.* exit code {code}'):
            handler(*exited(code))
        handler(*exited(code, shutdown=True))


def test_without_a_report(module, tmp_path):
    player, recorder, *_ = ends(module, tmp_path, report='false')
    player(*exited(0))
    assert type(recorder(*exited(0))[0]).__name__ == 'Shutdown'


def test_no_delay_is_none(module, tmp_path):
    *_, player = actions(module, bag=str(tmp_path), output=str(tmp_path / 'out'), player='ros2',
                         delay='0')
    assert '--delay' not in player.named['cmd']


@pytest.mark.parametrize('absent', ['find_spec', 'which'])
def test_without_ros2_bag_another_way_is_named(module, tmp_path, monkeypatch, absent):
    monkeypatch.setattr(*((module, 'find_spec') if absent == 'find_spec' else
                          (module.shutil, 'which')), lambda name: None)
    with pytest.raises(ValueError, match='evaluate_bag BAG --live'):
        actions(module, bag=str(tmp_path))


@pytest.mark.parametrize(('given', 'said'), [
    ({'qos': '/nowhere.yaml'}, 'qos names /nowhere.yaml, which is not a file'),
    ({'params_file': '/nowhere.yaml'}, 'params_file names /nowhere.yaml, which is not a file'),
    ({'dds_profile': '/nowhere.xml'}, 'dds_profile names /nowhere.xml, which is not a file'),
    ({'delay': '-1'}, 'delay must be a number from 0 to 3600'),
    ({'bag': ''}, 'Name the bag to play'), ({'bag': '/nowhere'}, 'There is no bag at /nowhere'),
    ({'rate': 'fast'}, "rate must be .* 0.01 to 100, found 'fast'"),
    ({'player': 'vlc'}, "player must be .* found 'vlc'"),
    ({'clock': 'maybe'}, 'clock must be true or false'),
    ({'image_topic': '/front', 'qos': '{tmp}/list.yaml'}, 'it is no mapping of topics'),
    ({'image_topic': '/front', 'qos': '{tmp}/text.yaml'}, 'but while parsing'),
    ({'output': '{tmp}/old'}, 'old_recording exists')])
def test_what_cannot_be_ends_in_a_sentence(module, tmp_path, given, said):
    (tmp_path / 'old_recording').mkdir()
    (tmp_path / 'list.yaml').write_text('[1]')
    (tmp_path / 'text.yaml').write_text('a: [')
    given = {'bag': str(tmp_path), 'output': str(tmp_path / 'out'),
             **{k: v.format(tmp=tmp_path) for k, v in given.items()}}
    with pytest.raises(ValueError, match=said):
        actions(module, **given)
