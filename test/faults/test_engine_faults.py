# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An engine that fails in mid-stream, in the real node: again, replaced, said, taken back."""
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('openvino', reason='OpenVINO is not installed')

from rig import ERROR, LONG, OK, seen, WARN  # noqa: E402,I100

pytestmark = pytest.mark.slow

AGAIN = 2.0 if LONG else 6.0      # promised: masks within 2 s of the end of a fault


@pytest.fixture
def node(rig):
    if rig.process is None:
        rig.start('-p', 'engine_retry:=1.0', engine='openvino')
    rig.camera(15.0)
    rig.level(OK, within=60.0)
    yield rig
    assert rig.process.poll() is None, rig.log.read_text()


@pytest.mark.parametrize('kind', ['lost', 'memory', 'odd'] if LONG else ['lost'])
def test_an_engine_that_fails_is_replaced_and_taken_back(node, kind):
    node.faults(fail={'openvino': kind})
    told = node.level(WARN, said='torch stands in for openvino')
    masked = node.mask(AGAIN)
    node.faults()
    back = node.level(OK, within=20.0)
    for text in ('it is tried once more', 'Switching to torch', 'openvino works again'):
        node.logged(text)
    seen(f'{kind}: WARN {told:.2f} s after the engine failed, masks {masked:.2f} s after that, '
         f'back on openvino {back:.2f} s after the fault with engine_retry 1.0')


def test_no_engine_works_and_the_node_lives(node):
    node.faults(fail={'openvino': 'lost', 'torch': 'memory'})
    told = node.level(ERROR, said='No engine works')
    node.wait(2.0)
    assert node.process.poll() is None
    node.faults()
    masked = node.mask(AGAIN)
    node.level(OK, within=10.0)
    node.check_accounts()
    seen(f'ERROR {told:.2f} s after all engines failed, masks {masked:.2f} s after the fault')


def test_engines_that_cannot_be_built_either(node):
    node.faults(fail={'openvino': 'odd'}, build=['torch', 'openvino'])
    node.level(ERROR, said='cannot be built')
    node.faults()
    node.mask(AGAIN)
    node.level(OK, within=10.0)


def test_an_engine_that_hangs_is_told(node):
    node.faults(hang=True)
    warned = node.level(WARN, said='images come and no mask')
    failed = node.level(ERROR, said='images come and no mask', within=6.0)
    node.faults()
    masked = node.mask(AGAIN)
    node.level(OK, within=10.0)
    seen(f'WARN {warned:.2f} s after the engine hung, ERROR {warned + failed:.2f} s, masks '
         f'{masked:.2f} s after its end')
