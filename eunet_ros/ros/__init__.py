# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What several nodes, tools and launch files share; some modules import rclpy."""
