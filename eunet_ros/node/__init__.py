# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node `eunet`, and the bridge to messages of other packages."""
