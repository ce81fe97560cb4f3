"""Suites of 200 cases drawn from banked blocks and judged by the very functions that `gatebench ab` calls."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from bank import Banked
from place import SLOWED, SLOWER_BY
from rivals import Comparison
from scipy import stats
from scipy.special import ndtri

from gatebench.analyze.detection import SCREEN_BLOCKS, confirm_blocks, minimum_detectable_effect, screen_blocks
from gatebench.analyze.judge import is_suspect, judge, weigh
from gatebench.analyze.pairs import NO_PAIRS, Pairs
from gatebench.analyze.plan import POWER, RATE, make_plan
from gatebench.analyze.sign_flip import shift_interval, spread
from gatebench.analyze.statistics import CONFIDENCE

CASES = 200
SUITES = 1000
PLAN = make_plan(cases={f"case {number}": "both" for number in range(CASES)}, controls={}, compiles=[], sides={})
LEVEL = RATE / CASES  # of one case, if the whole suite is to raise a false alarm in 0.5 %


@dataclass(frozen=True)
class Verdict:
    """One replayed case."""

    verdict: str
    blocks: int  # of both stages


class Case:
    """A callable at an effect, to be judged again and again from its banked blocks, as `ab` would after a calibration.

    calibrated: spread of the same callable with both sides alike, which says how many blocks screen it.

    Where both sides are the same code, each block's sides are swapped by a fresh coin: the truth is then exactly no change,
    whatever the bank's own mean. undisturbed: judged as if nothing foreign had been seen.
    """

    def __init__(self, banked: Banked, plan: Mapping, calibrated: float, undisturbed: bool = False) -> None:
        self._bank, self._plan, self._alike = banked.pairs, plan, banked.effect == 0.0
        self._disturbed = 0.0 if undisturbed else banked.pairs.disturbed
        self._screened = screen_blocks(calibrated, plan)

    def judged(self, random: np.random.Generator) -> Verdict:
        """Return the verdict on freshly drawn blocks: a screening and, of a suspect, a confirmation."""
        screen, confirm, wanted = self._draw(self._screened, random), NO_PAIRS, 0
        if is_suspect("time", screen, self._plan):
            wanted = confirm_blocks(spread(screen.differences), self._plan)
            confirm = self._draw(wanted, random)
        row = judge("time", screen, confirm, {"screen": self._screened, "confirm": wanted}, None, self._plan)
        return Verdict(row["verdict"], self._screened + wanted)

    def interval(self, random: np.random.Generator) -> tuple[float, float]:
        """Return the 95 % interval of the log-ratio from a screening's blocks, whatever they say."""
        _, low, high = shift_interval(self._draw(self._screened, random).differences, CONFIDENCE)
        return low, high

    def _draw(self, blocks: int, random: np.random.Generator) -> Pairs:
        places = random.integers(len(self._bank), size=blocks)
        signs = random.choice((-1.0, 1.0), size=blocks) if self._alike else 1.0
        return Pairs(self._bank.differences[places] * signs, self._bank.base_logs[places], self._disturbed)


@dataclass(frozen=True)
class Alarms:
    """Of replayed suites whose sides are alike: those with any verdict faster or slower, and how cases came out."""

    suites: int
    with_alarm: int
    verdicts: Mapping[str, int]


def false_alarms(banks: Sequence[Banked], suites: int, seed: int, undisturbed: bool = False) -> Alarms:
    """Replay suites of CASES cases, each a callable drawn at random with both sides alike."""
    random = np.random.default_rng(seed)
    cases = [Case(bank, PLAN, spread(bank.pairs.differences), undisturbed) for bank in banks]
    alarmed, counts = 0, dict.fromkeys(("same", "inconclusive", "slower", "faster"), 0)
    for _ in range(suites):
        words = [cases[drawn].judged(random).verdict for drawn in random.integers(len(cases), size=CASES)]
        alarmed += "slower" in words or "faster" in words
        for word in words:
            counts[word] += 1
    return Alarms(suites, alarmed, counts)


def judged(bank: Banked, calibrated: float, repeats: int, seed: int, undisturbed: bool = False) -> list[Verdict]:
    """Judge a callable again and again as one of a suite of CASES cases."""
    random = np.random.default_rng(seed)
    case = Case(bank, PLAN, calibrated, undisturbed)
    return [case.judged(random) for _ in range(repeats)]


def share(verdicts: Sequence[Verdict], word: str) -> float:
    """Return how often a callable is judged so."""
    return mean(verdict.verdict == word for verdict in verdicts)


def detectable(bank: Banked) -> float:
    """Return the smallest change that `ab` finds of a callable in 80 % of suites of CASES cases."""
    wide = spread(bank.pairs.differences)
    return minimum_detectable_effect(wide, screen_blocks(wide, PLAN), confirm_blocks(wide, PLAN), PLAN)


# --- the blocks as they came, in order, nothing drawn and nothing swapped


def verdict_of(bank: Banked) -> str:
    """Return the verdict of one job made of a bank's own blocks: the first to screen, those after them to confirm."""
    screened = SCREEN_BLOCKS[0]
    screen, rest = _part(bank.pairs, 0, screened), _part(bank.pairs, screened, len(bank.pairs))
    confirm = rest if is_suspect("time", screen, PLAN) else NO_PAIRS
    return judge("time", screen, confirm, {"screen": screened, "confirm": len(rest)}, None, PLAN)["verdict"]


def p_two_sided(bank: Banked) -> float:
    """Return the p-value of all blocks of a bank against no change, in either direction."""
    evidence = weigh(bank.pairs.differences, 1.0)
    return min(1.0, 2 * evidence.p_value)


def covered(banks: Iterable[Banked]) -> tuple[int, int]:
    """Return how many intervals of disjoint runs of 12 blocks cover the work that was planted, and of how many."""
    hits = []
    for bank in banks:
        for first in range(0, len(bank.pairs) - SCREEN_BLOCKS[0] + 1, SCREEN_BLOCKS[0]):
            window = _part(bank.pairs, first, first + SCREEN_BLOCKS[0])
            _, low, high = shift_interval(window.differences, CONFIDENCE)
            hits.append(low <= math.log1p(bank.effect) <= high)
    return sum(hits), len(hits)


def _part(pairs: Pairs, first: int, last: int) -> Pairs:
    return Pairs(pairs.differences[first:last], pairs.base_logs[first:last], pairs.disturbed)


# --- the other tools


def said_slower(comparisons: Iterable[Comparison], slowed: bool) -> tuple[int, int]:
    """Return how many cases a tool reports as slower, and of how many: of those that are slowed, or of those alike."""
    said = [word for found in comparisons for name, word in found.slower.items() if (name in SLOWED) == slowed]
    return sum(said), len(said)


def share_interval(count: int, of: int) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % interval of a share."""
    low = float(stats.beta.ppf(0.025, count, of - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(0.975, count + 1, of - count)) if count < of else 1.0
    return low, high


def rival_detectable(comparisons: Sequence[Comparison], seconds_per_case: float) -> dict[str, float]:
    """Return, by callable, the smallest change that a tool's estimates could tell at GateBench's own error rate and time.

        (z at 1 - LEVEL/2  +  z at POWER) · root mean square error of its log-ratios

    That grants a tool normal noise and a threshold that suits each callable; where it took less time, noise that falls with
    the root of time, and where it took more, all of that time.
    """
    quantiles = float(ndtri(1 - LEVEL / 2) + ndtri(POWER))
    taken = float(np.mean([comparison.seconds_per_case for comparison in comparisons]))
    longer = min(1.0, math.sqrt(taken / seconds_per_case))
    found = {}
    for name in comparisons[0].log_ratios:
        truth = math.log1p(SLOWER_BY) if name in SLOWED else 0.0
        error = math.sqrt(np.mean([(comparison.log_ratios[name] - truth) ** 2 for comparison in comparisons]))
        found[name] = math.expm1(quantiles * error * longer)
    return found
