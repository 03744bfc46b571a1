# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Data sets for training: splits, crops of images, decoded caches.

`formats` has the registry of formats, `readers` what reads them; `render_fsoco` writes a
project of rendered scenes. What varies the crops is in training/augmentation.
"""
