# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole chain: train on a project, export, and the node masks a topic with the weights."""
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')
pytest.importorskip('lightning', reason='lightning is not installed')

from eunet_ros.images.conversions import image_to_mask  # noqa: E402,I100
from eunet_ros.model import load_checkpoint, Segmenter  # noqa: E402
from eunet_ros.model.common.label_writer import write_project  # noqa: E402
from eunet_ros.training import evaluate, export  # noqa: E402
from eunet_ros.training.data.render_fsoco import items  # noqa: E402
from eunet_ros.training.train import main  # noqa: E402
from image_making import fill_image  # noqa: E402
from node_process import Process  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from training_runs import command  # noqa: E402

pytestmark = pytest.mark.train


def test_from_a_project_to_masks_on_a_topic(ros, tmp_path):
    project, run, weights = tmp_path / 'fsoco', tmp_path / 'run', tmp_path / 'ours.safetensors'
    write_project(project, items(9, 5, 144, 216, sources=3), 'team')
    assert main(command(tmp_path / 'cache', run, data=project, weights='eunet_n', steps=4,
                        validate_every=2, lr=1e-5, height=128, width=192, crop_height=96,
                        crop_width=128)) == 0
    assert export.main([str(run), '--output', str(weights)]) == 0
    told = load_checkpoint(weights)
    assert told.thresholds == load_checkpoint('eunet_n').thresholds
    assert told.training['step'] in (2, 4) and told.scores['validation crops']['dice'] > 0
    assert evaluate.main(['--weights', str(weights), '--data', str(project), '--split-file',
                          str(run / 'split.json'), '--output', str(tmp_path / 'report')]) == 0

    [item] = items(1, 111, 144, 192, sources=1)
    expected = Segmenter(weights, 'openvino')(item.image)
    assert expected.any(), 'The weights must find something, or the test shows nothing.'
    process = Process('-p', f'weights:={weights}', '-p', 'engine:=openvino')
    try:
        camera = process.peer.create_publisher(Image, '/image', 5)
        masks = []
        process.peer.create_subscription(Image, '/eunet/mask', masks.append, 5)
        process.until(lambda: camera.get_subscription_count()
                      and process.peer.count_publishers('/eunet/mask'), 'the node', 60)
        process.until(lambda: process.state() == 3, 'the node to be active', 60)
        message = fill_image(Image(), item.image, 'bgr8')
        message.header.stamp.sec, message.header.frame_id = 7, 'camera'
        camera.publish(message)
        process.until(lambda: masks, 'a mask')
        assert (masks[0].header.stamp.sec, masks[0].header.frame_id) == (7, 'camera')
        np.testing.assert_array_equal(image_to_mask(masks[0]), expected)
        code, output = process.end(signal.SIGINT)
        assert code == 0 and 'Traceback' not in output, output
    finally:
        process.close()
