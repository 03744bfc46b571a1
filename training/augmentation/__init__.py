# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of training images: on_crops on the CPU, on_batches on the network's device."""
