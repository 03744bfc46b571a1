# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bag, video, picture and scores of a drive, without running one."""

from bag_making import image_message, make_bag, picture, START, truth, write_bag
import cv2
from eunet_ros.bags.frame_source import BagSource, FolderSource
from eunet_ros.bags.mask_store import MaskReader, MaskWriter
from eunet_ros.bags.messages import stamp_of
from eunet_ros.bags.reader import Bag, BagError
from eunet_ros.demo.output import (
    check_output,
    put_in_place,
    RecordedDrive,
    score,
    write_picture,
    write_recordings,
)
from eunet_ros.evaluation.page.frame_pictures import draw_comparison, draw_mask
from eunet_ros.images.conversions import compressed_to_bgr, image_to_mask
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.replay.drive import DemoError, DriveRecord
import numpy as np
import pytest

SENT = 2_000_000_000_000_000_000
PERIOD = 50_000_000


def recorded(folder, source, masks, classes=None):
    """Make a drive of which masks[i] came back 30 ms late for frame i, None: dropped."""
    writer = MaskWriter(folder / 'masks.bin')
    sent = []
    for frame, mask in zip(source.frames(), masks):
        stamp = SENT + frame.index * PERIOD
        sent.append((frame.index, frame.stamp, stamp))
        if mask is not None:
            writer.append(stamp, stamp + 30_000_000, mask)
    writer.close()
    return RecordedDrive(source, DriveRecord(sent, len(masks)),
                         MaskReader(folder / 'masks.bin'), classes or cone_classes())


def as_mask(index):
    return np.where(truth(index) == 255, 0, truth(index)).astype(np.uint8)


@pytest.mark.parametrize('compressed', [False, True])
def test_recordings(tmp_path, compressed):
    source = BagSource(make_bag(tmp_path / 'in', 6, compressed=compressed))
    masks = [as_mask(i) for i in range(6)]
    masks[2] = None
    done = []
    write_recordings(tmp_path, recorded(tmp_path, source, masks), 20.0, lambda: done.append(1))
    assert len(done) == 6
    image_topic = '/camera/image_raw/compressed' if compressed else '/camera/image_raw'
    with Bag(tmp_path / 'bag') as bag:
        assert {t.name: t.count for t in bag.topics.values()} == {
            image_topic: 6, '/camera/camera_info': 6, '/eunet/mask': 5,
            '/eunet/overlay/compressed': 5}
        times = [(t, stamp_of(raw)) for t, raw in bag.raw(bag.topics[image_topic])]
        assert times == [(SENT + i * PERIOD,) * 2 for i in range(6)]
        for (time, msg), i in zip(bag.messages(bag.topics['/eunet/mask']), (0, 1, 3, 4, 5)):
            assert time == SENT + i * PERIOD + 30_000_000
            assert msg.header.frame_id == 'cam'
            np.testing.assert_array_equal(image_to_mask(msg), masks[i])
        overlay = next(bag.messages(bag.topics['/eunet/overlay/compressed']))[1]
        assert compressed_to_bgr(overlay).shape == (48, 64, 3)
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert (video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)) == (6, 20)


def test_folder_of_two_sizes(tmp_path):
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), picture(0, (51, 65)))  # odd
    cv2.imwrite(str(tmp_path / 'images' / 'b.png'), picture(1, (90, 64)))
    source = FolderSource(tmp_path / 'images')
    drive = recorded(tmp_path, source, [np.ones((51, 65), np.uint8), np.ones((90, 64), np.uint8)])
    write_recordings(tmp_path, drive, 15.0, lambda: None)
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    assert video.read()[1].shape == (50, 64, 3)
    assert score(drive) == {'dice': None, 'iou': dict.fromkeys(cone_classes().names[1:]),
                            'miou': None}
    assert write_picture(tmp_path / 'overlay.png', drive, 'title', 'note')


def test_scores(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 4))
    scores = score(recorded(tmp_path, source, [as_mask(i) for i in range(4)]))
    assert (scores['dice'], scores['miou'], scores['iou']['blue_cone']) == (1.0, 1.0, 1.0)
    assert scores['iou']['yellow_cone'] is None
    wrong = score(recorded(tmp_path, source, [as_mask(i) * 2 for i in range(4)]))
    assert (wrong['dice'], wrong['miou'], wrong['iou']['blue_cone']) == (1.0, 0.0, 0.0)
    assert wrong['iou']['yellow_cone'] is None  # not in the truth: mIoU leaves it out, too
    shifted = score(recorded(tmp_path, source, [as_mask(i + 5) for i in range(4)]))
    assert shifted['dice'] == pytest.approx(0.5)
    # A dropped frame does not count, and the others keep their own truth.
    some = score(recorded(tmp_path, source, [None, as_mask(1), None, as_mask(3)]))
    assert some['dice'] == 1.0


def test_scores_of_a_binary_model(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 2))
    drive = recorded(tmp_path, source, [as_mask(0), as_mask(1)], BINARY_CLASSES)
    assert score(drive) == {'dice': 1.0, 'iou': {'cone': 1.0}, 'miou': 1.0}


def test_truth_of_another_size(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 1))
    with pytest.raises(ValueError, match='size of the ground truth'):
        score(recorded(tmp_path, source, [np.zeros((24, 32), np.uint8)]))


def test_picture(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 6))
    drive = recorded(tmp_path, source, [as_mask(i) for i in range(6)])
    assert write_picture(tmp_path / 'overlay.png', drive, 'eunet_n on torch', 'p50 1 ms')
    with_truth = cv2.imread(str(tmp_path / 'overlay.png'))
    drive.source = BagSource(make_bag(tmp_path / 'plain', 6, with_truth=False))
    assert write_picture(tmp_path / 'overlay.png', drive, 'eunet_n on torch', 'p50 1 ms')
    without = cv2.imread(str(tmp_path / 'overlay.png'))
    assert with_truth.shape[1] == without.shape[1]
    assert with_truth.shape[0] > 1.8 * without.shape[0]
    assert not write_picture(tmp_path / 'none.png', recorded(tmp_path, source, [None]), '', '')


def test_comparison_colours():
    table = cone_classes().table_bgr
    true = np.array([[1, 1, 1, 0, 0, 255]], np.uint8)
    mask = np.array([[1, 0, 2, 3, 0, 4]], np.uint8)
    out = draw_comparison(np.full((1, 6, 3), 100, np.uint8), mask, true, table)[0].tolist()
    assert out[0] == table[1].tolist()
    assert out[4] == out[5] == [45, 45, 45]
    assert len({tuple(c) for c in out[:5]}) == 5


def test_outline_is_outside():
    image, mask = np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)
    mask[4, 4] = 1
    drawn = draw_mask(image, mask, cone_classes().table_bgr).max(-1)
    assert (drawn > 0).sum() == 9
    assert drawn[4, 4] < drawn[3, 4]


def demo_folder(path, note='{"frames_sent": 3}'):
    (path / 'bag').mkdir(parents=True)
    (path / 'report.json').write_text(note)
    return path


def test_put_in_place(tmp_path):
    place = tmp_path / 'demo_output'
    assert put_in_place(demo_folder(tmp_path / 'one', '{"frames_sent": 1}'), place) is None
    kept = put_in_place(demo_folder(tmp_path / 'two', '{"frames_sent": 2}'), place)
    assert kept == tmp_path / 'demo_output.old'
    put_in_place(demo_folder(tmp_path / 'three', '{"frames_sent": 3}'), place)
    assert '3' in (place / 'report.json').read_text()
    assert '2' in (kept / 'report.json').read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['demo_output', 'demo_output.old']


@pytest.mark.parametrize('foreign', ['file', 'no report', 'more', 'other report', 'old'])
def test_never_overwrites(tmp_path, foreign):
    place = tmp_path / 'demo_output'
    if foreign == 'file':
        place.write_text('mine')
    elif foreign == 'no report':
        place.mkdir()
        (place / 'thesis.tex').write_text('mine')
    elif foreign == 'more':
        (demo_folder(place) / 'thesis.tex').write_text('mine')
    elif foreign == 'other report':
        demo_folder(place, '[1]')
    else:
        demo_folder(place)
        (tmp_path / 'demo_output.old').mkdir()
        (tmp_path / 'demo_output.old' / 'thesis.tex').write_text('mine')
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(DemoError, match='not made by the demo'):
        check_output(place)
    made = demo_folder(tmp_path / 'made')
    with pytest.raises(DemoError, match='not made by the demo'):
        put_in_place(made, place)
    assert [p for p in sorted(tmp_path.rglob('*')) if made not in (p, *p.parents)] == before


def test_empty_folder_is_fine(tmp_path):
    check_output(tmp_path)
    check_output(tmp_path / 'new')


def test_damaged_truth(tmp_path):
    source = BagSource(make_bag(tmp_path / 'in', 2))
    file = tmp_path / 'in' / 'in.db3'
    file.write_bytes(file.read_bytes().replace(b'\x89PNG', b'\x88PNG'))
    with pytest.raises(BagError, match='Ground truth on topic /ground_truth/mask/compressed'):
        score(recorded(tmp_path, source, [as_mask(0), as_mask(1)]))


def test_damaged_image(tmp_path):
    rows = [('/c/image', START + i, image_message(i, START + i, True)) for i in range(3)]
    rows[0][2].data[:2] = 0
    source = BagSource(write_bag(tmp_path / 'in', rows))
    drive = recorded(tmp_path, source, [None, as_mask(1), as_mask(2)])
    assert [drive.image(frame) is None for frame, _ in drive.frames()] == [True, False, False]
    write_recordings(tmp_path, drive, 15.0, lambda: None)
    with Bag(tmp_path / 'bag') as bag:
        assert bag.topics['/c/image/compressed'].count == 3
        assert bag.topics['/eunet/overlay/compressed'].count == 2
