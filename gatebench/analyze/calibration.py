"""The noise floor of a machine: how far two sides that are alike differ from block to block, and why."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gatebench.analyze.detection import confirm_blocks, minimum_detectable_effect, screen_blocks
from gatebench.analyze.pairs import NO_PAIRS, pair_blocks
from gatebench.analyze.sign_flip import spread
from gatebench.analyze.statistics import block_medians, kept_times, mean_interval

STAGE = "calibrate"
# A gap between neighbouring block medians that is this many times the spread of what lies on its larger side splits
# fast processes from slow ones; normal noise has such a gap in 2 of 100 cases of 8 processes, in under 1 of 1,000 of 24.
BIMODAL_GAP = 6.0
_LEAST_PROCESSES = 8  # fewer tell no modes
_LEAST_PAIRS = 6  # fewer tell no spread that is worth sizing a job by: a calibration may have been interrupted

COLUMNS = (
    "case_id", "blocks", "spread", "autocorrelation", "slow_share", "slow_by", "place_effect", "place_low", "place_high",
    "order_effect", "minimum_detectable_effect", "screen_blocks", "confirm_blocks", "disturbed",
)  # fmt: skip


def calibration(samples: pd.DataFrame, plan: Mapping[str, Any]) -> pd.DataFrame:
    """Return the noise of each case from blocks in which both sides ran the same code; one row per case.

    samples: of stage `calibrate`, sides base and head. plan: levels and margins (gatebench.analyze.plan). Columns:

        spread                     standard deviation of paired block log-ratios; what decides how much can be detected
        autocorrelation            of successive log times within a process, lag 1, its mean taken off
        slow_share, slow_by        share of processes in a slow mode, and by how much it is slower; 0 where there is one mode
        place_effect, _low, _high  change between the two places of the checkouts, and its 95 % interval over blocks
        order_effect               change between the first and the second sample of a round
        minimum_detectable_effect  smallest change that `ab` finds with the plan's power, with these block counts
        screen_blocks, confirm_blocks   how many blocks `ab` takes
        disturbed                  share of samples that something foreign disturbed
    """
    pairs = pair_blocks(samples, STAGE)
    logs = block_medians(samples).groupby("case_id", sort=False)
    times = kept_times(samples).assign(log_ns=lambda kept: np.log(kept["wall_ns"].astype(float)))
    by_case = {str(case): rows for case, rows in times.groupby("case_id", sort=False)}
    rows = []
    for case, medians in logs:
        paired = pairs.get((str(case), "time"), NO_PAIRS)
        wide = spread(paired.differences)
        sizes = screen_blocks(wide, plan), confirm_blocks(wide, plan)
        slow = _slow_mode(medians["log_ns"].to_numpy())
        place = _place_effect(medians)
        rows.append((
            case, len(paired), wide, _autocorrelation(by_case[str(case)]), *slow, *place, _order_effect(by_case[str(case)]),
            minimum_detectable_effect(wide, *sizes, plan), *sizes, paired.disturbed,
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _autocorrelation(times: pd.DataFrame) -> float:
    """Return the lag-1 autocorrelation of log times within processes, pooled over them; NaN for constant times.

        r = Σ (x_t - m)(x_{t+1} - m) / Σ (x_t - m)²,   m the process's mean

    Taking the mean off biases r by -1/n for n samples of a process (Kendall 1954), which is added again.
    """
    ordered = times.sort_values(["side", "block", "round"])
    group = ordered.groupby(["side", "block"], sort=False)["log_ns"]
    centred = ordered["log_ns"] - group.transform("mean")
    following = centred.groupby([ordered["side"], ordered["block"]], sort=False).shift(-1)
    total = float((centred**2).sum())
    return float((centred * following).sum()) / total + 1 / float(group.size().mean()) if total else float("nan")


def _slow_mode(logs: np.ndarray) -> tuple[float, float]:
    """Return (share, change) of the processes beyond the widest gap between block medians; (0, 0) without such a gap."""
    ordered = np.sort(logs)
    if len(ordered) < _LEAST_PROCESSES:
        return 0.0, 0.0
    gaps = np.diff(ordered)
    cut = int(gaps.argmax()) + 1
    fast, slow = ordered[:cut], ordered[cut:]
    width = spread(max(fast, slow, key=len))
    if not gaps[cut - 1] > BIMODAL_GAP * width:
        return 0.0, 0.0
    return len(slow) / len(ordered), float(np.expm1(np.median(slow) - np.median(fast)))


def _place_effect(medians: pd.DataFrame) -> tuple[float, float, float]:
    """Return the change of the second place against the first, with its interval; sides swap places after each block."""
    table = medians.pivot_table(index="block", columns="side", values="log_ns").dropna()
    if not {"base", "head"} <= set(table.columns) or table.empty:
        return (float("nan"),) * 3
    head_second = np.where(table.index.to_numpy() % 2 == 0, 1.0, -1.0)
    effect = head_second * (table["head"] - table["base"]).to_numpy()
    mean, low, high = np.expm1(mean_interval(effect))
    return float(mean), float(low), float(high)


def _order_effect(times: pd.DataFrame) -> float:
    """Return the change of a round's second sample against its first, median over rounds and both orders."""
    first = times[times["position"] == 0].set_index(["side", "block"])["log_ns"].groupby(level=[0, 1]).median()
    second = times[times["position"] == 1].set_index(["side", "block"])["log_ns"].groupby(level=[0, 1]).median()
    differences = (second - first).dropna()
    return float(np.expm1(differences.median())) if len(differences) else float("nan")


def spreads(samples: pd.DataFrame) -> dict[str, float]:
    """Return case_id -> spread of paired block log-ratios, as `ab` sizes its blocks by; cases with few pairs are left out."""
    pairs = pair_blocks(samples, STAGE).items()
    return {
        case: spread(found.differences) for (case, quantity), found in pairs if quantity == "time" and len(found) >= _LEAST_PAIRS
    }  # fmt: skip
