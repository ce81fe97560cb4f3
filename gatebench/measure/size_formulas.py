"""Sizes of a gate's tensors as formulas in I and H, found by asking the gate for a few shapes."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from gatebench.shape import Shape

# (I, H): three that settle a + b I + c H, and three that such a formula must foretell. Multiples of 64: of heads, groups, blocks.
_SIZES = ((64, 64), (128, 64), (64, 128), (256, 64), (320, 192), (64, 64))
_ELSEWHERE = (3, 96)  # (B, T) of the last, else (1, 64): what depends on them is no formula in I and H
_LETTERS = ("I", "H")


def formulas(sizes_at: Callable[[Shape], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the size of each tensor as formulas, e.g. {"weight_ih": ["4H", "I"]}; of a width alone, one formula.

    sizes_at: gives sizes for a shape. Tensors of which a size is not a + b I + c H, or that are not there at every shape, are
    left out; nothing is returned where the gate does not take these shapes.
    """
    try:
        places = [(1, 64)] * (len(_SIZES) - 1) + [_ELSEWHERE]
        asked = [
            sizes_at(Shape(batch=b, seq_len=t, input_size=i, hidden_size=h))
            for (i, h), (b, t) in zip(_SIZES, places, strict=True)
        ]
    except Exception:  # a plugin may take few shapes only, and say so in any way; its example is still shown
        return {}
    found: dict[str, Any] = {}
    for name, first in asked[0].items():
        several = isinstance(first, Sequence)
        rows = [_whole(sizes.get(name), several) for sizes in asked]
        texts = [_formula(column) for column in zip(*rows, strict=True)] if len({*map(len, rows)}) == 1 else [None]
        if rows[0] and None not in texts:
            found[name] = texts if several else texts[0]
    return found


def _whole(sizes: Any, several: bool) -> list[int]:
    """Return the sizes of a tensor, or its one size, as a list; an empty one where they are no whole numbers."""
    found = list(sizes) if several and isinstance(sizes, Sequence) else [sizes]
    return found if all(isinstance(size, int) for size in found) else []


def _formula(sizes: Sequence[int]) -> str | None:
    """Return a + b I + c H as text for sizes at _SIZES; None where they are of no such form."""
    per_input = Fraction(sizes[1] - sizes[0], _SIZES[1][0] - _SIZES[0][0])
    per_hidden = Fraction(sizes[2] - sizes[0], _SIZES[2][1] - _SIZES[0][1])
    rest = sizes[0] - per_input * _SIZES[0][0] - per_hidden * _SIZES[0][1]
    if any(per_input * i + per_hidden * h + rest != size for (i, h), size in zip(_SIZES, sizes, strict=True)):
        return None
    terms = [_term(factor, letter) for factor, letter in zip((per_input, per_hidden), _LETTERS, strict=True) if factor]
    return " + ".join([*terms, *([str(rest)] if rest or not terms else [])]).replace("+ -", "- ")


def _term(factor: Fraction, letter: str) -> str:
    times = {1: "", -1: "-"}.get(factor.numerator, str(factor.numerator))
    return f"{times}{letter}" + ("" if factor.denominator == 1 else f"/{factor.denominator}")
