# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What every engine offers, and what those that work on the CPU share.

To add an engine: `<name>_engine.py` with a subclass of Engine, and its line in `registry.py`.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import difflib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Protocol, TYPE_CHECKING

from eunet_ros.model import processing
import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and the names of the engines do not need it
    from eunet_ros.model.checkpoint import Checkpoint


# auto: float32 on a CPU, float16 on a GPU. The others trade exactness for speed.
PRECISIONS = ('auto', 'float32', 'float16', 'bfloat16', 'int8')


def installed_version(name: str) -> str:
    """Return the version of a distribution, empty where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ''


class EngineError(RuntimeError):
    """An engine that cannot run here: its library is missing, or it failed to build or infer."""


class NoHardwareError(EngineError):
    """An engine for hardware that this machine has not: no reason to warn of it."""


class NotFiniteError(EngineError):
    """The network's values left the range of the precision; float32 may hold them."""

    def __init__(self) -> None:
        super().__init__('The network returned values that are not finite; its weights do not '
                         'suit this image or precision. Choose precision float32.')


class DeviceLostError(EngineError):
    """The GPU cannot be used any more in this process; a new process may be able to."""


@dataclass(frozen=True)
class EngineOptions:
    """
    How an engine is built.

    input_size: (height, width) of the network's input in pixels. num_threads: CPU threads, 0 for
    as many as there are cores. precision: one of PRECISIONS. cache: the folder of built engines,
    None for the user's. say: gets a sentence where building takes long or a cache is of no use.
    calibration: (h, w, 3) uint8 BGR images, for int8 alone: it is built anew with them. Raises
    ValueError for a negative number or an unknown precision.
    """

    input_size: tuple[int, int]
    num_threads: int = 0
    precision: str = 'auto'
    cache: Path | None = None
    say: Callable[[str], None] = field(default=lambda text: None, compare=False)
    calibration: Sequence[np.ndarray] = ()

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            near = difflib.get_close_matches(str(self.precision), PRECISIONS, 1)
            hint = f'; did you mean {near[0]}?' if near else '.'
            raise ValueError(f'Unknown precision {self.precision!r}, expected one of '
                             f'{", ".join(PRECISIONS)}{hint}')
        if self.num_threads < 0:
            raise ValueError('num_threads must be 0 (all cores) or more, found '
                             f'{self.num_threads}.')


class Segmentation(Protocol):
    """
    The result for one image.

    mask: (h, w) uint8 class ids, at the image's size, owned by the caller.
    stage_ms: milliseconds by stage: 'preprocess', 'inference', 'postprocess'.
    """

    mask: np.ndarray
    stage_ms: dict[str, float]

    def confidence(self, cones_only: bool = False) -> np.ndarray:
        """
        Return the probability of the chosen class, (h, w) uint8, 255 = certain.

        Computed on call, from memory that the engine's next image overwrites. cones_only: only
        where the mask is not background, which is faster; elsewhere it means nothing.
        """

    def cone_probability(self) -> np.ndarray:
        """Return the probability of any cone, (h, w) float32; from that memory, too."""


class Engine(ABC):
    """
    Runs one network at one input size; used from one thread at a time.

    An engine may do its pre- and post-processing on its own device: only `segment` is relied on.
    """

    name: str
    libraries: tuple[str, ...] = ('torch',)  # distributions that it may be made of
    precisions: tuple[str, ...]              # that it can compute in; `auto` is the first
    precision: str                           # that it computes in
    on_gpu = False                           # whether it leaves the CPU free

    @classmethod
    def choose_precision(cls, precision: str) -> str:
        """Return the precision to compute in; raises EngineError for one that it has not."""
        if precision == 'auto':
            return cls.precisions[0]
        if precision not in cls.precisions:
            raise EngineError(f'The engine {cls.name} computes in {" or ".join(cls.precisions)}, '
                              f'not in {precision}; choose another precision or engine.')
        return precision

    @classmethod
    def versions(cls) -> str:
        """Return the names and versions of its libraries that are installed."""
        return ', '.join(f'{name} {found}' for name in cls.libraries
                         if (found := installed_version(name)))

    @classmethod
    @abstractmethod
    def check_available(cls) -> None:
        """Raise EngineError, saying what is missing, where this engine cannot run."""

    @abstractmethod
    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        """Build the engine; raises EngineError where that fails or it has not that precision."""

    @abstractmethod
    def segment(self, image: np.ndarray) -> Segmentation:
        """Segment a (h, w, 3) uint8 BGR image of any size; raises EngineError on failure."""

    def close(self) -> None:
        """Free what the engine holds; it is not used afterwards."""


@dataclass
class HostSegmentation:
    """A Segmentation whose logits lie in the computer's memory."""

    mask: np.ndarray
    stage_ms: dict[str, float]
    logits: np.ndarray
    plan: processing.Fit

    def confidence(self, cones_only: bool = False) -> np.ndarray:
        """Return the probability of the chosen class; see Segmentation."""
        if cones_only:
            return processing.confidence_of_cones(self.logits, self.plan, self.mask)
        return processing.confidence(self.logits, self.plan)

    def cone_probability(self) -> np.ndarray:
        """Return the probability of any cone; see Segmentation."""
        return processing.cone_probability(self.logits, self.plan)


class HostEngine(Engine):
    """Base of engines that take the network's input from, and give logits to, the CPU."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        self.precision = self.choose_precision(options.precision)
        self.input_size = options.input_size
        self._input = np.empty((1, *options.input_size, 3), np.uint8)

    @abstractmethod
    def infer(self, batch: np.ndarray) -> np.ndarray:
        """
        Run the network alone.

        batch: (1, H, W, 3) uint8 BGR. Returns logits (C, H, W) float32, valid until the next call.
        """

    def segment(self, image: np.ndarray) -> HostSegmentation:
        """Segment a (h, w, 3) uint8 BGR image of any size."""
        t0 = perf_counter()
        plan = processing.fit(image.shape[:2], self.input_size)
        processing.to_network(image, plan, self._input[0])
        t1 = perf_counter()
        logits = self.infer(self._input)
        if not np.isfinite(logits.sum()):  # one that is not makes the sum so too
            raise NotFiniteError
        t2 = perf_counter()
        mask = processing.labels(logits, plan)
        t3 = perf_counter()
        stages = {'preprocess': t1 - t0, 'inference': t2 - t1, 'postprocess': t3 - t2}
        return HostSegmentation(
            mask, {k: v * 1e3 for k, v in stages.items()}, logits, plan)
