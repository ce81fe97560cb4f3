"""Section Stability: what gradients do, gates side by side, at each shape, training step and probe that was looked at."""

from collections.abc import Iterator, Mapping
from functools import partial

import pandas as pd

from gatebench.report.html.content import Drawing, Part, Section
from gatebench.report.names import by_value
from gatebench.report.quantities import is_missing
from gatebench.report.stability import BY_STEP, measured
from gatebench.report.stability_blocks import stability_blocks
from gatebench.report.stability_conditions import BESIDE, DRAWN, caption
from gatebench.report.stability_drawings import TITLES, stability_figure
from gatebench.report.stability_series import sweep_axis

# Choice -> column. What the last two choose, some figures draw along, or have none of.
CHOICES = {
    "Task": "task",
    "Inputs": "inputs",
    "Batch size": "batch",
    "Shape": "shape",
    "Training step": "train_step",
    "Probe": "probe",
}
_SHARED = ("Task", "Inputs", "Batch size")
# Figure -> the choices on which it depends beside the shared ones.
_BY = {
    "norms": ("Shape", "Training step", "Probe"), "summary": ("Shape", "Training step", "Probe"), "sweep": (), "spectrum": ("Shape", "Training step"),
    "training": ("Shape",), "saturation": ("Shape", "Training step"),
}  # fmt: skip
_WORDS = {"Batch size": "B = {}", "Training step": "after {} steps of training", "Probe": "probe {}", "Task": "{} task", "Inputs": "inputs {}"}  # fmt: skip
_PLAIN = {"Task": "none", "Inputs": "normal", "Training step": "none", "Probe": "ones"}  # not worth a word


def stability_section(stability: pd.DataFrame) -> Section:
    """Return figures by what they hold fixed, then the tables of the whole run; rows of stability.parquet."""
    question = "Does this gate lose or blow up gradients?"
    if stability.empty:
        notes = ("Nobody looked at gradients in this run: `gatebench stability lstm gru` does.",)
        return Section("stability", "Stability", question, notes=notes)
    rows = measured(stability)
    rows = rows.assign(
        shape=[f"T = {t:g}, H = {h:g}" for t, h in zip(rows["seq_len"], rows["hidden_size"], strict=True)]
    )
    parts = [part for kind in _BY for part in _parts(rows, kind)]
    numbers = Part("All numbers", blocks=tuple(stability_blocks(stability)))
    return Section("stability", "Stability", question, [*parts, numbers], tuple(CHOICES))


def _parts(rows: pd.DataFrame, kind: str) -> Iterator[Part]:
    drawn = rows[rows["metric"].isin((*DRAWN[kind], *BESIDE.get(kind, ())))]
    drawn = drawn[drawn["task"].notna() if kind == "training" else ~drawn["metric"].isin(BY_STEP)]
    chosen = (*_SHARED, *_BY[kind])
    words = pd.DataFrame({name: by_value(drawn[CHOICES[name]], _word) for name in chosen})
    for values, places in sorted(
        words.groupby(list(chosen), sort=False).groups.items(), key=lambda group: _order(group[0])
    ):
        keys = dict(zip(chosen, values, strict=True))
        part = drawn.loc[places]
        if _shows_something(part, kind):
            yield _part(part, kind, keys)


def _part(rows: pd.DataFrame, kind: str, keys: Mapping[str, str]) -> Part:
    told = [_WORDS.get(name, "{}").format(value) for name, value in keys.items() if value != _PLAIN.get(name)]
    title = " · ".join([TITLES[kind], *told])
    drawing = Drawing(partial(stability_figure, rows, kind), f"{TITLES[kind]}: {', '.join(told)}", f"stability {kind} {' '.join(told)}")  # fmt: skip
    return Part(title, keys, drawing, caption(rows, kind))


def _shows_something(rows: pd.DataFrame, kind: str) -> bool:
    """Say whether a figure of these rows would hold data: bands and bounds are of something."""
    rows = rows[rows["metric"].isin(DRAWN[kind])]
    if kind == "sweep":
        return sweep_axis(rows) is not None
    if kind == "training":
        return bool((rows["metric"] == "train_loss").any())
    return bool(rows["value"].notna().any())


def _order(values: tuple[str, ...]) -> tuple:
    """Sort what is plain first, then the largest number first, as the page does."""
    return tuple(
        (value not in _PLAIN.values(), [-float(digits) for digits in _numbers(value)], value) for value in values
    )


def _numbers(text: str) -> list[str]:
    return [word.strip(",") for word in text.split() if word.strip(",").replace(".", "", 1).isdecimal()]


def _word(value: object) -> str:
    """Return a cell as text: whole numbers without a point, nothing as `none`."""
    if is_missing(value):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
