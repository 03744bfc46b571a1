# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What reads, or renders, the images and masks of each format; `data.formats` uses it."""
