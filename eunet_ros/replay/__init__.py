# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives played and recorded as ROS topics, and the processes that do it."""
