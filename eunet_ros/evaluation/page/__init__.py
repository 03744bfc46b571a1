# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation shows: page, pictures, recordings, report."""
