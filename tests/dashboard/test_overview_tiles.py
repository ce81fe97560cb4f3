"""Tiles of Overview and its failures in rows: what each counts, says and leads to."""

from collections import namedtuple

import pandas as pd

from dashboard.overview_rows import MOST_ASKED, Ab, listed_runs
from dashboard.overview_tiles import Link, bad, slower, stale
from dashboard.views.overview import failed_alike
from gatebench.cases import COMMAND_LINE_SUITE


def longer(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(["machine", "run_id", "compared_once", "slower_once"]))


def failed(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=pd.Index(["machine", "gate", "dtype", "status", "cases"]))


PAIRS = pd.DataFrame(
    [("A", "gru", "numba", True, True, 4), ("A", "gru", "eager", False, True, 4), ("A", "lstm", "eager", True, False, 2),
     ("B", "gru", "eager", False, True, 1)],
    columns=pd.Index(["machine", "gate", "implementation", "at_newest", "stale", "cases"]),
)  # fmt: skip


def test_without_an_ab_nothing_counts_as_slower_and_what_took_longer_is_told_apart():
    found = slower([], longer(("A", "r1", 10, 2), ("B", "r2", 6, 3), ("C", "r3", 4, 0)))
    assert found.value == "–"
    assert found.lines == (
        "No A/B here has a verdict.",
        "Took longer than in the run before: 5 of 20 cases. No verdict.",
    )
    assert found.links == (
        Link("3 took longer on B", "views/compare.py", {"sides": "runs", "run": "r2"}),
        Link("2 took longer on A", "views/compare.py", {"sides": "runs", "run": "r1"}),
    )


def test_a_tile_of_bad_cases_counts_its_statuses_only_and_leads_to_the_most():
    rows = failed(("A", "gru", "float32", "wrong", 2), ("A", "gru", "float32", "timeout", 1), ("B", "lstm", "bfloat16", "failed", 4))  # fmt: skip
    assert bad("Wrong", PAIRS, "", rows, ("wrong",)).value == "2"
    found = bad("Failed", PAIRS, "", rows, ("failed", "timeout", "out_of_memory"))
    assert (found.value, found.lines) == ("5", ("Of 11 cases.", "4 failed, 1 timed out."))
    query = {"on_machine": "B", "gate": "lstm", "dtype": "bfloat16"}
    assert found.links[0] == Link("4 of lstm, bfloat16, on B", "views/coverage.py", query)


def test_where_nothing_was_measured_no_tile_says_zero():
    nothing = PAIRS.iloc[:0]
    assert bad("Wrong", nothing, "", failed(), ("wrong",)).value == "–"
    assert stale(nothing, None).value == "–"


def test_stale_counts_what_is_old_and_what_is_behind_the_newest_commit():
    assert stale(PAIRS, None).lines == ("Of 4 pairs of gate and implementation.",)
    found = stale(PAIRS, "c" * 40)
    assert found.value == "3"
    assert found.lines == ("Of 4 pairs of gate and implementation.", "Not at the newest commit, cccccccccc: 2.")
    assert found.links[0] == Link("2 of gru on A", "views/coverage.py", {"on_machine": "A", "gate": "gru"})


def test_an_unknown_dtype_is_left_out_of_a_tile():
    found = bad("Failed", PAIRS, "", failed(("A", "gru", None, "failed", 2)), ("failed",))
    assert found.links == (Link("2 of gru, on A", "views/coverage.py", {"on_machine": "A", "gate": "gru"}),)


def test_an_older_ab_of_another_suite_does_not_outvote_the_newest():
    run = namedtuple("Run", "run_id label place harness")
    verdicts = [pd.DataFrame({"case_id": ["x", "y"], "verdict": words, "quantity": "time"}) for words in (["same", "slower"], ["slower", "slower"])]  # fmt: skip
    abs_ = [Ab(run(name, name, "e", "worker"), found) for name, found in zip("21", verdicts, strict=True)]
    found = slower(abs_, longer())
    assert found.value == "1"
    assert [link.text for link in found.links] == ["1 slower: 2"]
    apart = [Ab(run(name, name, name, "worker"), found) for name, found in zip("21", verdicts, strict=True)]
    assert slower(apart, longer()).value == "3"


def test_runs_without_a_suite_are_listed_each():
    alike = {"place": "e", "harness": "worker", "purpose": "run", "folder": "runs"}
    suites = ["quick", *[COMMAND_LINE_SUITE] * (MOST_ASKED + 2), "quick", "nightly"]
    runs = pd.DataFrame([alike | {"run_id": number, "suite": suite} for number, suite in enumerate(suites)])
    assert list(listed_runs(runs)["run_id"]) == [0, *range(1, MOST_ASKED + 1), len(suites) - 1]


def test_what_is_unknown_of_a_failure_is_left_out_of_its_row():
    columns = ["status", "machine", "implementation", "reason", "gate", "cases", "modes", "dtype", "date"]
    row = ("failed", "A", "numba", "broke", "gru", 1, None, None, "2026-01-01")
    assert failed_alike(pd.DataFrame([row], columns=columns)).to_numpy().tolist() == [
        ["failed", "A", "numba", "broke", 1, "gru", "", "", "2026-01-01"]
    ]


def test_what_failed_alike_is_one_row_whatever_its_gate():
    rows = pd.DataFrame(
        [("timeout", "A", "numba", "slow", "gru", 1, "forward", "float32", "2026-01-01"),
         ("timeout", "A", "numba", "slow", "lstm", 2, "forward, forward_backward", "float32", "2026-01-03"),
         ("out_of_memory", "A", "numba", "full", "gru", 4, "forward", "float64", "2026-01-02")],
        columns=["status", "machine", "implementation", "reason", "gate", "cases", "modes", "dtype", "date"],
    )  # fmt: skip
    assert failed_alike(rows).to_numpy().tolist() == [
        ["out of memory", "A", "numba", "full", 4, "gru", "forward", "float64", "2026-01-02"],
        ["timeout", "A", "numba", "slow", 3, "gru, lstm", "forward, forward + backward", "float32", "2026-01-03"],
    ]
