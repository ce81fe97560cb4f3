"""The plan of a comparison of two versions: everything that a verdict depends on beside the data, stated before."""

from collections.abc import Mapping, Sequence
from typing import Any

from gatebench.analyze.detection import (
    CONFIRM_BLOCKS,
    SCREEN_BLOCKS,
    largest_suite,
    least_blocks,
    screen_blocks,
)
from gatebench.errors import UserError, unknown

SCHEMA = "gatebench-plan/1"
RATE = 0.005  # chance of any false alarm in a whole job of two versions that are alike
ALPHA_SCREEN = 0.05  # chance that a case that is alike becomes a suspect; the rest of the rate is for confirmation
POWER = 0.8  # with which a minimum detectable effect is found
# Changes that count as the same. An error ratio must double; bytes are counted exactly, so 1 % is a change of the code.
MARGINS = {"time": 0.03, "compile": 0.25, "peak_bytes": 0.01, "saved_bytes": 0.01, "error_ratio": 1.0}
COMPILE_LEAST_S = 1.0  # a change of compile time by less than this is the same, whatever its share
# A block: many short rounds, AB or BA, an even number, so that each side goes first as often. What neighbours on the host do
# to a core changes from one tenth of a second to the next: 24 pairs of 5 ms vary half as much as 6 of 20 ms.
ROUNDS = 24
SAMPLE_MS = 5.0
_EXACT = ("peak_bytes", "saved_bytes", "error_ratio", "coverage")  # no share of the rate: nothing about them is random
PRESENCE = ("both", "new", "gone")
FAIL_ON = ("slower", "wrong", "unfit", "undecided")
DECIDED = 0.8  # share of the cases that need a verdict


def make_plan(
    *,
    cases: Mapping[str, str],
    controls: Mapping[str, float],
    compiles: Sequence[str],
    sides: Mapping[str, Mapping[str, Any]],
    spreads: Mapping[str, float] | None = None,
    margin: float = MARGINS["time"],
    rounds: int = ROUNDS,
    seed: int = 0,
    decided: float = DECIDED,
    fail_on: Sequence[str] = FAIL_ON,
    time_limit_s: float | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Return the plan as plain JSON values, as plan.json holds them.

    cases: case_id -> both, new (only the head has it) or gone, in the order of measuring: a time limit cuts from its end;
    controls among them. controls: case_id -> planted change, 0.0 or 0.03. compiles: cases whose compile time is judged.
    sides: base and head, as the report names them. spreads: case_id -> standard deviation of paired block log-ratios,
    from a calibration; cases without one are screened with 12 blocks. margin: change of time that counts as the same.

    Of the false-alarm rate each hypothesis has an equal share, whatever its kind; quantities that are counted exactly
    need none. Each hypothesis is tested twice, on fresh data: rate = hypotheses x alpha_screen x alpha_confirm.
    Raises UserError for a margin, share or kind out of range, and where the most blocks cannot reach alpha_confirm.
    """
    check_options(margin, decided, fail_on)
    stray = sorted((set(controls) | set(compiles)) - set(cases)) + sorted(set(cases.values()) - set(PRESENCE))
    if stray:
        raise ValueError(f"controls and compiles are among the cases, each {PRESENCE}: {stray}")
    judged = [case for case, presence in cases.items() if presence == "both"]
    hypotheses = {"time": len(judged), "compile": len(set(compiles) & set(judged))}
    count = max(1, sum(hypotheses.values()))
    plan: dict[str, Any] = {
        "schema": SCHEMA,
        "seed": seed,
        "rate": RATE,
        "alpha_screen": ALPHA_SCREEN,
        "alpha_confirm": min(1.0, RATE / (count * ALPHA_SCREEN)),
        "hypotheses": hypotheses,
        "split": {name: RATE * tested / count for name, tested in hypotheses.items()} | dict.fromkeys(_EXACT, 0.0),
        "power": POWER,
        "margins": MARGINS | {"time": margin},
        "compile_least_s": COMPILE_LEAST_S,
        "confirm_blocks": dict(zip(("least", "most"), CONFIRM_BLOCKS, strict=True)),
        "rounds": rounds,
        "order": list(cases),
        "cases": dict(cases),
        "controls": dict(controls),
        "compiles": list(compiles),
        "not_measured": {},
        "time_limit_s": time_limit_s,
        "decided": decided,
        "fail_on": list(fail_on),
        "sides": {side: dict(about) for side, about in sides.items()},
        "command": command,
    }
    _check_size(plan, count)
    sizes = {case: screen_blocks(spread, plan) for case, spread in (spreads or {}).items() if case in cases}
    default = SCREEN_BLOCKS[0]
    return plan | {"screen_blocks": {"default": default} | {case: n for case, n in sizes.items() if n != default}}


def check_options(margin: float, decided: float, fail_on: Sequence[str]) -> None:
    """Raise UserError for a margin or share out of range, and for a kind that is none of FAIL_ON."""
    if not 0 < margin < 1:
        raise UserError("--margin", f"{100 * margin:g} %", "accepted: above 0 % and below 100 %", "the default is 3 %")
    if not 0 <= decided <= 1:
        raise UserError("--decided", f"{100 * decided:g} %", "accepted: from 0 % to 100 %", "the default is 80 %")
    for kind in fail_on:
        if kind not in FAIL_ON:
            raise unknown("--fail-on", "kind", kind, FAIL_ON)


def _check_size(plan: Mapping[str, Any], hypotheses: int) -> None:
    most = plan["confirm_blocks"]["most"]
    if least_blocks(plan["alpha_confirm"]) > most:
        what = f"{hypotheses} cases: {most} blocks cannot reach the level {plan['alpha_confirm']:.1e} of each"
        raise UserError("suite", what, f"at most {largest_suite(plan)} cases", "narrow it with -g, -i, -m or -k")
