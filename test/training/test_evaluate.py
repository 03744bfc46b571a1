# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: its scores against a direct computation, its pictures, its refusals."""
import json

import cv2
from eunet_ros.model import Segmenter
from eunet_ros.model.common.classes import cone_classes
import numpy as np
import pytest

pytest.importorskip('torchmetrics', reason='torchmetrics is not installed')

from eunet_ros.model.common.label_writer import write_project  # noqa: E402,I100
from eunet_ros.training.data.readers.fsoco import FsocoProject, load_sample  # noqa: E402
from eunet_ros.training.data.render_fsoco import items  # noqa: E402
from eunet_ros.training.data.splits import make_split  # noqa: E402
from eunet_ros.training.evaluate import main  # noqa: E402
from eunet_ros.training.renderer import render_scene  # noqa: E402


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'fsoco'
    write_project(folder, items(9, 5, 96, 144, sources=3), 'team', border=10)
    return folder


def run(output, project, weights='eunet_n', **options):
    options = {'engine': 'torch', 'border': 10, **options, 'output': output}
    words = [str(w) for k, v in options.items() for w in (f'--{k.replace("_", "-")}', v)]
    code = main(['--weights', str(weights), '--data', str(project), *words])
    return code, json.loads((output / 'report.json').read_text()) if code == 0 else None


def test_scores_are_those_of_a_direct_computation(tmp_path, project):
    code, report = run(tmp_path / 'out', project, split='val')
    assert code == 0
    samples = FsocoProject(project).samples
    chosen = make_split(samples).select(samples)['val']
    segmenter, table = Segmenter('eunet_n', 'torch'), np.zeros((6, 6), int)
    for sample in chosen:
        image, truth, _ = load_sample(sample, cone_classes(), 10)
        np.add.at(table, (truth, segmenter(image)), 1)
    assert report['images'] == len(chosen) == 3 and report['confusion'] == table.tolist()
    hits, wrong = table[1:, 1:].sum(), table[0, 1:].sum() + table[1:, 0].sum()
    assert report['dice'] == round(2 * hits / (2 * hits + wrong), 4)
    iou = {name: table[i, i] / (table[i].sum() + table[:, i].sum() - table[i, i])
           for i, name in enumerate(report['classes']) if i and table[i].any()}
    assert {k: report['iou'][k] for k in iou} == pytest.approx(iou, abs=1e-4)
    assert report['miou'] == pytest.approx(np.mean(list(iou.values())), abs=1e-4)
    # Cones are the project's objects, also where two touch.
    objects = sum(len(json.loads(s.annotation.read_text())['objects']) for s in chosen)
    counted = sum(row['cones'] for row in report['recall_by_height'].values())
    assert 0 < counted <= objects and report['false_cones_per_image'] >= 0


def test_pictures_and_the_page_of_the_worst(tmp_path, project):
    code, report = run(tmp_path / 'out', project, split='all', worst=2)
    assert code == 0 and report['images'] == 9
    for name in ('confusion.png', 'curves.png'):
        assert cv2.imread(str(tmp_path / 'out' / name)).std() > 5
    page = (tmp_path / 'out' / 'worst.html').read_text()
    assert page.count('<figure>') == 2 and 'src="data:image/jpeg;base64,' in page
    dice = [float(part.split('<')[0]) for part in page.split(': Dice ')[1:]]
    assert dice == sorted(dice)
    assert run(tmp_path / 'out', project)[0] == 0 and (tmp_path / 'out_2').is_dir()


def test_the_strip_of_the_weights_goes_with_their_own_input(tmp_path, project, weights_with_strip,
                                                            capsys):
    [image] = FsocoProject(project).samples[:1]
    image = load_sample(image, cone_classes(), 10)[0]
    assert hasattr(Segmenter(weights_with_strip, 'torch').segment(image, 40.0), 'rows')
    reports = [run(tmp_path / 'own', project, weights_with_strip, split='all')[1]]
    assert 'input 64x96 and strip 32x192\n' in capsys.readouterr().out
    command = ['--weights', str(weights_with_strip), '--data', str(project), '--engine', 'torch',
               '--split', 'all', '--border', '10', '--output', str(tmp_path / 'asked')]
    assert main([*command, '--input-size', '64', '96']) == 0
    assert 'input 64x96\n' in capsys.readouterr().out
    reports.append(json.loads((tmp_path / 'asked' / 'report.json').read_text()))
    assert [(r['input_size'], r['strip_size']) for r in reports] == [
        ([64, 96], [32, 192]), ([64, 96], None)]
    for report, segmenter in zip(reports, (Segmenter(weights_with_strip, 'torch'),
                                           Segmenter(weights_with_strip, 'torch', (64, 96)))):
        table = np.zeros((6, 6), int)
        for sample in FsocoProject(project).samples:
            picture, truth, _ = load_sample(sample, cone_classes(), 10)
            np.add.at(table, (truth, segmenter(picture)), 1)
        assert report['confusion'] == table.tolist()
    assert reports[0]['confusion'] != reports[1]['confusion']


def test_rendered_scenes(tmp_path):
    assert main(['--weights', 'eunet_n', '--data', 'rendered', '--count', '2', '--size', '96',
                 '160', '--input-size', '96', '160', '--profile', 'benchmark', '--output',
                 str(tmp_path / 'r')]) == 0
    told = json.loads((tmp_path / 'r' / 'report.json').read_text())
    assert (told['images'], told['profile'], told['input_size']) == (2, 'benchmark', [96, 160])


def test_the_report_of_boxes(tmp_path, capsys):
    root, cones = tmp_path / 'set', 0
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True)
    (root / 'classes.txt').write_text('\n'.join(cone_classes().names[1:]))
    for seed in (3, 4):
        scene, lines = render_scene(seed, 192, 320), []
        for number in np.unique(scene.instances)[1:]:
            rows, columns = np.nonzero(scene.instances == number)
            low, high = np.array([columns.min(), rows.min()]), np.array(
                [columns.max(), rows.max()]) + 1
            x, y, w, h = *((low + high) / 2 / (320, 192)), *((high - low) / (320, 192))
            lines.append(f'{scene.mask[rows[0], columns[0]] - 1} {x} {y} {w} {h}')
        cones += len(lines)
        cv2.imwrite(str(root / 'images' / f'{seed}.png'), scene.image)
        (root / 'labels' / f'{seed}.txt').write_text('\n'.join(lines))
    assert main(['--weights', 'eunet_n', '--engine', 'torch', '--data', str(root), '--data-format',
                 'yolo', '--output', str(tmp_path / 'out')]) == 0
    report = json.loads((tmp_path / 'out' / 'report.json').read_text())
    assert (report['images'], report['boxes']['boxes'], report['split']) == (2, cones, 'all')
    rows = report['boxes_by_height'].values()
    assert sum(row['boxes'] for row in rows) == cones > 2
    assert report['boxes']['touched'] > 1 and report['boxes']['class_right_rate'] > 0.5
    said = capsys.readouterr().out
    assert f'all {cones:15}' in said and 'false cones per image' in said
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['report.json']


@pytest.mark.parametrize('options, said', [
    ({'weights': 'eunet_q'}, 'no weights named eunet_q'),
    ({'data': 'nowhere'}, 'nowhere does not exist'),
    ({'data': 'rendered', 'split': 'train'}, 'training scenes are not test data'),
    ({'data': 'rendered', 'profile': 'night'}, 'Expected a profile among'),
    ({'data': 'rendered', 'count': 0}, '--count must be'),
    ({'worst': 0}, '--worst must be'),
    ({'split_file': 'none.json'}, 'Cannot read none.json'),
    ({'border': 60}, 'border of 60 px')])
def test_refusals_are_sentences(tmp_path, project, capsys, options, said):
    options = {'data': project, 'weights': 'eunet_n', **options}
    code, _ = run(tmp_path / 'out', options.pop('data'), options.pop('weights'), **options)
    error = capsys.readouterr().err
    assert code == 1 and said in error and 'Traceback' not in error
    assert not (tmp_path / 'out').exists()
