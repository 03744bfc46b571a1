# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
A project that the `supervisely` package writes loads with the masks that it draws.

Its requirements clash with ours: SUPERVISELY_PYTHON names an interpreter that has it.
"""
from importlib.util import find_spec
import json
import os
from pathlib import Path
import subprocess
import sys

from eunet_ros.model.common.classes import cone_classes
from eunet_ros.training.data.readers.fsoco import FsocoProject, load_sample, read_annotation
import numpy as np
import pytest

pytestmark = pytest.mark.process

PYTHON = os.environ.get('SUPERVISELY_PYTHON') or (
    sys.executable if find_spec('supervisely') else None)


@pytest.mark.skipif(PYTHON is None, reason='the supervisely package is not installed and '
                                           'SUPERVISELY_PYTHON names no interpreter that has it')
def test_what_another_implementation_writes_loads_alike(tmp_path):
    classes = cone_classes()
    ids = {f'seg_{name}': i for i, name in enumerate(classes.names) if i}
    writer = Path(__file__).with_name('supervisely_writer.py')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    subprocess.run([PYTHON, str(writer), str(tmp_path / 'project'), json.dumps(ids)], check=True,
                   env=environment, timeout=300)
    samples = FsocoProject(tmp_path / 'project').samples
    assert len(samples) == 6 and {s.source for s in samples} == {
        f'{team}{i}' for team in ('amz', 'ours') for i in range(3)}
    for sample in samples:
        told = np.load((tmp_path / sample.image.name).with_suffix('.npz'))
        image, mask, _ = load_sample(sample, classes, border=0)
        np.testing.assert_array_equal(image, told['rgb'][..., ::-1])
        np.testing.assert_array_equal(mask, told['mask'])
        assert set(np.unique(mask)) > {0}
        tags = [o.tags for o in read_annotation(sample.annotation, classes).objects]
        assert tags == [{'truncated'}, {'knocked_over'}] * 4
