"""Names from a store in figures of stability: on one line, escaped and cut, and still told apart."""

import pytest
from stability_drawn import legend, words

from gatebench.report.figures.curves import LONGEST_SERIES, LONGEST_TITLE, labels
from gatebench.report.stability_drawings import KINDS, stability_figure
from tests.stability_frames import case, frame, long_rows, profile, spectrum, trained

LINK = '<a href="https://evil.example">x</a>'
LIMIT = 2_000_000  # letters of a figure's JSON


def everything(**more):
    """Return rows that every figure shows something of."""
    return [
        *profile(seeds=1, **more), *spectrum([-0.1, -0.2], [-1.0], **more), *trained(**more), *case(**more),
        long_rows(metric="saturation_high", part=f"f{more.get('gate', '')}", value=0.25, **more),
    ]  # fmt: skip


def texts(value):
    """Yield every text in a figure's JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, entry in value.items():
            if name != "bdata":  # numbers, packed
                yield from texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from texts(entry)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["gate", "init", "dtype"])
def test_no_name_is_a_tag(kind, column):
    names = [f"{LINK}={number}" for number in (1, 2)]  # a form of init with a number: what a sweep goes along
    figure = stability_figure(frame(*(everything(**{column: name}) for name in names)), kind)
    found = list(texts(figure.to_plotly_json()))
    assert [text for text in found if "<a" in text] == []
    assert [text for text in found if "&lt;a" in text]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["gate", "init", "dtype"])
def test_names_of_any_length_make_no_figure_large(kind, column):
    names = ["x" * 10_000 + end for end in "12"]
    rows = frame(
        *(everything(**{"gate": f"g{number}", column: name}) for name in names for number in range(8)),
        *(profile(seeds=1, lags=90, **{"gate": f"g{number}", column: name}) for name in names for number in range(8)),
    )
    figure = stability_figure(rows, kind)
    assert len(figure.to_json()) < LIMIT
    assert max(map(len, texts(figure.to_plotly_json()))) < 500


def test_names_that_are_alike_when_cut_are_numbered():
    names = ["x" * 100 + end for end in "12"]
    assert legend(stability_figure(frame(*(profile(init=name) for name in names)), "norms"))[:2] == [
        "x" * LONGEST_SERIES + " …", "x" * LONGEST_SERIES + " … (2)",
    ]  # fmt: skip
    titles = words(stability_figure(frame(*(profile(gate=name) for name in names)), "norms"))
    assert titles == ["x" * LONGEST_TITLE + " …", "x" * LONGEST_TITLE + " … (2)"]
    summary = stability_figure(frame(*(case(gate=name) for name in names)), "summary")
    assert list(summary.layout.yaxis.ticktext) == titles[::-1]
    assert labels(["a\n b", "a b", "c"]) == {"a\n b": "a b", "a b": "a b (2)", "c": "c"}


def test_letters_that_are_alike_when_cut_have_bars_of_their_own():
    rows = [long_rows(metric="saturation_high", part="x" * 100 + end, value=0.25) for end in "12"]
    bars = next(trace for trace in stability_figure(frame(rows), "saturation").data if trace.x[0] is not None)
    assert len(set(bars.x)) == 2
    assert max(map(len, bars.x)) < 40
