# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames from bags and folders, and their times."""

from contextlib import closing
import itertools
import threading

from bag_making import image_message, info_message, make_bag, picture, START, write_bag
import cv2
from eunet_ros.bags.frame_source import (
    BagSource,
    FolderSource,
    open_source,
    Pacer,
    prefetch,
    SourceError,
)
from eunet_ros.bags.messages import COMPRESSED_IMAGE, deserialise, stamp_of
from eunet_ros.bags.reader import BagError
from eunet_ros.images.conversions import compressed_to_bgr
from eunet_ros.training.data.readers.fsoco import read_image
import numpy as np
import pytest


def test_bag(tmp_path):
    source = BagSource(make_bag(tmp_path / 'bag', 5, hz=10))
    assert (source.topic, source.bag_topic, source.msgtype, source.count) == (
        '/camera/image_raw', '/camera/image_raw/compressed', COMPRESSED_IMAGE, 5)
    frames = list(source.frames())
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert [f.stamp - START for f in frames] == [0, 10**8, 2 * 10**8, 3 * 10**8, 4 * 10**8]
    assert [f.time - f.stamp for f in frames] == [5_000_000] * 5
    assert [stamp_of(f.camera_info) for f in frames] == [f.stamp for f in frames]


def test_camera_info_once(tmp_path):
    rows = [('/c/camera_info', START + 15, info_message(START + 15))]
    rows += [('/c/image', START + i, image_message(i, START + i, True)) for i in (10, 20)]
    frames = list(BagSource(write_bag(tmp_path / 'bag', rows)).frames())
    assert [stamp_of(f.camera_info) for f in frames] == [START + 15] * 2


def test_no_camera_info(tmp_path):
    source = BagSource(make_bag(tmp_path / 'bag', 2, with_info=False))
    assert not source.has_camera_info
    assert [f.camera_info for f in source.frames()] == [None, None]


def test_bag_without_the_topic(tmp_path):
    with pytest.raises(BagError, match=r'no images on /front.*/camera/image_raw/compressed'):
        BagSource(make_bag(tmp_path / 'bag', 2), '/front')


def test_folder(tmp_path):
    sizes = {'a.jpg': (48, 64), 'b.PNG': (20, 30), 'c.bmp': (33, 17)}
    for i, (name, size) in enumerate(sizes.items()):
        cv2.imwrite(str(tmp_path / name), picture(i, size))
    (tmp_path / 'notes.txt').write_text('no image')
    source = open_source(None, tmp_path, hz=20)
    assert isinstance(source, FolderSource)
    assert (source.count, source.msgtype) == (3, COMPRESSED_IMAGE)
    frames = list(source.frames())
    assert [f.time for f in frames] == [0, 50_000_000, 100_000_000]
    shapes = [compressed_to_bgr(deserialise(f.image, source.msgtype)).shape[:2] for f in frames]
    assert shapes == list(sizes.values())
    np.testing.assert_array_equal(
        compressed_to_bgr(deserialise(frames[1].image, source.msgtype)), picture(1, (20, 30)))


def exif(jpeg, orientation):
    """Put an EXIF orientation into a JPEG, PNG or WebP."""
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0' + bytes(
        [orientation]) + b'\0\0\0\0\0\0'
    body = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + (len(body) + 2).to_bytes(2, 'big') + body + jpeg[2:]


@pytest.mark.parametrize('orientation', range(1, 9))
def test_pictures_are_turned_as_viewers_and_training_show_them(tmp_path, orientation):
    image = picture(3, (40, 64))
    jpeg = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    (tmp_path / 'a.jpg').write_bytes(exif(jpeg, orientation))
    [frame] = FolderSource(tmp_path).frames()
    message = deserialise(frame.image, COMPRESSED_IMAGE)
    sent = compressed_to_bgr(message)
    shown = read_image(tmp_path / 'a.jpg')
    assert sent.shape == shown.shape == ((64, 40, 3) if orientation > 4 else (40, 64, 3))
    assert np.abs(sent.astype(int) - shown).mean() < 1  # once more JPEG, of sharp edges
    if orientation == 1:  # what lies right is sent as it is
        assert bytes(message.data) == (tmp_path / 'a.jpg').read_bytes()


def test_the_order_of_people_and_no_hidden_files(tmp_path):
    for name in ('frame10.jpg', 'frame2.jpg', 'Frame1.png'):
        cv2.imwrite(str(tmp_path / name), picture(1))
    for name in ('._frame2.jpg', '.hidden.png', 'Thumbs.db', '.DS_Store'):
        (tmp_path / name).write_bytes(b'\0\5\x16\7' * 25)
    names = [p.name for p in FolderSource(tmp_path).files]
    assert names == ['Frame1.png', 'frame2.jpg', 'frame10.jpg']


def test_bad_folders(tmp_path):
    with pytest.raises(SourceError, match='no folder'):
        FolderSource(tmp_path / 'nothing')
    with pytest.raises(SourceError, match=r'holds no images: expected files that end in .jpg'):
        FolderSource(tmp_path)
    (tmp_path / 'a.bmp').touch()
    with pytest.raises(SourceError, match=r'a.bmp is empty'):
        FolderSource(tmp_path)
    (tmp_path / 'a.bmp').write_bytes(b'no image')
    with pytest.raises(SourceError, match=r'a.bmp is not an image'):
        list(FolderSource(tmp_path).frames())
    (tmp_path / 'b.jpg').write_bytes(b'no image')
    with pytest.raises(SourceError, match=r'b.jpg is not an image'):
        FolderSource(tmp_path)
    (tmp_path / 'b.jpg').write_bytes(cv2.imencode('.jpg', picture(1))[1].tobytes()[:-9])
    with pytest.raises(SourceError, match=r'b.jpg is damaged or cut short'):
        FolderSource(tmp_path)


@pytest.mark.parametrize(('rate', 'expected'), [(1.0, [0, 0.1, 0.25]), (2.0, [0, 0.05, 0.125])])
def test_pacer(rate, expected):
    now = [5_000]
    pacer = Pacer(rate, lambda: now[0])
    times = [7_000_000_000, 7_100_000_000, 7_250_000_000]
    assert [pacer.remaining(t) for t in times] == pytest.approx(expected)
    now[0] += 60_000_000  # what is late now does not delay what follows
    assert pacer.remaining(times[1]) == pytest.approx(expected[1] - 0.06)
    assert pacer.remaining(times[2]) == pytest.approx(expected[2] - 0.06)


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan'), 1e9])
def test_wrong_rate(rate):
    with pytest.raises(ValueError, match=r'rate from 0\.01 to 100'):
        Pacer(rate)


def test_prefetch_is_bounded_and_in_order():
    read = []
    allowed = threading.Semaphore(0)

    def items():
        for i in range(20):
            read.append(i)
            allowed.release()
            yield i
    with closing(prefetch(items(), 3)) as ahead:
        assert next(ahead) == 0
        for _ in range(5):  # 0 was taken, 3 wait, 1 is in the reader's hand
            assert allowed.acquire(timeout=5)
        assert not allowed.acquire(timeout=0.05)
        assert len(read) == 5
        assert list(ahead) == list(range(1, 20))


def test_prefetch_passes_errors_on():
    def items():
        yield 1
        raise BagError('damaged')
    ahead = prefetch(items(), 3)
    assert next(ahead) == 1
    with pytest.raises(BagError, match='damaged'):
        next(ahead)


def test_prefetch_ends_when_left():
    before = threading.active_count()
    with closing(prefetch(itertools.count(), 2)) as ahead:
        next(ahead)
    for thread in threading.enumerate():
        if thread.name == 'prefetch':
            thread.join(5)
    assert threading.active_count() <= before
