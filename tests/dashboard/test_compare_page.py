"""The page Compare: any two sides, their numbers and outcomes, what has none and why, and what speed costs."""

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.report.stored_ab import write_ab
from tests.synthetic import Plan, write_store

SMALL = Plan(
    runs=4, machines=("EPYC", "M3"), suites=("quick",), seq_lens=(64, 128), hidden_sizes=(64, 128), steps={"numba": (2, 1.5)}
)  # fmt: skip
KINDS = ("implementations", "runs", "commits", "dtypes", "machines")


@pytest.fixture(scope="module")
def four_runs(tmp_path_factory):
    """A store with two runs on each of two machines, of four commits; numba is half as fast again in the later two."""
    store = tmp_path_factory.mktemp("four") / "results"
    write_store(store, SMALL)
    return store


@pytest.fixture
def opened(opened):
    """Return a function that opens the compare page over a store, with query parameters."""

    def open_page(store: Path, **query: str | list[str]) -> AppTest:
        app = opened(store, "compare", **query)
        assert not app.exception
        assert app.title[0].value == "Compare"
        return app

    return open_page


def texts(app: AppTest) -> str:
    kinds = (app.markdown, app.info, app.warning, app.caption, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def effects(app: AppTest):
    """Return the table of cases that have a number."""
    return app.dataframe[0].value


def command(app: AppTest) -> str:
    """Return the command that the page gives."""
    return next(code.value for code in reversed(app.code) if code.value.startswith("gatebench "))


def charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_implementations_of_a_run_are_compared_over_the_usual_baseline(opened, four_runs):
    app = opened(four_runs)
    found, table = texts(app), effects(app)
    assert "**A** native" in found
    assert "Student's t over paired blocks" in found
    effect = table["speed-up of B over A (95 %)"]
    assert effect.str.fullmatch(r"[\d.]+× \([\d.]+ to [\d.]+\)").all()
    assert set(table["n"]) == {"3 pairs of blocks"}
    assert table["A"].str.fullmatch(r"[\d.]+ (µs|ms) \([\d.]+ to [\d.]+\)").all()
    assert charts(app) == 2
    assert f"--baseline native -i native -i {app.selectbox(key='competitor').value}" in found


def test_both_sides_are_chosen_by_the_url(opened, four_runs):
    app = opened(four_runs, baseline="eager", competitor="numba", gates="gru", modes="forward")
    assert not app.warning
    assert "**A** eager  \n**B** numba" in texts(app)
    assert set(effects(app)["gate, mode"]) == {"gru, forward"}
    assert set(effects(app)["outcome"]) == {"faster"}
    assert "gatebench compare" in command(app)
    assert "--baseline eager -i eager -i numba -g gru -m forward" in command(app)


def test_two_devices_of_unknown_class_are_two_machines(opened, tmp_path):
    write_store(tmp_path / "results", Plan(runs=2, machines=("EPYC", "M3"), suites=("quick",), seq_lens=(64,), hidden_sizes=(64,), failures=False))  # fmt: skip
    for path in (tmp_path / "results").glob("*/*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"environment_class": None}))
    assert "This store has no two runs of one machine." in texts(opened(tmp_path / "results", sides="runs"))
    assert "on EPYC" in texts(opened(tmp_path / "results", sides="machines"))


def test_a_picked_case_opens_the_raw_samples_of_both_sides(opened, four_runs):
    app = opened(four_runs, competitor="numba")
    case = app.selectbox(key="case").options[0]
    assert app.selectbox(key="case").value is None
    before = charts(app)
    app.selectbox(key="case").select(case).run()
    assert not app.exception
    found = texts(app)
    assert f"**B** {case}" in found
    assert f"**A** {case.replace('numba', 'native')}" in found
    assert charts(app) == before + 4, "samples and autocorrelation of each side"
    assert app.query_params["case"] in (case, [case])


def test_a_case_of_one_side_alone_opens_the_samples_that_there_are(opened, four_runs):
    case = "lstm/cudnn/T64-B16-I64-H64/float32/cpu-2/forward"
    app = opened(four_runs, competitor="cudnn", case=case)
    found = texts(app)
    assert f"**B** {case}" in found
    assert "There are no raw samples of this case: it was not timed." in found
    assert "n = 3 blocks" in found


def test_an_implementation_that_never_ran_is_offered_with_its_reason(opened, four_runs):
    app = opened(four_runs, competitor="cudnn")
    assert "No case has a number" in str(app.get("plotly_chart")[0].proto)
    without = app.table[0].value
    assert without[["implementation", "outcome"]].to_numpy().tolist()[0] == ["cudnn", "out of memory"]
    assert "native" not in set(without["implementation"])
    assert without["why"].str.contains("no CUDA device").any()
    assert "unavailable" in set(without["outcome"])


def test_runs_of_one_machine_are_changes_and_no_verdict(opened, four_runs):
    app = opened(four_runs, sides="runs", implementation="numba")
    found, table = texts(app), effects(app)
    assert "Stored runs cannot gate" in found
    assert "change seen here is no verdict" in found
    assert set(table["n"]) == {"3 and 3 blocks"}
    assert table["change from A to B (95 %)"].str.match(r"\+[3-7]\d\.\d % \[").all(), "numba takes half as much again"
    assert set(table["outcome"]) == {"slower"}
    a, b = app.selectbox(key="run_a").value, app.selectbox(key="run").value
    assert a < b
    assert f"gatebench compare {a} {b} -i numba" in command(app)


def test_runs_of_another_machine_are_never_offered_as_a_change(opened, four_runs):
    app = opened(four_runs, sides="runs")
    assert len(app.selectbox(key="run").options) == 4
    assert len(app.selectbox(key="run_a").options) == 1


def test_machines_are_speeds_and_no_change_of_the_code(opened, four_runs):
    app = opened(four_runs, sides="machines")
    found = texts(app)
    assert "speeds of two machines" in found
    assert " on M3" in found
    assert " on EPYC" in found
    assert "speed-up of B over A (95 %)" in effects(app)
    assert "--across-machines" in command(app)


def test_commits_without_an_ab_are_two_runs_of_one_machine(opened, four_runs):
    app = opened(four_runs, sides="commits")
    found = texts(app)
    assert "cannot gate" in found
    assert "**A** 0000000000, 2026" in found
    assert len(app.selectbox(key="commit_a").options) == 1


def test_the_verdicts_of_an_ab_are_shown_as_stored(opened, four_runs, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(four_runs, store)
    folder = write_ab(store)
    app = opened(store, sides="commits")
    found, table = texts(app), effects(app)
    assert "**A** main bbbbbbbbbb  \n**B** working tree cccccccccc with uncommitted changes" in found
    assert table["verdict"].tolist() == ["same", "inconclusive"], "the control is none of them"
    assert table["why"].tolist()[1].startswith("seems slower, but was not confirmed")
    assert table["detectable"].str.endswith(" %").all()
    assert "cannot gate" not in found
    assert f"gatebench compare {folder.name} --long" in command(app)
    app = opened(store, sides="commits", ab="two runs of two commits")
    assert "cannot gate" in texts(app)


def test_dtypes_of_one_run_are_compared_case_by_case(opened, tmp_path):
    plan = Plan(seq_lens=(64,), hidden_sizes=(64, 128), dtypes=("float32", "bfloat16"), failures=False)
    write_store(tmp_path / "results", plan)
    app = opened(tmp_path / "results", sides="dtypes")
    assert "**A** float32  \n**B** bfloat16" in texts(app)
    assert {"native T64 B16 H64", "numba T64 B16 H128"} <= set(effects(app)["case"])
    assert set(effects(app)["n"]) == {"3 pairs of blocks"}
    app = opened(tmp_path / "results", dtypes="bfloat16")
    assert command(app).split(" --store")[0].endswith("-k '*/bfloat16/*'")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("runs", "no two runs of one machine"), ("commits", "no A/B run, and no two commits"), ("dtypes", "two dtypes"),
        ("machines", "runs of one machine only"),
    ],
)  # fmt: skip
def test_sides_that_a_store_does_not_hold_are_explained_with_a_command(opened, one_run, kind, what):
    app = opened(one_run, sides=kind)
    assert what in texts(app)
    assert command(app).startswith("gatebench ")
    assert charts(app) == 0


def test_a_run_of_one_implementation_says_what_is_needed(opened, tmp_path):
    write_store(
        tmp_path / "results", Plan(implementations=("native",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    )
    assert "has one implementation, native" in texts(opened(tmp_path / "results"))


def test_a_run_without_a_time_says_so(opened, tmp_path):
    write_store(
        tmp_path / "results", Plan(implementations=("cudnn",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    )
    assert "Nothing in this run has a time." in texts(opened(tmp_path / "results"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dtypes"])  # of which these runs have one
def test_runs_whose_samples_cannot_be_read_are_said_and_nothing_breaks(opened, four_runs, tmp_path, kind):
    store = tmp_path / "results"
    shutil.copytree(four_runs, store)
    for folder in (store / "runs").iterdir():
        (folder / "samples.parquet").write_bytes(b"PAR1")
    assert "samples.parquet cannot be read" in texts(opened(store, sides=kind))


@pytest.mark.parametrize(
    ("query", "method"), [({"gates": "nosuch"}, "Student's t over paired blocks"), ({"sides": "runs"}, "Welch's t over the blocks of both runs")]
)  # fmt: skip
def test_the_legend_names_the_interval_of_these_sides_whatever_has_one(opened, four_runs, tmp_path, query, method):
    store = tmp_path / "results"
    shutil.copytree(four_runs, store)
    for folder in (store / "runs").iterdir():
        (folder / "samples.parquet").write_bytes(b"PAR1")
    assert method in texts(opened(store, **query))


def test_baselines_are_offered_the_usual_one_first_the_rest_by_name(opened, four_runs):
    options = opened(four_runs).selectbox(key="baseline").options
    assert options == ["native", *sorted(set(options) - {"native"})]
    assert len(options) > 3


def test_speed_is_traded_against_error_with_what_has_no_point_in_words(opened, four_runs):
    app = opened(four_runs, gate="gru", shape="T64 B16 H64")
    table = app.dataframe[1].value
    assert {"implementation", "time of one call (95 %)", "blocks", "error ratio", "frontier"} == set(table.columns)
    assert "yes" in set(table["frontier"])
    assert "gru · forward · float32 · T64 B16 H64" in texts(app)
    assert app.table[-1].value["why"].tolist() == [
        "unavailable\\: cudnn\\: no CUDA device; a machine with an NVIDIA GPU is needed"
    ]


def test_speed_is_traded_against_the_half_life_of_every_gate(opened, four_runs):
    app = opened(four_runs, trade="half-life of gradients, steps", shape="T64 B16 H64")
    found, table = texts(app), app.dataframe[1].value
    assert "Half-lives are the gates' own" in found
    assert "torch init, float32, T = 64, H = 64." in found, "the shape that is timed"
    assert {"lstm by native", "gru by numba"} <= set(table["implementation"])
    halves = table.set_index("implementation")["half-life of gradients, steps (deciles)"]
    assert halves["lstm by native"] == halves["lstm by numba"]
    other = opened(four_runs, trade="half-life of gradients, steps", shape="T64 B16 H128")
    assert "T = 64, H = 64; timed are T = 64, H = 128." in texts(other)


def test_a_quantity_that_nobody_measured_is_said(opened, four_runs):
    app = opened(four_runs, trade="peak memory of one call", shape="T64 B16 H64")
    assert "No case here has both numbers" in str(app.get("plotly_chart")[-1].proto)
    assert "peak memory of one call\\: not measured" in set(app.table[-1].value["why"])


def test_a_run_without_gradients_has_no_half_lives_and_says_which_command_finds_them(opened, tmp_path):
    write_store(tmp_path / "results", Plan(seq_lens=(64,), hidden_sizes=(64,), stability=False, failures=False))
    app = opened(tmp_path / "results", trade="half-life of gradients, steps")
    assert "gatebench stability" in texts(app)
