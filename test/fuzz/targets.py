# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is fuzzed: each target takes any bytes and may raise only the error that it documents.

A target is a function of bytes and a list of good inputs to start from. Anything else that it
raises, a wrong shape, a crash of the process or a gigabyte of memory is a finding.
"""
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
import json
import os
from pathlib import Path
import shutil
import struct
import sys
import tempfile
from types import SimpleNamespace
import zlib

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # what tests share

import cv2  # noqa: E402
from eunet_ros import (  # noqa: E402
    bag_messages,
    bags,
    conversions,
    frame_source,
    parameters,
    raw_images,
)
from eunet_ros.mask_store import MaskReader, MaskWriter  # noqa: E402
from eunet_ros.model import classes as class_files  # noqa: E402
from eunet_ros.model import cone_annotations, image_header, supervisely  # noqa: E402
from eunet_ros.model.engines.cache import EngineCache  # noqa: E402
from eunet_ros.training import config  # noqa: E402
from eunet_ros.training.data import coco, fsoco  # noqa: E402
import numpy as np  # noqa: E402

_ENCODINGS = (*conversions.SUPPORTED_ENCODINGS, '32FC1', '', 'rgb7', 'bayer_xxxx8')
_FORMATS = ('jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed rgb8', '',
            '16UC1; compressedDepth png', 'bgr8; webp compressed bgr8')
MAX_BYTES = 65_536  # of an input


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Return a folder in memory, where there is one."""
    base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix='eunet_fuzz_', dir=base))


def lower_limits() -> None:
    """Check the same at smaller sizes: else most of the time goes into clearing memory."""
    for module in (image_header, supervisely, cone_annotations, fsoco):
        module.MAX_PIXELS = 2 ** 20


def forget() -> None:
    """Remove what targets wrote."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- messages ---------------------------------------------------------------------------------

_HEAD = struct.Struct('<IIIBB')  # height, width, step, encoding, order and kind of data


def _image(data: bytes) -> None:
    """Convert an Image whose fields and data do not belong together."""
    if len(data) < _HEAD.size:
        return
    height, width, step, encoding, kind = _HEAD.unpack_from(data)
    rest = data[_HEAD.size:]
    msg = SimpleNamespace(height=height, width=width, step=step, is_bigendian=kind & 1,
                          encoding=_ENCODINGS[encoding % len(_ENCODINGS)],
                          data=np.frombuffer(rest, np.uint8) if kind & 2 else rest)
    for convert, shape in ((conversions.image_to_bgr, (height, width, 3)),
                           (conversions.image_to_mask, (height, width))):
        try:
            found = convert(msg)
        except conversions.ConversionError:
            continue
        assert found.shape == shape and found.dtype == np.uint8, (found.shape, shape)
        int(found.sum())  # every pixel lies in the message's memory


def _images() -> list[bytes]:
    found = []
    for name in ('bgr8', 'mono8', 'rgba8', 'bayer_rggb8', 'yuv422', 'mono16', 'bayer_gbrg16'):
        layout = conversions._LAYOUTS[name]
        step = 8 * layout.channels * layout.itemsize
        found.append(_HEAD.pack(4, 8, step, _ENCODINGS.index(name), 2) + bytes(range(4 * step)))
    return found


def _compressed(data: bytes) -> None:
    """Decode a CompressedImage of any bytes."""
    if not data:
        return
    msg = SimpleNamespace(format=_FORMATS[data[0] % len(_FORMATS)], data=data[1:])
    for convert in (conversions.compressed_to_bgr, conversions.compressed_to_mask):
        try:
            found = convert(msg)
        except conversions.ConversionError:
            continue
        assert found.dtype == np.uint8 and found.size, found.shape


def _pictures() -> list[bytes]:
    image = np.arange(8 * 12 * 3, dtype=np.uint8).reshape(8, 12, 3)
    return [bytes([i]) + cv2.imencode(end, image if i else image[..., 0])[1].tobytes()
            for i, end in ((0, '.jpg'), (1, '.png'), (0, '.png'), (6, '.webp'))]


def _camera_info(data: bytes) -> None:
    """Scale a CameraInfo with sizes, region and binning that do not fit."""
    if len(data) < 32:
        return
    words = struct.unpack_from('<8I', data)
    floats = np.frombuffer(data[32:32 + min(36, (len(data) - 32) // 4 * 4)], np.float32)
    roi = SimpleNamespace(x_offset=words[0], y_offset=words[1], height=words[2], width=words[3],
                          do_rectify=False)
    k = np.zeros(9)
    with np.errstate(all='ignore'):
        k[:floats.size] = floats
    info = SimpleNamespace(
        header=None, roi=roi, height=words[4], width=words[5], binning_x=words[6] % 65536,
        binning_y=words[7] % 65536, distortion_model='', d=[], k=k, r=np.zeros(9),
        p=np.zeros(12))
    out = SimpleNamespace(d=np.zeros(0), roi=SimpleNamespace())
    try:
        with np.errstate(all='ignore'):
            conversions.scale_camera_info(info, out, 48, 64)
    except conversions.ConversionError:
        return
    assert (out.height, out.width, len(out.k), len(out.p)) == (48, 64, 9, 12)


def _cdr(data: bytes) -> None:
    """Read serialised messages, as bags hold them and as the node gets them."""
    raw_images.read_stamp(data)
    for read, convert in ((raw_images.read_image, conversions.image_to_bgr),
                          (raw_images.read_compressed, conversions.compressed_to_bgr)):
        with suppress(conversions.ConversionError):
            convert(read(data))
    for kind in (bag_messages.IMAGE, bag_messages.COMPRESSED_IMAGE, bag_messages.CAMERA_INFO):
        try:
            bag_messages.with_stamp(data, bag_messages.stamp_of(data) % 2 ** 31)
            msg = bag_messages.deserialise(data, kind)
            if kind == bag_messages.IMAGE:
                conversions.image_to_bgr(msg)
        except ValueError:
            continue


def _serialised() -> list[bytes]:
    from bag_making import image_message, info_message
    return [bag_messages.serialise(m) for m in (
        image_message(0, 10 ** 9, False, (4, 16)), image_message(1, 5, True, (8, 16)),
        info_message(7))]


# --- files ------------------------------------------------------------------------------------

def _checkpoint(data: bytes) -> None:
    """Load a weights file."""
    from eunet_ros.model.checkpoint import CheckpointError, load_checkpoint
    try:
        load_checkpoint(_file('fuzz.safetensors', data))
    except CheckpointError as error:
        assert '\n' not in str(error)


def _checkpoints() -> list[bytes]:
    from checkpoint_files import small_checkpoint
    from eunet_ros.model.checkpoint import save_checkpoint
    path = _folder() / 'good.safetensors'
    save_checkpoint(path, small_checkpoint())
    return [path.read_bytes()]


def _checkpoint_header(data: bytes) -> None:
    """Read what a weights file says of itself, with the right tensors behind it."""
    from eunet_ros.model.checkpoint import _parse
    try:
        _parse({'eunet_ros': data.decode('utf-8', 'replace')})
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError):
        return  # load_checkpoint makes one sentence of these


def _headers() -> list[bytes]:
    whole = _checkpoints()[0]
    length = struct.unpack('<Q', whole[:8])[0]
    return [json.loads(whole[8:8 + length])['__metadata__']['eunet_ros'].encode()]


def _train_config(data: bytes) -> None:
    """Read a training configuration."""
    try:
        config.TrainConfig(**config.read_config(_file('fuzz.yaml', data)))
    except ValueError:
        return


def _configs() -> list[bytes]:
    folder = Path(config.share_file('config/training/fsoco.yaml')).parent
    return [p.read_bytes() for p in sorted(folder.glob('*.yaml'))]


def _classes(data: bytes) -> None:
    """Read a file of classes."""
    try:
        table = class_files.read_classes(_file('classes.yaml', data))
    except ValueError:
        return
    assert table.table_bgr.shape == (256, 3)


def _node_parameters(data: bytes) -> None:
    """Check names and values of the node's parameters."""
    try:
        values = json.loads(data)
        if not isinstance(values, dict):
            return
    except (ValueError, RecursionError):
        return
    try:
        parameters.check_names(set(values))
        parameters.NodeParameters(**values)
    except ValueError:
        return


def _engine_cache(data: bytes) -> None:
    """Read a kept engine: it is used only where its checksum holds."""
    cache = EngineCache(_folder() / 'cache')
    path = _file('cache/some.engine', data)
    found = cache._read(path, 'key')
    assert found is None or data.endswith(found)


def _engines() -> list[bytes]:
    cache = EngineCache(_folder() / 'cache')
    (_folder() / 'cache').mkdir(exist_ok=True)
    cache._write(_folder() / 'cache' / 'good.engine', 'key', b'engine\n\0')
    return [(_folder() / 'cache' / 'good.engine').read_bytes()]


def _masks(data: bytes) -> None:
    """Read the recorder's file of masks."""
    try:
        reader = MaskReader(_file('masks.bin', data))
        for index in range(min(len(reader), 5)):
            assert reader.read(index).mask.dtype == np.uint8
    except ValueError:
        return


def _mask_files() -> list[bytes]:
    path = _folder() / 'good.bin'
    writer = MaskWriter(path)
    writer.append(1, 2, np.zeros((6, 9), np.uint8))
    writer.append(3, 4, np.arange(54, dtype=np.uint8).reshape(6, 9))
    writer.close()
    return [path.read_bytes()]


# --- data sets --------------------------------------------------------------------------------

def _bitmap(data: bytes) -> None:
    """Decode a mask as text, and bytes with zlib and base64 around them."""
    import base64
    for text in (data.decode('latin1'), base64.b64encode(zlib.compress(data, 1)).decode()):
        try:
            assert supervisely.decode_bitmap(text).dtype == bool
        except supervisely.DataError:
            continue


def _bitmaps() -> list[bytes]:
    import base64
    text = supervisely.encode_bitmap(np.eye(7, 9, dtype=bool))
    return [text.encode(), zlib.decompress(base64.b64decode(text))]


def _annotation(data: bytes) -> None:
    """Read an annotation of FSOCO."""
    try:
        found = cone_annotations.read_annotation(_file('a.json', data), class_files.cone_classes())
        if found.height * found.width <= 1_000_000 and min(found.height, found.width) > 0:
            cone_annotations.paint_mask(found, 0)
    except supervisely.DataError as error:
        assert str(error).endswith('.')


def _annotations() -> list[bytes]:
    bitmap = {'data': supervisely.encode_bitmap(np.ones((3, 4), bool)), 'origin': [2, 1]}
    polygon = {'exterior': [[1, 1], [6, 1], [4, 7]], 'interior': [[[2, 2], [3, 2], [3, 3]]]}
    rows = [{'classTitle': 'seg_blue_cone', 'geometryType': 'bitmap', 'bitmap': bitmap,
             'tags': [{'name': 'truncated'}]},
            {'classTitle': 'seg_yellow_cone', 'geometryType': 'polygon', 'points': polygon},
            {'classTitle': 'blue_cone', 'geometryType': 'rectangle'}]
    return [json.dumps({'size': {'height': 12, 'width': 16}, 'tags': [], 'objects': rows[i:j]})
            .encode() for i, j in ((0, 3), (0, 1), (1, 2))]


def _coco(data: bytes) -> None:
    """Read COCO's annotations, of instances and panoptic."""
    root = _folder() / 'coco'
    if not (root / 'val2017' / 'a.jpg').exists():
        image = cv2.imencode('.png', np.zeros((8, 12, 3), np.uint8))[1].tobytes()
        _file('coco/val2017/a.jpg', image)
        _file('coco/annotations/panoptic_val2017/a.png', image)
    for kind in ('instances', 'panoptic'):
        _file(f'coco/annotations/{kind}_val2017.json', data)
        try:
            images = coco.CocoImages(root, 'val', (16, 24), annotations=kind)
            for index in range(min(len(images), 2)):
                assert images[index].shape == (16, 24, 4)
        except supervisely.DataError:
            continue


def _coco_files() -> list[bytes]:
    image = {'id': 1, 'file_name': 'a.jpg', 'height': 8, 'width': 12}
    category = {'id': 3, 'name': 'cone', 'isthing': 1}
    shapes = ([[1, 1, 6, 1, 4, 7]], {'counts': [10, 5, 81], 'size': [8, 12]},
              {'counts': '04Q21', 'size': [8, 12]})
    rows = [{'id': i, 'image_id': 1, 'category_id': 3, 'iscrowd': int(i == 1), 'segmentation': s,
             'segments_info': [{'id': 0, 'category_id': 3, 'iscrowd': 0}]}
            for i, s in enumerate(shapes)]
    return [json.dumps({'images': [image], 'categories': [category],
                        'annotations': rows[i:j]}).encode() for i, j in ((0, 1), (1, 2), (0, 3))]


# --- bags -------------------------------------------------------------------------------------

def _play(path: Path) -> None:
    try:
        source = frame_source.BagSource(path)
        for _ in source.frames():
            pass
    except bags.BagError as error:
        assert '\n' not in str(error)


def _recorded(storage: str) -> list[bytes]:
    from bag_making import make_bag
    folder = _folder() / f'good_{storage}'
    shutil.rmtree(folder, ignore_errors=True)
    make_bag(folder, 2, storage=storage, with_truth=False)
    return [next(p for p in folder.iterdir() if p.suffix in ('.mcap', '.db3')).read_bytes()]


def _metadata(data: bytes) -> None:
    """Read the metadata.yaml of a bag."""
    folder = _folder() / 'bag'
    if not (folder / 'good_sqlite3.db3').exists():
        folder.mkdir(exist_ok=True)
        _file('bag/good_sqlite3.db3', _recorded('sqlite3')[0])
    _file('bag/metadata.yaml', data)
    _play(folder)


def _metadata_files() -> list[bytes]:
    _recorded('sqlite3')
    return [(_folder() / 'good_sqlite3' / 'metadata.yaml').read_bytes()]


@dataclass(frozen=True)
class Target:
    """A function to fuzz; cheap ones take some 100 us."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    cheap: bool = True


TARGETS = {
    'image': Target(_image, _images),
    'compressed': Target(_compressed, _pictures),
    'camera_info': Target(_camera_info, lambda: [struct.pack('<8I', 0, 0, 0, 0, 96, 128, 1, 1)
                                                 + bytes(36)]),
    'cdr': Target(_cdr, _serialised),
    'checkpoint': Target(_checkpoint, _checkpoints, cheap=False),
    'checkpoint_header': Target(_checkpoint_header, _headers),
    'train_config': Target(_train_config, _configs, cheap=False),
    'classes': Target(_classes, lambda: [
        class_files.share_file('config/classes.yaml').read_bytes()], cheap=False),
    'node_parameters': Target(_node_parameters, lambda: [
        json.dumps({n: s.default for n, s in parameters.SPECS.items()}).encode()]),
    'engine_cache': Target(_engine_cache, _engines),
    'masks': Target(_masks, _mask_files),
    'bitmap': Target(_bitmap, _bitmaps),
    'annotation': Target(_annotation, _annotations),
    'coco': Target(_coco, _coco_files, cheap=False),
    'mcap': Target(lambda data: _play(_file('fuzz.mcap', data)),
                   lambda: _recorded('mcap'), cheap=False),
    'sqlite': Target(lambda data: _play(_file('fuzz.db3', data)),
                     lambda: _recorded('sqlite3'), cheap=False),
    'bag_metadata': Target(_metadata, _metadata_files, cheap=False),
}
