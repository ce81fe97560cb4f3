"""The printed run: filters hide rows and change no number, table and JSON agree, failures are in words."""

import json
import math
import re

import pytest

from gatebench.errors import UserError
from gatebench.report import stored_run
from gatebench.report.quantities import range_text
from gatebench.report.stored_run import View, print_run, print_stability
from gatebench.store.read import load
from tests.synthetic import Plan, write_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One synthetic run of two gates."""
    store = tmp_path_factory.mktemp("results")
    plan = Plan(gates=("lstm", "glu"), seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), failures=False)
    (run_id,) = write_store(store, plan)
    return store / "runs" / run_id


def printed(capsys, folder, **view):
    """Return what print_run prints."""
    print_run(folder, View(**view))
    return capsys.readouterr().out


def records(capsys, folder, **view):
    """Return the rows of print_run's JSON by case id."""
    return {row["case_id"]: row for row in json.loads(printed(capsys, folder, as_json=True, **view))["measurements"]}


def test_hiding_rows_changes_no_number(capsys, folder):
    whole = records(capsys, folder)
    for view in (
        {"implementations": ("numba",)},
        {"implementations": ("compile",)},
        {"gates": ("lstm",)},
        {"glob": "lstm/numba/T128*"},
        {"gates": ("family:recurrent",), "implementations": ("eager", "numba")},
    ):
        part = records(capsys, folder, **view)
        assert 0 < len(part) < len(whole)
        assert part == {case_id: whole[case_id] for case_id in part}
    assert any(row["pay_back_calls"] is not None for row in whole.values() if row["implementation"] == "compile")


def test_the_long_table_marks_the_fastest_and_names_the_baseline(capsys, folder):
    lines = [line for line in printed(capsys, folder, long=True).splitlines() if re.match(r"(lstm|glu)/", line)]
    rows = records(capsys, folder)
    assert sum(" *" in line for line in lines) == sum(row["rank"] == 1 for row in rows.values()) > 0
    for line in lines:
        assert (" baseline " in line) == (line.split()[0] == rows[line.split()[0]]["baseline_case_id"])


def test_results_say_shortly_what_they_are(folder):
    assert repr(load(folder)) == f"Results(1 runs, newest {folder.name}, 0 problems)"


def test_the_hidden_baseline_is_still_named_in_the_title(capsys, folder):
    text = printed(capsys, folder, implementations=("numba",), gates=("lstm",))
    assert "lstm, forward, float32, cpu, 2 threads: speed-up over native" in text
    cells = re.findall(r"T\d+ B16 H64 .*", printed(capsys, folder, gates=("lstm",)))
    assert len(cells) == 2
    speedup = re.search(r"[\d.]+× \[[^]]+\]", text).group()
    assert any(speedup in cell for cell in cells)


def test_the_table_shows_the_numbers_of_the_json(capsys, folder):
    rows = [row for row in records(capsys, folder).values() if row["gate"] == "lstm" and row["seq_len"] == 64]
    text = printed(capsys, folder, gates=("lstm",))
    line = next(line for line in text.splitlines() if line.startswith("T64 "))
    for row in rows:
        if row["status"] == "ok" and row["implementation"] != "native":
            shown = [float(found) for found in re.findall(r"([\d.]+)×", line)]
            assert any(value == pytest.approx(row["speedup"], rel=6e-3) for value in shown), row["implementation"]


def test_families_are_those_of_the_run(capsys, folder):
    assert {row["gate"] for row in records(capsys, folder, gates=("family:glu",)).values()} == {"glu"}
    with pytest.raises(UserError, match=r"unknown gate of this run 'family:scan'.*family:glu, family:recurrent"):
        print_run(folder, View(gates=("family:scan",)))


@pytest.mark.parametrize(
    ("view", "line"),
    [
        ({"gates": ("gru",)}, "-g: unknown gate of this run 'gru'"),
        ({"implementations": ("nunba",)}, "-i: unknown implementation of this run 'nunba'.*did you mean 'numba'"),
        ({"modes": ("backward",)}, "-m: unknown mode of this run 'backward'"),
        ({"glob": "nothing"}, "-k: 'nothing' matches no case of this run"),
        ({"by": ("gates",)}, "--by: unknown column 'gates'; accepted: batch, .*; did you mean 'gate'"),
        ({"baseline": "cudnn"}, "--baseline: unknown timed implementation of this run 'cudnn'"),
    ],
)
def test_names_that_the_run_lacks_are_errors(folder, view, line):
    with pytest.raises(UserError, match=line):
        print_run(folder, View(**view))


def test_the_gradient_line_stands_once_per_gate_and_many_tables_end_in_a_summary(capsys, tmp_path):
    plan = Plan(
        gates=("lstm", "gru"),
        seq_lens=(64,),
        hidden_sizes=(64,),
        modes=("forward", "backward", "forward_backward"),
        failures=False,
    )
    (run_id,) = write_store(tmp_path, plan)
    text = printed(capsys, tmp_path / "runs" / run_id)
    lines = [line for line in text.splitlines() if line.startswith("  gradient: ")]
    assert len(lines) == len(set(lines)) > 0
    summary = text[text.index("The fastest, and") :]
    assert (
        len(
            re.findall(
                r"^(lstm|gru), (forward|backward|forward_backward), float32, cpu, 2 threads ", summary, re.MULTILINE
            )
        )
        == 6
    )
    assert "T64 B16 H64: numba" in summary


def test_stability_of_hidden_gates_is_hidden_in_json_too(capsys, folder):
    found = json.loads(printed(capsys, folder, as_json=True, gates=("glu",)))
    assert {row["gate"] for row in found["stability"]} == {"glu"}


def test_a_folded_stability_table_says_in_each_part_what_a_row_is(capsys, monkeypatch, folder):
    title, header, *rows = stability_table(capsys, monkeypatch, folder, 120)
    assert title.endswith(", inputs normal, seeds 3)")  # what all rows share stands there, and only there
    assert header.split()[:5] == ["gate", "init", "dtype", "shape", "class"]
    names = {tuple(re.split(r"  +", row)[:4]) for row in rows}
    assert len(names) == len(rows) > 4
    parts = [line for line in stability_table(capsys, monkeypatch, folder, 75) if line.startswith(("lstm", "glu"))]
    assert len(parts) in (2 * len(rows), 3 * len(rows))
    assert {tuple(re.split(r"  +", line)[:4]) for line in parts} == names


@pytest.mark.parametrize(
    ("estimate", "text"),
    [((-0.4873, -0.5561, -0.4185), "-0.49 (-0.56 to -0.42)"), ((-math.inf, math.nan, math.nan), "-∞ (no interval)"),
     ((0.0012, -0.0034, 0.0058), "0.0012 (-0.0034 to 0.0058)"), ((None, None, None), "–"),
     ((math.inf, 3.0, math.inf), "never (3.0 to never)")],
)  # fmt: skip
def test_a_number_and_its_range(estimate, text):
    assert range_text(*estimate, infinite="never") == text


def stability_table(capsys, monkeypatch, folder, columns):
    """Return the title and the lines of print_stability's table, without rules and notes."""
    monkeypatch.setenv("COLUMNS", str(columns))
    print_stability(folder, as_json=False)
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    return [line for line in lines if not line.startswith(("─", " "))]


def test_what_failed_in_stability_is_printed_with_its_reason(capsys, monkeypatch, folder):
    results = load(folder)
    stability = results.stability.copy()
    stability.loc[stability["gate"] == "lstm", ["status", "reason"]] = ["timeout", "no answer to stability in time"]
    vars(results)["stability"] = stability
    monkeypatch.setattr(stored_run, "load", lambda path: results)
    text = printed(capsys, folder)
    assert "lstm, init torch, forget_bias=1: timeout: no answer to stability in time" in text
    assert "gradient: " not in text.split("\nglu, ")[0]


def busy(results, share):
    """Return results of which this share of all rounds was disturbed and kept."""
    samples = results.samples.copy()
    hit = samples["round"] < share * (samples["round"].max() + 1)
    samples.loc[hit, "reason"] = "other processes: 60 % of the machine's CPU time"
    vars(results)["samples"] = samples
    return results


def test_a_case_that_others_disturbed_is_marked_and_nobody_wins_by_it(capsys, monkeypatch, folder):
    quiet = printed(capsys, folder)
    assert "!" not in quiet
    monkeypatch.setattr(stored_run, "load", lambda path: busy(load(path), 0.5))
    text = printed(capsys, folder)
    assert re.search(r"× \[[^]]+\] !", text)
    assert not re.search(r"[]s] [*=]", text.split("* fastest")[0])
    assert "0 won 0 lost 2 inconclusive" in text
    assert "! inconclusive: others disturbed over a fifth of its samples" in text
    assert re.search(r"^lstm/\S+ +ok +[\d.]+ .s !", printed(capsys, folder, long=True), re.M)
    shares = {row["disturbed_share"] for row in records(capsys, folder).values() if row["status"] == "ok"}
    assert shares == {0.5}


def far_apart(results):
    """Return results in whose first block numba was a thousand times as fast."""
    samples = results.samples.copy()
    first = (samples["block"] == 0) & samples["case_id"].str.contains("/numba/")
    samples["wall_ns"] = samples["wall_ns"].where(~first, samples["wall_ns"] / 1000)
    vars(results)["samples"] = samples
    return results


@pytest.mark.parametrize("view", [{}, {"long": True}, {"by": ("gate",)}])
def test_a_wide_interval_is_explained_where_one_stands(capsys, monkeypatch, folder, view):
    assert "wide" not in printed(capsys, folder, **view)
    monkeypatch.setattr(stored_run, "load", lambda path: far_apart(load(path)))
    text = printed(capsys, folder, **view)
    assert "× [wide]" in text
    assert text.count("[wide] an interval whose ends are more than twentyfold apart") == 1


def test_means_by_columns_stand_in_for_the_tables(capsys, folder):
    rows = printed(capsys, folder, by=("gate", "seq_len", "gate")).splitlines()
    assert rows[1].split()[:4] == ["gate", "seq_len", "competitor", "over"]
    groups = [tuple(line.split()[:2]) for line in rows[3 : rows.index("")]]
    assert list(dict.fromkeys(groups)) == [("lstm", "64"), ("lstm", "128"), ("glu", "64"), ("glu", "128")]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)  # a group's rows stand together
    assert not any(line.startswith("T64") or "fastest" in line for line in rows)
    found = json.loads(printed(capsys, folder, by=("implementation",), as_json=True))
    assert found["by"] == ["implementation"]
    assert {mean["implementation"]: mean["problems"] for mean in found["geometric_means"]} == dict.fromkeys(["eager", "compile", "numba"], 4)  # fmt: skip
    assert "geometric_means" not in json.loads(printed(capsys, folder, as_json=True))


def test_means_over_what_is_shown_change_no_mean(capsys, folder):
    whole = printed(capsys, folder, by=("gate",)).splitlines()
    part = printed(capsys, folder, by=("gate",), implementations=("numba",)).splitlines()
    row = next(line.split() for line in part if line.startswith("lstm"))
    assert row in [line.split() for line in whole]
    assert "nothing has a speed-up" in printed(capsys, folder, by=("gate",), implementations=("native",))


def test_a_row_per_case_is_one_line_however_long_its_id(capsys, folder):
    text = printed(capsys, folder, long=True)
    rows = {line.split()[0]: line.split() for line in text.splitlines() if re.match(r"(lstm|glu)/", line)}
    assert rows.keys() == records(capsys, folder).keys()
    assert max(len(line) for line in text.splitlines()) > 100
    for case_id, row in records(capsys, folder).items():
        assert rows[case_id][1] == row["status"]


def test_a_table_wider_than_the_page_goes_on_below_with_its_shapes(capsys, monkeypatch, folder):
    monkeypatch.setenv("COLUMNS", "1000")
    whole = printed(capsys, folder, gates=("lstm",))
    monkeypatch.setenv("COLUMNS", "50")
    lines = printed(capsys, folder, gates=("lstm",)).splitlines()
    header = next(line for line in whole.splitlines() if line.startswith("shape"))
    row = next(line for line in whole.splitlines() if line.startswith("T64 "))
    assert len(header) > 50
    for line in (header, row):  # nothing lost, in the old order, the first column in each part
        first, *rest = re.split(r"  +", line.strip())
        parts = [re.split(r"  +", found.strip()) for found in lines if found.startswith(first)]
        assert len(parts) > 1
        assert [cell for part in parts for cell in part[1:]] == rest
        assert {part[0] for part in parts} == {first}
