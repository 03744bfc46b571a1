# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's strip over real DDS: where it is, and that the evaluation has the same masks."""
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from bag_making import info_message, make_bag, picture, START  # noqa: I100, E402
from eunet_ros.images.conversions import image_to_mask  # noqa: E402
from eunet_ros.model import Segmenter  # noqa: E402
from evaluation_making import masks_of  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from test_node import image_message, RELIABLE, Rig  # noqa: E402

pytestmark = pytest.mark.ros

STRIP = {'strip_height': 32, 'strip_width': 128}  # 16 of the 48 rows of these images
MOUNT = {'camera_height': 1.0, 'camera_pitch': 0.2}
FOCAL, FRAMES = 50.0, 3


@pytest.fixture
def rig(ros, tiny_weights):
    made = Rig(tiny_weights, **STRIP, **MOUNT)
    yield made.start('mask')
    made.close()


def tell(rig, **changes):
    """Let the node have the camera_info of the bag's camera, with changes."""
    info = info_message(START, FOCAL)
    msg = CameraInfo(**{'height': info.height, 'width': info.width, 'k': info.k.tolist(),
                        'd': info.d.tolist(), 'distortion_model': info.distortion_model,
                        **changes})
    publisher = rig.peer.create_publisher(CameraInfo, 'camera_info', RELIABLE)
    rig.until(lambda: publisher.publish(msg) or rig.node._camera_info == msg, 'the camera_info')
    rig.peer.destroy_publisher(publisher)


def masks(rig, frames=range(FRAMES)):
    return [image_to_mask(rig.send(image_message(picture(i)))) for i in frames]


def test_the_evaluation_has_the_nodes_masks(rig, tiny_weights, tmp_path):
    bag = make_bag(tmp_path / 'drive', FRAMES, compressed=False, focal=FOCAL)
    expected = masks_of(tmp_path, bag, tiny_weights, **STRIP, **MOUNT)
    assert (np.array(masks(rig)) != expected).any()  # the camera is not known yet
    tell(rig)
    np.testing.assert_array_equal(masks(rig), expected)


def test_without_a_horizon_the_strip_is_where_the_parameter_says(rig, tiny_weights):
    segmenter = Segmenter(tiny_weights, 'torch', strip_size=(32, 128))

    def expected(horizon):
        return segmenter.segment(picture(0), horizon).mask
    tell(rig, height=24)  # of another image
    assert rig.node.set_parameters([Parameter('strip_center', value=0.75)])[0].successful
    np.testing.assert_array_equal(masks(rig, [0])[0], expected(0.75 * 48 - 0.3 * 16))
    tell(rig)
    np.testing.assert_array_equal(masks(rig, [0])[0], expected(24 - FOCAL * np.tan(0.2)))
    # The camera is turned over.
    assert rig.node.set_parameters([Parameter('camera_roll', value=3.1)])[0].successful
    np.testing.assert_array_equal(masks(rig, [0])[0], expected(0.75 * 48 - 0.3 * 16))
    assert rig.node.set_parameters([Parameter('strip_center', value=0.0)])[0].successful
    np.testing.assert_array_equal(masks(rig, [0])[0], expected(None))
    assert rig.counts()['masked'] == 4
