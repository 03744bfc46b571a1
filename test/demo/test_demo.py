# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo as users run it, and what it says when it cannot."""

import json
import os
import queue
import signal
import subprocess
import sys

from bag_making import make_bag, picture
import cv2
from eunet_ros.bags.reader import Bag
from eunet_ros.demo import __main__ as demo
from eunet_ros.replay.drive import check_ros, Child, DemoError, drive_environment, node_arguments
import pytest
from test_demo_report import KEYS

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('rich', reason='rich is not installed')


def run_demo(folder, *arguments, seconds=90):
    done = subprocess.run(
        [sys.executable, '-m', 'eunet_ros.demo', '--output', str(folder / 'out'),
         *map(str, arguments)],
        capture_output=True, text=True, timeout=seconds)
    assert 'Traceback' not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.process
def test_bag_with_ground_truth(tmp_path, tiny_weights):
    bag = make_bag(tmp_path / 'bag', 12)
    code, out, err = run_demo(tmp_path, '--bag', bag, '--weights', tiny_weights,
                              '--engine', 'torch', '--rate', '0.5')
    assert code == 0, err
    made = tmp_path / 'out'
    assert sorted(p.name for p in made.iterdir()) == [
        'bag', 'overlay.mp4', 'overlay.png', 'report.json']
    report = json.loads((made / 'report.json').read_text())
    assert set(report) == KEYS
    assert report['frames_sent'] == 12
    assert report['frames_masked'] + report['frames_dropped'] == 12
    assert report['frames_masked'] >= 6
    assert 6 < report['camera_hz'] < 9
    assert 0 < report['latency_ms']['p50'] <= report['latency_ms']['max'] < 5000
    assert {'decode', 'inference', 'total'} <= set(report['stage_ms'])
    assert 0 <= report['dice'] <= 1
    assert (report['engine'], report['variant']) == ('torch', 'eunet_n')
    assert len(report['weights_sha256']) == 64
    assert report['image_topic'] == '/camera/image_raw/compressed'
    with Bag(made / 'bag') as recorded:
        assert recorded.topics['/eunet/mask'].count == report['frames_masked']
    assert str(report['frames_masked']) in out
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith('.')] == []


@pytest.mark.process
def test_folder_without_ground_truth(tmp_path, tiny_weights):
    (tmp_path / 'images').mkdir()
    for i, size in enumerate([(48, 64), (30, 80), (48, 64), (64, 48), (48, 64)]):
        cv2.imwrite(str(tmp_path / 'images' / f'{i}.jpg'), picture(i, size))
    code, _, err = run_demo(tmp_path, '--images', tmp_path / 'images', '--hz', 4, '--weights',
                            tiny_weights, '--engine', 'torch', '--no-dds-profile')
    assert code == 0, err
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert report['frames_sent'] == 5
    assert (report['dice'], report['miou']) == (None, None)
    assert set(report['iou'].values()) == {None}


@pytest.mark.process
def test_each_picture_gets_its_mask_and_an_overlay(tmp_path, tiny_weights):
    # Far faster than they can be segmented: the next one waits for the mask of the last.
    (tmp_path / 'images').mkdir()
    names = [f'frame{i}.jpg' for i in range(12)]
    for i, name in enumerate(names):
        cv2.imwrite(str(tmp_path / 'images' / name), picture(i, (480, 640)))
        (tmp_path / 'images' / f'._{name}').write_bytes(b'\0\5\x16\7' * 25)
    cv2.imwrite(str(tmp_path / 'images' / 'frame3.png'), picture(3))
    code, _, err = run_demo(tmp_path, '--images', tmp_path / 'images', '--hz', 1000, '--weights',
                            tiny_weights, '--engine', 'torch')
    assert code == 0, err
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert (report['frames_sent'], report['frames_masked']) == (13, 13)
    overlays = {p.name for p in (tmp_path / 'out' / 'overlays').iterdir()}
    assert overlays == {*names, 'frame3.jpg.jpg', 'frame3.png.jpg'} - {'frame3.jpg'}
    assert cv2.imread(str(tmp_path / 'out' / 'overlays' / 'frame10.jpg')).shape == (480, 640, 3)
    # Its own output is kept when it is made again.
    demo.output.check_output(tmp_path / 'out')


@pytest.mark.process
@pytest.mark.parametrize(('arguments', 'code', 'words'), [
    (['--bag', '{tmp}/nothing'], 1, 'demo: There is no bag at'),
    (['--bag', '{bag}', '--image-topic', '/front'], 1, r'demo: The bag has no images on /front'),
    (['--images', '{tmp}'], 1, 'holds no images'),
    (['--bag', '{bag}', '--weights', 'nope'], 1, 'demo: There are no weights named nope'),
    (['--bag', '{bag}', '--output', '{bag}'], 1, 'not made by the demo'),
    (['--engine', 'abacus'], 2, 'abacus'),
    (['--rate', '1000'], 2, '--rate must be'),
    (['--bag', 'a', '--images', 'b'], 2, 'not allowed with'),
])
def test_errors_are_one_sentence(tmp_path, arguments, code, words):
    bag = make_bag(tmp_path / 'bag', 2)
    got, _, err = run_demo(tmp_path, *(a.format(tmp=tmp_path, bag=bag) for a in arguments))
    assert got == code
    assert words in err
    if code == 1:
        assert len(err.strip().splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ['bag']


def test_without_ros(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(DemoError, match='source your ROS 2 first'):
        check_ros()


def test_interrupted(tmp_path, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(demo, 'run', interrupt)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert demo.main(['--output', str(tmp_path / 'out')]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert 'interrupted' in capsys.readouterr().err


@pytest.mark.parametrize(('distribution', 'local', 'profile'), [
    ('humble', 'ROS_LOCALHOST_ONLY', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('jazzy', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_environment(distribution, local, profile):
    base = {'ROS_DOMAIN_ID': '7', 'ROS_DISTRO': distribution,
            'RMW_IMPLEMENTATION': 'rmw_fastrtps_dynamic_cpp'}
    for _ in range(200):
        env = drive_environment(True, base)
        assert 1 <= int(env['ROS_DOMAIN_ID']) <= 101
        assert env['ROS_DOMAIN_ID'] != '7'
    assert env[local] in ('1', 'LOCALHOST')
    assert env['RMW_IMPLEMENTATION'] == 'rmw_fastrtps_dynamic_cpp'
    assert [v for v in env if v.endswith('PROFILES_FILE')] == [profile]
    assert os.path.isfile(env[profile])
    assert profile not in drive_environment(False, base)


def test_node_arguments(tmp_path):
    arguments = node_arguments('/a/image', True, {'weights': '1e3'}, tmp_path)
    assert 'image:=/a/image' in arguments
    assert 'camera_info:=/a/camera_info' in arguments
    parameters = json.loads((tmp_path / 'node_parameters.yaml').read_text())
    assert parameters['/**']['ros__parameters'] == {
        'weights': '1e3', 'image_transport': 'compressed'}


CHILD = """
import json, signal, sys, time
print('[INFO] working', file=sys.stderr)
print('[ERROR] it broke', file=sys.stderr)
print('a line of a library', file=sys.stderr, flush=True)
print(json.dumps({'event': 'ready'}), flush=True)
if '--ignore' in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(json.dumps({'event': 'deaf'}), flush=True)
if '--wait' in sys.argv:
    time.sleep(60)
sys.exit(3)
"""


@pytest.mark.process
@pytest.mark.parametrize(('arguments', 'exit_code'), [
    ([], 3), (['--wait'], -signal.SIGINT), (['--wait', '--ignore'], -signal.SIGKILL)])
def test_child(tmp_path, monkeypatch, arguments, exit_code):
    (tmp_path / 'made_up_child.py').write_text(CHILD)
    monkeypatch.setattr('eunet_ros.replay.drive._STOP_S', (1.0, 0.2))
    events = queue.Queue()
    env = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    child = Child('eunet', 'made_up_child', arguments, env, events)
    last = {'--ignore': 'deaf', '--wait': 'ready'}.get((arguments or ['exit'])[-1], 'exit')
    kind = ''
    while kind != last:
        kind = events.get(timeout=20)[1]['event']
    child.stop()
    assert child.exit_code == exit_code
    assert child.sentence == 'it broke'
    assert child.last_line
