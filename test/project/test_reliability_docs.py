# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Each row of the table of faults names a test, and each fault test stands in it."""
from pathlib import Path
import re

TEST = Path(__file__).resolve().parents[1]
PAGE = TEST.parent / 'docs' / 'reliability.md'


def rows():
    """Return the cells of the table of faults."""
    text = PAGE.read_text().partition('## Faults')[2].partition('\n## ')[0]
    lines = [line for line in text.splitlines() if line.startswith('| ')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[1:]]


def defined(folder):
    return {name for path in folder.rglob('test_*.py')
            for name in re.findall(r'^def (test_\w+)', path.read_text(), re.M)}


def test_each_row_is_a_test_by_name():
    known, told = defined(TEST), rows()
    assert len(told) >= 20
    for row in told:
        assert len(row) == 5, row
        names = re.findall(r'`(test_\w+)', row[4])
        assert names and set(names) <= known, row


def test_each_fault_test_stands_in_the_table():
    named = {name for row in rows() for name in re.findall(r'`(test_\w+)', row[4])}
    assert defined(TEST / 'faults') - named == set()
