"""Inputs: white and correlated noise along time, and what is neither."""

import math
import time

import pytest
import torch

import gatebench
from gatebench import Shape, gates
from gatebench.errors import UserError

SHAPE = Shape(batch=3, seq_len=8, input_size=4, hidden_size=4)
MANY = Shape(batch=128, seq_len=40, input_size=64, hidden_size=64)  # 8192 series: a correlation is known to 0.011
KINDS = ("normal", "zero", "white=0.25", "correlated=0.6")
WITHOUT_TIME = ["channel_gate", "squeeze_excite", "attention_gate"]


def correlation(a, b):
    """Return the correlation of two steps over all series, whose means are 0."""
    return float((a * b).mean() / (a.square().mean() * b.square().mean()).sqrt())


@pytest.mark.parametrize("text", ["uniform", "", "normal=1", "zero=", "white", "white=-1", "white=nan", "white=inf", "correlated", "correlated=1", "correlated=-1", "correlated=x"])  # fmt: skip
def test_another_text_names_what_is_accepted(text):
    with pytest.raises(UserError, match=f"^inputs: unknown inputs '{text}'; accepted: ") as refusal:
        gates.get("lstm").inputs(SHAPE, 0, kind=text)
    for form in ("normal", "zero", "white=<s2 >= 0>", "correlated=<-1 < rho < 1>"):
        assert form in str(refusal.value)


def test_normal_inputs_have_the_numbers_that_they_always_had():
    drawn = gates.get("lstm").inputs(Shape(batch=2, seq_len=3, input_size=4, hidden_size=4), 3)
    known = {
        "x": ([1.360849602822274, 0.15596681735354206, -0.8125536953353314], 1.7496431698515262),
        "h0": ([-0.02827090743275177, -0.05844248804023533, 0.9031474571188922], 0.5156091013919962),
        "c0": ([-0.7659840499811567, -0.9355043807150817, 0.9253574939011596], 0.820097669354988),
    }
    for name, (first, total) in known.items():
        assert drawn[name].flatten()[:3].tolist() == pytest.approx(first, rel=1e-14)
        assert float(drawn[name].sum()) == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", gates.names())
def test_every_gate_draws_its_shapes_or_refuses(name, kind):
    gate = gates.get(name)
    if name in WITHOUT_TIME and kind.startswith("correlated"):
        with pytest.raises(gatebench.Unsupported, match=f"{name}: its input x has no axis of time"):
            gate.inputs(SHAPE, 0, kind=kind)
        return
    drawn = gate.inputs(SHAPE, 0, kind=kind)
    assert {key: tuple(value.shape) for key, value in drawn.items()} == gate.input_shapes(SHAPE)
    assert all(bool(value.isfinite().all()) and value.is_contiguous() for value in drawn.values())


@pytest.mark.parametrize(("name", "signals"), [
    ("lstm", {"x"}), ("qrnn", {"x", "x0"}), ("glu", {"value", "gate"}), ("attention_gate", {"x", "g"}), ("slstm", {"x"}),
    ("mlstm", {"x"}), ("lstm_gate_recurrence", {"x"}), ("gated_conv", {"x"}),
])  # fmt: skip
def test_white_inputs_are_scaled_and_initial_states_are_not(name, signals):
    gate = gates.get(name)
    normal, white, silent = (gate.inputs(SHAPE, 0, kind=kind) for kind in ("normal", "white=0.25", "white=0"))
    for key in normal:
        assert torch.equal(white[key], 0.5 * normal[key] if key in signals else normal[key])
        assert torch.equal(silent[key], 0 * normal[key] if key in signals else normal[key])


@pytest.mark.parametrize("rho", [0.9, 0.5, -0.7])
@pytest.mark.parametrize(("name", "signal", "axis"), [("gru", "x", 0), ("glu", "gate", 1), ("gated_conv", "x", 2)])
def test_correlated_inputs_are_a_stationary_autoregression_along_time(name, signal, axis, rho):
    steps = gates.get(name).inputs(MANY, 0, kind=f"correlated={rho}")[signal].movedim(axis, 0)
    for t in (0, 1, 5, 39):
        assert float(steps[t].var()) == pytest.approx(1, abs=5 * math.sqrt(2 / 8192))
        assert abs(float(steps[t].mean())) < 5 / math.sqrt(8192)
    for lag in range(1, 6):
        for t in (0, 20):
            assert correlation(steps[t], steps[t + lag]) == pytest.approx(rho**lag, abs=5 / math.sqrt(8192))
    residual = steps[1:] - rho * steps[:-1]
    assert abs(correlation(residual[0], residual[1])) < 5 / math.sqrt(8192)


def test_correlated_inputs_leave_the_initial_state_alone_and_start_as_normal_ones():
    normal, correlated = (gates.get("lstm").inputs(SHAPE, 0, kind=kind) for kind in ("normal", "correlated=0.8"))
    assert torch.equal(correlated["h0"], normal["h0"])
    assert torch.equal(correlated["c0"], normal["c0"])
    assert torch.equal(correlated["x"][0], normal["x"][0])
    torch.testing.assert_close(correlated["x"][1], 0.8 * normal["x"][0] + 0.6 * normal["x"][1], rtol=0, atol=1e-15)


def test_without_correlation_they_are_normal_ones():
    drawn = gates.get("qrnn").inputs(SHAPE, 0, kind="correlated=0")
    assert all(torch.equal(value, drawn[name]) for name, value in gates.get("qrnn").inputs(SHAPE, 0).items())


def test_what_comes_before_the_first_input_belongs_to_the_same_series():
    drawn = gates.get("qrnn", kernel_size=4).inputs(MANY, 0, kind="correlated=0.8")
    assert correlation(drawn["x0"][2], drawn["x"][0]) == pytest.approx(0.8, abs=5 / math.sqrt(8192))
    assert correlation(drawn["x0"][0], drawn["x"][1]) == pytest.approx(0.8**4, abs=5 / math.sqrt(8192))


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_are_the_same_whatever_the_inputs(kind):
    gate = gates.get("gru", lengths=True)
    lengths = gate.inputs(SHAPE, 0, kind=kind)["lengths"]
    assert torch.equal(lengths, gate.inputs(SHAPE, 0)["lengths"])
    assert not lengths.is_floating_point()


def test_states_that_must_be_positive_are():
    for kind in ("white=2", "correlated=0.5"):
        assert bool((gates.get("slstm").inputs(SHAPE, 0, kind=kind)["n0"] > 0).all())
        gate = gates.get("lstm_gate_recurrence").inputs(SHAPE, 0, kind=kind)["f0"]
        assert bool(((gate > 0) & (gate < 1)).all())


def test_numbers_belong_to_seed_and_name():
    draw = gates.get("lstm").inputs
    first, again, other = (draw(SHAPE, seed, kind="correlated=0.5")["x"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first, gates.get("gru").inputs(SHAPE, 1, kind="correlated=0.5")["x"])


def test_a_long_correlated_sequence_is_drawn_within_four_seconds_of_work():
    started = time.process_time()
    gates.get("rnn_tanh").inputs(Shape(batch=4, seq_len=100_000, input_size=8, hidden_size=8), 0, kind="correlated=0.9")
    assert time.process_time() - started < 4  # 1 s alone; caches shared with other tests slow it
