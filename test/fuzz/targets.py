# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is fuzzed: each target takes any bytes and may raise only the error that it documents.

A target is a function of bytes and a list of good inputs to start from. Anything else that it
raises, a wrong shape, a crash of the process or a gigabyte of memory is a finding.
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
import json
import os
from pathlib import Path
import shutil
import struct
import sys
import tempfile
import zlib

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # what tests share

import cv2  # noqa: E402
from eunet_ros import parameters  # noqa: E402
from eunet_ros.bags import frame_source  # noqa: E402
from eunet_ros.bags import reader as bags  # noqa: E402
from eunet_ros.bags.mask_store import MaskReader, MaskWriter  # noqa: E402
from eunet_ros.model.common import (  # noqa: E402
    classes as class_files,
)
from eunet_ros.model.common import (  # noqa: E402
    cone_annotations,
    image_header,
    supervisely,
)
from eunet_ros.model.engines.cache import EngineCache  # noqa: E402
from eunet_ros.training import config  # noqa: E402
from eunet_ros.training.data.readers import coco  # noqa: E402
import message_targets  # noqa: E402
import numpy as np  # noqa: E402

MAX_BYTES = 65_536  # of an input


@lru_cache(maxsize=1)
def _folder() -> Path:
    """Return a folder in memory, where there is one."""
    base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix='eunet_fuzz_', dir=base))


def lower_limits() -> None:
    """Check the same at smaller sizes: else most of the time goes into clearing memory."""
    for module in (image_header, supervisely, cone_annotations):
        module.MAX_PIXELS = 2 ** 20


def forget() -> None:
    """Remove what targets wrote."""
    shutil.rmtree(_folder(), ignore_errors=True)


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


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
    'image': Target(message_targets.image, message_targets.images),
    'compressed': Target(message_targets.compressed, message_targets.pictures),
    'camera_info': Target(message_targets.camera_info, lambda: [
        struct.pack('<8I', 0, 0, 0, 0, 96, 128, 1, 1) + bytes(36)]),
    'cdr': Target(message_targets.cdr, message_targets.serialised),
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
