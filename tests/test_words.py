"""Words for numbers."""

import numpy as np

from gatebench.words import counted


def test_a_noun_is_plural_unless_there_is_one():
    assert [counted(count, "case") for count in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]


def test_a_count_of_a_table_is_a_whole_number():
    assert [counted(np.float64(count), "block") for count in (1, 3)] == ["1 block", "3 blocks"]
