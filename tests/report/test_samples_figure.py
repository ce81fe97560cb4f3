"""The figures of raw samples and of their autocorrelation: data and layout against hand-made samples."""

import numpy as np
import pandas as pd
import pytest

from gatebench.analyze.autocorrelation import autocorrelation
from gatebench.analyze.raw_samples import in_order
from gatebench.analyze.statistics import estimate
from gatebench.report.colours import implementation_colour
from gatebench.report.figures.samples import autocorrelation_figure, samples_figure, thinned


def sample(wall_ns=2e6, block=0, number=0, **more):
    return {
        "run_id": "r", "case_id": "c", "side": "run", "stage": "run", "quantity": "time", "block": block, "round": number,
        "position": 0, "wall_ns": wall_ns, "cpu_ns": None, "event_ns": None, "dropped": False, "reason": None, **more,
    }  # fmt: skip


def drawn(rows, implementation="numba"):
    frame = pd.DataFrame(rows)
    return samples_figure(in_order(frame), estimate(frame), implementation)


def traces(figure, name):
    return [trace for trace in figure.data if trace.name == name]


def marks(figure):
    return sum(len(trace.x) for trace in figure.data)


THREE = [
    sample(2e6, 0, 0), sample(2e6, 0, 1), sample(5e6, 0, 2, dropped=True, reason="steal: 9 % <b>"),
    sample(2.2e6, 1, 0, reason="other processes: 40 %"), sample(2.2e6, 1, 1),
]  # fmt: skip


def test_kept_disturbed_and_dropped_samples_are_told_apart_in_order():
    figure = drawn(THREE)
    kept, disturbed, dropped = (traces(figure, name)[0] for name in ("kept", "disturbed, kept all the same", "dropped"))
    assert list(kept.x) == [1, 2, 5]
    assert list(kept.y) == pytest.approx([2, 2, 2.2])  # ms
    assert list(disturbed.x) == [4]
    assert (list(dropped.x), list(dropped.y)) == ([3], [5])
    assert kept.marker.color == implementation_colour("numba")
    assert len({kept.marker.symbol, disturbed.marker.symbol, dropped.marker.symbol}) == 3
    assert figure.layout.yaxis.title.text == "time of one call (ms)"


def test_the_hover_says_where_a_sample_stands_and_why_it_was_dropped_in_plain_signs():
    text = traces(drawn(THREE), "dropped")[0].customdata[0]
    assert text == "<b>5.00 ms</b><br>block 0, round 2<br>dropped: steal: 9 % &lt;b&gt;"


def test_a_long_reason_is_shortened():
    figure = drawn([sample(), sample(number=1, dropped=True, reason="x" * 10_000)])
    assert len(traces(figure, "dropped")[0].customdata[0]) < 300


def test_line_and_band_are_the_estimate_and_its_interval():
    figure = drawn(THREE)
    line, band = traces(figure, "estimate")[0], traces(figure, "its 95 % interval")[0]
    # Blocks of 2.0 and 2.2 ms: √(2.0 · 2.2), times and over exp(12.706 · ln(1.1) / 2).
    middle, factor = np.sqrt(4.4), np.exp(12.7062 * np.log(1.1) / 2)
    assert list(line.y) == pytest.approx([middle] * 2)
    assert list(band.y) == pytest.approx([middle / factor] * 2 + [middle * factor] * 2, rel=1e-4)
    assert list(line.x) == [0.5, 5.5]


def test_one_block_has_no_band():
    assert traces(drawn([sample(), sample(number=1)]), "its 95 % interval") == []


def test_each_block_has_its_median_a_shade_in_turn_and_its_number():
    figure = drawn(THREE)
    medians = traces(figure, "median of a block")[0]
    assert [y for y in medians.y if y is not None] == pytest.approx([2, 2, 2.2, 2.2])
    shades = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0, shape.x1) for shape in shades] == [(3.5, 5.5)]
    assert list(figure.layout.xaxis.ticktext) == ["0", "1"]
    assert list(figure.layout.xaxis.tickvals) == [2, 4.5]


def ab():
    rows = []
    for block, stage in ((0, "screen"), (1, "screen"), (2, "confirm")):
        for number in range(4):
            for position, (side, wall) in enumerate((("head", 2.1e6), ("base", 2e6))):
                rows.append(sample(wall * (1 + number / 100), block, number, side=side, stage=stage, position=position))
    return rows


def test_base_and_head_have_a_panel_each_and_stages_are_named():
    figure = drawn(ab())
    assert [note.text for note in figure.layout.annotations] == ["base", "head"]
    base, head = traces(figure, "kept")
    assert list(base.x) == list(range(2, 25, 2))  # in each round the head came first
    assert list(head.x) == list(range(1, 25, 2))
    assert list(figure.layout.xaxis2.ticktext) == ["0<br>screen", "1", "2<br>confirm"]
    assert [shape.x0 for shape in figure.layout.shapes if shape.type == "line"] == [16.5]
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    assert [trace.showlegend for trace in (base, head)] == [True, False]


def test_a_side_of_another_store_is_shown_in_plain_signs():
    names = ['<a href="https://evil.example">x</a>', "x" * 10_000]
    rows = in_order(pd.DataFrame([sample(float(n), side=side, number=n) for side in names for n in range(1, 9)]))
    for figure in (samples_figure(rows, estimate(rows)), autocorrelation_figure(autocorrelation(rows))):
        titles = [note.text for note in figure.layout.annotations]
        assert titles == ['&lt;a href="https://evil.example"&gt;x&lt;/a&gt;', "x" * 60 + " …"]


def test_a_sample_ten_times_the_fastest_makes_the_axis_logarithmic():
    assert drawn([sample(1e6), sample(2e7, number=1)]).layout.yaxis.type == "log"
    assert drawn([sample(1e6), sample(9e6, number=1)]).layout.yaxis.type is None


def test_many_samples_are_thinned_dropped_ones_last_and_the_axis_says_so():
    rows = [sample(2e6, number // 5000, number, dropped=number % 100 == 7) for number in range(20_000)]
    figure = drawn(rows)
    assert marks(figure) <= 5000
    assert len(traces(figure, "dropped")[0].x) == 200
    assert "4,000 of 20,000 drawn" in figure.layout.xaxis.title.text
    assert len(figure.to_json()) < 2_000_000


def test_dropped_samples_are_thinned_too_where_they_alone_are_too_many():
    rows = in_order(pd.DataFrame([sample(number=number, dropped=number < 90) for number in range(100)]))
    found = thinned(rows, 30)
    assert len(found) == 30
    assert (found["state"] == "dropped").all()
    assert found["place"].is_monotonic_increasing


def test_a_thousand_blocks_stay_within_the_marks():
    figure = drawn([sample(2e6 + block, block, number) for block in range(1000) for number in range(4)])
    assert marks(figure) <= 5000
    assert len(figure.layout.xaxis.ticktext) <= 12


def test_no_sample_is_said_in_words():
    figure = drawn([sample(quantity="import")])
    assert "no timing samples" in figure.layout.annotations[0].text


def test_autocorrelation_has_a_bar_per_lag_between_the_bounds():
    rows = [sample(float(np.exp(number)), 0, number) for number in range(4)]
    figure = autocorrelation_figure(autocorrelation(in_order(pd.DataFrame(rows))), "numba")
    upper, lower, bars = figure.data
    assert list(bars.y) == pytest.approx([0.5, -0.3 + 1 / 6])
    assert list(upper.y) == pytest.approx([0.98] * 2)
    assert list(lower.y) == pytest.approx([-0.98] * 2)
    assert "n = 4 samples in 1 block" in bars.customdata[0]
    assert figure.layout.xaxis.title.text == "lag (samples)"


def test_no_autocorrelation_is_said_in_words():
    figure = autocorrelation_figure(autocorrelation(in_order(pd.DataFrame([sample()]))))
    assert "four kept samples" in figure.layout.annotations[0].text
