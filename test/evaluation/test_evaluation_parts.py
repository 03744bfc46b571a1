# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ground truth, scores of frames, steadiness and comparisons, without a process."""
from dataclasses import replace
import random
from types import SimpleNamespace

from bag_making import header, START, truth, TYPES, write_bag
import cv2
from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.cones.detection import find_cones
from eunet_ros.cones.locator import Seen
from eunet_ros.evaluation.page import page
from eunet_ros.evaluation.page.pictures import choose_worst, crop_of
from eunet_ros.evaluation.page.report import percentiles
from eunet_ros.evaluation.run.journal import MaskScores, ScoreRow
from eunet_ros.evaluation.run.plan import FORMAT, JOURNAL_FORMAT, Plan
from eunet_ros.evaluation.scoring.comparison import compare, runs_of
from eunet_ros.evaluation.scoring.position_errors import Positions
from eunet_ros.evaluation.scoring.score import find_truth, score_masks
from eunet_ros.evaluation.scoring.steadiness import common_motion, match_cones, Steadiness
from eunet_ros.evaluation.scoring.summary import FrameFigures
from eunet_ros.evaluation.scoring.truth import (
    find_truth_topic,
    nearest,
    open_truth,
    stamp_in,
    TruthError,
)
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.common.files import rounded
from eunet_ros.model.common.label_writer import Item, write_project
import numpy as np
import pytest

SIZE = (48, 64)


@pytest.mark.parametrize(('name', 'stamp'), [
    ('1700000000123456789.png', START + 123_456_789), ('1700000000.123456789.png',
                                                       START + 123_456_789),
    ('front_1700000000_123456789.png.json', START + 123_456_789), ('frame0001.png', None),
    ('20260101_120000.png', None), ('170000000012345678901.png', None)])
def test_stamps_in_names(name, stamp):
    assert stamp_in(name) == stamp


def test_nearest():
    assert [nearest([10, 20, 40], s) for s in (0, 14, 31, 99)] == [10, 10, 40, 40]
    assert nearest([], 5) is None


def test_a_topic_of_masks_in_any_order(tmp_path):
    order = list(range(150))
    random.Random(1).shuffle(order)
    rows = []
    for at, i in enumerate(order):
        data = cv2.imencode('.png', truth(i % 30))[1].reshape(-1)
        rows.append(('/labels', START + at, TYPES['sensor_msgs/msg/CompressedImage'](
            header(START + i * 1000), 'png', data)))
    bag = write_bag(tmp_path / 'bag', rows, 'mcap')
    found = open_truth({'topic': '/labels'}, bag, cone_classes())
    assert found.stamps == [START + i * 1000 for i in range(150)]
    for i in range(150):
        np.testing.assert_array_equal(found.mask(START + i * 1000, SIZE), truth(i % 30))
    found.close()
    with Bag(bag) as opened:
        assert find_truth_topic(opened) is None
        with pytest.raises(BagError, match=r'no masks on /nope; image topics in it: /labels'):
            find_truth_topic(opened, '/nope')


def test_a_folder_of_masks(tmp_path):
    cv2.imwrite(str(tmp_path / f'{START}.png'), truth(3))
    cv2.imwrite(str(tmp_path / 'notes.png'), truth(3))
    cv2.imwrite(str(tmp_path / f'{START + 5}.png'), np.zeros((*SIZE, 3), np.uint8))
    found = open_truth({'folder': str(tmp_path)}, tmp_path, cone_classes())
    assert (found.stamps, found.unnamed) == ([START, START + 5], 1)

    def found_for(*asked):
        row = ScoreRow(0)
        return find_truth(row, found, *asked), row
    mask, row = found_for(START + 2, SIZE, 2)
    np.testing.assert_array_equal(mask, truth(3))
    assert (row.nearest_ns, row.truth_stamp) == (2, START)
    assert found_for(START + 2, SIZE, 1) == (None, ScoreRow(0, nearest_ns=2))
    assert 'expected class ids as one channel' in found_for(START + 5, SIZE, 0)[1].truth_error
    assert 'expected a mask of 80x60 like the image, found 64x48' in found_for(
        START, (60, 80), 0)[1].truth_error
    cv2.imwrite(str(tmp_path / f'a_{START}.png'), truth(3))
    with pytest.raises(TruthError, match='have the same stamp'):
        open_truth({'folder': str(tmp_path)}, tmp_path, cone_classes())
    with pytest.raises(TruthError, match='There is no folder'):
        open_truth({'folder': str(tmp_path / 'no')}, tmp_path, cone_classes())


@pytest.mark.parametrize('border', [0, 140])
def test_a_supervisely_project(tmp_path, border):
    mask = np.where(truth(7) == 255, 0, truth(7)).astype(np.uint8)
    image = np.zeros((*SIZE, 3), np.uint8)
    write_project(tmp_path / 'fsoco', [Item(f'cam_{START}.png', image, mask)], 'team',
                  border=border)
    found = open_truth({'folder': str(tmp_path / 'fsoco')}, tmp_path, cone_classes())
    assert found.stamps == [START]
    np.testing.assert_array_equal(found.mask(START, SIZE), mask)


def test_cones_found_missed_and_invented():
    true, mask = np.zeros((100, 120), np.uint8), np.zeros((100, 120), np.uint8)
    true[20:50, 10:30], mask[25:50, 10:30] = 1, 2      # found, as another class
    true[20:44, 50:66] = 2                             # missed
    mask[60:75, 90:100] = 3                            # invented
    true[80:95, 50:60], mask[80:95, 50:60] = 255, 1    # nobody knows: not false
    nowhere = SimpleNamespace(place=lambda k, cones, size: Seen(cones, reason='not known'),
                              place_true=lambda cones, size: Seen(cones))
    row, binary = ScoreRow(0), ScoreRow(1)
    score_masks(row, [mask, None], true, [cone_classes(), cone_classes()], nowhere)
    assert row.true_cones[1:3] == [1, 1] and row.masks[1] is None
    scores = row.masks[0]
    assert sorted(scores.outcomes) == [[24, 2, 0], [30, 1, 2]]
    assert scores.false == [3]
    assert (scores.placed, scores.withheld) == (None, 'not known')
    assert row.true_distances == [None, None]
    score_masks(binary, [(mask > 0).astype(np.uint8)], true, [BINARY_CLASSES], nowhere)
    assert all(t <= 1 and p <= 1 for t, p, _ in binary.masks[0].confusion)
    assert len(find_cones(mask)) == 3


def cones(*rows):
    """Make rows of class, u, v of the base, height."""
    return np.array([[c, u - h // 3, v - h, u + h // 3, v] for c, u, v, h in rows])


STILL = [(1, 100, 300, 12), (2, 300, 310, 15), (1, 500, 330, 20), (2, 620, 400, 60)]


def test_a_turning_car_moves_all_cones():
    before, after = cones(*STILL), cones(*((c, u + 57, v + 4, h) for c, u, v, h in STILL))
    moved = common_motion(before, after)
    np.testing.assert_allclose(moved, (57, 4), atol=2)
    assert match_cones(before, after, moved) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert common_motion(before, cones()[:0].reshape(0, 5)).tolist() == [0, 0]


def test_a_cone_that_is_gone_for_one_frame_flickers():
    steadiness = Steadiness()
    step = 66_000_000
    seen = [cones(*((c, u + 40 * t, v, h) for c, u, v, h in STILL)) for t in range(5)]
    seen[2] = seen[2][[0, 1, 3]]     # the third is gone
    seen[3][0, 0] = 2                # and the first changes its class
    told = [steadiness.add(t, t * step, rows) for t, rows in enumerate(seen)]
    assert told == [None, None, (1, 0), (2, 1), (3, 0)]
    report = steadiness.to_report()
    assert (report['flickering'], report['by_height']['20-39']['flickering']) == (1, 1)
    assert report['class_change_rate'] == pytest.approx(2 / 14)
    # After a pause nothing follows on from before it.
    assert steadiness.add(9, 10**12, seen[0]) is None
    assert steadiness.add(10, 10**12 + step, seen[0]) is None


def test_comparison():
    rng = np.random.default_rng(0)
    a = rng.integers(5, 50, (60, 4, 4)).astype(np.int64)
    a[:, 3] = a[:, :, 3] = 0
    b = a.copy()
    b[:, 1, 1] += 40
    b[:, 1, 0] -= np.minimum(b[:, 1, 0], 5)
    runs = runs_of([(0, i * 66_000_000) for i in range(60)])
    assert runs.max() + 1 == 4
    same = compare(a, a, runs, True)
    assert all(same[n]['difference'] == 0 and same[n]['interval_95'] == [0, 0]
               for n in ('dice', 'miou'))
    better = compare(a, b, runs, True)
    for name in ('dice', 'miou'):
        low, high = better[name]['interval_95']
        assert 0 < low <= better[name]['difference'] <= high
    assert better['frames_better'] == {'a': 0, 'b': 60}
    assert compare(a, b, runs, True) == better            # seeded
    turned = compare(b, a, runs, True)['dice']['interval_95']
    np.testing.assert_allclose(turned, [-v for v in better['dice']['interval_95'][::-1]])
    assert 'miou' not in compare(a, b[:, :3, :3], runs, False)


def test_another_bag_or_a_jump_in_time_begins_another_run():
    second = 1_000_000_000
    assert runs_of([(0, 0), (0, 9), (0, second), (1, second), (1, 5), (1, 6)]).tolist() == [
        0, 0, 1, 2, 3, 3]


def figures(index, dice, wrong=1, flickering=None):
    return FrameFigures(bag=0, index=index, stamp=index * 100_000_000, time=0, dice=[dice],
                        wrong=[wrong], cones=[[0]], placed=[None], pitch=[None],
                        flickering=[flickering])


def test_the_worst_frames_are_spread_over_the_drive():
    frames = [figures(i, 0.5 + 0.001 * i) for i in range(30)]
    assert choose_worst(frames, 4) == [0, 3, 6, 9]
    assert choose_worst(frames[:3], 20) == [0, 1, 2]
    assert choose_worst([figures(0, 1.0), figures(9, 0.9)], 5) == [1]
    assert choose_worst([figures(i, None, None, i % 3) for i in range(9)], 2) == [2, 5]


def test_the_crop_lies_in_the_image_around_the_largest_error():
    wrong = np.zeros((720, 1280), bool)
    wrong[700:716, 1250:1275], wrong[5, 5] = True, True
    u0, v0, u1, v1 = crop_of(wrong)
    assert (u1, v1) == (1280, 720) and u1 - u0 == 128 and v0 <= 700
    assert crop_of(np.zeros((20, 30), bool)) == (0, 0, 30, 20)


def test_scores_of_another_version_are_not_gone_on_with():
    old, new = ({'mode': 'offline', 'bags': [], 'weights': [], 'truth': {}, 'node': {}, **more}
                for more in ({}, {'report_format': FORMAT, 'journal_format': JOURNAL_FORMAT}))
    assert Plan(**old).difference(Plan(**new)) == 'the version of the program'
    old['report_format'] = FORMAT    # its journals alone are different
    assert Plan(**old).difference(Plan(**new)) == 'the version of the program'


def test_plain_numbers():
    assert rounded({'a': np.float32(0.25), 'b': (np.int64(3), float('nan')), 'c': np.bool_(1)},
                   6) == {'a': 0.25, 'b': [3, None], 'c': True}
    assert percentiles([]) == {'p50': None, 'p90': None, 'p99': None, 'max': None}


def test_the_pitch_of_a_drive_is_summed_up_and_drawn():
    positions = Positions()
    for pitch in (-0.2, 0.1, 0.4):
        positions.add(ScoreRow(0), MaskScores([], 5, pitch_deg=pitch, far_moved=0.02), False)
    positions.add(ScoreRow(0), MaskScores([], 1), False)
    found = positions.to_report()['pitch_deg']
    assert found['frames'] == 3 and found['mean'] == pytest.approx(0.1)
    assert found['moves_far_cones'] == 0.02
    frames = [replace(figures(i, 1.0), pitch=[p]) for i, p in enumerate((-0.2, None, 0.4))]
    plan = SimpleNamespace(weights=[None])
    assert len(page._pitch(plan, frames).lines) == 1
    assert page._pitch(plan, [figures(0, 1.0)]) is None
