# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The messages of driverless stacks for tests, where their packages are not installed."""
import pytest

typesys = pytest.importorskip('rosbags.typesys', reason='rosbags is not installed')

# As fs_msgs and eufs_msgs define them.
DEFINITIONS = {
    'fs_msgs/msg/Cone': 'uint8 BLUE=0\nuint8 YELLOW=1\nuint8 ORANGE_BIG=2\nuint8 ORANGE_SMALL=3\n'
                        'uint8 UNKNOWN=4\ngeometry_msgs/Point location\nuint8 color\n',
    'fs_msgs/msg/Track': 'fs_msgs/Cone[] track\n',
    'eufs_msgs/msg/ConeWithCovariance': 'geometry_msgs/Point point\nfloat64[4] covariance\n',
    'eufs_msgs/msg/ConeArrayWithCovariance': 'std_msgs/Header header\n' + ''.join(
        f'eufs_msgs/ConeWithCovariance[] {name}_cones\n'
        for name in ('blue', 'yellow', 'orange', 'big_orange', 'unknown_color'))}


def stack_store():
    """Return rosbags' message definitions with those of the stacks."""
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    for name, text in DEFINITIONS.items():
        store.register(typesys.get_types_from_msg(text, name))
    return store
