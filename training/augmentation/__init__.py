# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What varies the images of a training: crop on the CPU, batch on the network's device."""
