"""The raw samples of one case: in the order they were measured, dropped ones with reasons, how alike successive ones are."""

import hashlib

import pandas as pd
import streamlit as st

from dashboard import elements, loading
from gatebench.analyze.autocorrelation import autocorrelation
from gatebench.analyze.raw_samples import DISTURBED, DROPPED, in_order, reasons
from gatebench.analyze.statistics import estimate
from gatebench.report.figures.samples import autocorrelation_figure, samples_figure
from gatebench.report.quantities import estimate_text, time_text

RUN_SIDE = "run"


def show_samples(run: pd.Series, case_id: str, side: str = RUN_SIDE) -> None:
    """Show the raw samples of one case of a run, and of one of its sides; `run`: all sides that there are.

    run: a row of Store.runs (path is used). What cannot be read is said in place of the figure.
    """
    samples = loading.table(run["path"], "samples")
    if samples.empty:
        st.info("No raw samples of this run can be read, or it has none.", icon=":material/info:")
        return
    own = samples[samples["case_id"] == case_id]
    own = own[own["side"] == side] if len(own) and side != RUN_SIDE else own
    if own.empty:
        st.info("There are no raw samples of this case: it was not timed.", icon=":material/info:")
        return
    ordered, estimates = in_order(own), estimate(own)
    name = _implementation(run["path"], case_id)
    numbers = " · ".join(_numbers(row) for row in estimates.itertuples())
    cut = (estimates["ci_low_ns"] < ordered["time_ns"].min()) | (estimates["ci_high_ns"] > ordered["time_ns"].max())
    beyond = "; the band of the interval goes on beyond the figure" if cut.any() else ""
    st.caption(f"{numbers}{beyond}" if numbers else "No estimate: no sample was kept.")
    key = hashlib.sha256(f"{run['run_id']} {case_id} {side}".encode()).hexdigest()[:12]
    elements.figure(samples_figure(ordered, estimates, name), f"samples_{key}", "raw samples in the order measured")
    _show_reasons(ordered)
    lags = autocorrelation(ordered)
    elements.figure(autocorrelation_figure(lags, name), f"lags_{key}", "autocorrelation of samples by lag")
    st.caption(
        "Autocorrelation of log times within a block, the mean over blocks. Dotted: 95 % of values lie between the lines "
        "if samples are independent (±1.96/√n). The interval above is over blocks: samples that are alike do not narrow it."
    )
    _show_once_per_block(own)


def _implementation(run_path: str, case_id: str) -> str:
    """Return the implementation of a case, for its colour; nothing where the measurements cannot be read."""
    rows = loading.table(run_path, "measurements")
    names = rows.loc[rows["case_id"] == case_id, "implementation"] if len(rows) else []
    return str(names.iloc[0]) if len(names) else ""


def _numbers(row) -> str:
    """Return the estimate of one side in words, with its interval and n."""
    side = "" if row.side == RUN_SIDE else f"{row.side}: "
    blocks = f"{row.blocks} block{'' if row.blocks == 1 else 's'}"
    text = (
        f"{side}{estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns)}, n = {blocks}, {row.samples} kept samples"
    )
    return elements.plain(text)


def _show_reasons(ordered: pd.DataFrame) -> None:
    """Say how many samples were dropped or disturbed, and why."""
    table = reasons(ordered)
    if table.empty:
        st.caption(f"All {len(ordered)} samples were kept.")
        return
    dropped, disturbed = (int((ordered["state"] == state).sum()) for state in (DROPPED, DISTURBED))
    words = [f"{dropped} of {len(ordered)} samples were dropped"]
    if disturbed:
        words.append(f"{disturbed} were disturbed and kept all the same, for nothing quieter was there")
    st.markdown("; ".join(words) + ":")
    elements.wrapped(table[["reason", "samples", "state"]])


def _show_once_per_block(samples: pd.DataFrame) -> None:
    """List what is measured once per block: import, prepare, first call, compile."""
    rest = samples[(samples["quantity"] != "time") & samples["wall_ns"].notna()]
    if rest.empty:
        return
    found = (
        rest.groupby(["side", "quantity"], sort=False)["wall_ns"].agg(["median", "min", "max", "size"]).reset_index()
    )
    table = pd.DataFrame({
        "side": found["side"], "once per block": found["quantity"].str.replace("_", " "),
        "median": [time_text(value) for value in found["median"]],
        "range": [f"{time_text(low)} to {time_text(high)}" for low, high in zip(found["min"], found["max"], strict=True)],
        "n (blocks)": found["size"],
    })  # fmt: skip
    elements.wrapped(table.drop(columns="side") if (table["side"] == RUN_SIDE).all() else table)
