# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network, training and the ROS side share: classes, files, labels, errors."""
