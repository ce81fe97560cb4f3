"""What a choice of implementation may depend on beside its time: what its first call costs, and the memory it takes."""

import numpy as np
import pandas as pd

CASE = ["run_id", "case_id", "side"]
Frames = tuple[pd.DataFrame, pd.DataFrame]  # measurements, and their samples or blocks


def compile_costs(measurements: pd.DataFrame) -> pd.Series:
    """Return what the first call of each case costs beyond a usual one, compiling included, in ns.

    Where compiling was timed, the first call with empty caches, else with filled ones; NaN where an implementation compiles
    and this case's cost was not seen. Of others, which may compile themselves (numba) or load something, first_call_ns -
    time_ns; 0 where no first call was timed. Columns: implementation, compile_cold_ns, compile_warm_ns, graphs, time_ns,
    first_call_ns.
    """
    cost = measurements["compile_cold_ns"].astype(float).fillna(measurements["compile_warm_ns"].astype(float))
    compiled = cost.notna() | measurements["graphs"].notna()
    compiling = measurements["implementation"].isin(set(measurements.loc[compiled, "implementation"]))
    first = (measurements["first_call_ns"].astype(float) - measurements["time_ns"].astype(float)).clip(lower=0)
    return cost.where(compiling, first.fillna(0.0))


def over_calls(measurements: pd.DataFrame, samples: pd.DataFrame, calls: float) -> Frames:
    """Return both frames with the time of one call of `calls`, compiling included: time + compile cost / calls.

    measurements: columns CASE, time_ns, ci_low_ns, ci_high_ns and those of `compile_costs`; a case whose compile cost was not
    seen loses its time. samples: theirs, or their blocks. The cost is taken as exact: intervals are those of the time alone,
    moved.
    """
    share = compile_costs(measurements) / calls
    moved = measurements.assign(
        **{name: measurements[name].astype(float) + share for name in ("time_ns", "ci_low_ns", "ci_high_ns")}
    )
    keys = pd.MultiIndex.from_frame(measurements[CASE])
    by_case = pd.Series(share.to_numpy(), index=keys)
    by_case = by_case[~by_case.index.duplicated()]
    added = by_case.reindex(pd.MultiIndex.from_frame(samples[CASE])).to_numpy()
    if "log_ns" in samples:
        return moved, samples.assign(log_ns=np.log(np.exp(samples["log_ns"].astype(float)) + added))
    times = (samples["quantity"] == "time").to_numpy()
    columns = [name for name in ("wall_ns", "event_ns") if name in samples]
    return moved, samples.assign(
        **{name: samples[name].astype(float) + np.where(times, added, 0.0) for name in columns}
    )


def over_memory(measurements: pd.DataFrame, cap_bytes: float) -> pd.Series:
    """Say which cases take more than `cap_bytes` of memory; what was not measured is not over. Column: peak_bytes."""
    return measurements["peak_bytes"].astype(float) > cap_bytes
