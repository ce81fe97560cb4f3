"""Stability: gradient norms by lag, half-lives, Lyapunov exponents and saturation; gates, inits, dtypes side by side."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import elements, loading
from dashboard.filters import Filters, ordered, text
from dashboard.loading import Store
from dashboard.slices import DTYPES, choose_run
from gatebench.own_files import FROM_FILE, selectors, short_name
from gatebench.report.figures.stability import MOST_GATES, norm_figure, saturation_figure, summary_figure
from gatebench.report.quantities import is_missing, range_text
from gatebench.report.stability import case_summary, gate_names, norm_curves, not_ok, saturation_table

MINOR = (
    ("inputs", "Inputs", "inputs"), ("probe", "Probe", "probe"), ("task", "Task", "task"),
    ("train_step", "Training step", "train_step"), ("stability_batch", "Batch size B", "batch"),
)  # fmt: skip

CLASSES = "Vanished: below the rounding of the dtype at lag T; vanishing: below 1/1000; exploding: above 1000; underflow: 0 where float64 is not."


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, numbers, figures and command."""
    runs = store.runs[store.runs["stability_rows"] > 0]
    run = choose_run(filters, runs) if len(runs) else None
    found = loading.table(run["path"], "stability") if run is not None else pd.DataFrame()
    chosen = choose(filters, found) if len(found) else found
    elements.header("Stability", filters.notes)
    if run is None:
        elements.nothing(
            "No run in this store has looked at gradients.", "gatebench stability lstm gru" + elements.store_option()
        )
    elif chosen.empty:
        st.info("This run has no stability values for what is chosen.", icon=":material/info:")
    else:
        show(run, chosen)


def choose(filters: Filters, rows: pd.DataFrame) -> pd.DataFrame:
    """Let the sidebar choose gates, inits and dtypes (several), T, H and what else differs (one of each)."""
    kept = rows.assign(gate=gate_names(rows), init=rows["init"].map(short_name), inputs=rows["inputs"].map(short_name))
    for key, label, column, order in (
        ("gates", "Gates", "gate", ordered(*dict.fromkeys(kept["gate"]))),
        ("init", "Initialisation", "init", ordered("torch")),
        ("chain_dtype", "Dtype", "dtype", DTYPES),
    ):
        wanted = filters.many(key, label, sorted(set(kept[column].map(text)), key=order))
        kept = pd.DataFrame(kept[kept[column].map(text).isin(wanted)])
    if kept.empty:
        return kept
    kept = filters.slice(kept, "seq_len", "T (sequence length)", "seq_len", always=True)
    kept = filters.slice(kept, "hidden_size", "H (hidden size)", "hidden_size", always=True)
    for key, label, column in MINOR:
        kept = filters.slice(kept, key, label, column)
    return kept


def show(run: pd.Series, rows: pd.DataFrame) -> None:
    """Show the figures, the line per case, what has no value, and the command."""
    first = rows.iloc[0]
    words = [f"T = {text(first['seq_len'])}", f"H = {text(first['hidden_size'])}", run["label"], run["machine"]]
    st.caption(elements.plain(" · ".join(words)))
    summary = case_summary(rows)
    orders = {"gate": ordered(*dict.fromkeys(rows["gate"])), "init": ordered("torch"), "dtype": DTYPES}
    summary = summary.sort_values(list(orders), key=lambda column: column.map(orders[column.name]))
    st.subheader("What gradients do", anchor=False)
    elements.wrapped(numbers(summary))
    st.caption(
        "In brackets: deciles over seeds and batch rows for the half-life, 95 % interval for the exponent. " + CLASSES
    )
    without = not_ok(rows)
    if len(without):
        st.markdown("Without a value:")
        elements.wrapped(without[["gate", "init", "dtype", "status", "reason"]])
    st.subheader("Gradient norm by lag", anchor=False)
    curves = norm_curves(rows).sort_values("gate", key=lambda names: names.map(orders["gate"]), kind="stable")
    elements.figure(norm_figure(curves), "norms", "gradient norm relative to the last step against the lag")
    seeds = f"{int(curves['seeds'].max())} seeds" if len(curves) else "seeds"
    st.caption(
        f"Lines: median over {seeds} of the batch mean of logs. Ribbons: lowest lower to highest upper decile of the "
        "batch over seeds. Dotted: the bound, no gradient grows faster. A cross: exactly 0, or not finite, from there on."
    )
    if (curves["kind"] == "layer").any():
        stacks = ", ".join(dict.fromkeys(curves.loc[curves["kind"] == "layer", "gate"]))
        st.caption(
            f"{elements.plain(stacks)}: a stack of blocks without residual connections, norms by layer; T and the words "
            "steps and lag do not apply."
        )
    if rows["gate"].nunique() > MOST_GATES:
        st.caption(f"The first {MOST_GATES} of {rows['gate'].nunique()} gates are drawn; choose others in the sidebar.")
    st.subheader("Half-life and Lyapunov exponent", anchor=False)
    elements.figure(summary_figure(summary), "summary", "half-life and largest Lyapunov exponent per gate")
    st.caption(
        "Half-life: median, bars from lower to upper decile over seeds and batch rows. Lyapunov exponent: mean over "
        "seeds, 95 % interval (one seed: two standard errors); below 0, neighbouring states meet, and gradients vanish."
    )
    saturation = saturation_table(rows)
    if len(saturation):
        st.subheader("Saturation by gate letter", anchor=False)
        elements.figure(saturation_figure(saturation), "saturation", "saturated share of each gate letter")
        st.caption("Share of activations where the letter's derivative is nearly 0; mean over seeds.")
    elements.same_query(command(rows, first))


def numbers(summary: pd.DataFrame) -> pd.DataFrame:
    """Return one line per case as text: class, half-life, reach, Lyapunov exponent, with intervals and n."""
    return pd.DataFrame(
        {
            "gate": summary["gate"],
            "init": summary["init"],
            "dtype": summary["dtype"],
            "class": summary["label"].fillna("–"),
            "half-life, steps": [
                range_text(row.half_life, row.half_life_low, row.half_life_high, "never")
                for row in summary.itertuples()
            ],
            "reach, steps": ["–" if is_missing(value) else f"{value:g}" for value in summary["reach"]],
            "Lyapunov, nats/step": [
                range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in summary.itertuples()
            ],
            "seeds": summary["seeds"],
        }
    )


def command(rows: pd.DataFrame, first: pd.Series) -> str:
    """Return the `gatebench stability` that measures what is shown."""
    names = [name.partition(" ")[0] for name in dict.fromkeys(rows["gate"])]
    words = [
        "gatebench", "stability", *dict.fromkeys(names), *_model(rows, first),
        "--dtype", ",".join(dict.fromkeys(rows["dtype"])), "--seq-len", text(first["seq_len"]), *_inputs(first),
    ]  # fmt: skip
    return shlex.join(words) + elements.store_option()


def _model(rows: pd.DataFrame, first: pd.Series) -> list[str]:
    """Return the words that name the weights; a store knows a file's hash, not where it lies."""
    if str(first["init"]).startswith(FROM_FILE):
        chosen = selectors(first["init"])
        return ["--weights", "FILE", *(word for key, value in chosen.items() for word in (f"--{key}", value))]
    drawn = [init for init in dict.fromkeys(rows["init"]) if not str(init).startswith(FROM_FILE)]
    return ["--init", ",".join(drawn), "--hidden-size", text(first["hidden_size"])]


def _inputs(first: pd.Series) -> list[str]:
    from_file = str(first["inputs"]).startswith(FROM_FILE)
    return ["--inputs", "FILE"] if from_file else ["--batch", text(first["batch"])]
