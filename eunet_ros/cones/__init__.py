# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a mask to cones in the image and on the ground."""
