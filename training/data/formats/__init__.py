# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Formats of data sets, one module each; see eunet_ros.training.formats."""
