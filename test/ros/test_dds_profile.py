# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""When the profile for large images is put in force, and what is said about it."""
from pathlib import Path
import re

from eunet_ros.ros import dds_profile
from eunet_ros.ros.dds_profile import advice, apply_profile, PROFILE
import pytest

NEW, OLD = 'FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.xml').write_text('<profiles/>')


def applied(**environment):
    told = apply_profile(environment)
    return told, {name: Path(path).name for name, path in environment.items() if 'FAST' in name}


@pytest.mark.parametrize('environment, variable', [
    ({}, NEW), ({'ROS_DISTRO': 'humble'}, OLD), ({'ROS_DISTRO': 'jazzy'}, NEW),
    ({'RMW_IMPLEMENTATION': 'rmw_fastrtps_dynamic_cpp'}, NEW), ({'RMW_IMPLEMENTATION': ''}, NEW)])
def test_it_is_in_force_where_the_user_has_set_none(environment, variable):
    assert applied(**environment) == ('', {variable: 'fastdds_large_images.xml'})


@pytest.mark.parametrize('environment', [
    {NEW: 'mine.xml'}, {OLD: 'mine.xml'}, {'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4'}])
def test_a_choice_of_the_users_own_wins(environment):
    assert applied(**environment) == ('', environment)


@pytest.mark.parametrize('name', ['DEFAULT_FASTDDS_PROFILES.xml', 'DEFAULT_FASTRTPS_PROFILES.xml'])
def test_a_profile_in_the_working_directory_wins(name):
    Path(name).write_text('<profiles/>')
    assert applied() == ('', {})
    assert applied(SKIP_DEFAULT_XML_FILE='1')[1] == {NEW: 'fastdds_large_images.xml'}


def test_other_rmw_implementations_are_left_alone():
    assert applied(RMW_IMPLEMENTATION='rmw_cyclonedds_cpp') == ('', {})


def test_a_profile_that_is_not_there_is_named_and_replaced():
    told, found = applied(**{NEW: '/nowhere.xml'})
    assert NEW in told and '/nowhere.xml' in told
    assert found == {NEW: 'fastdds_large_images.xml'}


def test_too_little_shared_memory_is_told(monkeypatch):
    monkeypatch.setattr(dds_profile, '_SEGMENT_BYTES', 2 ** 60)
    told, found = applied()
    assert '--shm-size' in told and not found    # else Fast DDS would have none of it


@pytest.mark.parametrize('folder', [
    '/opt/eunet_ros', '/home/racer/ws/install/eunet_ros/share/eunet_ros'])
def test_the_advice_shows_a_whole_path_at_once(monkeypatch, folder):
    monkeypatch.setattr(dds_profile, 'share_file', lambda name: Path(folder) / name)
    for distribution in ('humble', 'jazzy'):
        text = advice('raw 2.8 MB images', {'HOME': '/home/racer', 'ROS_DISTRO': distribution})
        [shown] = re.findall(r'PROFILES_FILE=(\S+)', text[:128])
        assert shown.replace('~', '/home/racer') == f'{folder}/{PROFILE}'
        assert 'raw 2.8 MB' in text[:128]


def test_the_path_in_the_advice_exists():
    [shown] = re.findall(r'PROFILES_FILE=(\S+)', advice('raw 2.8 MB images', {}))
    assert Path(shown).is_file()
    segment = int(re.findall(r'<segment_size>(\d+)<', Path(shown).read_text())[0])
    assert dds_profile.MAX_IMAGE_BYTES < segment < dds_profile._SEGMENT_BYTES
