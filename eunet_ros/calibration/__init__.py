# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The camera's mounting: fitted from a drive, read and written."""
