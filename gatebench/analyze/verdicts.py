"""Verdicts on two versions of the code: a pure function of the plan and of what was stored, so that anyone can recompute it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from gatebench.analyze.detection import confirm_blocks
from gatebench.analyze.judge import is_suspect, judge
from gatebench.analyze.pairs import NO_PAIRS, Pairs, pair_blocks
from gatebench.analyze.sign_flip import spread
from gatebench.analyze.states import COUNTS, Row, count_verdicts, coverage, without_times
from gatebench.store.schema import arrow_schema

Plan = Mapping[str, Any]
Paired = Mapping[tuple[str, str], Pairs]  # by case_id and quantity

JUDGED = ("faster", "slower", "same")
LOST = ("wrong", "failed")


def suspects(plan: Plan, samples: pd.DataFrame) -> pd.DataFrame:
    """Return what is to be confirmed after screening, in plan order: columns case_id, quantity, blocks.

    blocks: fresh ones, from the spread of the case's screening alone; of several suspect quantities the most.
    """
    found = _suspects(plan, pair_blocks(samples, "screen"))
    rows = [(case, quantity, max(sizes.values())) for case, sizes in found.items() for quantity in sizes]
    return pd.DataFrame(rows, columns=pd.Index(["case_id", "quantity", "blocks"]))


def _suspects(plan: Plan, screened: Paired) -> dict[str, dict[str, int]]:
    """Return the blocks that confirmation takes, by case and suspect quantity."""
    found: dict[str, dict[str, int]] = {}
    for case in plan["order"]:
        for quantity in _sampled(case, plan):
            pairs = screened.get((case, quantity), NO_PAIRS)
            if is_suspect(quantity, pairs, plan):
                found.setdefault(case, {})[quantity] = confirm_blocks(spread(pairs.differences), plan, quantity)
    return found


def _sampled(case: str, plan: Plan) -> tuple[str, ...]:
    return ("time", "compile") if case in plan["compiles"] else ("time",)


def verdicts(plan: Plan, measurements: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the table `verdicts`: one row per case and quantity, in plan order, controls too.

    measurements, samples: as stored. Every case has a row for time and one for coverage; one for compile where the plan
    judges it; one for each exactly counted quantity where both sides are right and either has a number.
    """
    stages = pair_blocks(samples, "screen"), pair_blocks(samples, "confirm")
    wanted = _suspects(plan, stages[0])
    names = ["case_id", "side", "status", "reason", "detail", *COUNTS]
    measured = {(row["case_id"], row["side"]): row for row in measurements[names].to_dict("records")}
    run_id = None if measurements.empty else measurements["run_id"].iloc[0]
    rows = []
    for case in plan["order"]:
        planned = {
            "screen": plan["screen_blocks"].get(case, plan["screen_blocks"]["default"]),
            "confirm": max(wanted.get(case, {}).values(), default=0),
        }
        sides = measured.get((case, "base")), measured.get((case, "head"))
        rows += [{"run_id": run_id, "case_id": case} | row for row in _judge_case(case, sides, stages, planned, plan)]
    return pa.Table.from_pylist(rows, schema=arrow_schema("verdicts")).to_pandas()


def _judge_case(
    case: str,
    sides: tuple[Row | None, Row | None],
    stages: tuple[Paired, Paired],
    planned: Mapping[str, int],
    plan: Plan,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one case."""
    presence, cut = plan["cases"][case], plan["not_measured"].get(case)
    state = without_times(presence, *sides, cut)
    for quantity in _sampled(case, plan):
        if state is None:
            screen, confirm = (paired.get((case, quantity), NO_PAIRS) for paired in stages)
            yield {"quantity": quantity} | judge(quantity, screen, confirm, planned, cut, plan)
        else:
            yield {"quantity": quantity, "verdict": state[0], "reason": state[1]}
    if state is None:
        for quantity, row in count_verdicts(*sides, plan["margins"]).items():
            yield {"quantity": quantity, "stage": "screen"} | row
    verdict, reason = coverage(presence, *sides, cut)
    yield {"quantity": "coverage", "verdict": verdict, "reason": reason}


def controls(plan: Plan, verdicts: pd.DataFrame) -> list[str]:
    """Return what is wrong with the controls, one line each; empty where the machine is fit.

    A case of two sides that are alike must not be judged slower or faster; one that was slowed down must be judged slower.
    """
    problems = []
    for number, (case, planted) in enumerate(plan["controls"].items(), start=1):
        rows = verdicts[verdicts["case_id"] == case].set_index("quantity")
        verdict, reason = rows.loc["time", ["verdict", "reason"]]
        about = f": {reason}" if isinstance(reason, str) else ""
        if planted:
            if verdict != "slower":
                problems.append(
                    f"control {number}: its head is made {100 * planted:g} % slower, but judged {verdict}{about}"
                )
        elif not rows.loc["time", "blocks"] > 0:
            problems.append(f"control {number}: proves nothing, judged {verdict}{about}")
        problems += [
            f"control {number}: its sides are alike, but judged {row.verdict} in {quantity} ({100 * row.change:+.1f} %)"
            for quantity, row in rows.iterrows()
            if not planted and row["verdict"] in ("slower", "faster")
        ]
    return problems


def summary(verdicts: pd.DataFrame, plan: Plan) -> dict[str, Any]:
    """Count the verdicts, controls apart.

    counts: time cases by verdict. by_quantity: the same for each quantity. decidable: time cases that both versions have
    and compute right, or that were not measured; decided: those judged faster, slower or same; decided_share: their
    share, 1 where nothing was to be decided. largest_minimum_detectable_effect: over the decided ones, None without any.
    """
    rows = verdicts[~verdicts["case_id"].isin(plan["controls"])]
    time = rows[rows["quantity"] == "time"]
    cover = rows[rows["quantity"] == "coverage"]
    right = cover["verdict"].eq("same") & cover["reason"].isna()  # in both versions
    unmeasured = cover["verdict"].eq("inconclusive")
    decidable = time[time["case_id"].isin(cover.loc[right | unmeasured, "case_id"])]
    decided = decidable[decidable["verdict"].isin(JUDGED)]
    effects = decided["minimum_detectable_effect"].dropna()
    return {
        "cases": len(time),
        "counts": _counts(time),
        "by_quantity": {str(name): _counts(group) for name, group in rows.groupby("quantity", sort=False)},
        "decidable": len(decidable),
        "decided": len(decided),
        "decided_share": len(decided) / len(decidable) if len(decidable) else 1.0,
        "largest_minimum_detectable_effect": float(effects.max()) if len(effects) else None,
        "controls": _counts(verdicts[verdicts["case_id"].isin(plan["controls"]) & verdicts["quantity"].eq("time")]),
    }


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    return {str(verdict): int(count) for verdict, count in rows["verdict"].value_counts(sort=False).items()}


def exit_code(plan: Plan, verdicts: pd.DataFrame, interrupted: bool, fail_on: Collection[str], decided: float) -> int:
    """Return the exit code of a comparison, the first that holds; a kind that is not in `fail_on` is passed over.

    130 interrupted; 3 wrong: a case is wrong or failed in the head, or its coverage is lost; 4 unfit: a control failed;
    1 slower: a confirmed regression of any quantity; 5 undecided: two cases or more, a larger share than 1 - decided; 0.
    """
    if interrupted:
        return 130
    rows = verdicts[~verdicts["case_id"].isin(plan["controls"])]
    if "wrong" in fail_on and rows["verdict"].isin(LOST).any():
        return 3
    if "unfit" in fail_on and controls(plan, verdicts):
        return 4
    if "slower" in fail_on and rows["verdict"].eq("slower").any():
        return 1
    found = summary(verdicts, plan)
    undecided = found["decidable"] - found["decided"]  # a lone one never fails a job
    if "undecided" in fail_on and undecided > 1 and found["decided_share"] < decided:
        return 5
    return 0
