# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with bags, truth, folders and options: a sentence, or counted in the report."""
from bag_making import header, image_message, make_bag, SIZE, START, truth, TYPES, write_bag
import cv2
from eunet_ros.bags.messages import COMPRESSED_IMAGE, IMAGE, serialise
from eunet_ros.bags.writer import BagWriter
from eunet_ros.evaluation import __main__ as evaluate_bag
from eunet_ros.evaluation.run.folder import FolderError, OutputFolder
from evaluation_making import evaluate, refused
import pytest

STEP = 66_000_000


def spoilt_metadata(folder):
    bag = make_bag(folder / 'bag', 3)
    meta = bag / 'metadata.yaml'
    text = meta.read_text().replace("compression_format: ''", 'compression_format: brotli')
    meta.write_text(text.replace("compression_mode: ''", 'compression_mode: message'))
    return bag


def truncated(storage):
    def make(folder):
        bag = make_bag(folder / 'bag', 40, storage=storage)
        file = next(p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3'))
        data = file.read_bytes()
        file.write_bytes(data[:len(data) * 6 // 10])
        return bag
    return make


def without_metadata(folder):
    bag = make_bag(folder / 'bag', 3)
    (bag / 'metadata.yaml').unlink()
    return bag


def whole(folder):
    return make_bag(folder / 'bag', 3)


@pytest.mark.parametrize(('make', 'arguments', 'words'), [
    (truncated('sqlite3'), [], '.recover'),
    (truncated('mcap'), [], 'mcap recover'),
    (without_metadata, [], 'it has no metadata.yaml'),
    (spoilt_metadata, [], "'brotli' is not supported"),
    (whole, ['--image-topic', '/front'], 'image topics in it: /camera/image_raw/compressed'),
    (whole, ['--image-topic', '/camera/camera_info'], 'expected Image or CompressedImage'),
    (whole, ['--truth-topic', '/labels'], 'no masks on /labels'),
    (whole, ['--truth', '{tmp}/masks'], 'There is no folder'),
    (whole, ['--truth', '{tmp}'], 'expected names that are stamps'),
    (whole, ['--weights', 'nope'], 'There are no weights named nope'),
    (whole, ['--params-file', '{tmp}/none.yaml'], 'none.yaml: No such file'),
    (whole, ['--params-file', '{tmp}/typo.yaml'], 'did you mean overlay_opacity?'),
    (whole, ['--params-file', '{tmp}/list.yaml'], 'is not a parameter file of ROS'),
    (whole, ['--input-size', '65', '96'], 'multiples'),
    (whole, ['--fail-under', 'dise=0.9'], 'did you mean dice?'),
    (whole, ['--fail-under', 'iou_red=0.9'], "no class 'red'"),
    (whole, ['--baseline', '{tmp}'], 'There is no report at'),
    (whole, ['--output', '{tmp}/mine'], 'not of an evaluation'),
    (whole, ['--output', '{tmp}/typo.yaml'], 'is a file: choose another --output'),
    (lambda folder: folder / 'nothing', [], 'There is no bag at'),
    (lambda folder: folder / 'mine', [], 'has no metadata.yaml')])
def test_what_cannot_begin_is_one_sentence(tmp_path, capsys, tiny_weights, make, arguments, words):
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').write_text('years of work')
    (tmp_path / 'typo.yaml').write_text('/**:\n  ros__parameters:\n    overlay_opacty: 0.3\n')
    (tmp_path / 'list.yaml').write_text('[1')
    bag = make(tmp_path)
    before = sorted(tmp_path.rglob('*'))
    given = [str(bag), '--output', str(tmp_path / 'out'), '--weights', str(tiny_weights),
             *(a.format(tmp=tmp_path) for a in arguments)]
    if '--weights' in arguments:
        given = [str(bag), '--output', str(tmp_path / 'out'), *arguments]
    assert evaluate_bag.main(given) == 1
    said = capsys.readouterr()
    assert words in said.err and len(said.err.strip().splitlines()) == 1
    assert said.err.startswith('evaluate_bag: ') and said.out == ''
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.process
def test_weights_that_change_meanwhile_leave_nothing_behind(tmp_path, capsys, monkeypatch,
                                                            tiny_weights):
    # An engine that cannot start is found in a process of its own; what was begun goes again.
    make_plan = evaluate_bag.make_plan

    def other_weights(*given):
        plan, refused = make_plan(*given)
        plan.weights[0].sha256 = 'other'
        return plan, refused
    monkeypatch.setattr(evaluate_bag, 'make_plan', other_weights)
    bag = whole(tmp_path)
    assert evaluate_bag.main([str(bag), '--output', str(tmp_path / 'out'), '--engine', 'torch',
                              '--weights', str(tiny_weights)]) == 1
    assert 'have changed' in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ['bag']


@pytest.mark.parametrize('arguments', [
    ['--rate', '0'], ['--processes', '-1'], ['--truth-tolerance', '-1'], ['--engine', 'abacus'],
    ['--truth', 'a', '--truth-topic', 'b'], ['--live', '--recording', 'c'],
    ['--weights', 'a', '--weights', 'b', '--weights', 'c'], ['--resume', '--restart']])
def test_options_that_make_no_sense(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate_bag.main(['bag', *arguments])
    assert ended.value.code == 2
    assert 'error: ' in capsys.readouterr().err


def test_no_room_on_the_disk(tmp_path):
    OutputFolder(tmp_path / 'a' / 'b').check_space(1)
    with pytest.raises(FolderError, match='GB are free'):
        OutputFolder(tmp_path / 'a' / 'b').check_space(10**18)


def difficult(folder):
    """Write a drive with every trouble that is counted; returns the bag."""
    rows = []
    stamps = [START + i * STEP for i in range(14)]
    stamps[3], stamps[5] = stamps[5], stamps[3]          # going back, twice
    stamps[13] = 0                                       # no stamp
    for i, stamp in enumerate(stamps):
        at, size = START + i * STEP + 5, SIZE if i < 8 else (60, 80)
        message = image_message(i, stamp, True, size)
        if i in (9, 10):                                 # cut short
            message = TYPES[COMPRESSED_IMAGE](header(stamp), 'jpeg',
                                              message.data[:len(message.data) // 2])
        rows.append(('/cam/compressed', at, message))
        if i in (0, 1, 2, 3, 12):
            other = (30, 40) if i == 1 else size         # of another size
            shift = 1_000_000 if i == 2 else 0           # not in step
            data = cv2.imencode('.png', truth(i, other))[1].reshape(-1)
            rows.append(('/ground_truth/mask/compressed', at + 1, TYPES[COMPRESSED_IMAGE](
                header(stamp + shift), 'png', data)))
    return write_bag(folder / 'difficult', rows)


def damaged(folder):
    """Write a bag of chunks of which a late one is damaged; returns the bag."""
    with BagWriter(folder / 'damaged') as bag:
        bag.add_topic('/cam', IMAGE)
        for i in range(500):
            stamp = START + i * STEP
            bag.write('/cam', stamp, serialise(image_message(i % 30, stamp, False)))
    file = next((folder / 'damaged').glob('*.mcap'))
    data = bytearray(file.read_bytes())
    magic = b'\x28\xb5\x2f\xfd'                           # of zstd
    last = data.rfind(magic, 0, len(data) * 9 // 10)
    data[last:last + 40] = bytes(40)
    file.write_bytes(data)
    return folder / 'damaged'


# Slow, 15 s of CPU: only in a bag of hundreds of images some come before its damaged chunk.
@pytest.mark.process
def test_trouble_is_counted_and_nothing_is_lost(tmp_path, capsys, tiny_weights):
    (tmp_path / 'day').mkdir()
    difficult(tmp_path / 'day')
    damaged(tmp_path / 'day')
    (tmp_path / 'day' / 'worse').mkdir()
    without_metadata(tmp_path / 'day' / 'worse')
    bags = [tmp_path / 'day', tmp_path / 'day' / 'worse' / 'bag']
    report, out, err = evaluate(tmp_path, *bags, '--weights', tiny_weights, '--bag-topics',
                                'camera', '--processes', 2, code=1)
    assert not report['complete']
    assert 'it has no metadata.yaml' in err and 'is damaged on topic /cam' in err
    found = {bag['label']: bag for bag in report['bags']}
    assert set(found) == {'damaged', 'difficult'}
    assert 0 < found['damaged']['frames_done'] < 500 and found['damaged']['truth'] is None
    bag = found['difficult']
    assert (bag['frames_done'], bag['frames_masked']) == (14, 12)
    assert bag['stamps_going_back'] == 3 and bag['images_without_stamp'] == 1
    assert bag['sizes'] == {'64x48': 8, '80x60': 4}
    [error] = bag['errors']
    assert error['frames'] == 2 and 'the image is truncated' in error['sentence']
    told = bag['truth']
    assert (told['masks'], told['frames_with_truth'], told['masks_of_no_frame']) == (5, 3, 1)
    assert told['errors'][0]['frames'] == 1 and 'found 40x30' in told['errors'][0]['sentence']
    assert report['weights'][0]['frames_with_truth'] == 3
    for words in ('the image size changes (64x48, 80x60)', '2 images could not be used',
                  '1 images have no stamp', '11 images have no ground truth, 3 have'):
        assert words in out
    # All is kept, and a report of it all; what is damaged does not get better by going on.
    assert '--resume' not in err
    names = sorted(p.name for p in (tmp_path / 'out').iterdir())
    assert names == ['bag_damaged', 'bag_difficult', 'index.html', 'metrics.csv',
                     'overlay_damaged.mp4', 'overlay_difficult.mp4', 'report.json']
    # The former one is kept when another is made, and what is finished is not done again.
    assert 'is finished' in refused(capsys, tmp_path, *bags, '--weights', tiny_weights, '--resume')


@pytest.mark.process
def test_stamps_out_of_step_say_by_how_much(tmp_path, tiny_weights):
    rows = []
    for i in range(4):
        stamp = START + i * STEP
        rows.append(('/cam/compressed', stamp, image_message(i, stamp, True)))
        data = cv2.imencode('.png', truth(i))[1].reshape(-1)
        rows.append(('/ground_truth/mask/compressed', stamp + 1, TYPES[COMPRESSED_IMAGE](
            header(stamp + 3_000_000), 'png', data)))
    bag = write_bag(tmp_path / 'bag', rows)
    _, out, _ = evaluate(tmp_path, bag, '--weights', tiny_weights, '--fail-under', 'dice=0.1',
                         '--no-video', code=1)
    assert 'the nearest mask is 3 ms away' in out and '--truth-tolerance' in out
    assert 'not measured: no ground truth' in out
    report, out, _ = evaluate(tmp_path, bag, '--weights', tiny_weights, '--truth-tolerance',
                              '0.004', '--no-video', '--fail-under', 'dice=0')
    assert report['frames_with_truth'] == 4 and 'All 1 figures hold' in out
    assert (tmp_path / 'out.old' / 'report.json').exists()
