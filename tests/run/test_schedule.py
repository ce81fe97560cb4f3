"""The order of rounds: every item at every position equally often, random, and the same for the same seed."""

from collections import Counter
from itertools import pairwise

import pytest

from gatebench.run.schedule import round_orders


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_each_item_stands_at_each_position_equally_often(count):
    items = [f"item {number}" for number in range(count)]
    for seed in range(20):
        orders = round_orders(items, 4 * count, str(seed))
        assert all(sorted(order) == items for order in orders)
        places = Counter((item, position) for order in orders for position, item in enumerate(order))
        assert set(places.values()) == {4}
        assert len(places) == count * count


def test_the_same_seed_gives_the_same_orders_and_another_one_others():
    items = list("abcd")
    assert round_orders(items, 12, "7") == round_orders(items, 12, "7")
    assert len({str(round_orders(items, 12, str(seed))) for seed in range(20)}) == 20


def test_more_rounds_begin_with_the_same_ones():
    assert round_orders("abc", 15, "7")[:10] == round_orders("abc", 10, "7")


def test_who_follows_whom_is_shuffled_too():
    orders = round_orders("abcd", 400, "0")
    pairs = Counter(pair for order in orders for pair in pairwise(order))
    assert len(pairs) == 12
    assert max(pairs.values()) < 2 * min(pairs.values())  # rotations of one order would leave most pairs out


def test_the_first_of_a_round_is_not_predictable():
    firsts = {tuple(order[0] for order in round_orders("ab", 8, str(seed))) for seed in range(40)}
    assert len(firsts) > 8


def test_the_rotations_of_one_order_come_in_any_order():
    steps = Counter()
    for seed in range(60):
        first, second, third = (order[0] for order in round_orders("abc", 3, str(seed)))
        order = round_orders("abc", 3, str(seed))[0]
        assert {first, second, third} == set("abc")
        steps[order.index(second), order.index(third)] += 1
    assert set(steps) == {(1, 2), (2, 1)}


def test_no_items_give_empty_rounds():
    assert round_orders([], 3, "0") == [[], [], []]
    assert round_orders(["a"], 0, "0") == []
