# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded drives evaluated frame by frame: how good and how fast weights are, and where not."""
