# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets for training: `formats` (registry), `readers` of files, splits, crops and caches."""
