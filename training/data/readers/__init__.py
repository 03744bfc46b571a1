# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Readers of images and labels, one module per kind; `data.formats` uses them."""
