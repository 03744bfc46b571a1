# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How an evaluation runs: plan, worker processes, journals, masks of each frame."""
