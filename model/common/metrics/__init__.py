# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one definition of each metric, for training, evaluation and the demo.

Masks are class ids, (h, w) uint8, 0 is background; 255 in the truth is ignored. Counts are summed
over all images before ratios are computed, as in Pascal VOC and Cityscapes.
"""
