# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One worker thread that processes the newest frame."""
from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

from eunet_ros.node.drop_reasons import DropReason


class LatestFrameWorker:
    """
    Passes frames to one worker thread; a newer frame replaces one that waits.

    So waiting adds at most the time of one frame. work: called in the thread with each frame; its
    exceptions go to on_error. on_error and on_drop get the frame first; reasons: NEWER or STOPPED.
    """

    def __init__(self, work: Callable[[Any], None], on_error: Callable[[Any, Exception], None],
                 on_drop: Callable[[Any, DropReason], None] = lambda frame, reason: None) -> None:
        self._work, self._on_error, self._on_drop = work, on_error, on_drop
        self._condition = threading.Condition()
        self._waiting: Any = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name='eunet_worker', daemon=True)
        self._thread.start()

    def submit(self, frame: Any) -> bool:
        """Offer a frame; returns whether an older one that waited was dropped for it."""
        with self._condition:
            older, self._waiting = self._waiting, frame
            if self._stopped:
                older, self._waiting = frame, None
            self._condition.notify_all()
        if older is not None:
            self._on_drop(older, DropReason.STOPPED if older is frame else DropReason.NEWER)
        return older is not None

    def stop(self, timeout: float = 10.0) -> bool:
        """Finish the frame in work and drop the waiting one; returns whether the thread ended."""
        with self._condition:
            self._stopped = True
            left, self._waiting = self._waiting, None
            self._condition.notify_all()
        if left is not None:
            self._on_drop(left, DropReason.STOPPED)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._stopped or self._waiting is not None)
                if self._stopped:
                    return
                frame, self._waiting = self._waiting, None
            try:
                self._work(frame)
            except Exception as error:
                self._on_error(frame, error)
            frame = None  # frees its memory before the next one
