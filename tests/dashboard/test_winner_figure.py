"""The winner map by its cells and tiles, against hand-made frames."""

import json
import math

import pandas as pd
import pytest
from figure_helpers import marks, row, samples_of, trace

from gatebench.analyze.winners import over_calls
from gatebench.report.figures.winner_map import winner_map_figure
from gatebench.report.winner_tables import numbers
from gatebench.report.winners import winner_cells


def test_winner_cells_find_the_fastest_its_margin_and_its_interval():
    rows = [row("native", time_ns=2e6), row("numba", time_ns=1e6)]
    cell = winner_cells(pd.DataFrame(rows), samples_of(rows)).iloc[0]
    assert (cell["state"], cell["winner"], cell["runner_up"], cell["tied"]) == ("won", "numba", "native", "")
    assert cell["margin"] == pytest.approx(2.0, rel=1e-3)
    assert cell["margin_low"] < 2.0 < cell["margin_high"]


def test_winner_cells_name_ties():
    rows = [row("native", time_ns=1.0005e6), row("numba", time_ns=1e6)]
    cell = winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0.05)).iloc[0]
    assert cell["tied"] == "native"


def test_winner_cells_tell_failed_from_unmeasured_from_alone():
    rows = [row("native", 64, 64), row("native", 64, 128, time_ns=None), row("native", 128, 64)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows)).set_index(["seq_len", "hidden_size"])
    assert dict(cells["state"]) == {
        (64, 64): "alone",
        (64, 128): "failed",
        (128, 64): "alone",
        (128, 128): "not measured",
    }
    assert "it broke" in cells.loc[(64, 128), "outcomes"]


def test_winner_map_hatches_ties_and_marks_winners_without_an_interval():
    tie = [row("native", 64, time_ns=1.0005e6), row("numba", 64, time_ns=1e6)]
    clear = [row("native", 128, time_ns=3e6), row("numba", 128, time_ns=1e6)]
    samples = pd.concat([samples_of(tie, noise=0.05), samples_of(clear, blocks=1, noise=0)])
    tiles = trace(winner_map_figure(winner_cells(pd.DataFrame(tie + clear), samples)), "numba")
    assert list(tiles.marker.pattern.shape) == ["/", ""]
    assert list(tiles.text) == ["numba<br>= native", "numba<br>3.00× ?"]
    assert "one block" in tiles.customdata[1][0]


def test_a_competitor_with_several_options_is_one_tie():
    options = json.dumps({"chunk": 32, "mode": "max-autotune"})
    rows = [row("native", time_ns=1e6), row("compile", time_ns=1.0005e6, implementation_options=options)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0.05))
    assert (cells["tied"].item(), cells["ties"].item()) == ("compile (chunk=32, mode=max-autotune)", 1)
    assert list(trace(winner_map_figure(cells), "native").text) == ["native<br>= 1 other"]


def test_ties_are_counted_as_whole_numbers_in_every_cell():
    rows = [row("native", 64, 64), row("native", 64, 128, time_ns=None), row("native", 128, 64)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows))
    assert cells["ties"].dtype.kind == "i"
    assert cells["ties"].tolist() == [0] * 4


def test_what_is_right_and_was_not_timed_is_not_failed():
    rows = [row(name, time_ns=None, status="ok", reason=None) for name in ("native", "numba")]
    reasons = pd.Series([math.nan] * 2, dtype=object)  # texts that are null, as pandas reads them
    frame = pd.DataFrame(rows).assign(reason=reasons, time_ns=math.nan)
    cells = winner_cells(frame, samples_of(rows))
    assert cells["state"].item() == "no time"
    assert cells["outcomes"].item() == "native: right, not timed<br>numba: right, not timed"
    tile = trace(winner_map_figure(cells), "right, not timed")
    assert tile.text[0] == "no<br>time"
    assert tile.marker.pattern.shape == "."
    assert numbers(cells)["fastest"].item() == "no time"
    broken = winner_cells(frame.assign(status=["ok", "failed"]), samples_of(rows))
    assert broken["state"].item() == "failed"
    assert "numba: failed (no reason given)" in broken["outcomes"].item()


def test_a_margin_without_a_common_block_is_a_dash_and_says_so():
    rows = [row("native", time_ns=1e6), row("numba", time_ns=3e6)]
    samples = samples_of(rows)
    samples.loc[samples["case_id"] == rows[1]["case_id"], "block"] += 10
    tile = trace(winner_map_figure(winner_cells(pd.DataFrame(rows), samples)), "native")
    assert tile.text[0] == "native<br>– ?"
    assert "native before numba: –, no block in common" in tile.customdata[0][0]


def test_a_tile_counts_ties_that_are_too_many_or_too_long_to_name():
    rows = [row(name, time_ns=time_ns) for name, time_ns in (("native", 1e6), ("eager", 1.0005e6), ("numba", 1.0006e6))]
    figure = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0.05)))
    assert list(trace(figure, "native").text) == ["native<br>= 2 others"]
    assert "eager" in trace(figure, "native").customdata[0][0]


def test_winner_map_shows_failed_and_unmeasured_cells_apart():
    rows = [row("native", 64, 64), row("native", 64, 128, time_ns=None), row("native", 128, 64)]
    figure = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows)))
    assert trace(figure, "no competitor has a time").marker.pattern.shape == "x"
    assert trace(figure, "not measured").marker.pattern.shape == ""
    assert list(figure.layout.xaxis.ticktext) == ["64", "128"]
    assert marks(figure) == 4


def cell_of(rows, **conditions):
    return winner_cells(pd.DataFrame(rows), samples_of(rows, noise=0), **conditions).iloc[0]


COMPILED = [
    row("native", time_ns=2e6),
    row("compile", time_ns=1e6, compile_cold_ns=1e9, compile_warm_ns=2e8, graphs=1),
]  # fmt: skip


def test_the_winner_changes_with_the_calls_that_pay_back_compiling():
    # 1 ms + 1 s / N is below 2 ms from N = 1000 on.
    assert cell_of(COMPILED)["winner"] == "compile"
    few, many = cell_of(COMPILED, calls=100), cell_of(COMPILED, calls=10_000)
    assert (few["winner"], few["time_ns"], few["margin"]) == ("native", 2e6, pytest.approx(11 / 2))
    assert (many["winner"], many["time_ns"]) == ("compile", pytest.approx(1.1e6))
    assert (many["compile_ns"], few["compile_ns"]) == (1e9, 0.0)
    assert many["margin"] == pytest.approx(2 / 1.1)
    assert [many["ci_low_ns"], many["ci_high_ns"]] == pytest.approx([1e6, 1.2e6])


def test_intervals_with_compile_cost_are_of_paired_blocks_each_with_its_share():
    noisy = winner_cells(pd.DataFrame(COMPILED), samples_of(COMPILED, noise=0.1), calls=10_000).iloc[0]
    # Blocks -1, 0, 1: native 1.8, 2.0, 2.2 ms; compile 1.1, 1.0, 0.9 ms and 0.1 ms of compiling.
    logs = [math.log(n / c) for n, c in ((1.8, 1.2), (2.0, 1.1), (2.2, 1.0))]
    assert noisy["margin"] == pytest.approx(math.exp(sum(logs) / 3))
    assert noisy["margin_low"] < 2 / 1.1 < noisy["margin_high"]


def test_what_compiles_itself_is_charged_what_its_first_call_took_beyond_a_usual_one():
    rows = [row("native", time_ns=2e6, first_call_ns=2e6), row("numba", time_ns=1e6, first_call_ns=601e6)]
    assert cell_of(rows)["compile_ns"] == 600e6
    assert cell_of(rows, calls=100)["winner"] == "native"
    assert cell_of(rows, calls=1000)["winner"] == "numba"


@pytest.mark.parametrize(("noise", "unsteady", "sure"), [(0.01, False, True), (0.9, False, False), (0.01, True, False)])
def test_a_winner_is_sure_where_its_margin_is_above_one_and_nothing_was_unsteady(noise, unsteady, sure):
    rows = [row("native", time_ns=2e6), row("numba", time_ns=1e6, unsteady=unsteady)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows, noise=noise))
    assert bool(cells["unsure"].iloc[0]) is not sure
    assert ("?" in trace(winner_map_figure(cells), "numba").text[0]) is not sure


def test_blocks_in_place_of_samples_give_the_same_cells():
    samples = samples_of(COMPILED, noise=0.1)
    blocks = samples.assign(log_ns=samples["wall_ns"].map(math.log))
    moved = [
        over_calls(pd.DataFrame(COMPILED).assign(first_call_ns=None), frame, 1000)[1] for frame in (samples, blocks)
    ]
    assert list(moved[1]["log_ns"]) == pytest.approx([math.log(value) for value in moved[0]["wall_ns"]])


def test_what_compiles_at_an_unknown_cost_does_not_compete_over_calls():
    unseen = row("compile", 128, time_ns=1e6)
    rows = [*COMPILED, unseen, row("native", 128, time_ns=2e6)]
    cells = winner_cells(pd.DataFrame(rows), samples_of(rows), calls=1e6).set_index("seq_len")
    assert list(cells["winner"]) == ["compile", "native"]
    assert cells.loc[128, "left_out"] == "compile"
    assert "what it costs to compile was not measured" in cells.loc[128, "outcomes"]
    assert winner_cells(pd.DataFrame(rows), samples_of(rows)).set_index("seq_len").loc[128, "winner"] == "compile"


def test_what_takes_more_memory_than_the_cap_is_out_and_said_so():
    rows = [row("native", time_ns=1e6, peak_bytes=2 << 20), row("numba", time_ns=2e6, peak_bytes=1 << 20)]
    cell = cell_of(rows, memory_cap=1 << 20)
    assert (cell["state"], cell["winner"], cell["left_out"]) == ("alone", "numba", "native")
    assert "native: left out (1.00 ms; 2.00 MiB, over the memory cap)" in cell["outcomes"]
    none = cell_of(rows, memory_cap=1000)
    assert (none["state"], none["left_out"]) == ("left out", "native, numba")
    assert trace(winner_map_figure(pd.DataFrame([none])), "left out: memory or compile cost").text[0] == "left<br>out"


def test_memory_that_was_not_measured_competes_and_is_said():
    rows = [row("native", time_ns=1e6), row("numba", time_ns=2e6, peak_bytes=10)]
    cell = cell_of(rows, memory_cap=100)
    assert cell["winner"] == "native"
    tile = trace(winner_map_figure(pd.DataFrame([cell])), "native")
    assert "memory of one call: not measured" in tile.customdata[0][0]


def test_a_margin_over_a_case_that_others_disturbed_is_marked_as_unsure():
    rows = [row("native", time_ns=1e6), row("numba", time_ns=3e6)]
    samples = samples_of(rows)
    samples.loc[samples["case_id"] == rows[1]["case_id"], "reason"] = "steal above 5 %"
    cells = winner_cells(pd.DataFrame(rows), samples)
    assert cells["inconclusive"].item() is True
    assert trace(winner_map_figure(cells), "native").text[0] == "native<br>3.00× ?"


def test_hostile_names_are_shown_as_text_and_cut():
    name = "<b>lab</b>:" + "x" * 10_000
    rows = [row(name, time_ns=1e6), row("native", time_ns=2e6, reason=None)]
    figure = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows)))
    tile = figure.data[0]
    shown_text = tile.name + tile.text[0] + tile.customdata[0][0]
    assert "<b>lab" not in shown_text
    assert "&lt;b&gt;lab" in tile.customdata[0][0]
    assert len(shown_text) < 1000


def test_a_tile_knows_its_sizes_for_a_click():
    rows = [row("native", 64, 128)]
    tile = winner_map_figure(winner_cells(pd.DataFrame(rows), samples_of(rows))).data[0]
    assert list(tile.customdata[0][1:]) == [64, 128]
