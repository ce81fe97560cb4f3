"""Saturation as a table: told where there is neither half-life nor exponent, by letter of the gate."""

import pytest

from gatebench.report.stability_blocks import stability_blocks, stability_json
from tests.stability_frames import case, cells, failed, frame, long_rows


def saturated(**more):
    shares = [("f", "saturation_low", 0.1), ("f", "saturation_high", 0.04), ("g", "saturation_tanh", 0.002), ("f", "saturation_mean", 0.8)]  # fmt: skip
    shares += [("a", "flat_share", 0.3), ("a", "negative_lobe", 0.5), ("b", "density", 0.7), ("g", "flat_share", 0.1)]
    return [long_rows(metric=metric, part=letter, value=value, **more) for letter, metric, value in shares]


def test_saturation_alone_is_told_by_letter():
    first, block = stability_blocks(frame(saturated(), [long_rows(metric="class", label="stable")]))
    assert first.header == ("gate", "class")
    assert cells(block) == [{"gate": "lstm", "letters": "f 14%, g <1%, a 30% flat, b 70% open"}]
    assert block.notes[0].endswith("open: of gates that are 0 or 1, share of 1; flat: slope below 0.01")


def test_nothing_is_said_of_gradients_that_nobody_asked_for():
    (block,) = stability_blocks(frame(saturated()))
    assert block.title.startswith("Saturation")
    first, _ = stability_blocks(frame(saturated(), failed(init="forget_bias=1")))
    assert first.notes == ("lstm, init forget_bias=1: unsupported: it has no forget gate",)


def test_saturation_beside_half_lives_is_left_to_figures_and_programs():
    rows = frame(saturated(), case(), saturated(gate="glu"))
    _, block = stability_blocks(rows)
    assert [(row["gate"], row["letters"][:5]) for row in cells(block)] == [("glu", "f 14%")]
    assert [entry["letters"]["f"] for entry in stability_json(rows)["saturation"]] == 2 * [{"saturated": pytest.approx(0.14)}]  # fmt: skip
