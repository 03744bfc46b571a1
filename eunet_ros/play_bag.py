# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `ros2 run eunet_ros play_bag` starts; its code is in replay/player.py."""
from eunet_ros.ros.interrupts import interrupt


def main() -> None:
    """Run it as this process, which ends in order from its first moment on."""
    interrupt.install()
    from eunet_ros.ros.process import run
    run('eunet_ros.replay.player')


if __name__ == '__main__':
    main()
