"""Two runs printed beside each other: changes, what only one holds, what else differs, and when it is refused."""

import json
import re
import shutil

import pandas as pd
import pytest

from gatebench.analyze.two_runs import changes
from gatebench.errors import UserError
from gatebench.report import two_runs, two_runs_markdown
from gatebench.report.ci.words import change_text
from gatebench.report.stored_run import View
from gatebench.report.two_runs import WARNING, print_two_runs
from gatebench.report.two_runs_markdown import markdown_of_two
from gatebench.store.read import read_run
from tests.synthetic import Plan, write_store


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs of the same cases: two of one machine, then one of another."""
    store = tmp_path_factory.mktemp("results")
    plan = Plan(
        runs=3, gates=("lstm", "glu"), seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), machines=("A", "B"),
        failures=False, stability=False,
    )  # fmt: skip
    first, other, second = (read_run(store / "runs" / run_id) for run_id in write_store(store, plan))
    return first, second, other


def printed(capsys, before, after, across=False, **view):
    print_two_runs(before, after, View(**view), across)
    return capsys.readouterr().out


def words(text):
    return " ".join(text.split())


def test_the_table_shows_the_changes_of_the_json_and_warns(capsys, runs):
    text = printed(capsys, *runs[:2])
    found = json.loads(printed(capsys, *runs[:2], as_json=True))
    changes = {row["case_id"]: row for row in found["changes"]}
    shown = changes["lstm/numba/T64-B16-I64-H64/float32/cpu-2/forward"]
    cell = change_text(shown["change"], shown["change_low"], shown["change_high"])
    assert re.search(rf"^T64 B16 H64 .*{re.escape(cell)}", text, re.M)
    assert shown["change"] == pytest.approx(shown["time_ns_after"] / shown["time_ns_before"] - 1)
    assert WARNING in words(text)
    assert found["warning"] == WARNING
    assert "`gatebench ab`" in WARNING
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "cudnn" not in text  # unavailable in both: nothing to say


def test_there_and_back_are_opposite_changes(capsys, runs):
    there, back = (json.loads(printed(capsys, *pair, as_json=True)) for pair in (runs[:2], runs[1::-1]))
    for row, other in zip(there["changes"], back["changes"], strict=True):
        if row["change"] is not None:
            assert (1 + row["change"]) * (1 + other["change"]) == pytest.approx(1)
            assert (1 + row["change_low"]) * (1 + other["change_high"]) == pytest.approx(1)


def test_two_environment_classes_are_refused_and_named(runs):
    with pytest.raises(UserError) as refused:
        print_two_runs(runs[0], runs[2], View(), False)
    assert "two environment classes (device_name A and B); two runs of one class are accepted" in str(refused.value)
    assert "--across-machines" in str(refused.value)


def test_across_machines_there_are_speeds_and_no_changes(capsys, runs):
    text = printed(capsys, runs[0], runs[2], across=True)
    assert "lstm, forward, float32, cpu, 2 threads: speed-up of B over A" in text
    assert "not a change of the code" in words(text)
    assert "%" not in text.replace("95 %", "")
    found = json.loads(printed(capsys, runs[0], runs[2], across=True, as_json=True))
    assert found["across_machines"] is True
    speed = float(re.search(r"T64 .*?([\d.]+)×", text.split("native")[1]).group(1))
    assert any(
        speed == pytest.approx(1 / (1 + other["change"]), rel=6e-3) for other in found["changes"] if other["change"]
    )


def test_marks_are_explained_on_the_terminal_and_in_markdown(capsys, monkeypatch, runs):
    page = markdown_of_two(*runs[:2], False)
    assert r"[ ] 95 % interval over blocks, Welch's t   \~ unsettled, or machine busy, in A or B" in page
    marked = changes_in_markdown(
        monkeypatch, lambda changed: changed.assign(change_inconclusive=True), *runs[:2], False
    )
    assert "; ! inconclusive: others disturbed over a fifth of its samples in A or B" in marked
    assert "! inconclusive" not in page
    wide = changes_in_markdown(monkeypatch, far_apart, runs[0], runs[2], True)
    assert "× [wide]" in wide
    told = "[wide] an interval whose ends are more than twentyfold apart"
    assert told in wide
    assert told not in page
    assert told in printed(capsys, runs[0], runs[2], across=True), "changes are still those of Markdown"


def far_apart(changed):
    """Return changes whose intervals reach from a tenth to tenfold."""
    return changed.assign(change_low=-0.9, change_high=9.0)


def changes_in_markdown(monkeypatch, edited, *runs):
    """Return the Markdown of two runs whose changes are edited, as those of the terminal are from then on."""
    for module in (two_runs, two_runs_markdown):
        monkeypatch.setattr(module, "changes", lambda *frames: edited(changes(*frames)))
    return markdown_of_two(*runs)


def test_a_flag_that_is_not_needed_changes_nothing(capsys, runs):
    assert printed(capsys, *runs[:2], across=True) == printed(capsys, *runs[:2])


def test_what_else_changed_is_listed(capsys, runs, tmp_path):
    other = edited(
        runs[1], tmp_path, suite={"name": "mine", "sha256": "f" * 64}, gatebench_version="0.2.0", measure={"blocks": 5}
    )
    rows = printed(capsys, runs[0], other).split("What else changed")[1].splitlines()
    assert ["suite", "quick", "mine"] in [line.split() for line in rows]
    assert ["gatebench", "0.1.0", "0.2.0"] in [line.split() for line in rows]
    assert ["measure.blocks", "none", "5"] in [line.split() for line in rows]
    assert ["suite's", "text", "0" * 12, "f" * 12] in [line.split() for line in rows]
    assert any(line.startswith("commit ") for line in rows)
    ceilings = {
        "device_name": "A",
        "ceilings": [{"bytes": 1, "bytes_per_s": 2}],
        "peaks": [{"flops_per_s": 1}],
        "governor": "powersave",
    }
    measured_again = edited(runs[0], tmp_path / "again", environment=ceilings)
    assert "governor   none   powersave" in printed(capsys, runs[0], measured_again)
    assert not {"ceilings", "peaks"} & set(
        printed(capsys, runs[0], measured_again).split()
    )  # measured: they always differ a little
    assert "What else changed" not in printed(capsys, runs[0], runs[0])


def edited(run, folder, **manifest):
    """Return a copy of a run with other words in its manifest."""
    shutil.copytree(run.path, folder / run.run_id)
    path = folder / run.run_id / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **manifest}))
    return read_run(folder / run.run_id)


def test_cases_of_one_run_alone_are_listed(capsys, tmp_path, runs):
    plan = Plan(gates=("glu", "gru"), seq_lens=(128, 256), hidden_sizes=(64,), modes=("forward",), failures=False)
    (run_id,) = write_store(tmp_path, plan)
    other = edited(read_run(tmp_path / "runs" / run_id), tmp_path / "copy", environment_class=runs[0].manifest["environment_class"])  # fmt: skip
    text = words(printed(capsys, runs[0], other))
    assert "only in A: 15 cases: lstm by eager (2)" in text
    assert "only in B: 15 cases: glu by eager (1)" in text
    every = words(printed(capsys, runs[0], other, long=True))
    assert "only in B: 15 cases: glu/eager/T256-B16-I64-H64/float32/cpu-2/forward, " in every
    only = printed(capsys, runs[0], other, implementations=("numba",), gates=("gru",))
    assert "only in B: 2 cases: gru/numba/T128" in words(only)
    assert "no case has a time in both runs" in only


def test_filters_hide_rows_and_change_no_number(capsys, runs):
    whole = json.loads(printed(capsys, *runs[:2], as_json=True))["changes"]
    part = json.loads(printed(capsys, *runs[:2], as_json=True, implementations=("numba",), glob="*T128*"))["changes"]
    assert part == [row for row in whole if row["implementation"] == "numba" and row["seq_len"] == 128]
    with pytest.raises(UserError, match="-i: unknown implementation of these runs 'nunba'"):
        print_two_runs(*runs[:2], View(implementations=("nunba",)), False)
    with pytest.raises(UserError, match="--by: unknown column 'colour'"):
        print_two_runs(*runs[:2], View(by=("colour",)), False)


def test_means_are_by_gate_unless_asked_otherwise(capsys, runs):
    by_gate = json.loads(printed(capsys, *runs[:2], as_json=True))["means"]
    assert [mean["gate"] for mean in by_gate] == ["lstm", "glu"]
    assert [mean["cases"] for mean in by_gate] == [8, 8]
    by_family = json.loads(printed(capsys, *runs[:2], as_json=True, by=("family", "seq_len")))["means"]
    assert [(mean["family"], mean["seq_len"]) for mean in by_family] == [("recurrent", 64), ("recurrent", 128), ("glu", 64), ("glu", 128)]  # fmt: skip


def test_an_outcome_that_changed_is_told_with_its_reason(capsys, tmp_path):
    plan = Plan(runs=2, gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), modes=("forward",), stability=False)  # fmt: skip
    old, new = (read_run(tmp_path / "runs" / run_id) for run_id in write_store(tmp_path, plan))
    text = printed(capsys, old, new)
    assert "ok → wrong" in text
    assert "numba at T64 B16 H128: ok in A, wrong (grad:weight_hh/n has error_ratio 31.2" in words(text)


@pytest.mark.parametrize(
    ("change", "text"),
    [((0.0123, -0.003, 0.0271), "+1.2 % [-0.30, 2.7]"), ((-0.134, -0.2, -0.08), "-13.4 % [-20.0, -8.0]"),
     ((0.5, None, pd.NA), "+50.0 %"), ((pd.NA, float("nan"), None), "–"), ((float("inf"), 0.1, "inf"), "+∞ % [10.0, ∞]")],
)  # fmt: skip
def test_a_change_and_its_interval(change, text):
    assert change_text(*change) == text
