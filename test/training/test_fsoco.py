# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""FSOCO projects made by hand, a few pixels large: what is read, and what each fault says."""
import base64
import json
import struct
import zlib

import cv2
from eunet_ros.model.common import cone_annotations, supervisely
from eunet_ros.model.common.classes import BINARY_CLASSES, cone_classes
from eunet_ros.model.common.supervisely import DataError, decode_bitmap, encode_bitmap
from eunet_ros.training.data.readers import fsoco
from eunet_ros.training.data.readers.fsoco import FsocoProject, load_sample, read_annotation
import numpy as np
import pytest

L_SHAPE = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], bool)


def pack(png):
    return base64.b64encode(zlib.compress(png)).decode()


def png_text(pixels):
    return pack(cv2.imencode('.png', pixels)[1].tobytes())


def palette_png(mask):
    """Return a PNG with one bit per pixel and a transparent first colour, as other tools write."""
    def chunk(kind, data):
        return (struct.pack('>I', len(data)) + kind + data
                + struct.pack('>I', zlib.crc32(kind + data)))
    height, width = mask.shape
    rows = b''.join(b'\0' + np.packbits(row).tobytes() for row in mask)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 1, 3,
                                                              0, 0, 0))
            + chunk(b'PLTE', b'\0\0\0\xff\xff\xff') + chunk(b'tRNS', b'\0')
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def cone(title='seg_blue_cone', origin=(0, 0), mask=L_SHAPE, tags=(), **other):
    return {'classId': 77, 'classTitle': title, 'geometryType': 'bitmap',
            'tags': [{'name': t, 'value': None} for t in tags],
            'bitmap': {'data': encode_bitmap(mask), 'origin': list(origin)}, **other}


def box(title='blue_cone'):
    return {'classTitle': title, 'geometryType': 'rectangle', 'tags': [],
            'points': {'exterior': [[0, 0], [5, 5]], 'interior': []}}


def polygon(exterior, interior=(), title='seg_yellow_cone'):
    return {'classTitle': title, 'geometryType': 'polygon', 'tags': [],
            'points': {'exterior': exterior, 'interior': list(interior)}}


def meta(path, titles=('seg_blue_cone', 'blue_cone')):
    shapes = ('rectangle', 'bitmap')
    path.mkdir(parents=True, exist_ok=True)
    (path / 'meta.json').write_text(json.dumps({'tags': [], 'classes': [
        {'title': t, 'shape': shapes[t.startswith('seg_')]} for t in titles]}))
    return path


def add(root, objects=(), folder='team', name='amz_00001.png', size=(6, 8), ann_name=None,
        image=None, pair=('img', 'ann')):
    """Add one image of `size` with its annotation; return the annotation's path."""
    for part in pair:
        (root / folder / part).mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), 90, np.uint8) if image is None else image
    cv2.imwrite(str(root / folder / pair[0] / name), image)
    path = root / folder / pair[1] / (ann_name or f'{name}.json')
    path.write_text(json.dumps({'size': {'height': size[0], 'width': size[1]}, 'tags': [],
                                'objects': list(objects)}))
    return path


def load_one(root, border=0, classes=None):
    (sample,) = FsocoProject(root).samples
    return load_sample(sample, classes or cone_classes(), border)[:2]


@pytest.mark.parametrize('text', [
    encode_bitmap(L_SHAPE), png_text(L_SHAPE.astype(np.uint8) * 255),
    png_text(L_SHAPE.astype(np.uint8)), pack(palette_png(L_SHAPE))],
    ids=['4 channels', '1 channel', '1 channel, small values', 'palette'])
def test_every_kind_of_bitmap_gives_its_mask(text):
    mask = decode_bitmap(text)
    assert mask.dtype == bool
    assert np.array_equal(mask, L_SHAPE)


def test_the_alpha_counts_not_the_colour():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 1, 3] = 255  # black but there
    pixels[1, 0, :3] = 255  # white but not there
    assert decode_bitmap(png_text(pixels)).tolist() == [[False, True], [False, False]]


def big_header():
    png = palette_png(L_SHAPE)
    return png[:16] + struct.pack('>II', 100_000, 100_000) + png[24:]


@pytest.mark.parametrize('text, says', [
    (5, 'as text'), ('not base64!', 'not base64'),
    (base64.b64encode(b'not zlib').decode(), 'not base64 of zlib'),
    (base64.b64encode(zlib.compress(b'x' * 50)[:-5]).decode(), 'too early'),
    (base64.b64encode(zlib.compress(b'x' * 50)[:3]).decode(), 'too early'),
    (pack(b'hello'), 'not a PNG'), (pack(palette_png(L_SHAPE)[:45]), 'damaged'),
    (pack(big_header()), '100000x100000'), (pack(b'\0' * (20 * 2 ** 20)), 'more than'),
    (png_text(np.zeros((3, 3, 3), np.uint8)), '3 channels')])
def test_a_damaged_bitmap_is_refused(text, says):
    with pytest.raises(DataError, match=says):
        decode_bitmap(text)


def test_a_cone_lies_at_its_origin(tmp_path):
    add(meta(tmp_path), [cone(origin=(4, 2))])
    image, mask = load_one(tmp_path)
    expected = np.zeros((6, 8), np.uint8)
    expected[2:5, 4:7][L_SHAPE] = 1
    assert np.array_equal(mask, expected) and mask.dtype == np.uint8
    assert image.shape == (6, 8, 3) and image.dtype == np.uint8


def test_the_border_is_cropped_and_coordinates_include_it(tmp_path):
    image = np.zeros((286, 288, 3), np.uint8)
    image[140:146, 140:148] = (10, 20, 30)
    add(meta(tmp_path), [cone(origin=(141, 142))], size=(286, 288), image=image)
    image, mask = load_one(tmp_path, fsoco.BORDER)
    assert image.shape == (6, 8, 3) and (image == (10, 20, 30)).all()
    assert np.argwhere(mask).tolist() == [[2, 1], [3, 1], [4, 1], [4, 2], [4, 3]]


def test_later_objects_cover_earlier_ones(tmp_path):
    block = np.ones((2, 2), bool)
    add(meta(tmp_path), [cone('seg_blue_cone', (0, 0), block),
                         cone('seg_large_orange_cone', (1, 1), block)])
    mask = load_one(tmp_path)[1]
    assert mask[:3, :3].tolist() == [[1, 1, 0], [1, 4, 4], [0, 4, 4]]


@pytest.mark.parametrize('origin, inside, cut', [
    ((-1, 0), 2, 1), ((0, -2), 3, 1), ((7, 5), 1, 1), ((20, 0), 0, 1), ((0, -20), 0, 1),
    ((-20, 20), 0, 1), ((5, 3), 5, 0)])
def test_what_reaches_outside_is_cut_and_counted(tmp_path, origin, inside, cut):
    path = add(meta(tmp_path), [cone(origin=origin)])
    mask, count = cone_annotations.paint_mask(read_annotation(path, cone_classes()), 0)
    assert (np.count_nonzero(mask), count) == (inside, cut)


def test_rectangles_are_skipped_and_tags_are_read(tmp_path):
    path = add(meta(tmp_path), [box(), cone(tags=('truncated', 'knocked_over')), box('other')])
    annotation = read_annotation(path, cone_classes())
    (only,) = annotation.objects
    assert (annotation.height, annotation.width) == (6, 8)
    assert only.tags == {'truncated', 'knocked_over'} and only.origin == (0, 0)


def test_a_polygon_has_its_outline_and_holes(tmp_path):
    path = add(meta(tmp_path), [polygon([[1, 1], [5, 1], [5, 5], [1, 5]],
                                        [[[2, 2], [4, 2], [4, 4], [2, 4]]])])
    mask, _ = cone_annotations.paint_mask(read_annotation(path, cone_classes()), 0)
    expected = np.zeros((6, 8), int)
    expected[1:6, 1:6] = 2
    expected[2:5, 2:5] = 0
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize('title, class_id', [
    ('seg_blue_cone', 1), ('seg_yellow_cone', 2), ('seg_orange_cone', 3),
    ('seg_large_orange_cone', 4), ('seg_unknown_cone', 5), ('orange_cone', 3),
    ('Large Orange-Cone', 4), ('seg_yellow', 2), ('blue', 1)])
def test_classes_go_by_title(title, class_id):
    assert cone_annotations.class_of(title, cone_classes()) == class_id
    assert cone_annotations.class_of(title, BINARY_CLASSES) == 1


@pytest.mark.parametrize('rows, says', [
    ([cone('seg_green_cone')], "'seg_green_cone' is unknown, expected one of seg_blue_cone, seg_"),
    ([cone('background')], "'background' is unknown"),
    ([cone(), cone(bitmap={'data': '!', 'origin': [0, 0]})], 'Object 1 .*not base64'),
    ([cone(bitmap={'data': encode_bitmap(L_SHAPE), 'origin': [0]})], 'the origin as'),
    ([cone(bitmap={'data': encode_bitmap(L_SHAPE), 'origin': [1e300, 0]})], 'the origin as'),
    ([cone(bitmap=[])], 'with data and origin'), ([cone(geometryType='line')], "'line'"),
    ([cone() | {'tags': 3}], 'tags as a list'), ([{}], 'classTitle'), ([7], 'classTitle'),
    ([polygon([])], 'list of points'), ([polygon([[0, 0], [99999, 99999]])], '100000x100000'),
    ([polygon([[0, 0]], [3])], 'list of points'), ([polygon([[0, None]])], 'a point')])
def test_an_object_that_is_off_is_named(tmp_path, rows, says):
    path = add(meta(tmp_path), rows)
    with pytest.raises(DataError, match=says) as caught:
        read_annotation(path, cone_classes())
    assert str(path) in str(caught.value) and str(caught.value).endswith('.')


@pytest.mark.parametrize('text, says', [
    ('{', 'Cannot read'), ('[]', 'size with'), ('[' * 100_000, 'Cannot read'),
    ('{"size": {"height": 6}}', 'size with'), ('{"size": {"height": -1, "width": 2}}', 'size'),
    ('{"size": {"height": 6, "width": 8}}', 'list of objects'), ('\x00', 'Cannot read')])
def test_a_broken_annotation_is_named(tmp_path, text, says):
    path = add(meta(tmp_path))
    path.write_text(text)
    with pytest.raises(DataError, match=says) as caught:
        read_annotation(path, cone_classes())
    assert str(path) in str(caught.value)


@pytest.mark.parametrize('folder, pair, name', [
    ('team', ('img', 'ann'), 'team/amz_00001.png'),
    ('', ('img', 'ann'), 'amz_00001.png'), ('', ('images', 'segmentation'), 'amz_00001.png'),
    ('project/ds', ('img', 'ann'), 'project/ds/amz_00001.png')])
@pytest.mark.parametrize('ann_name', ['amz_00001.png.json', 'amz_00001.json'])
def test_layouts(tmp_path, folder, pair, name, ann_name):
    add(meta(tmp_path), [cone()], folder, ann_name=ann_name, pair=pair)
    (sample,) = FsocoProject(tmp_path).samples
    assert (sample.name, sample.source) == (name, 'amz')
    assert load_one(tmp_path)[1].any()


def test_halves_are_left_out_and_listed(tmp_path):
    add(meta(tmp_path), name='b_2.png')
    add(tmp_path, name='a_1.jpg')
    add(tmp_path, name='c_3.png').unlink()
    (tmp_path / 'team/ann/d_4.png.json').write_text('{}')
    (tmp_path / 'team/img/notes.txt').write_text('')
    for suffix in ('png', 'jpg'):  # whose is e_5.json?
        add(tmp_path, name=f'e_5.{suffix}', ann_name='e_5.json')
    project = FsocoProject(tmp_path)
    assert [s.name for s in project.samples] == ['team/a_1.jpg', 'team/b_2.png']
    assert project.without_annotation == ('team/c_3.png', 'team/e_5.jpg', 'team/e_5.png')
    assert project.without_image == ('team/d_4.png.json', 'team/e_5.json')


def test_datasets_in_a_dataset_are_found(tmp_path):
    meta(tmp_path)
    folders = ['day1', 'day1/datasets/morning', 'day1/datasets/evening/datasets/late', 'a/b/c/d']
    for folder in folders:
        add(tmp_path, [cone()], folder)
    (tmp_path / 'day1' / 'again').symlink_to(tmp_path)  # round in a circle
    found = FsocoProject(tmp_path).samples
    assert sorted(s.name for s in found) == sorted(f'{f}/amz_00001.png' for f in folders)


def test_what_systems_leave_beside_files_is_passed_over(tmp_path):
    add(meta(tmp_path), [cone()])
    for folder in ('__MACOSX/team', 'team'):
        for part in ('img/._amz_00001.png', 'ann/._amz_00001.png.json', 'img/Thumbs.db',
                     'img/.DS_Store'):
            (tmp_path / folder / part).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / part).write_bytes(b'\0\5\x16\7' * 25)
    add(tmp_path, [cone()], '__MACOSX/other')
    project = FsocoProject(tmp_path)
    assert [s.name for s in project.samples] == ['team/amz_00001.png']
    assert project.without_annotation == project.without_image == ()


@pytest.mark.parametrize('name, source', [
    ('amz_00825.png', 'amz'), ('AMZ_1.png', 'amz'), ('cam00_00001.png', 'cam00'),
    ('tuw_left_2020-08-01_7.png', 'tuw'), ('00001361_skid-pad.png', 'skid-pad'),
    ('frame0007.png', 'frame'), ('img-12.png', 'img'), ('00012.png', 'team'),
    ('2020-08-01_7.png', 'team')])
def test_sources(name, source):
    assert fsoco.source_of(name, 'Team') == source


def test_a_missing_project_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r'nowhere does not exist.*fsoco-dataset\.com.*--data'):
        FsocoProject(tmp_path / 'nowhere')
    (tmp_path / 'fsoco.zip').write_text('')
    with pytest.raises(DataError, match='unpack it'):
        FsocoProject(tmp_path / 'fsoco.zip')
    with pytest.raises(DataError, match=r'has no meta\.json.*--data'):
        FsocoProject(tmp_path)
    meta(tmp_path / 'inner')
    with pytest.raises(DataError, match='inner: name that folder'):
        FsocoProject(tmp_path)
    with pytest.raises(DataError, match='No image with an annotation'):
        FsocoProject(tmp_path / 'inner')


@pytest.mark.parametrize('text', ['{', '[]', '{"classes": [{}]}', '{"classes": 3}'])
def test_a_broken_meta_is_named(tmp_path, text):
    (tmp_path / 'meta.json').write_text(text)
    with pytest.raises(DataError, match=r'meta\.json'):
        FsocoProject(tmp_path)


def test_the_boxes_export_is_told_apart(tmp_path):
    add(meta(tmp_path, ('blue_cone',)))
    with pytest.raises(DataError, match='no class with masks, found blue_cone'):
        FsocoProject(tmp_path)


def test_images_that_do_not_fit_are_named(tmp_path):
    add(meta(tmp_path), image=np.zeros((5, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r'amz_00001\.png has 5x8 .* says 6x8'):
        load_one(tmp_path)
    add(tmp_path)
    with pytest.raises(DataError, match='no room for a border of 140'):
        load_one(tmp_path, fsoco.BORDER)
    for content in (b'', b'no image'):
        (tmp_path / 'team/img/amz_00001.png').write_bytes(content)
        with pytest.raises(DataError, match=r'amz_00001\.png is not an image'):
            load_one(tmp_path)
    with pytest.raises(DataError, match=r'gone\.png'):
        fsoco.read_image(tmp_path / 'gone.png')


def test_broken_samples_stop_a_loop_or_are_counted(tmp_path):
    add(meta(tmp_path), [cone(origin=(7, 0))], name='a_1.png')
    add(tmp_path, [cone('seg_green_cone')], name='b_1.png')
    samples, report = FsocoProject(tmp_path).samples, fsoco.LoadReport()
    with pytest.raises(DataError, match='seg_green_cone'):
        list(fsoco.load_samples(samples, cone_classes(), 0, 'raise', report))
    report = fsoco.LoadReport()
    found = [s.name for s, _, _ in fsoco.load_samples(samples, cone_classes(), 0, 'skip', report)]
    assert found == ['team/a_1.png']
    assert (report.loaded, report.cut_objects, len(report.errors)) == (1, 1, 1)


def framed(logo=True):
    image = np.full((300, 330, 3), 120, np.uint8)
    framed = cv2.copyMakeBorder(image, *[fsoco.BORDER] * 4, cv2.BORDER_CONSTANT)
    if logo:
        framed[10:130, 10:130] = 255
    return framed


def test_the_frame_is_recognised(tmp_path):
    assert fsoco.has_border(framed()) and fsoco.has_border(framed(False))
    assert not fsoco.has_border(framed()[100:])  # its upper side is missing
    assert not fsoco.has_border(np.zeros((200, 900, 3), np.uint8))
    add(meta(tmp_path), name='a_1.png', image=framed())
    assert fsoco.detect_border(FsocoProject(tmp_path).samples) == fsoco.BORDER
    add(tmp_path, name='b_1.png')
    with pytest.raises(DataError, match='--border 0'):
        fsoco.detect_border(FsocoProject(tmp_path).samples)
    assert fsoco.detect_border(FsocoProject(tmp_path).samples[1:]) == 0


def test_the_limits_leave_room_for_real_masks():
    assert supervisely.MAX_PIXELS >= 3840 * 2160
    mask = np.random.default_rng(0).random((1080, 1920)) < 0.5  # the worst that can be packed
    assert np.array_equal(decode_bitmap(encode_bitmap(mask)), mask)
