# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes a project with the `supervisely` package alone, and what it says the masks are.

    python supervisely_writer.py FOLDER IDS_JSON

Run by the interpreter that has the package; nothing of eunet_ros is imported here.
"""
import json
from pathlib import Path
import sys

import numpy as np
import supervisely as sly

SIZE = (400, 500)


def blob(rng):
    """Return a bitmap with a hole somewhere in the image, and maybe at its edge."""
    h, w = int(rng.integers(6, 60)), int(rng.integers(6, 60))
    ys, xs = np.mgrid[:h, :w]
    data = (ys - h / 2) ** 2 / (h / 2) ** 2 + (xs - w / 2) ** 2 / (w / 2) ** 2 <= 1
    data[h // 2, w // 2] = False
    y, x = int(rng.integers(0, SIZE[0] - h)), int(rng.integers(0, SIZE[1] - w))
    return sly.Bitmap(data, sly.PointLocation(y, x))


def polygon(rng):
    """Return a polygon with a hole."""
    y, x = int(rng.integers(60, SIZE[0] - 60)), int(rng.integers(60, SIZE[1] - 60))

    def ring(radius):
        return [sly.PointLocation(y + round(radius * np.sin(a)), x + round(radius * np.cos(a)))
                for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
    return sly.Polygon(ring(40), [ring(12)])


def main(folder, ids):
    """Write the project, and beside it the ids of every image as the package draws them."""
    rng = np.random.default_rng(0)
    classes = {name: sly.ObjClass(name, sly.AnyGeometry) for name in ids}
    tags = [sly.TagMeta(name, sly.TagValueType.NONE) for name in ('truncated', 'knocked_over')]
    project = sly.Project(folder, sly.OpenMode.CREATE)
    project.set_meta(sly.ProjectMeta(list(classes.values()), tags))
    for team in ('amz', 'ours'):
        dataset = project.create_dataset(team)
        for number in range(3):
            labels, mask = [], np.zeros(SIZE, np.uint8)
            for i in range(8):
                name = list(ids)[int(rng.integers(len(ids)))]
                shape = polygon(rng) if i == 5 else blob(rng)
                labels.append(sly.Label(shape, classes[name], [sly.Tag(tags[i % 2])]))
                shape.draw(mask, ids[name])
            image = rng.integers(0, 256, (*SIZE, 3), np.uint8)
            dataset.add_item_np(f'{team}{number}_{number:05d}.png', image,
                                sly.Annotation(SIZE, labels))
            np.savez(Path(folder).with_name(f'{team}{number}_{number:05d}.npz'), mask=mask,
                     rgb=image)


if __name__ == '__main__':
    main(sys.argv[1], json.loads(sys.argv[2]))
