"""Frames of a comparison of two versions, made by hand: measurements, samples and a plan, as they are stored."""

import math

import numpy as np
import pandas as pd

from gatebench.analyze.plan import make_plan
from gatebench.analyze.verdicts import verdicts
from gatebench.store.schema import TABLES

# Twelve block log-ratios with the median 0 and a spread of about 1 %, and nothing to tell slower from faster by.
NOISE = np.array([-1.5, 1.4, -1.1, 1.2, -0.7, 0.6, -0.4, 0.5, -0.2, 0.1, -0.9, 1.0]) / 100
COMPILE_BASE_NS = 10e9


def plan(*cases, **changes):
    """Return the plan of these cases, which both sides have unless `presence` says otherwise."""
    presence = changes.pop("presence", {})
    cut = changes.pop("not_measured", {})
    given = {"cases": {case: presence.get(case, "both") for case in cases}, "controls": {}, "compiles": [], "sides": {}}
    return make_plan(**(given | changes)) | {"not_measured": cut}


def noise(blocks, shift=0.0):
    """Return as many block log-ratios around `shift`."""
    return np.resize(NOISE, blocks) + shift


def samples(
    case, ratios, stage="screen", first=None, quantity="time", base_ns=1e6, dropped=0.0, sides=("base", "head")
):
    """Return three samples a block and side whose medians differ by the log-ratios; a share of blocks is dropped whole."""
    first = {"screen": 0, "confirm": 100}[stage] if first is None else first
    rounds = 3 if quantity == "time" else 1
    rows = []
    for place, ratio in enumerate(ratios):
        for side in sides:
            for round_ in range(rounds):
                log = math.log(base_ns) + (ratio if side == "head" else 0.0) + 0.01 * (round_ - rounds // 2)
                row = {"run_id": "r", "case_id": case, "side": side, "stage": stage, "quantity": quantity}
                row |= {"block": first + place, "round": round_, "wall_ns": math.exp(log)}
                rows.append(row | {"dropped": place < dropped * len(ratios), "reason": None})
    return rows


def confirmed(case, screened, fresh, **more):
    """Return the samples of a case that was screened and confirmed."""
    return samples(case, screened, **more) + samples(case, fresh, stage="confirm", **more)


def row(case, side, status="ok", reason=None, **more):
    """Return one measurement."""
    return {"run_id": "r", "case_id": case, "side": side, "status": status, "reason": reason, **more}


def both(case, **more):
    """Return the measurements of a case that is right on both sides."""
    return [row(case, "base", **more), row(case, "head", **more)]


def frame(table, rows):
    """Return rows as a DataFrame with all columns of a table."""
    return pd.DataFrame(rows, columns=pd.Index([column.name for column in TABLES[table]]))


ONE = plan("a")


def judged(rows, of=ONE, quantity="time", measurements=None):
    """Return the verdict of the first case in the plan."""
    case = of["order"][0]
    measured = frame("measurements", both(case) if measurements is None else measurements)
    found = verdicts(of, measured, frame("samples", rows))
    return found[(found["case_id"] == case) & (found["quantity"] == quantity)].iloc[0]
