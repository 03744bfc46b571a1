# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A GPU that is not there: what PyTorch is asked about it is answered, and tensors stay on the CPU.

CUDA graphs are rehearsed: capturing one records its operations, and replaying runs them again on
the same memory. What a driver refuses while one is captured is refused here, too.
"""
from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any, ClassVar

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_GPU = 'a GPU of compute capability 8.6, not there'
_CAPABILITY = (8, 6)
_WAITING = ('item', '_local_scalar_dense', 'is_nonzero', 'nonzero', 'equal', 'masked_select')


class OnTheCpu(TorchFunctionMode):
    """Makes tensors that are asked for on a GPU, or in pinned memory, on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def here(value: Any) -> Any:
            named = isinstance(value, (str, torch.device)) and str(value).startswith('cuda')
            return torch.device('cpu') if named else value
        if func is torch.Tensor.cuda:
            return args[0]
        kwargs = {k: here(v) for k, v in (kwargs or {}).items()}
        pinned = kwargs.pop('pin_memory', False)
        made = func(*map(here, args), **kwargs)
        if pinned:
            Driver.pinned.append(made)
        return made


class Driver:
    """What the stand-ins share: who captures, and what was captured."""

    capturing: ClassVar[int | None] = None      # the thread
    captures: ClassVar[list[dict[str, Any]]] = []
    pinned: ClassVar[list[torch.Tensor]] = []   # tensors in the computer's memory
    lost: ClassVar[bool] = False                # the GPU, for this process

    @classmethod
    def reset(cls) -> None:
        """Forget what was before."""
        cls.capturing, cls.captures, cls.pinned, cls.lost = None, [], [], False

    @classmethod
    def wait_for_all(cls, *arguments: Any) -> None:
        """Refuse to wait for the whole device, or to free its memory, while one captures."""
        cls.wait()
        if cls.capturing is not None:
            raise RuntimeError('CUDA error: operation not permitted when stream is capturing')

    @classmethod
    def wait(cls) -> None:
        """Refuse to wait in the thread that captures, or for a GPU that is lost."""
        if cls.lost:
            raise RuntimeError('CUDA error: an illegal memory access was encountered')
        if cls.capturing == threading.get_ident():
            raise RuntimeError('CUDA error: operation not permitted when stream is capturing')


class _Stream:
    cuda_stream = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        pass

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def synchronize(self) -> None:
        """Return at once, where it is allowed."""
        Driver.wait()

    def wait_stream(self, stream: Any) -> None:
        """Return at once."""


def _memory(value: Any) -> int:
    return value.untyped_storage().data_ptr()


class _Recorder(TorchDispatchMode):
    """Runs operations and notes them, with the tensors that they read and write."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.partition('::')[2]
        if name in _WAITING:
            raise RuntimeError(f'{name} waits for the GPU, in a capture')
        if name == 'copy_':
            hosts = [_memory(t) for t in Driver.pinned]
            across = sum(_memory(t) in hosts for t in args[:2]) == 1
            if across and not (kwargs.get('non_blocking') or args[2:3] == (True,)):
                raise RuntimeError('a copy that waits for the GPU, in a capture')
        out = func(*args, **kwargs)
        self._graph.operations.append((func, args, kwargs, out))
        return out


class Graph:
    """Stands in for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def replay(self) -> None:
        """Run what was captured again, on the memory that it had."""
        for func, args, kwargs, out in self.operations:
            read = {_memory(t) for t in tree_leaves((args, kwargs)) if torch.is_tensor(t)}
            new = func(*args, **kwargs)
            for old, tensor in zip(tree_leaves(out), tree_leaves(new)):
                if torch.is_tensor(old) and _memory(old) not in read:  # neither view nor in place
                    old.copy_(tensor)


class Capture:
    """Stands in for torch.cuda.graph."""

    def __init__(self, graph: Graph, **options: Any) -> None:
        self._options, self._recorder = options, _Recorder(graph)

    def __enter__(self) -> None:
        Driver.wait_for_all()
        Driver.capturing = threading.get_ident()
        Driver.captures.append({**self._options, 'thread': Driver.capturing})
        self._recorder.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._recorder.__exit__(*error)
        Driver.capturing = None
        if error[0]:
            raise RuntimeError('CUDA error: operation failed due to a previous error during '
                               'capture')


class Properties:
    name, total_memory, multi_processor_count = _GPU, 24 << 30, 84
    major, minor = _CAPABILITY
    is_integrated = False


def answer_for_a_gpu(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Replace what PyTorch says of the GPU; put: how an attribute is set."""
    Driver.reset()
    answers = {
        'is_available': True, 'device_count': 1, 'current_device': 0, 'get_device_name': _GPU,
        'get_device_capability': _CAPABILITY, 'get_device_properties': Properties,
        'mem_get_info': (20 << 30, 24 << 30), 'get_rng_state': torch.zeros(16, dtype=torch.uint8),
        'graph_pool_handle': (0, 1),
        **dict.fromkeys(('init', 'set_device', 'set_rng_state', 'reset_peak_memory_stats'))}
    for name, answer in answers.items():
        put(torch.cuda, name, lambda *args, _answer=answer, **options: _answer)
    for name in ('synchronize', 'empty_cache'):
        put(torch.cuda, name, Driver.wait_for_all)
    for name, stand_in in {'Stream': _Stream, 'stream': _Stream, 'CUDAGraph': Graph,
                           'graph': Capture}.items():
        put(torch.cuda, name, stand_in)
    for name in ('current_stream', 'default_stream'):
        put(torch.cuda, name, lambda *args, **options: _Stream())
