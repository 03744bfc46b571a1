# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The interface of engines, and the base class of those on the CPU; `registry` lists them."""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Protocol, TYPE_CHECKING

from eunet_ros.model import processing
from eunet_ros.model.common.errors import EngineError, unknown
import numpy as np

if TYPE_CHECKING:  # torch takes seconds to import, and the names of the engines do not need it
    from eunet_ros.model.checkpoint import Checkpoint


# auto: float32 on a CPU, float16 on a GPU. The others trade exactness for speed.
PRECISIONS = ('auto', 'float32', 'float16', 'bfloat16', 'int8')


def installed_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ''


class NoHardwareError(EngineError):
    """This machine lacks the engine's hardware, which needs no warning."""


class NotFiniteError(EngineError):
    """Logits are not finite: they exceed the precision's range; float32 may be enough."""

    def __init__(self) -> None:
        super().__init__('The network returned values that are not finite; its weights do not '
                         'suit this image or precision. Choose precision float32.')


class DeviceLostError(EngineError):
    """The GPU is unusable in this process; a new process may be able to use it."""


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is built; raises ValueError."""

    input_size: tuple[int, int]  # (height, width) [px]
    num_threads: int = 0  # 0 for all cores
    precision: str = 'auto'  # one of PRECISIONS
    cache: Path | None = None  # folder of built engines, None for the user's
    say: Callable[[str], None] = field(default=lambda text: None, compare=False)  # gets progress
    calibration: Sequence[np.ndarray] = ()  # (h, w, 3) uint8 BGR images, for int8

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(unknown('precision', self.precision, PRECISIONS))
        if self.num_threads < 0:
            raise ValueError('num_threads must be 0 (all cores) or more, found '
                             f'{self.num_threads}.')


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the network's input (1, H, W, 3) of a (h, w, 3) uint8 BGR image; size: (H, W)."""
    batch = np.empty((1, *size, 3), np.uint8)
    processing.to_network(image, processing.fit(image.shape[:2], size), batch[0])
    return batch


def no_calibration(engine: str) -> EngineError:
    """Return the error of an int8 engine that is not in the cache and has no calibration."""
    return EngineError(
        f'The engine {engine} has no int8 network of these weights yet and needs images to build '
        f'it: run build_engine --engine {engine} --precision int8 --calibrate FOLDER first, with '
        'the same weights and input size.')


class Segmentation(Protocol):
    """The result for one image: class ids (h, w) uint8 and milliseconds by stage."""

    mask: np.ndarray
    stage_ms: dict[str, float]

    def confidence(self, cones_only: bool = False) -> np.ndarray:
        """Return the chosen class's probability, (h, w) uint8; cones_only: on cones."""

    def cone_probability(self) -> np.ndarray:
        """Return the probability of any cone, (h, w) float32."""


class Engine(ABC):
    """Runs one network at one input size; used from one thread at a time."""

    name: str
    libraries: tuple[str, ...] = ('torch',)  # distributions that it may use
    precisions: tuple[str, ...]              # available ones; `auto` is the first
    precision: str                           # the one in use
    on_gpu = False                           # whether it leaves the CPU free

    @classmethod
    def choose_precision(cls, precision: str) -> str:
        """Return the precision to compute in; raises EngineError if it is not available."""
        if precision == 'auto':
            return cls.precisions[0]
        if precision not in cls.precisions:
            raise EngineError(f'The engine {cls.name} computes in {" or ".join(cls.precisions)}, '
                              f'not in {precision}; choose another precision or engine.')
        return precision

    @classmethod
    def versions(cls) -> str:
        return ', '.join(f'{name} {found}' for name in cls.libraries
                         if (found := installed_version(name)))

    @classmethod
    @abstractmethod
    def check_available(cls) -> None:
        """Raise EngineError with what is missing if this engine cannot run here."""

    @abstractmethod
    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        """Build the engine; raises EngineError, also for a precision that it lacks."""

    @abstractmethod
    def segment(self, image: np.ndarray) -> Segmentation:
        """Segment a (h, w, 3) uint8 BGR image of any size; raises EngineError on failure."""

    def close(self) -> None:
        """Free the engine's resources; do not use it afterwards."""


@dataclass
class LogitsSegmentation:
    """A Segmentation with its logits (C, H, W) float32 in host memory."""

    mask: np.ndarray
    stage_ms: dict[str, float]
    logits: np.ndarray
    plan: processing.Fit
    low: float = 0.0  # threshold, see processing.labels

    def confidence(self, cones_only: bool = False) -> np.ndarray:
        if cones_only:
            return processing.confidence_of_cones(self.host_logits(), self.plan, self.mask,
                                                  self.low)
        return processing.confidence(self.host_logits(), self.plan, self.low)

    def cone_probability(self) -> np.ndarray:
        return processing.cone_probability(self.host_logits(), self.plan)

    def host_logits(self) -> np.ndarray:
        return self.logits


def stage_ms(*marks: float) -> dict[str, float]:
    """Return the milliseconds of the three stages between four times [s]."""
    stages = ('preprocess', 'inference', 'postprocess')
    return {name: 1e3 * (end - start) for name, start, end in zip(stages, marks, marks[1:])}


class HostEngine(Engine):
    """Base of engines whose network runs on arrays of the CPU."""

    def __init__(self, checkpoint: Checkpoint, options: EngineOptions) -> None:
        self.precision = self.choose_precision(options.precision)
        self.input_size = options.input_size
        self._thresholds = checkpoint.thresholds
        self._input = np.empty((1, *options.input_size, 3), np.uint8)

    @abstractmethod
    def infer(self, batch: np.ndarray) -> np.ndarray:
        """Map (1, H, W, 3) uint8 BGR to logits (C, H, W) float32, valid until the next call."""

    def segment(self, image: np.ndarray) -> LogitsSegmentation:
        start = perf_counter()
        plan = processing.fit(image.shape[:2], self.input_size)
        processing.to_network(image, plan, self._input[0])
        ready = perf_counter()
        logits = self.infer(self._input)
        if not np.isfinite(logits.sum()):  # faster than a look at each value
            raise NotFiniteError
        done = perf_counter()
        mask = processing.labels(logits, plan, self._thresholds)
        return LogitsSegmentation(mask, stage_ms(start, ready, done, perf_counter()), logits, plan,
                                  self._thresholds[0])
