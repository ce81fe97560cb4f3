"""Hand-made A/B runs: frames as a store gives them, a plan and a manifest, with one case of every kind of verdict."""

from collections import Counter

import pyarrow as pa

from gatebench.report.ci.ab_json import AbReport
from gatebench.store.schema import arrow_schema

RUN_ID = "20261122T101500Z-4f1c"
SHAPE = "T128-B16-I256-H256/float32/cpu-2/forward"
MARGINS = {"time": 0.03, "compile": 0.25, "peak_bytes": 0.01, "saved_bytes": 0.01, "error_ratio": 1.0}


def frame(table, rows):
    """Return rows as a frame that was stored and read."""
    return pa.Table.from_pylist(rows, schema=arrow_schema(table)).to_pandas()


def side(status="ok", time_ns=1e6, **other):
    """Return what one side measured of a case."""
    known = {"status": status, "reason": None, "time_ns": time_ns if status == "ok" else None, "blocks": 16}
    return {**known, "error_ratio": 1.1 if status == "ok" else None, "unsteady": False, **other}


def verdict(word, change=None, low=None, high=None, effect=0.021, quantity="time", **other):
    """Return one verdict."""
    known = {"quantity": quantity, "verdict": word, "change": change, "ci_low": low, "ci_high": high, "stage": "screen"}
    known |= {"margin": MARGINS.get(quantity), "minimum_detectable_effect": effect, "blocks": 12, "reason": None}
    return known | other


def exact(quantity, word, change):
    """Return the verdict on something that is counted exactly."""
    return verdict(word, change, effect=None, quantity=quantity, stage=None, blocks=None)


def case(name, *verdicts, base=None, head=None):
    """Return a case: its id, its sides and its verdicts; name is `gate/implementation`, or a whole id."""
    return {"case_id": name if name.count("/") > 1 else f"{name}/{SHAPE}", "sides": {"base": base, "head": head}, "verdicts": verdicts}  # fmt: skip


SLOWER = case(
    "lstm/numba",
    verdict("slower", 0.032, 0.026, 0.039, stage="confirm", blocks=40, p_value=1e-7, alpha=2e-5),
    exact("peak_bytes", "slower", 0.25),
    exact("error_ratio", "same", 0.0),
    verdict("same", quantity="coverage", effect=None),
    base=side(time_ns=1.84e6, peak_bytes=1 << 20, saved_bytes=4096, kernel="omp"),
    head=side(time_ns=1.90e6, peak_bytes=5 << 18, saved_bytes=4096, kernel="omp"),
)
FASTER = case("gru/numba", verdict("faster", -0.051, -0.056, -0.047, stage="confirm"), base=side(), head=side(time_ns=9.5e5))  # fmt: skip
SAME = case("gru/native", verdict("same", 0.001, -0.004, 0.006, 0.012), base=side(), head=side(time_ns=1.001e6))
INCONCLUSIVE = case(
    "glu/eager",
    verdict("inconclusive", 0.011, -0.012, 0.041, 0.04, reason="the interval -1.2 % to +4.1 % is wider than the margin of 3 %"),
    base=side(),
    head=side(time_ns=1.011e6),
)  # fmt: skip
NEW = case("glu/mylab:fused", verdict("new", effect=None), verdict("new", quantity="coverage", effect=None), head=side())  # fmt: skip
GONE = case("glu/mylab:old", verdict("gone", effect=None), base=side())
WRONG = case(
    "gru/mylab:fused",
    verdict("wrong", effect=None, reason="grad:x has error_ratio 31.2; at most 10 is accepted"),
    verdict("wrong", quantity="coverage", effect=None, reason="grad:x has error_ratio 31.2; at most 10 is accepted"),
    base=side(),
    head=side("wrong", reason="grad:x has error_ratio 31.2; at most 10 is accepted", error_ratio=31.2),
)
FAILED = case(
    "rnn_tanh/mylab:fused",
    verdict("failed", effect=None, reason="no answer within 300 s"),
    base=side("timeout", reason="no answer within 300 s"),
    head=side("timeout", reason="no answer within 300 s"),
)
COMPILE = case(
    "swiglu/compile",
    verdict("same", 0.0, -0.01, 0.01),
    verdict("slower", 0.6, 0.5, 0.7, quantity="compile", effect=0.2, stage="confirm"),
    exact("saved_bytes", "faster", -0.5),
    exact("error_ratio", "slower", 2.0),
    base=side(compile_warm_ns=2e9, saved_bytes=2 << 20),
    head=side(compile_warm_ns=3.2e9, saved_bytes=1 << 20, error_ratio=3.3),
)
REFUSED = case(
    "gru/cudnn",
    verdict("inconclusive", effect=None, reason="the base is unavailable: no CUDA device; the head is unavailable: no CUDA device"),
    verdict("same", quantity="coverage", effect=None, reason="the base is unavailable: no CUDA device"),
    base=side("unavailable", reason="no CUDA device"),
    head=side("unavailable", reason="no CUDA device"),
)  # fmt: skip
EVERY = (SLOWER, FASTER, SAME, INCONCLUSIVE, NEW, GONE, WRONG, FAILED, COMPILE)
A_A = case(f"lstm/native/{SHAPE};control=same", verdict("same", 0.0, -0.004, 0.004), base=side(), head=side())
PLUS_3 = case(
    f"lstm/native/{SHAPE};control=slower", verdict("slower", 0.031, 0.025, 0.036), base=side(), head=side(time_ns=1.031e6)
)  # fmt: skip
CONTROLS = {A_A["case_id"]: 0.0, PLUS_3["case_id"]: 0.03}


def report(*cases, control_failures=(), exit_code=0, decided=1.0, status="complete", **plan):
    """Return an A/B run of these cases, and of the two controls."""
    cases = [*cases, A_A, PLUS_3] if cases else []
    time = [entry["verdict"] for each in cases if each["case_id"] not in CONTROLS for entry in each["verdicts"] if entry["quantity"] == "time"]  # fmt: skip
    return AbReport(
        manifest=manifest(status),
        plan=make_plan(cases) | plan,
        verdicts=frame("verdicts", [{"run_id": RUN_ID, "case_id": each["case_id"], **entry} for each in cases for entry in each["verdicts"]]),
        measurements=frame("measurements", _measurements(cases)),
        accuracy=frame("accuracy", _accuracy(cases)),
        counts=Counter(time),
        decided=decided,
        control_failures=control_failures,
        exit_code=exit_code,
    )  # fmt: skip


def manifest(status="complete"):
    return {
        "run_id": RUN_ID, "created_utc": "2026-11-22T10:15:00Z", "status": status, "suite": {"name": "quick"},
        "gatebench_version": "0.1.0", "environment": {"device_name": "Threadripper 2990WX"}, "plugins": [],
        "environment_class": "0a1b2c3d4e5f", "elapsed": {"total_s": 612.0, "compile_s": 20.0},
    }  # fmt: skip


def make_plan(cases):
    sides = {each["case_id"]: each["sides"] for each in cases}
    present = {name: "both" if both["base"] and both["head"] else ("new" if both["head"] else "gone") for name, both in sides.items()}  # fmt: skip
    return {
        "schema": "gatebench-plan/1", "seed": 0, "rate": 0.005, "alpha_screen": 0.05, "alpha_confirm": 1e-3,
        "hypotheses": {"time": len(cases), "compile": 1}, "margins": MARGINS, "power": 0.8,
        "screen_blocks": {"default": 12}, "confirm_blocks": {"least": 16, "most": 64}, "order": list(present),
        "cases": present, "controls": CONTROLS, "not_measured": {}, "time_limit_s": None, "decided": 0.8,
        "fail_on": ["slower", "wrong", "unfit", "undecided"], "command": "gatebench ab main quick",
        "sides": {
            "base": {"given": "main", "sha": "1c8aaf7" + "0" * 33, "dirty": False, "subject": "docs: where gatebench is"},
            "head": {"given": "working tree", "sha": "71816db" + "0" * 33, "dirty": True},
        },
    }  # fmt: skip


def _measurements(cases):
    names = ("gate", "implementation", "shape", "dtype", "device", "mode")
    rows = []
    for each in cases:
        parts = dict(zip(names, each["case_id"].split("/"), strict=False))
        common = {"run_id": RUN_ID, "case_id": each["case_id"], "problem_id": "p", "device": "cpu", "harness": "worker"}
        common |= {name: parts[name] for name in ("gate", "implementation", "dtype", "mode") if name in parts}
        rows += [{**common, "side": name, **found} for name, found in each["sides"].items() if found]
    return rows


def _accuracy(cases):
    return [
        {"run_id": RUN_ID, "case_id": each["case_id"], "side": name, "tensor": tensor, "error_ratio": share * found["error_ratio"]}
        for each in cases for name, found in each["sides"].items() if found and found["error_ratio"] is not None
        for tensor, share in (("output", 0.5), ("grad:x", 1.0))
    ]  # fmt: skip
