# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM end a process in order; import this first, before slow imports."""
import os
import signal
import time

_AGAIN_S = 1.0    # an interrupt that something swallowed is raised again at a signal after this


class Interrupt:
    """
    The handler of both signals.

    Until `made` the process ends at once: an exception during an import could become any other.
    Then KeyboardInterrupt is raised, once; or, if `only_noted`, signals only set `came`, because
    an exception in rclpy's own code leaves half-made objects.
    """

    def __init__(self) -> None:
        self.made = self.only_noted = self.came = False
        self._raised = float('-inf')

    def __call__(self, number: int, frame: object) -> None:
        """Handle a signal; those that follow within a moment belong to the first."""
        self.came = True
        if self.only_noted:
            return
        if not self.made:
            os._exit(0)
        now = time.monotonic()
        if now - self._raised > _AGAIN_S:
            self._raised = now
            raise KeyboardInterrupt

    def install(self) -> None:
        """Handle signals from now on; a SIGINT that the parent ignores stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)


interrupt = Interrupt()
