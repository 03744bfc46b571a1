# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: weights and their metadata in a safetensors file, which cannot contain code."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
import hashlib
import json
import math
from numbers import Integral
import os
from pathlib import Path
from typing import Any

from eunet_ros.model.common.classes import ClassTable, cone_classes
from eunet_ros.model.common.errors import one_line
from eunet_ros.model.common.files import written_beside
from eunet_ros.model.common.resources import WEIGHTS_DIR
from eunet_ros.model.eunet import build_model, EUnet, get_variant, Variant, VARIANTS
import torch

FORMAT = 1
MAX_BYTES = 2 ** 30  # of a file; the largest network of the family has 18 MB
_KEY = 'eunet_ros'
# ImageNet's, as usual in the field: weights of other networks' stems stay comparable.
DEFAULT_MEAN = (0.485, 0.456, 0.406)
DEFAULT_STD = (0.229, 0.224, 0.225)
# Of the best cone class's logit over the background's: see `pieces.settle`.
NO_THRESHOLDS = (0.0, 0.0)


class CheckpointError(ValueError):
    """A weights file that is missing, damaged or of another network than expected."""


@dataclass(frozen=True)
class Checkpoint:
    """A network in eval mode with its metadata."""

    network: EUnet
    variant: str
    classes: ClassTable
    input_size: tuple[int, int]  # (height, width) of training [px]
    mean: tuple[float, float, float] = DEFAULT_MEAN  # of RGB in 0 to 1
    std: tuple[float, float, float] = DEFAULT_STD  # as mean
    training: dict[str, Any] = field(default_factory=dict)  # free-form
    scores: dict[str, Any] = field(default_factory=dict)  # free-form
    path: Path | None = None  # of the file, if there is one
    sha256: str = ''  # of the file
    strip_size: tuple[int, int] | None = None
    thresholds: tuple[float, float] = NO_THRESHOLDS

    def __post_init__(self) -> None:
        if self.network.num_classes != self.classes.num_logits:
            raise CheckpointError(
                f'The network has {self.network.num_classes} outputs but {len(self.classes.names)}'
                f' classes need {self.classes.num_logits}.')
        for size in filter(None, (self.input_size, self.strip_size)):
            check_input_size(size, self.network.variant)
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise CheckpointError('The mean and std of the normalisation must be finite and std '
                                  f'positive, found {self.mean} and {self.std}.')
        if not -math.inf < self.thresholds[0] <= 0 <= self.thresholds[1] < math.inf:
            raise CheckpointError('The thresholds of cones must be a logit of at most 0 and one '
                                  f'of at least 0, found {self.thresholds}; 0 0 is none.')
        if any(self.thresholds) and len(self.classes.names) > 64:  # a mask has bits beside them
            raise CheckpointError('Thresholds need at most 64 classes, found '
                                  f'{len(self.classes.names)}; set the thresholds 0 0.')

    def with_defaults(self, input_size: Sequence[int] | None, strip_size: Sequence[int] | None,
                      thresholds: Sequence[float] | None) -> Checkpoint:
        """Return it with other ones; raises ValueError. A new input drops the strip."""
        strip = strip_size or (None if input_size else self.strip_size)
        return replace(self, input_size=tuple(input_size or self.input_size),
                       strip_size=strip and tuple(strip),
                       thresholds=tuple(thresholds or self.thresholds))


def check_input_size(size: tuple[int, int], variant: Variant) -> None:
    """Raise ValueError, with the nearest valid size, where a network cannot take `size`."""
    m = variant.multiple
    if len(size) != 2 or not all(isinstance(side, Integral) for side in size):
        raise ValueError('A size must be two whole numbers, height and width in pixels, '
                         f'found {size!r}.')
    if any(not m <= side <= 8192 or side % m for side in size):
        height, width = (min(max(m, round(side / m) * m), 8192 // m * m) for side in size)
        raise ValueError(
            f'The size {size[0]}x{size[1]} (height x width) does not fit the network: both '
            f'must be multiples of {m} up to 8192; the nearest is {height}x{width}.')


def random_checkpoint(variant: str, classes: ClassTable,
                      input_size: tuple[int, int] = (384, 640)) -> Checkpoint:
    """Return a checkpoint with random weights, for benchmarks and tests."""
    return Checkpoint(build_model(variant, classes.num_logits).eval(), variant, classes,
                      input_size)


def available_weights() -> list[str]:
    return sorted(p.stem for p in WEIGHTS_DIR.glob('*.safetensors'))


def resolve_weights(path_or_name: str | os.PathLike[str]) -> Path:
    """Return the file of weights by its path or shipped name; raises CheckpointError."""
    text, shipped = os.fspath(path_or_name), ', '.join(available_weights()) or 'none'
    if not text:
        raise CheckpointError('Expected the path or name of weights, found an empty string; '
                              f'shipped weights: {shipped}.')
    looks_like_path = os.sep in text or text.startswith('~') or Path(text).suffix != ''
    path = Path(os.path.expanduser(text) if looks_like_path
                else WEIGHTS_DIR / f'{text}.safetensors')
    if not os.path.exists(path):  # unlike Path.exists, False for a name that is too long
        what = 'There is no weights file' if looks_like_path else 'There are no weights named'
        raise CheckpointError(
            f'{what} {text}; give the path of a .safetensors file or one of the shipped names: '
            f'{shipped}.')
    if not path.is_file():
        raise CheckpointError(f'The weights path {path} is not a file; give the path of a '
                              '.safetensors file.')
    if path.suffix != '.safetensors':
        raise CheckpointError(
            f'The weights file {path} is not a .safetensors file; other formats can run code when '
            'they are opened and are refused, export the weights to .safetensors.')
    return path


def load_checkpoint(path_or_name: str | os.PathLike[str], variant: str = '') -> Checkpoint:
    """Load weights by path or shipped name and check their variant; raises CheckpointError."""
    if variant:
        get_variant(variant)
    path = resolve_weights(path_or_name)
    tensors, metadata, sha256 = _read(path)
    try:
        info = _parse(metadata)
        if variant and info['variant'] != variant:
            raise ValueError(f'it holds weights of {info["variant"]}, not of {variant}; set the '
                             'variant to match or leave it empty')
        with torch.device('meta'):  # no memory before the tensors are known to fit
            network = EUnet(info['classes'].num_logits, info.pop('architecture'))
        _load_strictly(network, tensors)
        return Checkpoint(network.eval(), path=path, sha256=sha256, **info)
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        reason = (f'{error.args[0]!r} is missing' if isinstance(error, KeyError)
                  else one_line(error))
        raise CheckpointError(f'Cannot use the weights in {path}: {reason}.') from error


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint,
                    half: bool = False) -> None:
    """Write a checkpoint atomically; half: in float16. Raises OSError or ValueError."""
    from safetensors.torch import save  # here: only those who write need it
    path = Path(path)
    if path.suffix != '.safetensors':
        raise ValueError(f'Checkpoints end in .safetensors, not {path.name!r}.')
    info = {
        'format': FORMAT, 'variant': checkpoint.variant,
        'architecture': checkpoint.network.variant.to_dict(),
        'classes': checkpoint.classes.to_list(), 'input_size': list(checkpoint.input_size),
        'mean': list(checkpoint.mean), 'std': list(checkpoint.std),
        'training': checkpoint.training, 'scores': checkpoint.scores,
        **({'strip_size': list(checkpoint.strip_size)} if checkpoint.strip_size else {}),
        **({'thresholds': list(checkpoint.thresholds)} if any(checkpoint.thresholds) else {}),
    }
    tensors = {k: v.half() if half and v.is_floating_point() and v.ndim > 1 else v
               for k, v in checkpoint.network.state_dict().items()}
    _check_finite(tensors)
    data = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()},
                {_KEY: json.dumps(info, sort_keys=True)})
    with written_beside(path) as beside:
        beside.write_bytes(data)


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str], str]:
    from safetensors import safe_open, SafetensorError
    size = path.stat().st_size if path.exists() else 0
    if size > MAX_BYTES:
        raise CheckpointError(f'The weights file {path} has {size} bytes, expected up to '
                              f'{MAX_BYTES}: it is not of this package.')
    try:
        with safe_open(path, 'pt') as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}
            metadata = file.metadata() or {}
        return tensors, metadata, hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f'The weights file {path} is damaged or not a safetensors file ({one_line(error)}); '
            'copy or download it again.') from error


def _parse(metadata: dict[str, str]) -> dict[str, Any]:
    if _KEY not in metadata:
        raise ValueError(f'it has no {_KEY} metadata; export it with this package')
    info = json.loads(metadata[_KEY])
    if info['format'] != FORMAT:
        raise ValueError(f'expected checkpoint format {FORMAT}, found {info["format"]!r}; '
                         'update the package or export the weights again')
    if info['variant'] not in VARIANTS:
        raise ValueError(f'unknown variant {info["variant"]!r}')

    def numbers(key: str, length: int, kind: type) -> tuple:
        values = info[key]
        if not isinstance(values, list) or len(values) != length:
            raise ValueError(f'expected {length} numbers in {key}, found {values!r}')
        return tuple(kind(v) for v in values)
    return {
        'variant': info['variant'], 'architecture': Variant(**info['architecture']),
        'classes': ClassTable.from_list(info['classes']).updated(cone_classes()),
        'input_size': numbers('input_size', 2, int), 'mean': numbers('mean', 3, float),
        'std': numbers('std', 3, float), 'training': dict(info.get('training', {})),
        'scores': dict(info.get('scores', {})),
        'strip_size': numbers('strip_size', 2, int) if 'strip_size' in info else None,
        'thresholds': (numbers('thresholds', 2, float) if 'thresholds' in info
                       else NO_THRESHOLDS),
    }


def _load_strictly(network: EUnet, tensors: dict[str, torch.Tensor]) -> None:
    expected = network.state_dict()
    missing, extra = sorted(expected.keys() - tensors), sorted(tensors.keys() - expected)
    if missing or extra:
        raise ValueError(
            f'its tensors are not those of the network ({len(missing)} missing, {len(extra)} '
            f'unexpected, such as {(missing + extra)[0]})')
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(f'{name} has shape {tuple(tensor.shape)}, expected '
                             f'{tuple(expected[name].shape)}')
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise ValueError(f'{name} is of type {tensor.dtype}, expected {expected[name].dtype}')
    _check_finite(tensors)
    # Copied: the tensors can be views of the open file and change when it is overwritten.
    network.load_state_dict({k: v.to(expected[k].dtype, copy=True) for k, v in tensors.items()},
                            strict=True, assign=True)


def _check_finite(tensors: dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f'{name} holds values that are not finite, the training diverged.')
