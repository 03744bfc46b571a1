# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom, read from the sources; and what an import costs."""
import ast
from pathlib import Path
import subprocess
import sys

import eunet_ros
import pytest

ROOT = Path(eunet_ros.__file__).resolve().parent.parent
# The folder of each part and the name it is imported by; the ROS side is what else eunet_ros has.
PARTS = {'model': 'eunet_ros.model', 'training': 'eunet_ros.training', 'eunet_ros': 'eunet_ros'}
ROS = {'rclpy', 'rclcpp', 'rcl_interfaces', 'lifecycle_msgs', 'builtin_interfaces', 'cv_bridge',
       'ament_index_python', 'launch', 'launch_ros', 'tf2_ros', 'image_transport'}
# Besides, an engine imports its own, and so does what writes files for others.
MODEL_LIBRARIES = {'cv2', 'filelock', 'numpy', 'onnx', 'onnxruntime', 'safetensors', 'torch',
                   'yaml'}


def sources(part):
    """Return the files of a part; of the ROS side without the links to the others."""
    folder = ROOT / part
    if not folder.is_dir():
        pytest.skip('the sources are not laid out as in a checkout')
    linked = [folder / other for other in PARTS if other != part]
    return sorted(p for p in folder.rglob('*.py')
                  if not any(link in p.parents for link in linked))


def imported(text, package):
    """
    Return the full names that a source of `package` imports anywhere, also inside functions.

    Both `a` and `a.b` for `from a import b`, which may be a module.
    """
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parents = package.split('.')
                base = '.'.join(parents[:len(parents) - node.level + 1] + [base] * bool(base))
            names.add(base)
            names.update(f'{base}.{alias.name}' for alias in node.names)
        elif (isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None,
                                                        ast.Constant)
              and ast.unparse(node.func).split('.')[-1] in ('import_module', '__import__')):
            names.add(str(node.args[0].value))
    return names


# The rooms of eunet_ros and of training: each may import from those below it, never from above.
ROOMS = {
    'eunet_ros': ('segmentation_node', 'cone_bridge', 'play_bag', 'demo', 'evaluate_bag',
                  'evaluation', 'evaluation/page', 'evaluation/scoring',
                  'evaluation/run', 'calibration', 'replay', 'node', 'bags', 'cones', 'ros',
                  'images', 'parameters'),
    'training': ('tools', '', 'data/formats', 'data', 'augmentation', 'renderer', 'config')}


def room_of(part, name):
    """Return the room of a part that a module or what it defines is in, None for another's."""
    inside = name.removeprefix(PARTS[part]).strip('.').split('.')
    if not name.startswith(PARTS[part]) or part_of(name) != part:
        return None
    return next((room for room in sorted(ROOMS[part], key=len, reverse=True)
                 if not room or inside[:room.count('/') + 1] == room.split('/')), None)


def part_of(name):
    """Return the part that an imported name belongs to, None for what is not ours."""
    if name.split('.')[0] != 'eunet_ros':
        return None
    second = name.split('.')[1] if '.' in name else ''
    return second if second in ('model', 'training') else 'eunet_ros' if second else None


def is_ros(name):
    root = name.split('.')[0]
    return root in ROS or root.endswith(('_msgs', '_srvs'))


def violations(part, is_wrong):
    found = []
    for path in sources(part):
        folder = path.parent.relative_to(ROOT / part)
        package = '.'.join([PARTS[part], *folder.parts])
        found += [f'{path.relative_to(ROOT)} imports {name}'
                  for name in sorted(imported(path.read_text(encoding='utf-8'), package))
                  if is_wrong(name)]
    return found


def test_the_reader_of_imports_sees_them_all():
    text = ('import a.b\nfrom c import d\ndef f():\n    from eunet_ros import training\n'
            '    importlib.import_module("rclpy.node")\nfrom . import x\nfrom ..training import y')
    assert imported(text, 'eunet_ros.model') == {
        'a.b', 'c', 'c.d', 'eunet_ros', 'eunet_ros.training', 'rclpy.node', 'eunet_ros.model',
        'eunet_ros.model.x', 'eunet_ros.training.y'}
    assert [part_of(n) for n in ('eunet_ros.model.x', 'eunet_ros.bags.reader', 'eunet_ros',
                                 'torch')] == ['model', 'eunet_ros', None, None]
    assert is_ros('sensor_msgs.msg')
    assert not is_ros('rosbags.rosbag2')  # plain Python, works without ROS


@pytest.mark.parametrize('part', PARTS)
def test_the_sources_are_found(part):
    assert len(sources(part)) >= 5
    assert not {p.name for p in sources('eunet_ros')} & {'segmenter.py', 'train.py'}


def test_model_knows_neither_ros_nor_training():
    assert violations('model', lambda name: is_ros(name) or part_of(name) in (
        'training', 'eunet_ros')) == []


def test_model_needs_few_libraries():
    known = MODEL_LIBRARIES | set(sys.stdlib_module_names) | {'eunet_ros'}
    wrong = violations('model', lambda name: name.split('.')[0] not in known)
    assert [text for text in wrong if not text.startswith('model/engines/')] == []


def test_training_knows_model_but_not_ros():
    assert violations('training', lambda name: is_ros(name) or part_of(name) == 'eunet_ros') == []


def test_the_ros_side_does_not_know_training():
    assert violations('eunet_ros', lambda name: part_of(name) == 'training') == []


@pytest.mark.parametrize('part', ROOMS)
def test_rooms_import_downwards_only(part):
    order, wrong = ROOMS[part], []
    for path in sources(part):
        module = '.'.join([PARTS[part], *path.relative_to(ROOT / part).with_suffix('').parts])
        here = room_of(part, module)
        if here is None:
            assert module == f'{PARTS[part]}.__init__', f'{module} is in no room'
            continue
        package = module.rpartition('.')[0]
        for name in sorted(imported(path.read_text(encoding='utf-8'), package)):
            there = room_of(part, name)
            if there is not None and order.index(there) < order.index(here):
                wrong.append(f'{module} ({here}) imports {name} ({there})')
    assert wrong == []


def test_few_modules_stand_in_no_room():
    assert len([p for p in sources('eunet_ros') if p.parent == ROOT / 'eunet_ros']) <= 6


@pytest.mark.process
@pytest.mark.parametrize('module', ['eunet_ros', 'eunet_ros.model', 'eunet_ros.model.engines',
                                    'eunet_ros.model.common.classes',
                                    'eunet_ros.model.common.metrics.pixels',
                                    'eunet_ros.model.processing'])
def test_import_without_torch(module):
    # torch takes seconds to import: what needs names or classes only does without it.
    code = (f'import sys, {module}; '
            'print([m for m in ("torch", "rclpy", "openvino") if m in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, timeout=120,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == '[]'


def test_public_names_of_the_model():
    import eunet_ros.model as model
    assert {'Segmenter', 'build_model', 'load_checkpoint', 'save_checkpoint'} <= set(dir(model))
    assert callable(model.build_model) and callable(model.load_checkpoint)
    assert all(getattr(model, name) is not None for name in model.__all__)
    assert not hasattr(model, 'load')
