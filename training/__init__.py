# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Data sets, losses, metrics and training of EUnet."""
