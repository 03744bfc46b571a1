# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where a network's time goes, and how little it could be: bytes and operations of each layer.

    python benchmarks/roofline.py --variant eunet_n
    python benchmarks/roofline.py --variant eunet --device cuda --precision float16

The bound of a layer is the larger of its bytes over the memory's bandwidth and its operations over
the arithmetic's peak, both measured here. Layers are those of the network rewritten for inference,
run one by one by PyTorch: an engine that fuses them moves fewer bytes than the bound assumes.
"""
from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import sys
from time import perf_counter

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from _machine import machine_lines  # noqa: E402
from eunet_ros.model.common.classes import cone_classes  # noqa: E402
from eunet_ros.model.deploy import deploy  # noqa: E402
from eunet_ros.model.eunet import build_model, VARIANTS  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
_RUNS = 5


@dataclass
class Layer:
    """A layer: what it moves [bytes] and computes [multiply-adds], and the times it took [s]."""

    name: str
    kind: str
    moved: int
    macs: int
    times: list[float] = field(default_factory=list)

    def bound(self, bandwidth: float, peak: float) -> float:
        """Return the least time [s] at a bandwidth [bytes/s] and a peak [multiply-adds/s]."""
        return max(self.moved / bandwidth, self.macs / peak)


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.ConvTranspose2d):
        return 'transposed 2x2'
    if isinstance(module, nn.Conv2d):
        k, d = module.kernel_size[0], module.dilation[0]
        if module.groups > 1:
            return f'depthwise {k}x{k}' + (f' dilated {d}' if d > 1 else '')
        return f'convolution {k}x{k}'
    return type(module).__name__.lower()


def _macs(module: nn.Module, output: torch.Tensor) -> int:
    if isinstance(module, nn.ConvTranspose2d):  # stride and kernel are 2: each output once
        return output.numel() * module.in_channels
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.in_channels // module.groups * (
            module.kernel_size[0] * module.kernel_size[1])
    return output.numel()


def trace(network: nn.Module, x: torch.Tensor,
          settle: Callable[[], None]) -> tuple[list[Layer], float]:
    """Run a network a few times; returns its layers in order, and how long the whole takes [s]."""
    with torch.inference_mode():
        whole = []
        for _ in range(_RUNS + 1):
            start = perf_counter()
            network(x)
            settle()
            whole.append(perf_counter() - start)
    layers: dict[str, Layer] = {}
    started: dict[str, float] = {}
    size = x.element_size()

    def before(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            settle()
            started[name] = perf_counter()
        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...],
                 output: torch.Tensor) -> None:
            settle()
            took = perf_counter() - started[name]
            moved = size * (inputs[0].numel() + output.numel() + sum(
                p.numel() for p in module.parameters(recurse=False)))
            layers.setdefault(name, Layer(name, _kind(module), moved, _macs(module, output))
                              ).times.append(took)
        return hook
    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_pre_hook(before(name))
            module.register_forward_hook(after(name))
    with torch.inference_mode():
        for _ in range(_RUNS + 1):
            network(x)
    for layer in layers.values():
        layer.times.pop(0)  # the first run prepares
    return list(layers.values()), float(np.median(whole[1:]))


def peaks(device: str, kind: torch.dtype, settle: Callable[[], None]) -> tuple[float, float]:
    """Measure bandwidth [bytes/s] of a copy and the peak [multiply-adds/s] of a product."""
    def best(run: Callable[[], object]) -> float:
        times = []
        for _ in range(8):
            settle()
            start = perf_counter()
            run()
            settle()
            times.append(perf_counter() - start)
        return min(times)
    n = 1 << (28 if device == 'cuda' else 26)
    source, target = (torch.zeros(n, dtype=torch.uint8, device=device) for _ in range(2))
    side = 8192 if device == 'cuda' else 2048
    a = torch.ones(side, side, dtype=kind, device=device)
    with torch.inference_mode():
        return 2 * n / best(lambda: target.copy_(source)), side ** 3 / best(lambda: a @ a)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Where a network's time goes, and how little it could be.")
    parser.add_argument('--variant', default='eunet_n', choices=list(VARIANTS))
    parser.add_argument('--size', type=int, nargs=2, default=(384, 640), metavar=('H', 'W'))
    parser.add_argument('--device', default='cpu', choices=('cpu', 'cuda'))
    parser.add_argument('--precision', default='float32', choices=list(DTYPES))
    parser.add_argument('--layers', type=int, default=12, help='the slowest ones to list')
    o = parser.parse_args(arguments)
    if o.device == 'cuda' and not torch.cuda.is_available():
        print('roofline: PyTorch finds no GPU here; use --device cpu.', file=sys.stderr)
        return 1
    multiple = VARIANTS[o.variant].multiple
    if min(o.size) < multiple or any(side % multiple for side in o.size):
        print(f'roofline: --size must be multiples of {multiple}, found {o.size[0]}x{o.size[1]}.',
              file=sys.stderr)
        return 1
    settle = torch.cuda.synchronize if o.device == 'cuda' else (lambda: None)
    kind = DTYPES[o.precision]
    where = torch.cuda.get_device_name() if o.device == 'cuda' else 'CPU'
    bandwidth, peak = peaks(o.device, kind, settle)
    network = deploy(build_model(o.variant, len(cone_classes().names)).eval())
    network = network.to(o.device, kind).to(memory_format=torch.channels_last)
    x = torch.zeros(1, 3, *o.size, device=o.device, dtype=kind)
    torch.backends.cudnn.allow_tf32 = False  # as the product that the peak is measured by
    layers, whole = trace(network, x, settle)
    print(f'Machine\n{machine_lines()}\n{o.variant}, {o.size[0]}x{o.size[1]}, {o.precision} on '
          f'{where}: a copy moves {bandwidth / 1e9:.1f} GB/s, a product computes '
          f'{peak / 1e9:.0f} thousand million multiply-adds a second.\n')
    head = f'{"MB":>8}{"MMAC":>9}{"bound ms":>10}{"ms":>8}{"of bound":>10}'

    def line(name: str, group: Sequence[Layer]) -> str:
        bound = sum(layer.bound(bandwidth, peak) for layer in group)
        took = sum(float(np.median(layer.times)) for layer in group)
        return (f'{name:<26}{sum(g.moved for g in group) / 1e6:>8.1f}'
                f'{sum(g.macs for g in group) / 1e6:>9.1f}{1e3 * bound:>10.2f}{1e3 * took:>8.2f}'
                f'{bound / took:>10.0%}')
    groups: dict[str, list[Layer]] = defaultdict(list)
    for layer in layers:
        groups[layer.kind].append(layer)

    def cost(group: Sequence[Layer]) -> float:
        return -sum(float(np.median(layer.times)) for layer in group)
    print(f'{"by kind":<26}{head}')
    for name, group in sorted(groups.items(), key=lambda item: cost(item[1])):
        print(line(name, group))
    print(line('all', layers))
    rest = whole + cost(layers)
    print(f'The whole network takes {1e3 * whole:.2f} ms: what is no layer (gates, joining, '
          f'pixel shuffles), less what measuring layers one by one adds, {1e3 * rest:+.2f} ms.')
    print(f'\n{"slowest layers":<26}{head}')
    for layer in sorted(layers, key=lambda one: cost([one]))[:o.layers]:
        print(line(layer.name, [layer]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
