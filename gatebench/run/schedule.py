"""The order of measuring: randomised complete blocks, positions balanced."""

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def round_orders(items: Sequence[Item], rounds: int, seed: str) -> list[list[Item]]:
    """Return one order of all items per round.

    Rounds come in groups of len(items): the rotations of one random order, themselves in random order, so that in
    each whole group every item stands at every position once. Same seed, same orders.
    """
    generator = random.Random(seed)
    orders: list[list[Item]] = []
    while items and len(orders) < rounds:
        base = list(items)
        generator.shuffle(base)
        group = [base[start:] + base[:start] for start in range(len(base))]
        generator.shuffle(group)
        orders += group
    return orders[:rounds] if items else [[] for _ in range(rounds)]
