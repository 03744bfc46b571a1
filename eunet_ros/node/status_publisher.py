# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics for people and ~/status for the mission controller."""
from __future__ import annotations

from collections.abc import Callable, Mapping
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from eunet_ros.node.health import Health
from eunet_ros.node.outputs import create
from eunet_ros.parameters import NodeParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

_LOOK_S = 0.1      # longest time until a fault is reported


class StatusPublisher:
    """Publishes the node's health and rows at a rate and at every change, in steady time."""

    def __init__(self, node: Node, health: Callable[[], Health],
                 rows: Callable[[], Mapping[str, str]], p: NodeParameters,
                 on_failure: Callable[[Exception], None]) -> None:
        self._node, self._health, self._rows = node, health, rows
        self._hardware_id, self._on_failure = p.engine, on_failure
        self._periods = p.status_period, p.diagnostics_period
        self._look_s = min(_LOOK_S, *self._periods)
        self._due = [0.0, 0.0]
        self._last: tuple[int, int] | None = None
        self._status = create(node, 'status', p, managed=False)
        self._array = create(node, '/diagnostics', p, managed=False)
        self._timer = node.create_timer(
            self._look_s, self.look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def look(self) -> None:
        """Publish what is due, and a changed level at once."""
        try:
            self._look()
        except Exception as error:
            # A signal may end the context at any moment.
            if self._node.context.ok():
                self._on_failure(error)

    def _look(self) -> None:
        health = self._health()
        levels = health.diagnostics_level, health.status_level
        changed, self._last = levels != self._last, levels
        name = f'{self._node.get_fully_qualified_name()}: segmentation'
        if self._is_due(0) or changed:
            self._status.publish(DiagnosticStatus(
                level=bytes([health.status_level]), name=name, message=health.message,
                hardware_id=self._hardware_id))
        if self._is_due(1) or changed:
            array = DiagnosticArray(status=[DiagnosticStatus(
                level=bytes([health.diagnostics_level]), name=name,
                message=health.diagnostics_message, hardware_id=self._hardware_id,
                values=[KeyValue(key=k, value=v) for k, v in self._rows().items()])])
            array.header.stamp = self._node.get_clock().now().to_msg()
            self._array.publish(array)

    def _is_due(self, which: int) -> bool:
        now = time.monotonic() + self._look_s / 2  # else jitter would put it off by a look
        if now < self._due[which]:
            return False
        self._due[which] = max(self._due[which] + self._periods[which], now)
        return True
