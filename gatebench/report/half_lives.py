"""Half-lives of gradients that gates can be compared by: each at one init, dtype, T and H."""

import pandas as pd

from gatebench.report.names import coarseness
from gatebench.report.stability import case_summary

NONE_SEEN = "This run has looked at no gradients: `gatebench stability` finds half-lives."


def seen_half_lives(stability: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of report.stability.case_summary that have a half-life; empty where a run has looked at none."""
    summary = case_summary(stability[stability["task"].isna()]) if len(stability) else pd.DataFrame()
    return summary[summary["half_life"].notna() & (summary["probe"] == "ones")] if len(summary) else summary


def half_lives(seen: pd.DataFrame, seq_len: int, hidden_size: int) -> dict[str, pd.DataFrame]:
    """Return the half-lives under each condition, in words, a row per gate; seen: from `seen_half_lives`.

    What most gates share comes first, for there they can be compared; then the T and H that are timed.
    """
    if seen.empty:
        return {}
    other_size = (seen["seq_len"] != seq_len).astype(int) + (seen["hidden_size"] != hidden_size)
    table = seen.assign(
        condition=[_condition(row) for row in seen.itertuples()], other_size=other_size, other_init=seen["init"] != "torch",
        coarseness=[coarseness(name) for name in seen["dtype"]],
    ).drop_duplicates(["condition", "gate", "options"])  # fmt: skip
    order = table.assign(gates=-table.groupby("condition")["gate"].transform("size"))
    order = order.sort_values(["gates", "other_size", "other_init", "coarseness"], kind="stable")["condition"]
    return {name: table[table["condition"] == name] for name in dict.fromkeys(order)}


def half_lives_note(found: pd.DataFrame, condition: str, seq_len: int, hidden_size: int) -> str:
    """Say whose half-lives these are, and where they are of another shape than what is timed."""
    beside = "" if found["other_size"].eq(0).all() else f"; timed are T = {seq_len}, H = {hidden_size}"
    return f"Half-lives are the gates' own, whatever computes them: {condition}{beside}."


def _condition(row) -> str:
    words = [f"{row.init} init", row.dtype, f"T = {int(row.seq_len)}", f"H = {int(row.hidden_size)}"]
    return ", ".join([*words, *([] if row.inputs == "normal" else [f"{row.inputs} inputs"])])
