# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rendered cones: images with exact masks, from a seed."""

from eunet_ros.training.renderer.scene import Drive, render_scene, Scene, SceneCone

__all__ = ['Drive', 'Scene', 'SceneCone', 'render_scene']
