"""Every page on no store, an empty one, one run, several, and broken ones: through AppTest, without a browser."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.synthetic import Plan, write_store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
PAGES = {
    "overview": "Overview",
    "compare": "Compare",
    "scaling": "Scaling",
    "winner_map": "Winner map",
    "stability": "Stability",
    "coverage": "Coverage",
    "history": "History",
    "run": "Run",
    "gate": "Gate",
}
QUESTIONS = {
    "overview": "Is anything wrong or new?",
    "compare": "Is B different from A, by how much, how sure?",
    "scaling": "How does cost grow with T, H or B?",
    "winner_map": "What should I use at (T, H)?",
    "stability": "Does this gate lose or blow up gradients?",
    "coverage": "What has not been measured or is not right, and why?",
    "history": "When did it move?",
    "run": "What exactly happened?",
    "gate": "What is this gate?",
}
WITHOUT_FIGURES = ("overview", "gate", "run")
every_page = pytest.mark.parametrize("page", PAGES)


def texts(app: AppTest) -> str:
    """Return all text of a page, Markdown's escapes undone."""
    kinds = (app.title, app.markdown, app.info, app.warning, app.error, app.caption, app.code, app.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def well(app: AppTest, page: str) -> str:
    """Check that a page shows its title, its question and no traceback; returns its text."""
    assert not app.exception
    assert not app.error
    assert app.title[0].value == PAGES[page]
    found = texts(app)
    assert QUESTIONS[page] in found
    return found


def select(app: AppTest, key: str):
    return app.selectbox(key=key)


@every_page
def test_a_missing_store_is_explained_with_the_command_that_helps(opened, tmp_path, page):
    found = well(opened(tmp_path / "nowhere", page), page)
    assert "no such folder" in found
    assert "gatebench run quick" in found


@every_page
def test_an_empty_store_is_explained_with_the_command_that_helps(opened, tmp_path, page):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    found = well(opened(tmp_path / "results", page), page)
    assert "holds no run" in found
    assert "gatebench run quick --store" in found


@every_page
def test_one_run_is_shown_on_every_page(opened, one_run, page):
    app = opened(one_run, page)
    found = well(app, page)
    assert "gatebench " in found
    assert not app.warning
    assert (app.get("plotly_chart") != []) == (page not in WITHOUT_FIGURES)


@every_page
def test_broken_runs_are_one_banner_and_the_rest_works(opened, broken_run, page):
    app = opened(broken_run, page)
    found = well(app, page)
    banners = [warning.value for warning in app.warning if "broken run file" in warning.value]
    assert len(banners) == 1
    assert "3 broken" in banners[0]
    for reason in ("schema version 99", "measurements.parquet cannot be read", "manifest.json: No such file"):
        assert reason in found
    assert page in WITHOUT_FIGURES or app.get("plotly_chart")


def test_a_store_of_broken_runs_only_says_what_is_broken(opened, one_run, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(one_run, store)
    next((store / "runs").iterdir()).joinpath("manifest.json").write_text("{")
    for page in PAGES:
        found = well(opened(store, page), page)
        assert "is not JSON" in found
        assert "gatebench run quick" in found


@pytest.mark.parametrize("name", ["samples", "stability"])
def test_a_truncated_table_of_the_chosen_run_is_said_on_the_page(opened, one_run, tmp_path, name):
    store = tmp_path / "results"
    shutil.copytree(one_run, store)
    path = next((store / "runs").iterdir()) / f"{name}.parquet"
    path.write_bytes(b"PAR1")
    page = "winner_map" if name == "samples" else "stability"
    assert f"{name}.parquet cannot be read" in well(opened(store, page), page)


def test_scaling_shows_times_with_interval_and_n_and_the_compare_command(opened, one_run):
    app = opened(one_run, "scaling", fixed_h="64")
    table = app.dataframe[0].value
    assert {"T", "implementation", "time of one call (95 %)", "blocks", "samples"} <= set(table.columns)
    assert table["time of one call (95 %)"].str.fullmatch(r"[\d.]+ (ns|µs|ms|s) \([\d.]+ to [\d.]+\)").all()
    speedup = table.set_index("implementation")["speed-up over native (95 %)"]
    assert set(speedup["native"]) == {"–"}
    assert speedup.drop("native").str.fullmatch(r"[\d.]+× \([\d.]+ to [\d.]+\)").all()
    assert any("gatebench compare" in code.value and "'lstm/*/T*-B16-I*-H64/" in code.value for code in app.code)
    without = app.table[-1].value
    assert {"unavailable", "not measured"} <= set(without["status"])


def test_a_filter_in_the_url_chooses_the_view(opened, one_run):
    app = opened(one_run, "scaling", gate="gru", axis="H", per="time per token", fixed_t="128")
    assert not app.warning
    chosen = [select(app, key).value for key in ("gate", "axis", "per", "fixed_t")]
    assert chosen == ["gru", "hidden_size", "token", "128"]
    assert "gru" in app.caption[0].value
    assert "T = 128" in app.caption[0].value


def test_values_in_the_url_that_do_not_exist_are_dropped_and_named(opened, one_run):
    app = opened(one_run, "scaling", gate="nosuch", dtype="float8", colour="red", implementation=["numba", "nobody"])
    well(app, "scaling")
    note = "\n".join(warning.value for warning in app.warning)
    for part in ("gate = `nosuch`", "dtype = `float8`", "implementation = `nobody`", "`colour`"):
        assert part in note
    assert select(app, "gate").value == "lstm"
    assert set(app.dataframe[0].value["implementation"]) == {"numba"}


@pytest.mark.parametrize(("page", "key"), [("compare", "trade"), ("compare", "case"), ("history", "to_run"), ("run", "other_run")])  # fmt: skip
def test_a_value_that_a_box_below_the_title_does_not_offer_is_named_under_the_title_too(opened, one_run, page, key):
    app = opened(one_run, page, **{key: "nosuch"})
    well(app, page)
    assert sum("`nosuch` does not exist here and was dropped." in warning.value for warning in app.warning) == 1
    values = [getattr(element, "value", None) for element in app.main.children.values()]
    assert values.index(app.warning[0].value) == values.index(f"**{QUESTIONS[page]}**") + 1
    assert key not in app.query_params


def test_a_value_for_a_filter_without_a_choice_is_dropped_and_leaves_the_url(opened, one_run):
    app = opened(one_run, "scaling", cache="cold", gate="`[x](http://elsewhere)` " + 200 * "y")
    note = "\n".join(warning.value for warning in app.warning)
    assert "cache = `cold`" in note
    assert "`'[x](http://elsewhere)' yyy" in note
    assert len(note) < 400
    assert "cache" not in app.query_params


def test_changing_a_filter_changes_the_url_and_is_kept_on_other_pages(opened, one_run):
    app = opened(one_run, "scaling")
    select(app, "gate").select("gru").run()
    app.switch_page("views/winner_map.py").run()
    assert select(app, "gate").value == "gru"
    assert app.query_params["gate"] == "gru"


def test_a_value_that_another_run_lacks_is_dropped_without_a_word(opened, three_runs):
    app = opened(three_runs, "scaling")
    runs = select(app, "run").options
    select(app, "run").select_index(next(place for place, name in enumerate(runs) if name.startswith("ref."))).run()
    select(app, "gate").select("lstm").run()
    select(app, "run").select_index(0).run()
    well(app, "scaling")
    assert select(app, "gate").value == "gru"
    assert not app.warning
    assert "gate" not in app.query_params


def test_winner_map_counts_missing_cells_and_gives_the_command_that_measures_them(opened, one_run):
    app = opened(one_run, "winner_map")
    found = well(app, "winner_map")
    assert "1 of 9 cells were not measured" in found
    assert "gatebench run -g lstm" in found
    assert "--seq-len 256 --hidden-size 256" in found


def test_stability_shows_class_half_life_and_cases_without_a_value(opened, one_run):
    app = opened(one_run, "stability", seq_len="256")
    found = well(app, "stability")
    assert "T = 256" in found
    summary, without = app.table[0].value, app.table[1].value
    assert set(summary["gate"]) == {"lstm", "gru"}
    assert summary["half-life, steps"].str.contains(r"\(.+ to .+\)").all()
    assert set(without["reason"]) == {"gru has no forget gate"}


def test_a_run_without_stability_says_which_command_looks_at_gradients(opened, tmp_path):
    write_store(tmp_path / "results", Plan(seq_lens=(64,), hidden_sizes=(64,), stability=False))
    found = well(opened(tmp_path / "results", "stability"), "stability")
    assert "gatebench stability lstm gru" in found


def test_the_pages_load_neither_torch_nor_numba(one_run):
    script = f"""
import os, sys
sys.path.insert(0, {str(APP.parents[1])!r})
os.environ["GATEBENCH_STORE"] = {str(one_run)!r}
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(APP)!r}, default_timeout=60).run()
for page in {list(PAGES)!r}:
    app.switch_page(f"views/{{page}}.py").run()
    assert not app.exception and app.title[0].value, page
print(sorted({{"torch", "numba"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
