"""What a first call costs, in words: of this case, and the costliest that the store knows of its machine."""

from typing import Any

import pandas as pd

from dashboard import elements, loading
from dashboard.slices import PROBLEM, Slice
from gatebench.analyze.compare import PREFERRED_BASELINES
from gatebench.report.quantities import is_missing, time_text

_SEEN = ["case_id", "side", "wall_ns"]
_DEARER = 1.5  # times the largest here, from which on a costlier one elsewhere is worth a word


def first_call_words(chosen: Slice, case: pd.Series, cost_ns: Any) -> str:
    """Return what the first call of a case costs, as Markdown; cost_ns: what of it counts over N calls.

    Implementations that compile for themselves (numba) load what an earlier process compiled: what they take with empty
    caches shows in the costliest first call of the same problem, at any size, in any run of this machine.
    """
    if is_missing(cost_ns):
        return "what its first call costs was not measured"
    if cost_ns == 0 and is_missing(case["first_call_ns"]):
        return "nothing is known of its first call"
    if not is_missing(case["compile_cold_ns"]):
        return f"its first call, which compiles, takes {time_text(cost_ns)}"
    if not is_missing(case["compile_warm_ns"]):
        return f"its first call takes {time_text(cost_ns)} with filled compile caches" + (
            _elsewhere(chosen, case, "compile_cold", 0.0) or "; with empty ones it was not measured"
        )
    if case["implementation"] in PREFERRED_BASELINES:  # torch's own: nothing is compiled
        return f"its first call took {time_text(cost_ns)} longer than a usual one"
    seen = _seen(str(chosen.run["path"]), "first_call")
    own = seen.loc[(seen["case_id"] == case["case_id"]) & (seen["side"] == case["side"]), "wall_ns"]
    low, high = (own.min(), own.max()) if len(own) else (case["first_call_ns"],) * 2
    ends = dict.fromkeys((time_text(low), time_text(high)))
    took = f"its first call took {' to '.join(ends)}" + (f" in {len(own)} fresh processes" if len(own) > 1 else "")
    return took + _elsewhere(chosen, case, "first_call", _DEARER * high)


def _elsewhere(chosen: Slice, case: pd.Series, quantity: str, above_ns: float) -> str:
    """Say what the costliest one took that this machine has seen, of the same implementation and problem; "" up to `above_ns`."""
    alike, values = chosen.like((*PROBLEM, "implementation", "implementation_options"), case)
    sql = f"""
        SELECT run_id, case_id, side, seq_len, hidden_size, batch, {quantity}_ns AS ns
        FROM measurements JOIN (SELECT run_id, place FROM runs) USING (run_id)
        WHERE {quantity}_ns IS NOT NULL AND seq_len IS NOT NULL AND place = ? AND {alike} ORDER BY ns DESC, run_id
    """
    known = chosen.store.questions.frame(sql, [chosen.run["place"], *values])
    if known.empty:
        return ""
    # A case's own number is the median over its processes, of which one alone may have compiled: that shows in the samples.
    # Not all runs are looked into: the costliest by that number, and the first of all, whose caches were the emptiest.
    runs = chosen.store.runs.set_index("run_id")
    looked = known[known["run_id"].isin([known["run_id"].iloc[0], known["run_id"].min()])]
    seen = pd.concat([_seen(str(runs["path"][run]), quantity).assign(run_id=run) for run in looked["run_id"].unique()])
    looked = looked.merge(seen, on=["run_id", "case_id", "side"], how="left")
    most = looked.assign(ns=looked[["ns", "wall_ns"]].max(axis=1)).sort_values("ns").iloc[-1]
    if most["ns"] <= above_ns:
        return ""
    where = f"T = {most['seq_len']:.0f}, H = {most['hidden_size']:.0f}, B = {most['batch']:.0f}, {runs['label'][most['run_id']]}"
    caches = "with empty ones" if quantity == "compile_cold" else "with whatever it compiles"
    return (
        f"; the costliest that this machine has seen, {caches}, took {time_text(most['ns'])} ({elements.plain(where)})"
    )


def _seen(run_path: str, quantity: str) -> pd.DataFrame:
    """Return what each process of each case of a run took for a quantity that is measured once in it: case_id, side, wall_ns."""
    samples = loading.table(run_path, "samples", told=False)
    if samples.empty:
        return pd.DataFrame(columns=pd.Index(_SEEN)).astype({"wall_ns": float})
    return samples.loc[(samples["quantity"] == quantity) & samples["wall_ns"].notna(), _SEEN].astype({"wall_ns": float})
