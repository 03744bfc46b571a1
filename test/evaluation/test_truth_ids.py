# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Masks that are no class ids are refused in words, whatever file they stand in; ids are read."""
import re
import struct
import zlib

from bag_making import header, image_message, SIZE, START, truth, TYPES, write_bag
import cv2
from eunet_ros.demo.display import result_table
from eunet_ros.evaluation.scoring.truth import check_ids, FolderTruth, open_truth, TruthError
from eunet_ros.images.conversions import compressed_to_mask
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.common.metrics.pixels import confusion_matrix, pixel_scores
from evaluation_making import evaluate
from image_making import compressed
import numpy as np
import pytest
from rich.console import Console

IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 1, 1]], np.uint8)
STAMP = '1700000000000000000.png'


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(pixels, depth, palette):
    """Write a PNG of a palette, or of grey, with depth bits."""
    rows = b''
    for row in pixels:
        bits = ''.join(f'{value:0{depth}b}' for value in row)
        bits = bits.ljust(-(-len(bits) // 8) * 8, '0')
        rows += b'\0' + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
    head = struct.pack('>IIBBBBB', pixels.shape[1], len(pixels), depth, 3 if palette else 0, 0, 0,
                       0)
    colours = chunk(b'PLTE', bytes(range(3 * 2 ** min(depth, 6)))) + chunk(
        b'tRNS', b'\0\x80') if palette else b''
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + colours
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


@pytest.mark.parametrize('palette', [True, False])
@pytest.mark.parametrize('depth', [1, 2, 4, 8])
def test_palettes_and_few_bits_are_read_as_the_ids_they_are(tmp_path, depth, palette):
    ids = np.minimum(IDS, 2 ** depth - 1)
    data = png(ids, depth, palette)
    (tmp_path / STAMP).write_bytes(data)
    found = FolderTruth(tmp_path).mask(1_700_000_000_000_000_000, ids.shape)
    np.testing.assert_array_equal(found, ids)
    np.testing.assert_array_equal(compressed_to_mask(compressed(data, 'png')), ids)


def test_ids_that_no_class_has_are_named():
    names = cone_classes()
    check_ids(np.array([[0, 5, 255]], np.uint8), names)
    with pytest.raises(TruthError, match=r'0 to 5 and 255 .*found 6, 17, 254: '):
        check_ids(np.array([[0, 6, 17, 254, 255, 1]], np.uint8), names)
    with pytest.raises(TruthError, match=r'0 to 1 and 255 .*found 2'):
        check_ids(np.array([[2]], np.uint8), BINARY_CLASSES)
    with pytest.raises(TruthError, match=r'found 6, 7, 8, 9, 10, 11 \N{HORIZONTAL ELLIPSIS}:'):
        check_ids(np.arange(99, dtype=np.uint8)[None], names)


def drive(folder, value=1, topic=False):
    """Write a drive of two frames, and masks of them whose cones have that value."""
    rows = []
    (folder / 'masks').mkdir()
    for i in range(2):
        stamp = START + i * 66_000_000
        rows.append(('/cam/compressed', stamp, image_message(i, stamp, True)))
        mask = truth(i)
        mask[mask == 1] = value
        data = cv2.imencode('.png', mask)[1].reshape(-1)
        (folder / 'masks' / f'{stamp}.png').write_bytes(data.tobytes())
        # Beside it what macOS leaves on a disk of another system.
        (folder / 'masks' / f'._{stamp}.png').write_bytes(b'\0\5\x16\7' * 25)
        if topic:
            rows.append(('/labels/compressed', stamp + 1, TYPES[
                'sensor_msgs/msg/CompressedImage'](header(stamp), 'png', data)))
    return write_bag(folder / 'bag', rows)


@pytest.mark.process
@pytest.mark.parametrize(('value', 'words'), [
    (255, 'only 0 and 255, which means ignore'), (77, 'expected class ids.*found 77')])
def test_masks_that_are_no_ids_fail(tmp_path, tiny_weights, value, words):
    bag = drive(tmp_path, value, topic=value == 77)
    arguments = ['--weights', tiny_weights, '--no-video', '--bag-topics', 'none']
    given = ['--truth-topic', '/labels'] if value == 77 else ['--truth', tmp_path / 'masks']
    report, _, err = evaluate(tmp_path, bag, *arguments, *given, code=1)
    [line] = err.strip().splitlines()
    assert 'No image is scored by ground truth, which was asked for: ' in line
    assert re.search(words, line) and not report['complete']
    assert report['frames_done'] == 2


@pytest.mark.process
def test_truth_of_no_image_fails_and_hidden_files_are_no_truth(tmp_path, tiny_weights):
    bag = drive(tmp_path)
    arguments = [bag, '--weights', tiny_weights, '--no-video', '--bag-topics', 'none']
    report, out, _ = evaluate(tmp_path, *arguments, '--truth', tmp_path / 'masks')
    assert report['frames_with_truth'] == 2
    # A class that the truth does not have is a dash, as mIoU leaves it out.
    rows = {line.split('  ')[0]: line.split()[-1] for line in out.splitlines()}
    assert all(rows.get(f'IoU {name}', '-') == '-' for name in cone_classes().names[2:])
    other = tmp_path / 'other'
    other.mkdir()
    cv2.imwrite(str(other / '1600000000000000000.png'), truth(0, SIZE))
    _, _, err = evaluate(tmp_path, *arguments, '--truth', other, code=1)
    assert 'No image is scored by ground truth, which was asked for' in err


def test_a_class_that_the_truth_does_not_have_is_a_dash():
    counts = confusion_matrix(np.array([[0, 1]], np.uint8), np.array([[2, 1]], np.uint8), 3)
    assert pixel_scores(counts, ['background', 'a', 'b'])['iou'] == {'a': 1.0, 'b': None}
    console = Console(record=True, width=100)
    console.print(result_table({
        'variant': 'v', 'engine': 'e', 'frames_sent': 1, 'frames_masked': 1, 'camera_hz': None,
        'mask_hz': None, 'latency_ms': {'p50': None, 'p99': None, 'max': None}, 'dice': 1.0,
        'miou': 1.0, 'iou': {'blue_cone': 1.0, 'yellow_cone': None}}))
    [line] = [x for x in console.export_text().splitlines() if 'yellow_cone' in x]
    assert line.split('│')[2].strip() == '–'


def test_open_truth_takes_the_classes_of_the_weights(tmp_path):
    drive(tmp_path, 2)
    found = open_truth({'folder': str(tmp_path / 'masks')}, tmp_path, BINARY_CLASSES)
    with pytest.raises(TruthError, match=r'masks/\d+\.png: expected class ids, 0 to 1'):
        found.mask(found.stamps[0], SIZE)
