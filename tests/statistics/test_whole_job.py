"""A whole job on simulated samples, through the functions that a real one calls: it names exactly what was slowed."""

import numpy as np
import pandas as pd
from simulator import Noise, log_times

from gatebench.analyze.plan import FAIL_ON, make_plan
from gatebench.analyze.verdicts import exit_code, summary, suspects, verdicts
from gatebench.store.schema import TABLES

QUIET = Noise(sd=0.01, sample_sd=0.01, tails=5, drift=0.03, slow_chance=5 / 312, slow=0.2, slot=0.003)
CASES = [f"case {number}" for number in range(60)]
CHANGED = {"case 7": 0.05, "case 20": 0.03, "case 59": -0.05}
CONTROLS = {"case 0": 0.0, "case 20": 0.03}


def sampled(cases, stage, first, blocks, random):
    """Return the samples table of one stage; blocks: by case."""
    frames = []
    for case in cases:
        times = log_times(QUIET, 1, blocks[case], CHANGED.get(case, 0.0), random)[0]
        block, round_, side = (index.ravel() for index in np.indices(times.shape))
        columns = {"block": first + block, "round": round_, "side": np.array(["base", "head"])[side]}
        frames.append(pd.DataFrame(columns | {"wall_ns": 1e6 * np.exp(times.ravel()), "case_id": case}))
    rows = pd.concat(frames).assign(run_id="r", stage=stage, quantity="time", dropped=False)
    return rows.reindex(columns=[column.name for column in TABLES["samples"]])


def test_a_job_names_exactly_the_cases_that_changed():
    random = np.random.default_rng(41)
    plan = make_plan(cases=dict.fromkeys(CASES, "both"), controls=CONTROLS, compiles=[], sides={})
    screened = sampled(CASES, "screen", 0, dict.fromkeys(CASES, 12), random)
    wanted = suspects(plan, screened)
    assert set(CHANGED) <= set(wanted["case_id"])
    fresh = sampled(
        wanted["case_id"], "confirm", 12, dict(zip(wanted["case_id"], wanted["blocks"], strict=True)), random
    )
    rows = [
        {"run_id": "r", "case_id": case, "side": side, "status": "ok"} for case in CASES for side in ("base", "head")
    ]
    measured = pd.DataFrame(rows, columns=pd.Index([column.name for column in TABLES["measurements"]]))
    # As stored: all samples of the job in one table, with columns that hold nothing.
    found = verdicts(plan, measured, pd.concat([screened, fresh]))
    time = found[found["quantity"] == "time"].set_index("case_id")
    judged = time.loc[~time["verdict"].isin(["same", "inconclusive"]), "verdict"].to_dict()
    assert judged == {"case 7": "slower", "case 20": "slower", "case 59": "faster"}
    for case, change in CHANGED.items():
        assert time.loc[case, "ci_low"] <= change <= time.loc[case, "ci_high"]
    assert (
        time["blocks"] == time.index.map(dict(zip(wanted["case_id"], wanted["blocks"], strict=True))).fillna(12)
    ).all()
    assert summary(found, plan)["decided_share"] > 0.95
    assert exit_code(plan, found, False, FAIL_ON, 0.8) == 1
