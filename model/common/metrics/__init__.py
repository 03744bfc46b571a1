# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one definition of each metric, for training, evaluation and the demo.

Masks are class ids, (h, w) uint8, with 0 for the background; 255 in the truth is ignored. Counts
of all images are added up before a ratio is taken, as the Pascal VOC and Cityscapes benchmarks do.
"""
