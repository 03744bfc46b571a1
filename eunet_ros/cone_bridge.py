# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `ros2 run eunet_ros cone_bridge` starts; its code is in node/cone_bridge.py."""
from eunet_ros.ros.interrupts import interrupt


def main() -> None:
    """Run it as this process, which ends in order from its first moment on."""
    interrupt.install()
    from eunet_ros.ros.process import run
    run('eunet_ros.node.cone_bridge')


if __name__ == '__main__':
    main()
