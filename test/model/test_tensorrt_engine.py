# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT engine beside libraries that are missing, too old, or fail; none is needed here."""
import ctypes
from importlib.machinery import ModuleSpec
import logging
import os
from pathlib import Path
import re
import stat
import sys
from types import ModuleType, SimpleNamespace

from cuda_stand_in import answer_for_a_gpu, OnTheCpu, Properties
from engine_making import create_engine
from eunet_ros.model import load_checkpoint
from eunet_ros.model.engines import (
    device,
    engine_class,
    EngineError,
    EngineOptions,
    tensorrt_engine,
)
import pytest
import torch

SIZE = (64, 96)
LOG = 'torch_tensorrt [TensorRT Conversion Context]'
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has a GPU')


class Context:
    """An execution context whose logits are zero."""

    def set_tensor_address(self, name, address):
        if name != '0':
            ctypes.memset(address, 0, 6 * SIZE[0] * SIZE[1] * 2)

    def execute_async_v3(self, stream):
        return True


class Engine:
    """A deserialised engine; kinds: the types of its outputs."""

    def __init__(self, *kinds):
        self.kinds, self.num_io_tensors = ('uint8', *kinds), 1 + len(kinds)

    def get_tensor_name(self, k):
        return str(k)

    def get_tensor_mode(self, name):
        return 'in' if name == '0' else 'out'

    def get_tensor_shape(self, name):
        return (1, 6, *SIZE)

    def get_tensor_dtype(self, name):
        return self.kinds[int(name)]

    def create_execution_context(self):
        return Context()


class Libraries:
    """Stand-ins for Torch-TensorRT and TensorRT; `calls` are the builds."""

    def __init__(self, put):
        self.calls, self.engine, self.fail = [], Engine('half'), None
        trt, torch_tensorrt = ModuleType('tensorrt'), ModuleType('torch_tensorrt')
        trt.__version__, torch_tensorrt.__version__ = '10.3.0', '2.8.0'
        trt.Logger = lambda level: None
        trt.Logger.ERROR = 0
        trt.DataType = SimpleNamespace(HALF='half', FLOAT='float', INT32='int32')
        trt.TensorIOMode = SimpleNamespace(INPUT='in')
        trt.Runtime = lambda logger: SimpleNamespace(
            deserialize_cuda_engine=lambda data: self.engine)
        torch_tensorrt.dynamo = SimpleNamespace(
            convert_exported_program_to_serialized_trt_engine=self.convert)
        self.torch_tensorrt = torch_tensorrt
        for module in (trt, torch_tensorrt):
            module.__spec__ = ModuleSpec(module.__name__, None)
            put(sys.modules, module.__name__, module)

    def convert(self, exported, **options):
        path = Path(options['timing_cache_path'])
        status = path.parent.stat()
        self.calls.append({**options, 'private': (
            status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700
            and not path.exists())})
        path.write_bytes(b'timings')
        if self.fail:
            self.fail()
        return b'engine'


@pytest.fixture
def libraries(monkeypatch):
    answer_for_a_gpu(monkeypatch.setattr)
    monkeypatch.setattr(torch.export, 'export', lambda network, inputs: network)
    with OnTheCpu():
        yield Libraries(monkeypatch.setitem)


@pytest.fixture(scope='module')
def checkpoint():
    return load_checkpoint('eunet_n')


@pytest.fixture
def made(checkpoint, libraries, tmp_path):
    return lambda: create_engine('tensorrt', checkpoint, EngineOptions(SIZE, cache=tmp_path))[0]


def test_it_is_built_with_a_timing_cache_that_no_other_user_can_reach(made, libraries):
    assert made().precision == 'float16'
    (call,) = libraries.calls
    assert call['private'] and not Path(call['timing_cache_path']).parent.exists()
    assert call['workspace_size'] == 0


def logged_then_unbound():
    logging.getLogger(LOG).error('Error Code 10: no implementation for node conv1')
    try:
        raise AssertionError
    except AssertionError as error:
        logging.getLogger('torch_tensorrt.dynamo._compiler').error(
            f'While interpreting the module got an error: {error}', exc_info=True)
    raise UnboundLocalError("local variable 'interpreter_result' referenced before assignment")


def unsupported():
    try:
        raise RuntimeError('Conversion of aten.some is not supported\nGraphModule:\n  much')
    except RuntimeError:
        logging.getLogger('torch_tensorrt.dynamo._compiler').error(
            'Conversion of module GraphModule(\n much more', exc_info=True)
    raise UnboundLocalError


def raised():
    raise RuntimeError('Out of patience\nGraphModule:\n  much')


@pytest.mark.parametrize(('fail', 'words'), [
    (logged_then_unbound, 'Error Code 10: no implementation for node conv1.'),
    (unsupported, 'Conversion of aten.some is not supported.'), (raised, 'Out of patience.')])
def test_the_reason_of_a_failed_build_is_told(made, libraries, fail, words, caplog):
    libraries.fail = fail
    with pytest.raises(EngineError) as caught:
        made()
    assert str(caught.value) == f'Torch-TensorRT could not build the engine: {words}'
    # Nothing else is printed, and later logs are.
    assert not any(record.name.startswith('torch_tensorrt') for record in caplog.records)
    assert logging.getLogger(LOG).propagate


@pytest.mark.parametrize('missing', ['torch_tensorrt', 'tensorrt'])
def test_auto_goes_on_where_an_import_fails_as_it_may(
        checkpoint, libraries, monkeypatch, missing, tmp_path):
    real = tensorrt_engine.importlib.import_module

    def fail(name, *rest):
        if name == missing or (missing == 'tensorrt' and name == 'tensorrt_rtx'):
            raise Exception('import error when try to import TensorRT')
        return real(name, *rest)
    monkeypatch.setattr(tensorrt_engine.importlib, 'import_module', fail)
    engine, failures = create_engine('auto', checkpoint, EngineOptions(SIZE, cache=tmp_path))
    assert engine.name == 'cuda'
    (failure,) = failures
    assert 'import error' in failure and 'pip install' in failure and '\n' not in failure


@pytest.mark.parametrize(('release', 'fits'), [
    ('2.5.0', False), ('2.7.0+cu126', False), ('1.4.0', False), ('2.8.0', True),
    ('2.8.0a0+nv', True), ('2.14.0', True)])
def test_releases_that_ignore_the_types_are_refused(libraries, release, fits):
    libraries.torch_tensorrt.__version__ = release
    if fits:
        engine_class('tensorrt')
        return
    with pytest.raises(EngineError, match=rf'2\.8 or later.*found {re.escape(release)}') as caught:
        engine_class('tensorrt')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('board', 'orin'), [
    (b'nvidia,p3768-0000+p3767-0005\0nvidia,p3767\0nvidia,tegra234\0', True),
    (b'nvidia,p4071-0000+p3834-0008\0nvidia,tegra264\0', False), (b'raspberrypi,5\0', False)])
def test_what_to_install_is_for_this_machine(libraries, monkeypatch, tmp_path, board, orin):
    tree = tmp_path / 'compatible'
    tree.write_bytes(board)
    monkeypatch.setattr(device, '_DEVICE_TREE', tree)
    monkeypatch.setitem(sys.modules, 'torch_tensorrt', None)
    with pytest.raises(EngineError) as caught:
        engine_class('tensorrt')
    assert ('pip install' in str(caught.value)) is not orin
    assert ('JetPack' in str(caught.value)) is orin


def test_with_an_old_pytorch_that_is_the_first_to_install(libraries, monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.5.1+cu124')
    libraries.torch_tensorrt.__version__ = '2.5.0'
    with pytest.raises(EngineError, match=r'install PyTorch 2\.8 or later first'):
        engine_class('tensorrt')


def test_an_orin_whose_pytorch_cannot_use_its_gpu_is_told(monkeypatch, tmp_path):
    tree = tmp_path / 'compatible'
    tree.write_bytes(b'nvidia,tegra234\0')
    monkeypatch.setattr(device, '_DEVICE_TREE', tree)
    with pytest.raises(EngineError, match='cannot; install the one that NVIDIA builds'):
        engine_class('cuda')


def test_where_the_system_shares_the_memory_the_builder_leaves_it_some(
        made, libraries, monkeypatch):
    freed = []
    monkeypatch.setattr(Properties, 'is_integrated', True)
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: freed.append(len(libraries.calls)))
    made()
    assert 0 < libraries.calls[0]['workspace_size'] <= 2 ** 30
    assert 0 in freed  # before it was built


@pytest.mark.parametrize(('name', 'value'), [('multi_processor_count', 8),
                                             ('total_memory', 8 << 30)])
def test_another_board_of_the_same_family_gets_its_own_engine(
        made, libraries, monkeypatch, name, value):
    made()
    made()
    assert len(libraries.calls) == 1
    monkeypatch.setattr(Properties, name, value)
    made()
    assert len(libraries.calls) == 2


@pytest.mark.parametrize('kinds', [('fp8',), ('int32',), ()])
def test_an_engine_that_gives_no_logits_is_an_error(made, libraries, kinds):
    libraries.engine = Engine(*kinds)
    with pytest.raises(EngineError, match='delete the kept engines'):
        made()


def test_a_context_that_cannot_be_made_is_an_error(made, libraries, monkeypatch):
    monkeypatch.setattr(Engine, 'create_execution_context', lambda self: None)
    with pytest.raises(EngineError, match='free memory'):
        made()
