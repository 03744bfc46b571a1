# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The soak's account: every image has one reason, and the sum is what was sent."""
import pytest
import run as fuzz
import soak
from soak_report import (
    ABSENT,
    account,
    again,
    KILLED,
    lines,
    LOST,
    LOST_MASK,
    MASKED,
    minutes,
    Notes,
    OPEN,
    S,
    thirds,
)


@pytest.fixture
def notes():
    fates = []
    for pid, event, stamp in ((1, 'masked', 10), (1, 'masked', 20), (1, 'dropped_newer', 30),
                              (1, '', 40), (2, '', 80), (2, 'masked', 90)):
        fates.append((pid, 'received', stamp))
        if event:
            fates.append((pid, event, stamp))
    return Notes(sent=[10, 15, 20, 30, 40, 50, 60, 80, 90], arrived={10: 12, 90: 95},
                 fates=fates, killed={1}, absences=[(45, 70)], end=100)


def test_each_image_has_one_reason(notes):
    found = account(notes)
    assert found == {10: MASKED, 15: LOST, 20: LOST_MASK, 30: 'dropped: newer', 40: KILLED,
                     50: ABSENT, 60: ABSENT, 80: OPEN, 90: MASKED}
    text = lines(found)
    assert text[0].split() == ['sent', '9']
    assert sum(int(row.split()[-1]) for row in text[1:]) == 9
    assert text[-1].split() == [OPEN, '1']


def test_masks_after_a_fault(notes):
    assert again(notes, 60) == 35 / S
    assert again(notes, 95) == float('inf')


def test_rows_of_minutes():
    sent = [i * S // 10 for i in range(1, 1000)]
    notes = Notes(sent, {s: s + 20_000_000 + (s // 100_000_000 % 10) * 1_000_000 for s in sent},
                  [(1, e, s) for s in sent for e in ('received', 'masked')], end=100 * S)
    first, second = minutes(notes, account(notes), 0)
    assert (first['sent'], first['masked'], second['sent']) == (599, 599, 400)
    assert first['p50'] == pytest.approx(24.5, abs=1) and first['p99'] == pytest.approx(29)


def test_thirds_are_of_the_time_whatever_was_measured_in_it():
    column = [(at, 100.0 + at / 10) for at in range(0, 91, 10)] + [(89, 1e6)]
    column.sort()
    assert thirds(column) == (101.5, pytest.approx(108.5, abs=0.5))
    assert thirds([(5, 7.0)]) == (7.0, 7.0)


@pytest.mark.parametrize('main, arguments, said', [
    (soak.main, ['--minutes', '1'], 'at least 8 minutes, found 1'),
    (fuzz.main, ['--runs', '5', 'imagge'], 'unknown target imagge'),
    (fuzz.main, [], 'give --runs or --seconds')])
def test_wrong_options_end_in_a_sentence(main, arguments, said, capsys):
    pytest.importorskip('rosbags', reason='rosbags is not installed')
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
