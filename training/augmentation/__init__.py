# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What varies the images of a training.

on_crops: zoom, flip and colour, when a crop is cut; on_batches: light, blur and weather, on the
network's device. What the renderer varies is in renderer/effects.py and profiles.py.
"""
