# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A project decoded once into a memory map."""
import os

import cv2
from eunet_ros.model.common.classes import cone_classes, IGNORE_ID
from eunet_ros.model.common.label_writer import write_project
from eunet_ros.model.common.supervisely import DataError
from eunet_ros.model.processing import fit, PADDING_BGR, to_network
from eunet_ros.training.data.decoded import decoded_set, scale_pair
from eunet_ros.training.data.readers.fsoco import FsocoProject, load_sample, LoadReport
from eunet_ros.training.data.render_fsoco import items
import numpy as np
import pytest

SIZE = (64, 96)


@pytest.fixture
def project(tmp_path):
    write_project(tmp_path / 'fsoco', items(5, 3, 90, 160, sources=2), border=4)
    return FsocoProject(tmp_path / 'fsoco')


def decode(tmp_path, project, **options):
    return decoded_set(tmp_path / 'cache', project.samples, cone_classes(), SIZE, 4, **options)


def test_it_holds_what_the_network_would_see(tmp_path, project):
    report = LoadReport()
    pixels = decode(tmp_path, project, report=report)
    assert pixels.shape == (5, *SIZE, 4) and not pixels.flags.writeable and report.loaded == 5
    for sample, row in zip(project.samples, pixels):
        image, mask, _ = load_sample(sample, cone_classes(), 4)
        expected = np.empty((*SIZE, 3), np.uint8)
        to_network(image, fit(image.shape[:2], SIZE), expected)
        np.testing.assert_array_equal(row[..., :3], expected)
        assert set(np.unique(row[..., 3])) - {IGNORE_ID} <= set(np.unique(mask))


def test_a_pixel_is_of_the_class_that_covers_most_of_it():
    mask = np.zeros((4, 8), np.uint8)
    mask[:2, :2], mask[0, 2:4], mask[1, 2] = 3, 1, 1   # all of one pixel, 3 of 4 of the next
    mask[2, 4] = 2                                     # a quarter of one
    scaled = scale_pair(np.dstack([mask] * 3), mask, (4, 4))
    assert scaled[..., 3].tolist() == [[3, 1, 0, 0], [0, 0, 0, 0], [255] * 4, [255] * 4]
    assert scaled[3, 0, :3].tolist() == list(PADDING_BGR)


def test_it_is_made_once_and_again_when_a_file_changes(tmp_path, project):
    first = decode(tmp_path, project)
    place = next((tmp_path / 'cache').glob('*fsoco*'))
    before = place.stat().st_mtime_ns
    decode(tmp_path, project)
    assert [p.name for p in (tmp_path / 'cache').glob('*fsoco*')] == [place.name]
    assert place.stat().st_mtime_ns == before
    image = project.samples[1].image
    cv2.imwrite(str(image), np.full((98, 168, 3), 200, np.uint8))
    os.utime(image, ns=(1, 1))
    assert (decode(tmp_path, project)[1, ..., :3] != first[1, ..., :3]).any()


def test_an_interrupted_one_is_made_again(tmp_path, project):
    decode(tmp_path, project)
    place = next((tmp_path / 'cache').glob('*fsoco*'))
    (place / 'index.json').unlink()
    (place / 'pixels.bin').write_bytes(b'half')
    assert len(decode(tmp_path, project)) == 5


def test_broken_samples(tmp_path, project):
    project.samples[2].annotation.write_text('{')
    with pytest.raises(DataError, match=r'Cannot read .*json'):
        decode(tmp_path, project)
    assert not list((tmp_path / 'cache').glob('*fsoco*'))
    report = LoadReport()
    assert len(decode(tmp_path, project, on_error='skip', report=report)) == 4
    assert report.loaded == 4 and 'Cannot read' in report.errors[0]
    with pytest.raises(DataError, match='Cannot read'):  # also when it lies in the cache
        decode(tmp_path, project)
    for sample in project.samples:
        sample.annotation.write_text('{')
    with pytest.raises(DataError, match='None of 5 images can be used'):
        decode(tmp_path, project, on_error='skip')
