# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""colcon, with and without --symlink-install, and pip install what a user needs."""
import ast
import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED = ('launch/segmentation.launch.py', 'launch/replay.launch.py', 'config/replay_qos.yaml',
          'config/segmentation.yaml', 'config/classes.yaml',
          'config/fastdds_large_images.xml', 'config/segmentation.rviz', 'package.xml')


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """Copy the checkout's files, without what was built in it."""
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT,
                            capture_output=True, text=True)
    if listed.returncode:
        pytest.skip('not a git checkout: no list of files to build from')
    target = tmp_path_factory.mktemp('sources') / 'eunet_ros'
    for name in listed.stdout.split('\n'):
        path = ROOT / name
        if name and (path.is_symlink() or path.is_file()):
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy, follow_symlinks=False)
    return target


@pytest.mark.slow
@pytest.mark.parametrize('options', [[], ['--symlink-install']], ids=['copied', 'symlinked'])
def test_colcon_build(sources, tmp_path, options, tiny_weights):
    pytest.importorskip('colcon_core', reason='colcon is not installed')
    pytest.importorskip('rclpy', reason='rclpy is not installed')
    built = subprocess.run(
        [sys.executable, '-m', 'colcon', 'build', '--base-paths', str(sources), *options],
        cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    share = tmp_path / 'install/eunet_ros/share/eunet_ros'
    assert [f for f in SHARED if not (share / f).is_file()] == []
    # What `ros2 run eunet_ros segmentation_node` starts, from a sourced shell elsewhere.
    executable = tmp_path / 'install/eunet_ros/lib/eunet_ros/segmentation_node'
    shell = f""". {tmp_path}/install/setup.sh && cd / &&
        {sys.executable} -c "import eunet_ros.model as m, eunet_ros.training; print(m.__file__)
from eunet_ros.model.checkpoint import available_weights, load_checkpoint
print(*available_weights())
for name in available_weights(): load_checkpoint(name)" &&
        {executable.with_name('evaluate_bag')} /nowhere;
        exec {executable} --ros-args -p engine:=warp"""
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    ran = subprocess.run(['sh', '-c', shell], capture_output=True, text=True, env=environment)
    assert str(tmp_path) in ran.stdout.splitlines()[0], ran.stdout + ran.stderr
    shipped = sorted(p.stem for p in (ROOT / 'model/weights').glob('*.safetensors'))
    assert ran.stdout.splitlines()[1].split() == shipped
    assert ran.returncode == 1 and 'Parameter engine must be one of' in ran.stderr
    assert 'evaluate_bag: There is no bag at /nowhere' in ran.stderr
    if not options:
        check_colcon_test(sources, tmp_path)


def check_colcon_test(sources, workspace):
    """`colcon test` runs the unit tests, and none of another tier."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}

    def colcon(*words):
        return subprocess.run([sys.executable, '-m', 'colcon', *words], cwd=workspace,
                              capture_output=True, text=True, env=environment)

    ran = colcon('test', '--base-paths', str(sources), '--return-code-on-test-failure',
                 '--pytest-args', ' -k', 'test_classes.py or test_build.py')
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = colcon('test-result', '--all')
    assert '0 errors, 0 failures' in result.stdout, result.stdout + result.stderr
    report = (workspace / 'build/eunet_ros/pytest.xml').read_text()
    assert 'test_classes' in report and 'test_one_version_number' in report
    assert 'test_colcon_build' not in report


@pytest.mark.process
def test_pip_install_is_found_by_ros2_run():
    prefix = Path(sys.prefix)
    if not (prefix / 'share/ament_index/resource_index/packages/eunet_ros').exists():
        pytest.skip('eunet_ros is not installed with pip in this environment')
    assert [f for f in SHARED if not (prefix / 'share/eunet_ros' / f).is_file()] == []
    executable = prefix / 'lib/eunet_ros/segmentation_node'
    environment = {**os.environ, 'PATH': f'{prefix}/bin:{os.environ["PATH"]}'}
    ran = subprocess.run([str(executable), '--ros-args', '-p', 'engine:=warp'], cwd='/',
                         capture_output=True, text=True, env=environment)
    assert ran.returncode == 1 and 'Parameter engine must be one of' in ran.stderr, ran.stderr
    ran = subprocess.run([str(prefix / 'lib/eunet_ros/build_engine'), '--height', '64'], cwd='/',
                         capture_output=True, text=True, env=environment)
    assert ran.returncode == 1 and 'go together' in ran.stderr, ran.stderr
    for name in ('evaluate_bag', 'play_bag'):
        ran = subprocess.run([str(prefix / 'lib/eunet_ros' / name), '/nowhere'], cwd='/',
                             capture_output=True, text=True, env=environment)
        assert ran.returncode == 1 and 'There is no bag at /nowhere' in ran.stderr, ran.stderr


def test_colcon_and_pip_start_the_same_modules():
    source = (ROOT / 'setup.py').read_text()
    executables = ast.literal_eval(source.partition('EXECUTABLES = ')[2].partition('}')[0] + '}')
    assert sorted(executables) == sorted(
        p.name for p in (ROOT / 'resource').iterdir() if p.name != 'eunet_ros')
    for name, module in executables.items():
        assert f'\nfrom {module} import main\n' in (ROOT / 'resource' / name).read_text()
    # These handle signals before they import anything else.
    for path in (ROOT / 'eunet_ros').glob('*.py'):
        if 'interrupt.install()' in path.read_text():
            assert executables[path.stem] == f'eunet_ros.{path.stem}'


def test_one_version_number():
    import importlib.metadata
    import xml.etree.ElementTree as ElementTree
    declared = ElementTree.parse(ROOT / 'package.xml').getroot().findtext('version')
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == declared
    try:
        assert importlib.metadata.version('eunet_ros') == declared
    except importlib.metadata.PackageNotFoundError:
        pytest.skip('eunet_ros is not installed with pip in this environment')
    assert f'{declared} (' in (ROOT / 'CHANGELOG.rst').read_text()


def test_yaml_files_are_valid():
    files = [*ROOT.glob('config/*.yaml'), *ROOT.glob('config/training/*.yaml'),
             ROOT / 'config/segmentation.rviz']
    assert len(files) > 3
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text()), dict), path
