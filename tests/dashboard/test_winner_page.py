"""The Winner map's question: what to use at one T, H and B, how sure, what it costs, and the command where nobody measured it."""

from dataclasses import replace
from urllib.parse import parse_qs

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_pages import texts, well

from dashboard import elements
from dashboard.views import winner_map
from gatebench.report.winners import CELL_COLUMNS
from tests.synthetic import Plan, write_store

CELLS = pd.DataFrame(columns=pd.Index(CELL_COLUMNS))


def answer(app) -> str:
    return app.success[0].value.replace("\\", "")


def test_the_gate_is_chosen_beside_the_sizes_or_in_the_sidebar(opened, one_run):
    app = opened(one_run, "winner_map", ask_t="64", ask_h="64")
    second = app.selectbox(key="second_box_of_gate")
    assert (second.value, second.options) == ("lstm", app.selectbox(key="gate").options)
    second.select("gru").run()
    assert app.selectbox(key="gate").value == "gru"
    assert app.query_params["gate"] in ("gru", ["gru"])
    assert "gru · " in well(app, "winner_map")
    app.selectbox(key="gate").select("lstm").run()
    assert app.selectbox(key="second_box_of_gate").value == "lstm"
    assert [app.text_input(key=key).value for key in ("ask_t", "ask_h")] == ["64", "64"]


def test_without_a_question_the_page_says_how_to_ask(opened, one_run):
    found = well(opened(one_run, "winner_map"), "winner_map")
    assert "Type T and H, or click a cell of the map" in found


def test_a_measured_size_is_answered_with_time_margin_n_and_compile_cost(opened, one_run):
    app = opened(one_run, "winner_map", ask_t="64", ask_h="64")
    well(app, "winner_map")
    found = answer(app)
    assert found.startswith("**T = 64, H = 64, B = 16: numba, ")
    assert "× (" in found
    assert (
        "95 % intervals over 3 blocks of fresh processes; nothing is known of its first call; its memory was not measured."
        in found
    )
    table = app.table[0].value.set_index("implementation")
    assert table.loc["compile", "first call, beyond a usual one"].replace("\\", "") == "300 ms (filled caches)"
    assert table.loc["cudnn", "status"].startswith("unavailable")
    assert "Shown: numba" in texts(app)
    assert "kept samples" in texts(app)


def test_the_samples_of_another_case_can_be_chosen(opened, one_run):
    app = opened(one_run, "winner_map", ask_t="64", ask_h="64", ask_case="native")
    well(app, "winner_map")
    assert "Shown: " not in texts(app)
    assert app.selectbox(key="ask_case").value == "lstm/native/T64-B16-I64-H64/float32/cpu-2/forward"


def test_what_nobody_measured_says_so_with_the_nearest_and_the_command(opened, one_run):
    app = opened(one_run, "winner_map", gate="gru", ask_t="512", ask_h="200", ask_b="16")
    well(app, "winner_map")
    warning = app.warning[0].value.replace("\\", "")
    assert "T = 512, H = 200, B = 16: not measured in this run." in warning
    assert (
        "The nearest that is: T = 256, H = 128, B = 16" in warning or "The nearest that is: T = 128, H = 256" in warning
    )
    command = next(code.value for code in app.code if "--seq-len 512" in code.value)
    assert command.startswith("gatebench run -g gru -i ")
    assert "--batch 16 --seq-len 512 --hidden-size 200" in command


def test_what_another_run_of_the_machine_measured_is_a_click_away(opened, tmp_path):
    store = tmp_path / "results"
    plan = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    (older,) = write_store(store, replace(plan, gates=("lstm", "gru")))  # by itself it would show lstm
    (newer,) = write_store(store, replace(plan, seq_lens=(128,), seed=1))
    app = opened(store, "winner_map", run=newer, ask_t="64", ask_h="64")
    assert "not measured in this run" in app.warning[0].value
    app.button(key="elsewhere").click().run()
    assert app.selectbox(key="run").value == older
    assert app.selectbox(key="gate").value == "gru"
    assert ": numba, " in answer(app)
    assert [button.key for button in opened(store, "winner_map", ask_t="512", ask_h="64").button] == []


def test_a_size_that_failed_says_why(opened, one_run):
    app = opened(one_run, "winner_map", ask_t="256", ask_h="64")
    well(app, "winner_map")
    assert "measured, and no implementation has a time" in app.warning[0].value
    assert any("out of memory" in status for status in app.table[0].value["status"])


def test_a_size_that_is_right_and_was_not_timed_has_no_time(opened, tmp_path):
    (run_id,) = write_store(tmp_path, Plan(gates=("gru",), seq_lens=(64, 128), hidden_sizes=(64,), failures=False))
    path = tmp_path / "runs" / run_id / "measurements.parquet"
    stored = pq.read_table(path)
    rows = stored.to_pandas()
    rows = rows[rows["status"] == "ok"]
    times = rows[["time_ns", "ci_low_ns", "ci_high_ns"]].where(rows["seq_len"] != 64)
    table = pa.Table.from_pandas(rows.assign(**times), schema=stored.schema, preserve_index=False)
    pq.write_table(table, path)
    app = opened(tmp_path, "winner_map", ask_t="64", ask_h="64")
    found = well(app, "winner_map")
    assert "measured, and no implementation has a time" in app.warning[0].value
    assert "1 of 2 cells have no time." in found


def test_the_link_of_the_view_holds_the_question(opened, one_run):
    app = opened(one_run, "winner_map", ask_t="64", ask_h="64", calls="10")
    link = next(code.value for code in app.code if "ask_t=64" in code.value)
    assert {"ask_t": ["64"], "ask_h": ["64"], "calls": ["10"]}.items() <= parse_qs(link.partition("?")[2]).items()


def test_a_margin_whose_interval_holds_one_is_not_sure_and_more_blocks_are_advised(opened, tmp_path):
    (run_id,) = write_store(
        tmp_path / "results", Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    )
    path = tmp_path / "results" / "runs" / run_id / "samples.parquet"
    stored = pq.read_table(path)
    samples = stored.to_pandas()
    apart = samples["block"].map({0: 1 / 30}).fillna(1.0)  # one block of the winner was thirty times faster
    of_winner = samples["case_id"].str.contains("/numba/")
    slower = samples.assign(wall_ns=samples["wall_ns"].where(~of_winner, samples["wall_ns"] * apart))
    pq.write_table(pa.Table.from_pandas(slower, schema=stored.schema, preserve_index=False), path)
    app = opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64")
    assert not app.success
    (warning,) = (found.value.replace("\\", "") for found in app.warning if "T = 64" in found.value)
    assert "as it looks" in warning
    assert "**not sure**: the interval of the margin contains 1" in warning
    assert any(code.value.endswith("--blocks 10") for code in app.code)


def test_a_winner_that_shares_no_block_with_the_next_says_so(opened, tmp_path):
    plan = Plan(gates=("gru",), implementations=("native", "numba"), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    (run_id,) = write_store(tmp_path / "results", plan)
    path = tmp_path / "results" / "runs" / run_id / "samples.parquet"
    stored = pq.read_table(path)
    samples = stored.to_pandas()
    apart = samples.assign(block=samples["block"] + 100 * samples["case_id"].str.contains("native"))
    pq.write_table(pa.Table.from_pandas(apart, schema=stored.schema, preserve_index=False), path)
    app = opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64")
    found = well(app, "winner_map")
    assert not app.success
    assert "native is the next, and no block has readable samples of both" in found
    assert "1 winner without an interval: one block, or none in common with the next." in found


@pytest.mark.parametrize("reason", [None, "steal: 9 %"])
def test_a_tie_is_an_answer_unless_the_machine_was_too_busy_to_tell_one(opened, tmp_path, reason):
    plan = Plan(gates=("gru",), implementations=("native", "numba"), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    (run_id,) = write_store(tmp_path / "results", plan)
    path = tmp_path / "results" / "runs" / run_id / "samples.parquet"
    stored = pq.read_table(path)
    samples = stored.to_pandas()
    alike = samples["case_id"].str.replace("native", "numba")
    noise = 1 + 0.01 * ((samples["block"] + samples["case_id"].str.contains("native")) % 2)
    tied = samples.assign(wall_ns=samples["wall_ns"].groupby(alike).transform("median") * noise, reason=reason)
    pq.write_table(pa.Table.from_pandas(tied, schema=stored.schema, preserve_index=False), path)
    app = opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64")
    said = [found.value for found in (*app.success, *app.warning) if "T = 64" in found.value]
    assert "as fast, as far as can be told" in said[0]
    assert ("too busy" in said[0], bool(app.success)) == (reason is not None, reason is None)
    assert any(code.value.endswith("--blocks 10") for code in app.code) == (reason is not None)


def test_the_command_that_measures_leaves_out_what_needs_a_file(opened, tmp_path):
    names = ("eager", "mylab:fast")
    write_store(tmp_path / "results", Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), implementations=names, failures=False))  # fmt: skip
    app = opened(tmp_path / "results", "winner_map", ask_t="999", ask_h="64")
    assert any(" -i eager " in code.value and "--seq-len 999" in code.value for code in app.code)


def test_few_calls_do_not_pay_back_compiling(opened, tmp_path):
    plan = Plan(
        gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), implementations=("eager", "compile"), failures=False
    )
    write_store(tmp_path / "results", plan)
    alone = opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64")
    assert ": compile, " in answer(alone)
    assert "its first call takes 300 ms with filled compile caches; with empty ones it was not measured" in answer(
        alone
    )
    few = opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64", calls="10")
    assert ": eager, " in answer(few)
    assert "the first call paid back over 10 calls" in answer(few)
    assert "over 1 call; " in answer(opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64", calls="1"))
    assert "time + cost of the first call / 10" in texts(few)
    assert list(few.dataframe[0].value["fastest"]) == ["eager"]


def test_under_a_cap_memory_that_was_not_measured_is_said(opened, one_run):
    found = well(opened(one_run, "winner_map", cap_mib="1"), "winner_map")
    assert "Over 1.00 MiB of memory nothing competes" in found
    assert "winners the memory was not measured" in found


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "9" * 5000, "٣"])
def test_a_number_in_the_url_that_is_none_is_named_and_asks_nothing(opened, one_run, value):
    app = opened(one_run, "winner_map", ask_t=value, ask_h="64")
    found = well(app, "winner_map")
    assert "is no whole number from 1 to 1000000000." in found
    assert "Type T and H" in found
    assert len(found) < 5000


def test_a_question_reaches_the_url_and_no_other_page_stumbles_over_it(opened, one_run):
    app = opened(one_run, "winner_map")
    app.text_input(key="ask_t").set_value("64")
    app.text_input(key="ask_h").set_value("128").run()
    assert (app.query_params["ask_t"], app.query_params["ask_h"]) in ((["64"], ["128"]), ("64", "128"))
    assert "T = 64, H = 128" in answer(app)
    app.switch_page("views/scaling.py").run()
    well(app, "scaling")
    assert not app.warning


def test_a_click_on_a_cell_asks_about_its_sizes(monkeypatch):
    shown = {}
    monkeypatch.setattr(elements.st, "plotly_chart", lambda chart, **settings: shown.update(settings))
    session = {"ask_t": "8"}
    monkeypatch.setattr(elements.st, "session_state", session)
    winner_map.show_map(CELLS, 16)
    session["winner_map"] = {"selection": {"points": [{"customdata": ["hover text", 64, 128]}]}}
    shown["on_select"]()
    assert [session[key] for key in ("ask_t", "ask_h", "ask_b")] == ["64", "128", "16"]
    session["winner_map"] = {"selection": {"points": []}}  # what a second click on the cell sends
    shown["on_select"]()
    assert session["ask_t"] == "64"


def test_the_data_of_the_map_have_a_row_per_cell_with_units(opened, one_run, monkeypatch):
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))
    well(opened(one_run, "winner_map"), "winner_map")
    frame = kept["winner_map"]
    assert len(frame) == 9  # three T, three H
    assert {"time_ns", "ci_low_ns", "compile_ns", "peak_bytes", "margin"} <= set(frame)
    assert set(frame["batch"]) == {16}
    assert list(frame["state"]).count("not measured") == 1
    assert elements.parquet_of(frame)


def rewritten(store, run_id, name, change):
    """Write a table of a run anew, as `change` makes it of the stored one."""
    path = store / "runs" / run_id / f"{name}.parquet"
    stored = pq.read_table(path)
    pq.write_table(pa.Table.from_pandas(change(stored.to_pandas()), schema=stored.schema, preserve_index=False), path)


def first_calls(store, run_id, taken):
    """Say what the first calls of a run's cases took: by T, ns in each block."""
    rewritten(store, run_id, "measurements", lambda rows: rows.assign(first_call_ns=rows["seq_len"].map({t: pd.Series(ns).median() for t, ns in taken.items()})))  # fmt: skip

    def once_per_block(samples):
        first = samples[samples["quantity"] == "time"].drop_duplicates(["case_id", "block"])
        sizes = first["case_id"].str.extract(r"/T(\d+)-")[0].astype(int)
        times = [taken[t][block] for t, block in zip(sizes, first["block"], strict=True)]
        return pd.concat([samples, first.assign(quantity="first_call", wall_ns=times)])

    rewritten(store, run_id, "samples", once_per_block)


PAID = Plan(gates=("gru",), implementations=("numba",), seq_lens=(64, 128), hidden_sizes=(64,), failures=False)


def test_a_first_call_that_another_size_paid_for_says_what_that_cost(opened, tmp_path):
    store = tmp_path / "results"
    (run_id,) = write_store(store, PAID)
    first_calls(store, run_id, {64: [1.5e9, 4e6, 5e6], 128: [9e5, 9.1e5, 9.2e5]})
    cheap = answer(opened(store, "winner_map", ask_t="128", ask_h="64"))
    assert "its first call took 900 µs to 920 µs in 3 fresh processes; the costliest that this machine has seen, with whatever it compiles, took 1.50 s (T = 64, H = 64, B = 16, " in cheap  # fmt: skip
    dear = answer(opened(store, "winner_map", ask_t="64", ask_h="64"))
    assert "its first call took 4.00 ms to 1.50 s in 3 fresh processes; " in dear
    assert "costliest" not in dear


def test_what_a_first_call_costs_with_empty_caches_may_be_known_of_an_earlier_run(opened, tmp_path):
    store = tmp_path / "results"
    old, new = write_store(store, replace(PAID, runs=2))
    first_calls(store, old, {64: [2e9, 4e6, 5e6], 128: [3e5, 3e5, 3e5]})
    first_calls(store, new, {64: [9e6, 9e6, 9e6], 128: [3e5, 3e5, 3e5]})
    found = answer(opened(store, "winner_map", ask_t="64", ask_h="64"))
    assert "its first call took 9.00 ms in 3 fresh processes; the costliest" in found
    assert "took 2.00 s (T = 64, H = 64, B = 16, " in found


@pytest.mark.parametrize("known", [True, False])
def test_filled_compile_caches_say_what_empty_ones_cost_or_that_nobody_knows(opened, tmp_path, known):
    store = tmp_path / "results"
    plan = replace(PAID, implementations=("compile",), seq_lens=(64,), runs=2)
    old, _ = write_store(store, plan)
    if known:
        rewritten(store, old, "measurements", lambda rows: rows.assign(compile_cold_ns=7e9, compile_warm_ns=None))
    found = answer(opened(store, "winner_map", ask_t="64", ask_h="64"))
    told = "; the costliest that this machine has seen, with empty ones, took 7.00 s (T = 64, H = 64, B = 16, "
    assert "its first call takes 300 ms with filled compile caches" in found
    assert (told in found) is known
    assert ("with empty ones it was not measured" in found) is not known


def test_the_first_call_of_what_compiles_nothing_is_as_it_was(opened, tmp_path):
    plan = Plan(gates=("gru",), implementations=("native",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    (run_id,) = write_store(tmp_path / "results", plan)
    path = tmp_path / "results" / "runs" / run_id / "measurements.parquet"
    stored = pq.read_table(path)
    rows = stored.to_pandas()
    paid = rows.assign(first_call_ns=rows["time_ns"] + 2e5)
    pq.write_table(pa.Table.from_pandas(paid, schema=stored.schema, preserve_index=False), path)
    found = answer(opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64"))
    assert "its first call took 200 µs longer than a usual one; " in found


def test_a_run_whose_samples_cannot_be_read_is_not_said_to_be_untimed(opened, tmp_path):
    (run_id,) = write_store(
        tmp_path / "results", Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    )
    (tmp_path / "results" / "runs" / run_id / "samples.parquet").write_bytes(b"PAR1")
    found = well(opened(tmp_path / "results", "winner_map", ask_t="64", ask_h="64"), "winner_map")
    assert "No raw samples of this run can be read, or it has none." in found
    assert "it was not timed" not in found


def test_the_command_keeps_to_the_chosen_implementations(opened, one_run):
    found = well(opened(one_run, "winner_map", implementation=["eager", "native"]), "winner_map")
    assert "-i eager -i native" in found


def test_the_map_leads_to_its_gate_in_the_same_run(opened, one_run):
    app = opened(one_run, "winner_map", gate="gru")
    link, gradients = [link.proto for link in app.get("page_link")]
    asked = parse_qs(link.query_string)
    assert asked["gate"] == ["gru"]
    assert gradients.page.endswith("stability")
    gate = opened(one_run, "gate", **{key: values[0] for key, values in asked.items()})
    assert not gate.warning
    assert "gru" in gate.subheader[0].value
