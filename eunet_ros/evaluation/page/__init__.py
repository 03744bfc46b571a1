# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Output of an evaluation: page, pictures, recordings, report."""
