"""Suites of 200 cases drawn from banked blocks and judged by the very functions that `gatebench ab` calls."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bank import Banked
from rivals import Comparison
from scipy.special import ndtri

from gatebench.analyze.detection import confirm_blocks, minimum_detectable_effect, screen_blocks
from gatebench.analyze.judge import is_suspect, judge
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

    alike: both sides are the same code, so each block's sides are swapped by a fresh coin: the truth is then exactly no
    change, whatever the bank's own mean. undisturbed: judged as if nothing foreign had been seen.
    """

    def __init__(self, banked: Banked, plan: Mapping, alike: bool, undisturbed: bool = False) -> None:
        self._bank, self._plan, self._alike = banked.pairs, plan, alike
        self._disturbed = 0.0 if undisturbed else banked.pairs.disturbed
        self._screened = screen_blocks(spread(banked.pairs.differences), plan)

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
    cases = [Case(bank, PLAN, alike=True, undisturbed=undisturbed) for bank in banks]
    alarmed, counts = 0, dict.fromkeys(("same", "inconclusive", "slower", "faster"), 0)
    for _ in range(suites):
        words = [cases[drawn].judged(random).verdict for drawn in random.integers(len(cases), size=CASES)]
        alarmed += "slower" in words or "faster" in words
        for word in words:
            counts[word] += 1
    return Alarms(suites, alarmed, counts)


def power(bank: Banked, repeats: int, seed: int, undisturbed: bool = False) -> float:
    """Return how often a planted callable is judged slower in a suite of CASES cases."""
    random = np.random.default_rng(seed)
    case = Case(bank, PLAN, alike=False, undisturbed=undisturbed)
    return float(np.mean([case.judged(random).verdict == "slower" for _ in range(repeats)]))


def blocks_taken(bank: Banked, repeats: int, seed: int) -> float:
    """Return the mean number of blocks that a planted callable takes."""
    random = np.random.default_rng(seed)
    case = Case(bank, PLAN, alike=False)
    return float(np.mean([case.judged(random).blocks for _ in range(repeats)]))


def coverage(banks: Iterable[Banked], repeats: int, seed: int) -> float:
    """Return how often the interval of a screening covers the truth: none where both sides are alike, else the bank's own."""
    random = np.random.default_rng(seed)
    hits = []
    for bank in banks:
        alike = bank.effect == 0.0
        truth = 0.0 if alike else shift_interval(bank.pairs.differences, CONFIDENCE)[0]
        case = Case(bank, PLAN, alike=alike)
        for _ in range(repeats):
            low, high = case.interval(random)
            hits.append(low <= truth <= high)
    return float(np.mean(hits))


def detectable(bank: Banked) -> float:
    """Return the smallest change that `ab` finds of a callable in 80 % of suites of CASES cases."""
    wide = spread(bank.pairs.differences)
    return minimum_detectable_effect(wide, screen_blocks(wide, PLAN), confirm_blocks(wide, PLAN), PLAN)


# --- the other tools


def rival_alarms(comparisons: Sequence[Comparison], suites: int, seed: int) -> float:
    """Return the share of replayed suites with a false alarm: each case one that a tool compared, drawn at random."""
    said = [alarm for comparison in comparisons if comparison.effect == 0.0 for alarm in comparison.slower.values()]
    drawn = np.random.default_rng(seed).choice(said, size=(suites, CASES))
    return float(drawn.any(axis=1).mean())


def rival_found(comparisons: Sequence[Comparison]) -> tuple[int, int]:
    """Return how many of the cases that were made slower a tool found, and of how many."""
    said = [alarm for comparison in comparisons if comparison.effect > 0.0 for alarm in comparison.slower.values()]
    return sum(said), len(said)


def rival_detectable(comparisons: Sequence[Comparison], seconds_per_case: float) -> dict[str, float]:
    """Return, by callable, the smallest change that a tool's estimates could tell at GateBench's own error rate and time.

        (z at 1 - LEVEL/2  +  z at POWER) · root mean square of log-ratios between sessions of the same code

    That grants a tool normal noise, a threshold that suits each callable, and noise that falls with the root of time.
    """
    alike = [comparison for comparison in comparisons if comparison.effect == 0.0]
    quantiles = float(ndtri(1 - LEVEL / 2) + ndtri(POWER))
    time = math.sqrt(np.mean([comparison.seconds_per_case for comparison in alike]) / seconds_per_case)
    names = alike[0].log_ratios
    sizes = {name: math.sqrt(np.mean([comparison.log_ratios[name] ** 2 for comparison in alike])) for name in names}
    return {name: math.expm1(quantiles * size * time) for name, size in sizes.items()}
