"""What the stability page chooses of a run's rows, and the case that it names."""

import math

import pandas as pd
import pytest

from dashboard import elements, stability_sections
from dashboard.filters import Filters
from dashboard.stability_rows import Chosen, choose
from dashboard.stability_sections import longest
from gatebench.report.figures.curves import MOST_GATES
from gatebench.report.stability_series import sweep_table
from tests.stability_frames import case, frame, long_rows, profile


class First(Filters):
    """Filters without a page: the first option, or what is given, e.g. task="adding"."""

    def __init__(self, **chosen: str) -> None:
        self.chosen = chosen

    def one(self, key, label, options, **more):
        return self.chosen.get(key, options[0])

    def many(self, key, label, options):
        return list(options)


@pytest.fixture
def rows():
    """Return rows with a task at two steps and two probes, and a failed case, which has neither."""
    case = {
        "gate": "lstm", "options": '{"num_layers": 2}', "init": "torch", "inputs": "task", "dtype": "float64", "seq_len": 8,
        "input_size": 2, "hidden_size": 4, "batch": 2, "seed": 0, "task": "adding", "status": "ok", "metric": "half_life",
        "probe": "ones", "train_step": 0.0, "value": 5.0, "index": None, "label": None,
    }  # fmt: skip
    told = [case | {"train_step": step, "probe": probe} for step in (0.0, 10.0) for probe in ("gaussian:0", "ones")]
    loss = case | {"metric": "train_loss", "train_step": 3.0}
    failed = case | {"init": "keras", "metric": "class", "status": "failed", "probe": None, "train_step": None}
    return pd.DataFrame([*told, loss, failed])


def test_what_came_to_nothing_is_shown_at_every_step_and_probe_and_hides_nothing(rows):
    for chosen in (choose(First(train_step="0"), rows), choose(First(train_step="10", probe="gaussian:0"), rows)):
        assert list(chosen.here()["status"]) == ["ok", "failed"]
    assert choose(First(), rows).at == {"seq_len": "8", "hidden_size": "4", "train_step": "10", "probe": "ones"}
    assert list(choose(First(), rows).here("train_step")["train_step"].dropna()) == [0, 10, 3]


def test_a_run_in_which_all_came_to_nothing_is_shown(rows):
    chosen = choose(First(), rows[rows["status"] != "ok"])
    assert list(chosen.here()["init"]) == ["keras"]
    assert chosen.axis is None


def test_a_sweep_goes_along_the_training_steps_of_the_chosen_probe(rows):
    chosen = choose(First(), rows)
    assert chosen.axis == "train_step"
    swept = chosen.sweep()
    assert set(swept.loc[swept["metric"] == "half_life", "train_step"]) == {0, 10}
    assert set(swept["probe"].dropna()) == {"ones"}
    assert set(sweep_table(swept, chosen.axis)["gate"]) == {"lstm (num_layers=2)"}


def test_the_case_that_keeps_its_gradients_longest_is_named_with_those_not_told_from_it():
    rows = pd.DataFrame(
        [("lstm", "torch", 2.0, 1.5, 3.5, 9.0), ("lstm", "bias=1", 5.0, 4.0, 6.0, 40.0), ("gru", "torch", 3.0, 2.0, 4.5, 20.0), ("glu", "torch", None, None, None, None)],
        columns=["gate", "init", "half_life", "half_life_low", "half_life_high", "reach"],
    ).assign(dtype="float64")  # fmt: skip
    coarser = rows.assign(dtype="bfloat16", half_life=90.0)
    assert longest(rows, ["gate", "init"]).replace("\\", "") == (
        "**Of 3 cases of 2 gates gradients last longest in lstm, bias=1**: half-life 5.0 (4.0 to 6.0) steps, reach 40 steps. Not told from it, for "
        "the deciles overlap: gru, torch."
    )
    assert "lstm, bias=1**" in longest(pd.concat([coarser, rows]), ["gate", "init"])
    assert "deciles" not in longest(rows.iloc[:2], ["gate", "init"])
    assert longest(rows.iloc[:2], ["gate", "init"]).startswith("**Of 2 cases of 1 gate gradients")
    assert longest(rows.iloc[1:3], ["gate"]).startswith("**Of 2 gates gradients")
    assert "infinite" in longest(
        rows.assign(half_life=math.inf, half_life_low=math.inf, half_life_high=math.inf), ["gate"]
    )
    assert longest(rows.iloc[[0, 3]], ["gate"]) == ""


@pytest.fixture
def said(monkeypatch):
    """What headings and captions say; figures are not shown."""
    texts: list[str] = []
    for name in ("caption", "subheader"):
        monkeypatch.setattr(stability_sections.st, name, lambda text, **more: texts.append(text))
    monkeypatch.setattr(elements, "figure", lambda *arguments: None)
    return texts


def test_captions_count_the_gates_that_a_figure_could_show(said):
    gates = [f"g{number}" for number in range(MOST_GATES + 1)]
    shares = [long_rows(metric="saturation_high", part="f", value=0.3, gate=gate) for gate in gates]
    stability_sections.saturation(frame(shares))
    assert said.pop() == "The first 8 of 9 gates are drawn; choose others in the sidebar."
    stability_sections.saturation(frame(shares[1:]))
    assert "gates" not in said[-1]
    stability_sections.norms(frame(shares, *(profile(gate=gate) for gate in gates[1:])))  # one has shares alone
    assert "gates" not in said[-1]


def test_a_form_of_init_is_no_markdown(said):
    rows = frame(*(case(init=f"*a*<b>={number}") for number in (1, 2)))
    stability_sections.sweep(Chosen(rows, axis="*a*<b>"))
    assert said[0] == r"Half-life and exponent against \*a\*\<b\>"
