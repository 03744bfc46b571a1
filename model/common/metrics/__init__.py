# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one definition of each metric, for training, evaluation and the demo; NumPy and OpenCV only.

Masks are class ids, (h, w) uint8, with 0 for the background. Pixels that are 255 in the truth
count nowhere. Counts of all images are added up before a ratio is taken, as the Pascal VOC and
Cityscapes benchmarks do: in a mean of ratios of single images, images without cones would decide.

pixels: Dice, IoU, mIoU. cones: found, right class, recall by height. false_cones: false cones.
boxes: labels that are boxes, not masks. flicker: flicker and changes of class.
"""
