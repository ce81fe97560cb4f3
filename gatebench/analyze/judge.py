"""The decision rule: one case's and quantity's paired blocks in, one verdict out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE
from gatebench.analyze.detection import blocks_in_time, confirm_blocks, minimum_detectable_effect
from gatebench.analyze.pairs import Pairs
from gatebench.analyze.sign_flip import p_value, shift_interval, spread
from gatebench.analyze.statistics import CONFIDENCE

_BOUNDS = 2 * CONFIDENCE - 1  # an interval whose ends are one-sided 95 % bounds
_NS_PER_S = 1e9
_NO_ROOM = "the time limit leaves no room for more"


@dataclass(frozen=True)
class Evidence:
    """The sign-flip test in the direction that the blocks point to; alpha: the half of the level for one direction."""

    word: str  # slower, faster
    p_value: float
    alpha: float

    @property
    def rejects(self) -> bool:
        """Say whether the sides differ in this direction."""
        return self.p_value <= self.alpha


def weigh(differences: np.ndarray, alpha: float) -> Evidence:
    """Test both directions, each at half of alpha, and return the one with the smaller p-value."""
    slower, faster = p_value(differences, "greater"), p_value(differences, "less")
    return Evidence("slower", slower, alpha / 2) if slower <= faster else Evidence("faster", faster, alpha / 2)


def margin_of(quantity: str, pairs: Pairs, plan: Mapping[str, Any]) -> float:
    """Return the change that counts as the same: the plan's, and of compile time at least what 1 s is of the base's."""
    margin = plan["margins"][quantity]
    if quantity != "compile" or not len(pairs):
        return margin
    base_s = math.exp(float(pairs.base_logs.mean())) / _NS_PER_S
    return max(margin, plan["compile_least_s"] / base_s)


def is_suspect(quantity: str, screen: Pairs, plan: Mapping[str, Any]) -> bool:
    """Say whether screening gives reason to look again: the sides differ, for compile time beyond what does not count."""
    if not weigh(screen.differences, plan["alpha_screen"]).rejects:
        return False
    return quantity == "time" or not _inside(screen, margin_of(quantity, screen, plan))


def judge(
    quantity: str, screen: Pairs, confirm: Pairs, planned: Mapping[str, int], cut: str | None, plan: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the verdict on paired blocks and its numbers, as columns of the table `verdicts`.

    A suspect of the screening is judged by the fresh blocks of its confirmation alone, any other case by the screening.
    planned: blocks of either stage, as many as the case asks for. cut: why blocks were not measured, where the plan says so.
    """
    suspect = is_suspect(quantity, screen, plan)
    stage, pairs = ("confirm", confirm) if suspect and (len(confirm) or confirm.disturbed) else ("screen", screen)
    evidence = weigh(pairs.differences, plan[f"alpha_{stage}"])
    margin = margin_of(quantity, pairs, plan)
    change, low, high = np.expm1(shift_interval(pairs.differences, CONFIDENCE))
    cut = cut or ("interrupted" if plan.get("interrupted") else None)
    verdict, reason = "inconclusive", None
    if pairs.disturbed > INCONCLUSIVE_ABOVE:
        reason = f"steal or other processes disturbed {100 * pairs.disturbed:.0f} % of the samples"
    elif suspect and stage == "screen":
        reason = f"seems {evidence.word}, but was not confirmed: {cut or 'interrupted'}"
    elif stage == "confirm" and evidence.rejects and (quantity == "time" or abs(change) > margin):
        verdict = evidence.word
    elif _inside(pairs, margin):
        verdict = "same"
    else:
        short = stage == "confirm" and blocks_in_time(planned[stage], plan) < planned[stage]
        reason = _too_little(pairs, margin, planned[stage], cut or (_NO_ROOM if short else None))
    return {
        "verdict": verdict, "stage": stage, "change": change, "ci_low": low, "ci_high": high,
        "p_value": evidence.p_value, "alpha": evidence.alpha, "margin": margin, "blocks": len(pairs), "reason": reason,
        "minimum_detectable_effect": _detectable(quantity, len(screen), pairs, stage, margin, cut, plan),
    }  # fmt: skip


def _inside(pairs: Pairs, margin: float) -> bool:
    """Say whether the one-sided 95 % bounds on both sides lie within the margin; without bounds they do not."""
    _, low, high = np.expm1(shift_interval(pairs.differences, _BOUNDS))
    return bool(-margin <= low and high <= margin)


def _too_little(pairs: Pairs, margin: float, planned: int, cut: str | None) -> str:
    """Say why blocks do not suffice for a verdict."""
    _, low, high = np.expm1(shift_interval(pairs.differences, _BOUNDS))
    # A block may lack a pair for other reasons than a cut: then the interval tells.
    if math.isnan(low) or (cut and len(pairs) < planned):
        return f"only {len(pairs)} of {planned} blocks" + (f": {cut}" if cut else "")
    return (
        f"the 90 % interval {100 * low:+.1f} % to {100 * high:+.1f} % reaches beyond the margin of {100 * margin:.3g} %"
    )


def _detectable(
    quantity: str, screened: int, pairs: Pairs, stage: str, margin: float, cut: str | None, plan: Mapping[str, Any]
) -> float:
    """Return the smallest change that would have been reported with the plan's power; NaN for fewer than two blocks.

    Infinite where a cut left no time to confirm anything. A case that was not confirmed would have had as many blocks for
    that as its spread asks for, or as the time limit left room for. A change of compile time is reported only where the
    estimate exceeds the margin, whose standard error is √(π/3) · spread / √blocks.
    """
    size = spread(pairs.differences)
    if stage == "screen" and cut and not math.isnan(size):
        return math.inf
    blocks = len(pairs) if stage == "confirm" else blocks_in_time(confirm_blocks(size, plan, quantity), plan)
    found = minimum_detectable_effect(size, screened, blocks, plan)
    if quantity == "time" or math.isnan(found):
        return found
    error = math.sqrt(math.pi / 3 / blocks) * size
    return max(found, math.expm1(math.log1p(margin) + float(ndtri(plan["power"])) * error))
