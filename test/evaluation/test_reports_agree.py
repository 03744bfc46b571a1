# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reports of evaluate.py and of evaluate_bag give the same scores on the same images."""
import json

from bag_making import header, START, TYPES, write_bag
from evaluation_making import evaluate
import numpy as np
import pytest

pytest.importorskip('torchmetrics', reason='torchmetrics is not installed')

from eunet_ros.model.common.label_writer import Item, write_project  # noqa: E402,I100
from eunet_ros.training.evaluate import main  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402

SIZE = (192, 320)


def image_and_truth(seed):
    """
    Return a rendered image and a truth in which cones stand apart, so both find the same ones.

    The other cones of the image are none in it, and every third has another class.
    """
    scene = render_scene(seed, *SIZE)
    truth, taken = np.zeros(SIZE, np.uint8), np.zeros(SIZE, bool)
    for k, cone in enumerate(scene.cones, start=1):
        (u0, v0, u1, v1), own = cone.box, scene.instances == k
        around = np.s_[max(0, 2 * v0 - v1):2 * v1 - v0, max(0, u0 - 8):u1 + 8]
        if cone.visible_fraction > 0.95 and v1 - v0 >= 6 and not taken[around].any():
            truth[own] = cone.class_id if k % 3 else 1 + cone.class_id % 5
            taken[v0:v1, u0:u1] = True
    return scene.image, truth


@pytest.mark.process
def test_the_same_images_score_the_same_in_both_reports(tmp_path):
    items, messages = [], []
    for k, seed in enumerate((3, 5, 8, 12)):
        image, truth = image_and_truth(seed)
        stamp = START + k * 100_000_000
        items.append(Item(f'{stamp}.png', image, truth))
        messages.append(('/camera/image_raw', stamp, TYPES['sensor_msgs/msg/Image'](
            header(stamp), *SIZE, 'bgr8', 0, SIZE[1] * 3, image.reshape(-1))))
    write_project(tmp_path / 'project', items, border=0)
    bag = write_bag(tmp_path / 'drive', messages)

    options = '--weights', 'eunet_n', '--engine', 'torch', '--input-size', *map(str, SIZE)
    assert main([*options, '--split', 'all', '--border', '0', '--data', str(tmp_path / 'project'),
                 '--output', str(tmp_path / 'training')]) == 0
    of_training = json.loads((tmp_path / 'training' / 'report.json').read_text())
    report, _, _ = evaluate(tmp_path, bag, *options, '--truth', tmp_path / 'project',
                            '--bag-topics', 'none', '--no-video')
    of_bag = report['weights'][0]['scores']

    assert np.array(of_bag['confusion'])[:6].tolist() == of_training['confusion']
    for name in ('dice', 'miou', 'false_cones_per_image'):
        assert of_bag[name] == pytest.approx(of_training[name], abs=1e-4)
    assert of_bag['iou'] == pytest.approx(of_training['iou'], abs=1e-4)
    assert of_bag['false_cones'] == of_training['false_cones']
    for bag_row, row in zip([of_bag['recall'], *of_bag['recall_by_height'].values()],
                            [of_training['recall'], *of_training['recall_by_height'].values()]):
        assert bag_row == pytest.approx(row, abs=1e-4)
    # What is compared is not nothing.
    assert 0 < of_bag['dice'] < 1 and of_bag['false_cones'] > 0
    assert 0 < of_bag['recall']['found_right_class'] < of_bag['recall']['found']
    assert of_bag['recall']['found'] < of_bag['recall']['cones']
