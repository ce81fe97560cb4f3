"""What a job can detect: the power of its two stages, the blocks that they take, the smallest change they find."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import betainc, ndtr, owens_t

from gatebench.analyze.sign_flip import untied_tail

SCREEN_BLOCKS = (12, 48)  # least and most
SCREEN_POWER = 0.995  # with which a change of the margin becomes a suspect: one of 200 may be missed
CONFIRM_BLOCKS = (16, 64)  # least and most
CONFIRM_POWER = 0.95  # with which a change of CONFIRM_SHARE of the margin is confirmed once it is a suspect
CONFIRM_SHARE = 2 / 3
_DOUBT = (
    1.3  # a spread from 12 blocks is uncertain by a quarter: taken as it is, unlucky cases would get far too few blocks
)
# A spread is an estimate and tails are not normal: with this factor the power at the effect named is 0.73 to 0.84 for every
# noise of tests/statistics; without it 0.62 to 0.73.
_TAILS = 1.15
_LARGEST_SHIFT = 64.0  # in standard deviations: what not even this finds, nothing does


def power(shift: float, blocks: int, alpha: float) -> float:
    """Return the chance that the one-sided sign-flip test at `alpha` rejects.

    shift: true log-ratio / its standard deviation between blocks, normal noise. The rank sum W has mean and variance
    as in Lehmann, Nonparametrics (1975), appendix 4B; W / largest W is taken as a beta variable with both, for it is
    bounded: a normal one would promise too much near a power of 1, and at small alpha, where only the largest W reject.
    """
    critical = _critical(blocks, alpha)
    if critical is None:
        return 0.0
    positive, pair = ndtr(shift), ndtr(math.sqrt(2) * shift)  # P(X > 0), P(X + Y > 0)
    both = pair - 2 * owens_t(math.sqrt(2) * shift, 1 / math.sqrt(3))  # P(X + Y > 0 and X + Z > 0)
    largest = blocks * (blocks + 1) / 2
    mean = blocks * positive + blocks * (blocks - 1) / 2 * pair
    variance = (
        blocks * positive * (1 - positive)
        + blocks * (blocks - 1) / 2 * pair * (1 - pair)
        + blocks * (blocks - 1) * (blocks - 2) * (both - pair**2)
        + blocks * (blocks - 1) * (pair + positive**2 - 2 * positive * pair)
    )
    share = mean / largest
    if share * (1 - share) <= 0 or variance <= 0:  # so far above zero that W is its largest value
        return 1.0
    size = share * (1 - share) * largest**2 / variance - 1
    return float(1 - betainc(share * size, (1 - share) * size, (critical - 0.5) / largest))


@functools.lru_cache(maxsize=4096)
def _critical(blocks: int, alpha: float) -> int | None:
    """Return the smallest rank sum that rejects at `alpha`; None where none does."""
    rejected = np.flatnonzero(untied_tail(blocks) <= alpha)
    return int(rejected[0]) if len(rejected) else None


def minimum_detectable_effect(spread: float, screen_blocks: int, confirm_blocks: int, plan: Mapping[str, Any]) -> float:
    """Return the smallest true change that both stages find with the plan's power, as head / base - 1.

    spread: of block log-ratios, as estimated. Infinite where the blocks are too few for any change; 0 where there is no
    spread; NaN where it is not known.
    """
    if math.isnan(spread):
        return math.nan
    shift = _detectable_shift(screen_blocks, confirm_blocks, plan["alpha_screen"], plan["alpha_confirm"], plan["power"])
    return math.expm1(shift * _TAILS * spread) if math.isfinite(shift) else math.inf


@functools.lru_cache(maxsize=4096)
def _detectable_shift(screened: int, confirmed: int, alpha_screen: float, alpha_confirm: float, wanted: float) -> float:
    """Return the smallest shift in standard deviations that both stages find with the power wanted; infinite where none."""

    def found(shift: float) -> float:
        return power(shift, screened, alpha_screen / 2) * power(shift, confirmed, alpha_confirm / 2)

    low, high = 0.0, _LARGEST_SHIFT
    if found(high) < wanted:
        return math.inf
    for _ in range(40):  # halvings: to 1e-10 standard deviations
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < wanted else (low, middle)
    return high


def screen_blocks(spread: float, plan: Mapping[str, Any]) -> int:
    """Return the blocks to screen a case with: so many that a change of the margin becomes a suspect with 99.5 %."""
    return _blocks_for(math.log1p(plan["margins"]["time"]), spread, plan["alpha_screen"] / 2, SCREEN_POWER, SCREEN_BLOCKS)  # fmt: skip


def confirm_blocks(spread: float, plan: Mapping[str, Any], quantity: str = "time") -> int:
    """Return the fresh blocks to confirm a suspect with: so many that two thirds of the margin are found with 95 %.

    spread: of the screening, whatever effect it saw. Never fewer blocks than can reach alpha_confirm.
    """
    limits = least_to_confirm(plan), plan["confirm_blocks"]["most"]
    effect = math.log1p(CONFIRM_SHARE * plan["margins"][quantity])
    return _blocks_for(effect, _DOUBT * spread, plan["alpha_confirm"] / 2, CONFIRM_POWER, limits)


def blocks_in_time(wanted: int, plan: Mapping[str, Any]) -> int:
    """Return the fresh blocks that a suspect who asks for `wanted` can have: all, or what a time limit left every suspect."""
    return min(wanted, plan["confirm_blocks"].get("room", wanted))


def least_to_confirm(plan: Mapping[str, Any]) -> int:
    """Return the fewest blocks that a suspect is confirmed with."""
    return max(plan["confirm_blocks"]["least"], least_blocks(plan["alpha_confirm"]))


def _blocks_for(effect: float, spread: float, alpha: float, wanted: float, limits: tuple[int, int]) -> int:
    """Return the fewest blocks between the limits that find an effect with the power wanted; else the most."""
    least, most = limits
    if math.isnan(spread):
        return least
    shift = min(effect / spread, _LARGEST_SHIFT) if spread > 0 else _LARGEST_SHIFT
    return next((blocks for blocks in range(least, most) if power(shift, blocks, alpha) >= wanted), most)


def least_blocks(alpha_confirm: float) -> int:
    """Return the fewest blocks with which either direction reaches half of alpha, and one more: log2(4 / alpha)."""
    return math.ceil(math.log2(4 / alpha_confirm))


def largest_suite(plan: Mapping[str, Any]) -> int:
    """Return the most hypotheses for which the most blocks of confirmation can reach alpha_confirm."""
    return math.floor(plan["rate"] / plan["alpha_screen"] * 2.0 ** (plan["confirm_blocks"]["most"] - 2))
