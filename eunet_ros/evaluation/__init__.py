# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation of weights on all frames of recorded drives: quality, speed, and failures."""
