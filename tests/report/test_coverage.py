"""What was measured, what is not right and why, what is missing, and the commands that measure it."""

import pandas as pd
import pytest

from gatebench.report.coverage import (
    NEEDED,
    counts,
    coverage_cells,
    newest_cases,
    not_measured,
    nowhere_available,
    reasons,
)
from gatebench.report.run_commands import boxes, run_commands


def case(gate="lstm", implementation="native", status="ok", hidden_size=64, run_id="r1", **more):
    """Return one case with the columns of `newest_cases`."""
    mode = more.get("mode", "forward")
    values = {
        "run_id": run_id, "problem_id": f"{gate}/H{hidden_size}/{mode}", "side": "run", "gate": gate, "gate_options": "{}",
        "case_id": f"{gate}/{implementation}/H{hidden_size}/{mode}", "implementation": implementation,
        "implementation_options": "{}", "mode": mode, "dtype": "float32", "device": "cpu", "threads": 2, "batch": 16,
        "seq_len": 128, "input_size": hidden_size, "hidden_size": hidden_size, "cache": "hot", "launch": "eager", "seed": 0,
        "status": status, "reason": None if status == "ok" else f"{implementation} says {status}", "date": "2026-11-20 23:15",
    }  # fmt: skip
    return values | more


def cells_of(*cases):
    return coverage_cells(pd.DataFrame(cases)).set_index(["gate", "implementation"])


def test_a_cell_has_the_worst_status_and_counts_by_status():
    cells = cells_of(
        case(), case(hidden_size=128, status="wrong"), case(hidden_size=256, status="unsupported"),
        case(hidden_size=512, status="timeout"), case(hidden_size=1024),
    )  # fmt: skip
    cell = cells.loc[("lstm", "native")]
    assert (cell["status"], cell["cases"], cell["missing"]) == ("wrong", 5, 0)
    assert counts(cell) == ["1 wrong", "1 timeout", "1 unsupported", "2 ok"]


def test_a_pair_that_nobody_measured_has_a_cell():
    cells = cells_of(case("lstm", "native"), case("gru", "numba"))
    assert dict(cells["status"]) == {
        ("gru", "native"): "not measured", ("gru", "numba"): "ok", ("lstm", "native"): "ok", ("lstm", "numba"): "not measured",
    }  # fmt: skip
    assert counts(cells.loc[("gru", "native")]) == ["1 not measured"]


def test_problems_that_only_others_have_are_missing():
    cells = cells_of(case(), case(hidden_size=128), case(hidden_size=256), case(implementation="numba"))
    assert cells.loc[("lstm", "numba"), ["status", "cases", "missing"]].to_list() == ["ok", 1, 2]
    assert counts(cells.loc[("lstm", "numba")]) == ["1 ok", "2 not measured"]


def test_variants_of_an_implementation_are_cases_of_one_problem():
    variant = case(case_id="other", implementation_options='{"chunk": 32}')
    cells = cells_of(case(), variant, case(implementation="numba"))
    assert cells.loc[("lstm", "native"), ["cases", "missing"]].to_list() == [2, 0]


def test_built_in_implementations_come_first_in_their_fixed_order():
    names = ["mylab:b", "numba", "eager", "mylab:a", "native"]
    cells = coverage_cells(pd.DataFrame([case(implementation=name) for name in names]))
    assert list(cells["implementation"]) == ["eager", "native", "numba", "mylab:a", "mylab:b"]


def test_without_cases_there_are_no_cells():
    assert coverage_cells(pd.DataFrame(columns=NEEDED)).empty


def test_the_newest_measurement_of_each_case_counts():
    found = newest_cases(
        pd.DataFrame([case(run_id="r1", status="failed"), case(run_id="r2"), case(run_id="r1", hidden_size=128)])
    )
    assert list(zip(found["run_id"], found["hidden_size"], found["status"], strict=True)) == [
        ("r2", 64, "ok"),
        ("r1", 128, "ok"),
    ]


@pytest.mark.parametrize("order", [("base", "head"), ("head", "base")])
def test_of_two_versions_the_head_counts(order):
    status = {"base": "ok", "head": "wrong"}
    found = newest_cases(pd.DataFrame([case(side=side, status=status[side]) for side in order]))
    assert list(found["side"]) == ["head"]


def test_rows_that_name_no_gate_are_no_cases():
    assert newest_cases(pd.DataFrame([case(gate=None), case(implementation=None)])).empty


def test_reasons_are_gathered_the_worst_first_with_the_date_they_were_last_seen():
    older = case("gru", "numba", "wrong", 128, date="2026-11-01 08:00")
    rows = [case("gru", "cudnn", "unavailable"), case("gru", "numba", "wrong"), older, case()]
    table = reasons(pd.DataFrame(rows))
    assert table.to_dict("split")["data"] == [
        ["wrong", "numba", "gru", "numba says wrong", 2, "2026-11-20 23:15"],
        ["unavailable", "cudnn", "gru", "cudnn says unavailable", 1, "2026-11-20 23:15"],
    ]


def test_a_missing_reason_is_said():
    rows = [case(status="failed", reason=None), case(hidden_size=128, status="failed", reason="")]
    assert reasons(pd.DataFrame(rows))[["reason", "cases"]].to_numpy().tolist() == [["no reason given", 2]]


def test_all_ok_has_no_reasons():
    assert reasons(pd.DataFrame([case()])).empty


def test_not_measured_lists_the_problems_that_an_implementation_lacks():
    rows = [case(), case(hidden_size=128), case(implementation="numba"), case("gru", "native")]
    found = not_measured(pd.DataFrame(rows))
    listed = list(
        zip(found["gate"], found["implementation"], found["hidden_size"], found["tried"].map(bool), strict=True)
    )
    assert listed == [("lstm", "numba", 128, True), ("gru", "numba", 64, False)]


def test_an_implementation_without_any_available_case_is_named_with_its_reason():
    rows = [case(implementation="cudnn", status="unavailable", reason="no CUDA device"), case(), case("gru", "numba")]
    rows += [case("gru", "native", "unavailable")]
    assert nowhere_available(pd.DataFrame(rows)) == {"cudnn": "no CUDA device"}


def test_boxes_are_products_and_hold_each_cell_once():
    cells = [(1, 64), (1, 128), (2, 64), (2, 128), (3, 64)]
    assert sorted(boxes(cells, 2)) == [((1, 2), (64, 128)), ((3,), (64,))]
    # Another axis first would need as many boxes; none may hold (2, 128), which nobody asked for.
    corner = boxes([(1, 64), (1, 128), (2, 64)], 2)
    held = [(a, b) for first, second in corner for a in first for b in second]
    assert sorted(held) == [(1, 64), (1, 128), (2, 64)]


def test_one_command_measures_what_is_a_product_of_axes():
    rows = [case(g, i, hidden_size=h) for g in ("gru", "lstm") for i in ("numba", "eager") for h in (64, 128)]
    commands, left = run_commands(pd.DataFrame(rows))
    text = "gatebench run -g gru,lstm -i numba,eager -m forward --dtype float32 --batch 16 --seq-len 128 --hidden-size 64,128 --device cpu --threads 2"
    assert [(" ".join(words), count) for words, count in commands] == [(text, 8)]
    assert left == 0


def test_commands_measure_every_missing_case_once_and_no_other():
    rows = [case(hidden_size=64), case(hidden_size=128, mode="backward"), case("gru", hidden_size=128)]
    commands, _ = run_commands(pd.DataFrame(rows))
    assert sum(count for _, count in commands) == 3
    assert len(commands) == 3


def test_commands_name_input_sizes_and_options_that_are_not_the_usual_ones():
    wide = case(input_size=32, gate_options='{"num_layers": 2, "bidirectional": true}')
    [(words, count)], _ = run_commands(pd.DataFrame([wide]))
    text = " ".join(words)
    assert count == 1
    assert "--input-size 32" in text
    assert text.endswith("-o lstm.bidirectional=true -o lstm.num_layers=2")


def test_what_no_command_can_measure_is_counted():
    rows = [case(cache="cold"), case(launch="graph"), case(seed=3), case(seq_len=None), case(gate_options="{")]
    assert run_commands(pd.DataFrame(rows)) == ([], 5)


def test_cuda_cases_name_no_threads():
    [(words, _)], _ = run_commands(pd.DataFrame([case(device="cuda", threads=None)]))
    assert words[-2:] == ["--device", "cuda"]
