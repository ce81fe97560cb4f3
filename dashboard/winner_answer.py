"""The answer to one question of the winner map: what to use at one T, H and B, how sure, and how to find out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.first_calls import first_call_words
from dashboard.raw_samples import show_samples
from dashboard.slices import PROBLEM, Slice, commands_to_measure
from gatebench.analyze.winners import compile_costs
from gatebench.report.names import competitors
from gatebench.report.quantities import bytes_text, estimate_text, is_missing, time_text, times_text
from gatebench.report.winners import winner_cells

AXES = ["seq_len", "hidden_size", "batch"]
_FILTERS = {"gate": "gate_name", "mode": "mode", "dtype": "dtype", "device": "device_text"}  # and their columns
_WIDTHS = (2, 1, 1, 1, 1.3, 1.3)  # of the boxes of the question: gate, T, H, B, calls, cap
LONGEST_NAME = 60  # letters
MORE_BLOCKS = 10


@dataclass(frozen=True)
class Question:
    """T, H and B that are asked about, the calls that pay back the first one, and the most bytes; None: not asked for."""

    seq_len: int | None = None
    hidden_size: int | None = None
    batch: int | None = None
    calls: int | None = None
    cap_bytes: int | None = None

    @property
    def sizes(self) -> tuple[int, int, int] | None:
        """Return (T, H, B); None unless all three are asked about."""
        if self.seq_len is None or self.hidden_size is None or self.batch is None:
            return None
        return self.seq_len, self.hidden_size, self.batch

    @property
    def where(self) -> str:
        """Name the sizes."""
        return f"T = {self.seq_len}, H = {self.hidden_size}, B = {self.batch}"

    def cells(self, rows: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
        """Return the cells of report.winners under the conditions that are asked for."""
        return winner_cells(rows, blocks, self.calls, self.cap_bytes)


def ask(filters: Filters, chosen: Slice) -> Question:
    """Show the boxes of the question, its gate among them; B is that of the map where none is typed."""
    which, *boxes = st.columns(_WIDTHS)
    with which:
        elements.second_box("Gate", "gate", chosen.gates, chosen.rows["gate_name"].iloc[0])
    asked = {"ask_t": "T", "ask_h": "H", "ask_b": "B", "calls": "Calls N", "cap_mib": "Cap, MiB"}
    values = []
    for box, (key, label) in zip(boxes, asked.items(), strict=True):
        with box:
            values.append(filters.number(key, label))
    # Not as the boxes' own help: its icons would stand between them for who goes on with the Tab key.
    st.caption(
        "T: sequence length, steps. H: hidden size. B: batch size; that of the map where none is typed. Calls N: time + cost of "
        "the first call / N competes. Cap: what takes more memory in one call does not compete."
    )
    seq_len, hidden_size, batch, calls, cap_mib = values
    shown = int(chosen.rows["batch"].iloc[0])
    return Question(seq_len, hidden_size, batch or shown, calls, None if cap_mib is None else cap_mib << 20)


def show_answer(chosen: Slice, question: Question) -> None:
    """Say what to use at the sizes asked for, or that it was not measured, and the command that measures it."""
    if question.sizes is None:
        st.caption("Type T and H, or click a cell of the map: the answer stands here, its raw samples below the map.")
        return
    here = asked_about(chosen, question)
    if here.empty:
        st.warning(
            f"**{question.where}: not measured in this run.** {nearest(chosen, question)}", icon=":material/help:"
        )
        if (run := measured_elsewhere(chosen, question)) is not None:
            first = chosen.rows.iloc[0]
            there = (str(run["run_id"]), *(str(first[column]) for column in _FILTERS.values()))
            elements.choice(f"Measured in {run['label']}: look there", "elsewhere", ("run", *_FILTERS), there)
        st.markdown("To measure it (reload this page then):")
        for command in commands_to_measure(chosen, [question.sizes]):
            elements.command(command)
        return
    cell = question.cells(here, chosen.blocks(here)).iloc[0]
    # A tie is an answer, too, unless the machine was too busy to tell one.
    told = cell["state"] == "alone" or (
        cell["state"] == "won" and not cell["inconclusive"] and bool(cell["tied"] or not cell["unsure"])
    )
    show_sentence(f"**{question.where}: {sentence(cell, question)}**  \n{how_sure(cell, here, chosen)}", told)
    if cell["state"] == "won" and not told:
        st.markdown("More blocks would tell (reload this page then):")
        for command in commands_to_measure(chosen, [question.sizes]):
            elements.command(f"{command} --blocks {MORE_BLOCKS}")


def measured_elsewhere(chosen: Slice, question: Question) -> pd.Series | None:
    """Return the newest other run of this machine that has a time at the sizes asked for, a row of Store.runs; None where none has."""
    if question.sizes is None:
        return None
    of_problem, values = chosen.like(PROBLEM)
    sql = f"""
        SELECT max(run_id) AS run_id FROM measurements JOIN (SELECT run_id, place FROM runs) USING (run_id)
        WHERE time_ns IS NOT NULL AND run_id <> ? AND place = ? AND {of_problem}
            AND seq_len = ? AND hidden_size = ? AND batch = ?
    """
    asked = [chosen.run["run_id"], chosen.run["place"], *values, *question.sizes]
    found = chosen.store.questions.frame(sql, asked)["run_id"].iloc[0]
    runs = chosen.store.runs
    return None if is_missing(found) else runs[runs["run_id"] == found].iloc[0]


def show_evidence(filters: Filters, chosen: Slice, question: Question) -> None:
    """Show everybody who competes at the sizes asked for, and the raw samples of one of them; nothing where nobody does."""
    here = asked_about(chosen, question)
    if here.empty:
        return
    st.subheader(question.where, anchor=False)
    elements.wrapped(competition(here))
    st.caption(
        "First call: what it takes beyond a usual one. Of compile with empty or filled caches, as it says; of others as it came: "
        "kernels of numba that an earlier run or another size had compiled cost nothing again."
    )
    show_own_samples(filters, chosen, here, question.cells(here, chosen.blocks(here)).iloc[0])


def asked_about(chosen: Slice, question: Question) -> pd.DataFrame:
    """Return the measurements at the sizes asked for; none where nothing is asked."""
    rows = chosen.every_batch
    return rows[:0] if question.sizes is None else rows[(rows[AXES] == list(question.sizes)).all(axis=1)]


def show_sentence(text: str, sure: bool) -> None:
    """Show the answer, in green where it is sure."""
    if sure:
        st.success(text, icon=":material/emoji_events:")
    else:
        st.warning(text, icon=":material/help:")


def sentence(cell: pd.Series, question: Question) -> str:
    """Return the winner with its time and margin, or why there is none, as Markdown."""
    if cell["state"] in ("failed", "no time"):
        return "measured, and no implementation has a time; the table says why."
    if cell["state"] == "left out":
        return f"nothing is left: over the memory cap, or compiled at a cost that was not measured: {_named(cell['left_out'])}."
    over = (
        ""
        if question.calls is None
        else f", the first call paid back over {question.calls:,} call{'s' if question.calls > 1 else ''}"
    )
    time = estimate_text(cell["time_ns"], cell["ci_low_ns"], cell["ci_high_ns"])
    text = f"{_named(cell['winner'])}, {time} a call{over}"
    if cell["state"] == "alone":
        return f"{text}; nothing else competes."
    if is_missing(cell["margin"]):
        return f"{text}; {_named(cell['runner_up'])} is the next, and no block has readable samples of both, so that nothing tells them apart."
    margin = times_text(cell["margin"], cell["margin_low"], cell["margin_high"])
    if cell["tied"]:
        return f"{text}; {_named(cell['tied'])} as fast, as far as can be told ({margin} before {_named(cell['runner_up'])})."
    looks = "as it looks, " if cell["unsure"] else ""
    return f"{text}; {looks}{margin} faster than {_named(cell['runner_up'])}, the next."


def how_sure(cell: pd.Series, here: pd.DataFrame, chosen: Slice) -> str:
    """Return n, what the first call costs, the memory, and what makes the answer doubtful, as Markdown.

    here: the measurements at the sizes asked for.
    """
    if cell["state"] not in ("won", "alone"):
        return ""
    blocks = 0 if is_missing(cell["blocks"]) else int(cell["blocks"])
    parts = [
        f"95 % intervals over {blocks} blocks of fresh processes"
        if blocks > 1
        else "One block: no interval, so nothing says how sure"
    ]
    if cell["state"] == "won" and cell["inconclusive"]:
        parts.append("one of the two never settled, or the machine was too busy to trust the order")
    elif cell["state"] == "won" and cell["margin_low"] <= 1 and not cell["tied"]:
        parts.append("**not sure**: the interval of the margin contains 1")
    parts.append(first_call_words(chosen, here[here["case_id"] == cell["case_id"]].iloc[0], cell["compile_ns"]))
    memory = bytes_text(cell["peak_bytes"])
    parts.append("its memory was not measured" if memory == "not measured" else f"a call takes {memory} of memory")
    if cell["left_out"]:
        parts.append(f"left out: {_named(cell['left_out'])}")
    return "; ".join(parts) + "."


def nearest(chosen: Slice, question: Question) -> str:
    """Name the nearest sizes (in logs) that have a time, and who is fastest there, as Markdown."""
    timed = chosen.every_batch[chosen.every_batch["time_ns"].notna()]
    if timed.empty:
        return "Nothing of what is chosen has a time."
    wanted = np.array(question.sizes, dtype=float)
    distance = np.abs(np.log(timed[AXES].to_numpy(dtype=float) / wanted)).sum(axis=1)
    sizes = timed.iloc[int(distance.argmin())][AXES]
    there = timed[(timed[AXES] == sizes.to_numpy()).all(axis=1)]
    cell = question.cells(there, chosen.blocks(there)).iloc[0]
    at = "T = {}, H = {}, B = {}".format(*map(int, sizes))
    return f"The nearest that is: {at}: {sentence(cell, question)} It may well be different here."


def competition(here: pd.DataFrame) -> pd.DataFrame:
    """Return everybody who competes at one size as text: time, n, cost of the first call, memory, status and reason."""
    rows = here.assign(competitor=competitors(here), cost=compile_costs(here)).sort_values("time_ns")
    return pd.DataFrame(
        {
            "implementation": rows["competitor"],
            "time of one call (95 %)": [estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) for row in rows.itertuples()],
            "blocks": ["–" if is_missing(row.time_ns) or is_missing(row.blocks) else str(int(row.blocks)) for row in rows.itertuples()],
            "first call, beyond a usual one": ["–" if is_missing(row.time_ns) else _first_call(row) for row in rows.itertuples()],
            "memory of one call": ["–" if is_missing(row.time_ns) else bytes_text(row.peak_bytes) for row in rows.itertuples()],
            "status": [
                row.status.replace("_", " ") + (f": {row.reason}" if isinstance(row.reason, str) else "") for row in rows.itertuples()
            ],
        }
    )  # fmt: skip


def _first_call(row) -> str:
    known = [
        f"{time_text(cost)} ({caches} caches)"
        for cost, caches in ((row.compile_cold_ns, "empty"), (row.compile_warm_ns, "filled")) if not is_missing(cost)
    ]  # fmt: skip
    return ", ".join(known) or (
        "not measured" if is_missing(row.cost) else time_text(row.cost) if row.cost > 0 else "–"
    )


def show_own_samples(filters: Filters, chosen: Slice, here: pd.DataFrame, cell: pd.Series) -> None:
    """Show the raw samples of one of the cases at these sizes: the winner's until another one is chosen."""
    timed = here[here["time_ns"].notna()].sort_values("time_ns")
    if timed.empty:
        return
    words = dict(zip(timed["case_id"], competitors(timed), strict=True))
    picked = filters.pick("ask_case", "Raw samples of", list(words), words)
    case = picked or (cell["case_id"] if isinstance(cell["case_id"], str) else timed["case_id"].iloc[0])
    if picked is None:
        st.caption(f"Shown: {elements.plain(words[case])}")
    show_samples(chosen.run, case, str(timed.set_index("case_id").loc[case, "side"]))


def _named(names: str) -> str:
    """Return names of competitors as Markdown shows them, cut where they would fill the page."""
    return elements.plain(names if len(names) <= LONGEST_NAME else names[:LONGEST_NAME] + " …")
