"""Paired blocks: what two sides took in the same round, beside each other."""

import math

import pandas as pd
import pytest

from gatebench.analyze.pairs import pair_blocks


def samples(base, head, block=0):
    """Return one case's samples in ns, round by round; None where a side has none."""
    return [
        {"run_id": "r", "case_id": "case", "side": side, "stage": "screen", "quantity": "time", "block": block}
        | {"round": number, "wall_ns": wall_ns, "dropped": False, "reason": None}
        for side, times in (("base", base), ("head", head))
        for number, wall_ns in enumerate(times)
        if wall_ns is not None
    ]


def test_a_neighbour_that_slows_whole_rounds_changes_no_difference():
    base, head = [1e6, 2e6, 1e6, 3e6, 1e6], [1.1e6, 2.2e6, 1.1e6, 3.3e6, 1.1e6]
    (pairs,) = pair_blocks(pd.DataFrame(samples(base, head)), "screen").values()
    assert pairs.differences == pytest.approx([math.log(1.1)])
    # The difference of the medians knows no rounds: with one more of them slow, and its base not, it is far off.
    head = [1.1e6, 2.2e6, 2.2e6, 3.3e6, 1.1e6]
    (pairs,) = pair_blocks(pd.DataFrame(samples(base, head)), "screen").values()
    assert pairs.differences == pytest.approx([math.log(1.1)])


def test_a_round_that_one_side_lacks_is_no_pair():
    (pairs,) = pair_blocks(pd.DataFrame(samples([1e6, None, 4e6], [2e6, 9e6, 8e6])), "screen").values()
    assert pairs.differences == pytest.approx([math.log(2)])
    assert pairs.base_logs == pytest.approx([math.log(2e6)])


def test_blocks_are_apart_and_in_order():
    rows = samples([1e6], [2e6], block=7) + samples([1e6], [3e6], block=3)
    (pairs,) = pair_blocks(pd.DataFrame(rows), "screen").values()
    assert pairs.differences == pytest.approx([math.log(3), math.log(2)])


def first_calls(base_ns, head_ns, quantity="first_call"):
    once = {"run_id": "r", "case_id": "case", "stage": "screen", "quantity": quantity, "block": 0, "round": None}
    return [
        once | {"side": side, "wall_ns": wall_ns, "dropped": None, "reason": None}
        for side, wall_ns in (("base", base_ns), ("head", head_ns))
    ]


def test_the_first_call_is_the_time_to_compile_where_nobody_counts_what_was_compiled():
    """Only torch.compile tells whether it found its caches filled; Numba, Triton and plugins do not."""
    rows = samples([1e6], [1e6]) + first_calls(1e9, 3e9)
    assert pair_blocks(pd.DataFrame(rows), "screen")["case", "compile"].differences == pytest.approx([math.log(3)])
    rows += first_calls(1e9, 2e9, "compile_cold")
    assert pair_blocks(pd.DataFrame(rows), "screen")["case", "compile"].differences == pytest.approx([math.log(2)])
