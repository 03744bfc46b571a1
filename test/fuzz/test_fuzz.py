# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What reads bytes from strangers, with bytes that are nearly right; `make fuzz` does more."""
from contextlib import contextmanager, suppress
from pathlib import Path
import random
import struct
import tracemalloc
from types import SimpleNamespace
import zlib

import cv2
from eunet_ros.bags.mask_store import MaskReader
from eunet_ros.bags.reader import BagError
from eunet_ros.calibration.calibrate_mount import read_camera_info
from eunet_ros.calibration.mounting_file import read_mounting
from eunet_ros.images.conversions import compressed_to_bgr, ConversionError
from eunet_ros.model.common.classes import cone_classes, read_classes
from eunet_ros.model.common.cone_annotations import read_annotation
from eunet_ros.model.common.supervisely import DataError, decode_bitmap, encode_bitmap
from eunet_ros.node.cone_stacks import read_stacks
from eunet_ros.training.config import read_config
from eunet_ros.training.data.readers.fsoco import read_image
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('rosbags', reason='rosbags is not installed')

from run import mutate  # noqa: E402
from targets import TARGETS  # noqa: E402

CRASHES = Path(__file__).with_name('crashes')
_SEEDS = {}


def seeds(name):
    if name not in _SEEDS:
        _SEEDS[name] = TARGETS[name].seeds()
    return _SEEDS[name]


@pytest.mark.parametrize('name', TARGETS)
def test_good_inputs_are_taken(name):
    for seed in seeds(name):
        TARGETS[name].run(seed)


@pytest.mark.slow
@pytest.mark.parametrize('name', TARGETS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_end_in_a_sentence(name, data):
    """Bytes that are nearly right: each error is the one that is documented."""
    which = data.draw(st.integers(0, len(seeds(name)) - 1))
    seed = data.draw(st.integers(0, 2 ** 32))
    TARGETS[name].run(mutate(seeds(name)[which], random.Random(seed)))
    TARGETS[name].run(data.draw(st.binary(max_size=64)))


@pytest.mark.parametrize('path', sorted(p for p in CRASHES.rglob('*') if p.is_file()),
                         ids=lambda p: f'{p.parent.name}-{p.name}')
def test_what_once_crashed(path):
    seeds(path.parent.name)
    TARGETS[path.parent.name].run(path.read_bytes())


# Little that wants much: refused before memory is taken

MUCH = 60_000_000   # bytes


@contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MUCH, f'{peak} bytes'


def png(width, height, data=b'', length=None):
    """Return a PNG whose header and first chunk say what they like."""
    def chunk(kind, content, size=None):
        return (struct.pack('>I', len(content) if size is None else size) + kind + content
                + struct.pack('>I', zlib.crc32(kind + content)))
    header = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', data, length) + chunk(b'IEND', b''))


BOMBS = {
    'png': png(60_000, 60_000, zlib.compress(bytes(10_000_000))),
    'png sides': png(2 ** 31 - 1, 1), 'png chunk': png(8, 8, b'x', 2 ** 31 - 1),
    'png after its end': png(8, 8, zlib.compress(bytes(72)))[:-4] + b'\xb3' * 90,
    'jpeg': cv2.imencode('.jpg', np.zeros((8, 8, 3), np.uint8))[1].tobytes().replace(
        b'\x11\x08\x00\x08\x00\x08', b'\x11\x08\xff\xff\xff\xff'),
    'webp': b'RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff' + bytes(8)}


@pytest.mark.parametrize('case', BOMBS)
def test_pictures_that_unpack_to_gigabytes(case, tmp_path):
    # A wrong checksum after the pixels is an error in OpenCV 4 and a warning in OpenCV 5.
    refused = suppress if case == 'png after its end' else pytest.raises
    with little_memory(), refused(ConversionError):
        compressed_to_bgr(SimpleNamespace(format='', data=BOMBS[case]))
    path = tmp_path / 'bomb.img'
    path.write_bytes(BOMBS[case])
    with little_memory(), refused(DataError):
        read_image(path)


def test_a_raw_image_with_absurd_sizes():
    from eunet_ros.images.conversions import image_to_bgr
    for height, width, step in ((2 ** 31, 2 ** 31, 1), (16384, 16384, 2 ** 31)):
        with little_memory(), pytest.raises(ConversionError):
            image_to_bgr(SimpleNamespace(height=height, width=width, step=step, encoding='bgr8',
                                         is_bigendian=0, data=b'abc'))


def test_a_bitmap_that_inflates():
    import base64
    text = base64.b64encode(zlib.compress(bytes(200_000_000), 9)).decode()
    with little_memory(), pytest.raises(DataError, match='unpacks to more than'):
        decode_bitmap(text)


def test_annotations_with_too_many_pixels(tmp_path):
    import json
    row = {'classTitle': 'seg_blue_cone', 'bitmap': {
        'data': encode_bitmap(np.ones((2000, 2000), bool)), 'origin': [0, 0]}}
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'size': {'height': 100_000, 'width': 100_000}, 'objects': [row]}))
    with little_memory(), pytest.raises(DataError, match='is more than'):
        read_annotation(path, cone_classes())


def test_masks_of_many_objects(monkeypatch, tmp_path):
    import json

    from eunet_ros.model.common import cone_annotations
    monkeypatch.setattr(cone_annotations, 'MAX_MASKS', 1000)
    row = {'classTitle': 'seg_blue_cone', 'bitmap': {
        'data': encode_bitmap(np.ones((20, 20), bool)), 'origin': [0, 0]}}
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'size': {'height': 50, 'width': 50}, 'objects': [row] * 3}))
    with pytest.raises(DataError, match=r'Object 2 .* more than 1000 pixels together'):
        read_annotation(path, cone_classes())


@pytest.mark.parametrize('read', [
    read_classes, read_config, read_mounting, read_camera_info, read_stacks])
@pytest.mark.parametrize('text, said', [
    ('a: &a [x, x]\nb: &b [*a, *a]\nclasses: [*b, *b]', 'aliases'),
    ('x' * 2_000_000, 'more than 1048576 bytes'), ('[' * 500_000, 'nested more than'),
    ('steps: ' + '9' * 5000, 'integer|list of classes|something else'),
    ('lr: 2026-99-99', 'month|parameter file'),
    ('steps: !!python/object/apply:os.system [true]', 'could not determine a constructor')])
def test_yaml_that_grows_or_runs(read, text, said, tmp_path):
    path = tmp_path / 'bomb.yaml'
    path.write_text(text)
    with little_memory(), pytest.raises(ValueError, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize('name', ['zstd', 'lz4'])
def test_a_chunk_of_a_bag_that_unpacks_to_gigabytes(name, tmp_path):
    from eunet_ros.bags.limits import limit_chunks, MAX_CHUNK
    from rosbags.rosbag2 import storage_mcap
    limit_chunks()
    pack = {'zstd': storage_mcap.zstd.compress,
            'lz4': pytest.importorskip('lz4.frame').compress}[name](bytes(30_000_000))
    unpack = storage_mcap.DECOMPRESSORS[name]
    with little_memory():
        assert len(unpack(pack, 1000)) == 1001      # more than promised: its reader refuses
    with pytest.raises(ValueError, match='promises'):
        unpack(pack, MAX_CHUNK + 1)


def test_masks_that_promise_gigabytes(tmp_path):
    path = tmp_path / 'masks.bin'
    for runs, data in ((0, zlib.compress(bytes(100_000_000))), (1, bytes(4) + b'\1')):
        path.write_bytes(struct.pack('<qqIIII', 1, 2, 60_000, 60_000, runs, len(data)) + data)
        with little_memory(), pytest.raises(ValueError, match='damaged'):
            MaskReader(path).read(0)


def test_weights_of_a_terabyte(tmp_path):
    from checkpoint_files import refusal
    path = tmp_path / 'large.safetensors'
    with open(path, 'wb') as file:
        file.truncate(2 ** 40)      # a hole: it takes no room
    assert 'expected up to' in refusal(path)


def test_a_bag_cut_short_anywhere(tmp_path):
    from bag_making import make_bag
    from eunet_ros.bags.frame_source import BagSource
    for storage, suffix in (('mcap', '.mcap'), ('sqlite3', '.db3')):
        make_bag(tmp_path / storage, 4, storage=storage)
        whole = next((tmp_path / storage).glob(f'*{suffix}')).read_bytes()
        for share in (0.0, 0.1, 0.5, 0.9, 0.999):
            path = tmp_path / f'cut{suffix}'
            path.write_bytes(whole[:int(share * len(whole))])
            try:
                assert len(list(BagSource(path).frames())) <= 4
            except BagError as error:
                assert str(path) in str(error)
