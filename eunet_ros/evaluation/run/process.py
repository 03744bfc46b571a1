# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output of the evaluation's processes: JSON lines on stdout, errors on stderr."""
from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import sys
import time
from typing import Any

import cv2
from eunet_ros.evaluation.run.plan import bag_files, Plan

_NICE = 10      # lower priority than the engine
_TELL_S = 0.25  # between two lines of progress


def say(event: str, /, **values: Any) -> None:
    """Write an event as a JSON line to stdout."""
    print(json.dumps({'event': event, **values}), flush=True)


class ProgressLine:
    """Reports how many frames are done, at most every _TELL_S seconds."""

    def __init__(self) -> None:
        self._said = 0.0

    def show(self, done: int) -> None:
        if time.monotonic() - self._said > _TELL_S:
            self._said = time.monotonic()
            say('progress', done=done)


def run_worker(role: str, work: Callable[..., None], beside: bool = True) -> None:
    """Run work(plan, bag's number, its files, *other arguments); beside: at a low priority."""
    from eunet_ros.model.engines import EngineError
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if beside:
        os.nice(_NICE)
        cv2.setNumThreads(1)
    try:
        journal, number, *more = sys.argv[1:]
        work(Plan.load(Path(journal)), int(number), bag_files(Path(journal), int(number)), *more)
    except (ValueError, OSError, ImportError, EngineError) as error:
        sys.exit(f'{role}: {error}')
    except KeyboardInterrupt:
        sys.exit(130)
