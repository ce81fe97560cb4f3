"""Sections of the HTML report: which parts they have of a run, whose sizes, conditions and half-lives; and what stands open."""

import pandas as pd
import pytest

from gatebench.analyze.blocks import blocks_of
from gatebench.analyze.compare import compare
from gatebench.report.half_lives import half_lives, half_lives_note, seen_half_lives
from gatebench.report.html.compare import implementations_section
from gatebench.report.html.content import Part, Report, Section
from gatebench.report.html.page import html_page
from gatebench.report.html.scaling import scaling_section
from gatebench.report.html.slices import BlocksByCase, slices
from gatebench.report.html.stability import stability_section
from gatebench.report.html.trade_off import _few_shapes, trade_off_section
from gatebench.report.html.winner_map import COUNTED, conditions, winner_map_section
from gatebench.report.table import Block
from gatebench.store.read import load
from tests.stability_frames import case, frame, long_rows, profile
from tests.synthetic import Plan, write_store

PLAN = Plan(gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), modes=("forward",), failures=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One run's measurements, compared, with its blocks and its stability: lstm and gru at two T and two H."""
    store = tmp_path_factory.mktemp("sections") / "results"
    write_store(store, PLAN)
    results = load(store)
    blocks = blocks_of(results.samples)
    return compare(results.measurements, blocks), blocks, results.stability


def batches(run):
    """The run, and the same cases with four times the batch, four times as slow."""
    compared, blocks, _ = run
    larger, slower = (frame.assign(case_id=frame["case_id"] + "/B64") for frame in (compared, blocks))
    times = {name: 4 * larger[name] for name in ("time_ns", "ci_low_ns", "ci_high_ns")}
    larger = larger.assign(batch=64, **times)
    return pd.concat([compared, larger]), BlocksByCase(pd.concat([blocks, slower]))


def test_scaling_against_the_batch_goes_across_slices_at_each_other_size(run):
    rows, blocks = batches(run)
    section = scaling_section(slices(rows), slices(rows, along="Batch size"), blocks)
    of_batch = [part for part in section.parts if part.keys["Against"].startswith("B")]
    assert {part.keys["At"] for part in of_batch} == {f"T = {t}, H = {h}" for t in (64, 128) for h in (64, 128)}
    assert all("Batch size" not in part.keys for part in of_batch)
    assert len(of_batch) == 2 * 4  # gates, sizes
    drawing = of_batch[0].drawing
    assert drawing is not None
    figure = drawing.make()
    lines = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert lines
    assert all(list(line.x) == [16, 64] for line in lines)
    assert all(line.y[1] == pytest.approx(4 * line.y[0]) for line in lines)


def test_one_batch_has_no_scaling_against_it(run):
    rows, blocks, _ = run
    section = scaling_section(slices(rows), slices(rows, along="Batch size"), BlocksByCase(blocks))
    assert {part.keys["Against"] for part in section.parts} == {"T", "H"}


def test_growth_and_crossovers_stand_open_and_numbers_are_folded(run):
    rows, blocks, _ = run
    rows, blocks = (frame[~frame["case_id"].str.contains("/compile/")] for frame in (rows, blocks))
    part = scaling_section(slices(rows), [], BlocksByCase(blocks)).parts[0]
    said = [(block.title, block.rows, block.notes) for block in part.opened]
    assert said[0] == ("", (), ("No slope is fitted: it needs 3 T with a time.",))
    assert "Numbers" in [block.title for block in part.blocks]
    nothing = rows.assign(time_ns=float("nan"), status="failed")
    assert scaling_section(slices(nothing), [], BlocksByCase(blocks)).parts[0].opened == ()


def test_the_marks_of_compares_tables_are_explained_the_rare_ones_where_they_stand(run):
    compared, blocks, stability = run
    compared = compared.assign(pay_back_calls=float("nan"))
    wide = compared.assign(speedup_low=compared["speedup"] / 10, speedup_high=compared["speedup"] * 10)
    notes = [implementations_section(rows, blocks, stability).notes[1] for rows in (compared, wide)]
    assert [note.count("[wide] an interval whose ends are more than twentyfold apart") for note in notes] == [0, 1]
    assert all("! inconclusive: others disturbed over a fifth of its samples" in note for note in notes)


def test_opened_tables_are_in_no_fold_and_come_before_those_that_are():
    part = Part("a part", folded=True, blocks=(Block("folded", ("x",), (("in",),)),), opened=(Block("open", ("x",), (("out",),)),))  # fmt: skip
    text = html_page(Report("a run", (), (Section("a", "A", "?", [part]),)))
    body = text[text.index('<div class="part">') : text.index("</section>")]
    above, fold = body.split("<details>")
    assert "<h3>open</h3>" in above
    assert ">out</th>" in above
    assert ">in</th>" in fold
    assert ">out</th>" not in fold


def counted(rows):
    return [condition.words for condition in conditions(rows)]


def test_compiling_and_memory_count_only_where_they_can_change_who_is_fastest(run):
    rows = run[0]
    plain = rows[rows["implementation"] != "compile"]
    assert counted(plain) == ["time alone"]
    calls = [f"with compiling, over {count}" for count in ("1 call", "1,000 calls", "1,000,000 calls")]
    assert counted(rows) == ["time alone", *calls]
    sizes = {"eager": 2**10, "native": 2**22}
    held = plain.assign(peak_bytes=plain["implementation"].map(sizes))
    assert counted(held) == ["time alone", "time, within 1.00 MiB a call"]
    assert counted(held.assign(peak_bytes=2**10)) == ["time alone"]  # no cap parts what needs the same


def test_the_winner_map_has_a_part_per_condition_and_says_whose_it_is(run):
    rows, blocks, _ = run
    section = winner_map_section(slices(rows), BlocksByCase(blocks))
    assert section.choices[-1] == COUNTED
    assert [part.keys[COUNTED] for part in section.parts] == counted(rows) * 2
    compiled = rows["implementation"] == "compile"
    times = {name: rows[name].where(~compiled, 1e3) for name in ("time_ns", "ci_low_ns", "ci_high_ns")}
    quick = rows.assign(compile_cold_ns=rows["compile_cold_ns"].where(~compiled, 1e10), **times)
    parts = winner_map_section(slices(quick), BlocksByCase(blocks)).parts
    fastest = [part.blocks[0].rows[0][part.blocks[0].header.index("fastest")] for part in parts[:4]]
    assert fastest[0] == fastest[3] == "compile"  # alone, and over a million calls
    assert fastest[1] != "compile"  # seconds of compiling are lost in one call


def shape(seq_len, hidden_size, *times):
    return [{"seq_len": seq_len, "hidden_size": hidden_size, "time_ns": time} for time in times]


def few(*rows):
    frame = pd.DataFrame([row for group in rows for row in group])
    return [(int(group["seq_len"].iloc[0]), int(group["hidden_size"].iloc[0])) for group in _few_shapes(frame)]


def test_the_smallest_a_middle_and_the_largest_shape_are_traded():
    assert few(*(shape(size, 8, 1, 2) for size in (512, 64, 256, 128, 32))) == [(32, 8), (128, 8), (512, 8)]
    assert few(shape(64, 8, 1, 2), shape(32, 8, 1, 2)) == [(32, 8), (64, 8)]
    assert few(shape(64, 8, 1, 2)) == [(64, 8)]


def test_only_shapes_with_the_most_times_are_traded():
    nan = float("nan")
    assert few(shape(32, 8, 1, 2, nan), shape(64, 8, 1, 2, 3), shape(128, 8, 1, 2, nan)) == [(64, 8)]
    assert few(shape(32, 8, 1), shape(64, 8, nan)) == []  # one time is no trade


def test_half_lives_are_traded_across_gates_and_said_whose_they_are(run):
    rows, _, stability = run
    section = trade_off_section(slices(rows), slices(rows, along="Gate"), stability)
    found = [part for part in section.parts if part.keys["Against"].startswith("half-life")]
    assert found
    assert all("Gate" not in part.keys for part in found)
    assert (
        "Half-lives are the gates' own, whatever computes them: torch init, float32, T = 64, H = 64" in found[0].caption
    )
    text = str(next(block for block in found[0].blocks if block.title == "Numbers").rows)
    assert "lstm" in text
    assert "gru" in text
    without = trade_off_section(slices(rows), slices(rows, along="Gate"), stability.iloc[:0])
    assert not [part for part in without.parts if part.keys["Against"].startswith("half-life")]


def seen(*rows):
    names = ["gate", "init", "dtype", "seq_len", "hidden_size", "inputs"]
    return pd.DataFrame(rows, columns=pd.Index(names)).assign(options="{}", half_life=2.0)


def test_half_lives_that_most_gates_share_come_first_then_those_of_what_is_timed():
    here, far = ("torch", "float32", 64, 8, "normal"), ("torch", "float32", 256, 8, "normal")
    alone = half_lives(seen(("lstm", *far), ("gru", *far), ("lstm", *here)), 64, 8)
    assert list(alone) == ["torch init, float32, T = 256, H = 8", "torch init, float32, T = 64, H = 8"]
    tied = half_lives(seen(("lstm", *far), ("lstm", *here)), 64, 8)
    assert next(iter(tied)) == "torch init, float32, T = 64, H = 8"
    ((condition, table),) = half_lives(seen(("lstm", *here), ("lstm", *here)), 64, 8).items()
    assert len(table) == 1  # a row per gate
    assert "timed are" not in half_lives_note(table, condition, 64, 8)
    (first, table), _ = tied.items()
    other = alone["torch init, float32, T = 256, H = 8"]
    assert half_lives_note(other, first, 64, 8).endswith("; timed are T = 64, H = 8.")
    assert half_lives(seen().iloc[:0], 64, 8) == {}


def test_half_lives_are_those_of_the_plain_probe_outside_of_tasks(run):
    _, _, stability = run
    found = seen_half_lives(stability)
    assert set(found["probe"]) == {"ones"}
    assert seen_half_lives(stability.assign(task="copy")).empty
    assert seen_half_lives(stability.iloc[:0]).empty


def drawn(rows, kind):
    """The figures of a kind that section Stability makes of these rows."""
    parts = [part for part in stability_section(rows).parts if part.title.startswith(kind)]
    return [part.drawing.make() for part in parts if part.drawing]


def test_gradient_norms_are_drawn_with_the_bands_and_bounds_that_their_caption_tells_of():
    rows = frame(profile())
    [figure] = drawn(rows, "Gradient norms")
    assert [trace.fill for trace in figure.data].count("toself") == 1
    assert "bound (Jacobians)" in {trace.name for trace in figure.data}
    bands_alone = rows[rows["metric"] != "log_gradient_norm"]
    assert drawn(bands_alone, "Gradient norms") == []


def test_a_sweep_is_drawn_beside_theory():
    biases = [f"forget_bias={bias}" for bias in (0, 1)]
    theory = [long_rows(metric="predicted_half_life", value=1.0, init=init) for init in biases]
    rows = frame(*(case(init=init) for init in biases), theory)
    [figure] = drawn(rows, "Sweep")
    assert "theory" in {trace.name for trace in figure.data}
    assert drawn(frame(theory), "Sweep") == []


def test_a_name_with_a_raised_digit_is_no_number():
    parts = stability_section(frame(case(inputs="noise ²"), case(inputs="noise 2"))).parts
    assert {part.keys["Inputs"] for part in parts if part.keys} == {"noise ²", "noise 2"}
