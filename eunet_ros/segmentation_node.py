# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `ros2 run eunet_ros segmentation_node` starts; its code is in node/segmentation_node.py."""
from eunet_ros.ros.interrupts import interrupt


def main() -> None:
    """Run it as this process, which ends in order from its first moment on."""
    interrupt.install()
    from eunet_ros.ros.process import run
    run('eunet_ros.node.segmentation_node')


if __name__ == '__main__':
    main()
