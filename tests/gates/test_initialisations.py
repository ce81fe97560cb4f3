"""Initialisations: which texts there are, what keeps its own rule, who refuses, and which numbers belong to a tensor."""

import hashlib

import pytest
import torch

import gatebench
from gatebench import Shape, gates
from gatebench.errors import UserError

SHAPE = Shape(batch=2, seq_len=9, input_size=6, hidden_size=8)
SQUARE = Shape(batch=2, seq_len=9, input_size=8, hidden_size=8)  # what some gates want
INITS = ("torch", "keras", "xavier", "irnn", "orthogonal=1.5", "gaussian=1.5", "forget_bias=1", "chrono", "chrono=50")
OF_RECURRENCE = ("irnn", "orthogonal=1.5", "gaussian=1.5")
RECURRENT = [name for name in gates.names() if gates.get(name).family == "recurrent"]
OTHERS = [name for name in gates.names() if name not in RECURRENT]
PLAIN = ["rnn_linear", "rnn_tanh", "rnn_relu"]


# --- texts


@pytest.mark.parametrize("text", [
    "kaiming", "", "torch=", "torch=1", "keras=2", "xavier=1", "irnn=1", "orthogonal", "orthogonal=", "orthogonal=nan",
    "orthogonal=-0.1", "gaussian", "gaussian=-1", "gaussian=inf", "gaussian=one", "forget_bias", "forget_bias=x",
    "forget_bias=nan", "chrono=", "chrono=0", "chrono=2.9", "chrono=inf", "Keras",
])  # fmt: skip
def test_another_text_names_what_is_accepted(text):
    with pytest.raises(UserError, match=f"^init: unknown init '{text}'; accepted: ") as refusal:
        gates.get("lstm").draw(SHAPE, 0, init=text)
    for form in ("torch", "keras", "xavier", "irnn", "orthogonal=<g >= 0>", "gaussian=<g >= 0>", "forget_bias=<number>", "chrono=<T_max >= 3>"):  # fmt: skip
        assert form in str(refusal.value)


# --- torch's default, forget_bias and chrono


@pytest.mark.parametrize(("name", "options", "digest"), [
    ("lstm", {"num_layers": 2}, "683d103f49037ed2"), ("gru", {}, "b531ad67c3916092"), ("sru", {}, "341fda06a44381e6"),
    ("swiglu_ffn", {}, "13fb99d893333ebe"), ("highway", {}, "2bdcd1af6ca5b429"), ("gated_conv", {}, "7a10c02848c6062a"),
])  # fmt: skip
def test_torchs_default_has_the_bits_that_it_always_had(name, options, digest):
    drawn = gates.get(name, **options).draw(Shape(batch=2, seq_len=3, input_size=4, hidden_size=4), 3)
    assert hashlib.sha256(b"".join(value.numpy().tobytes() for value in drawn.values())).hexdigest()[:16] == digest


def test_chrono_has_the_numbers_that_it_always_had():
    drawn = gates.get("lstm").draw(Shape(batch=2, seq_len=3, input_size=4, hidden_size=4), 3, init="chrono")
    known = torch.tensor(
        [0.5884492539711172, 0.39190850311854025, 0.1206331373674984, 0.08773705739211658], dtype=torch.float64
    )
    torch.testing.assert_close(drawn["bias_ih"][4:8], known, rtol=1e-14, atol=0)


@pytest.mark.parametrize(("init", "seq_len", "longest"), [("chrono", 40, 40), ("chrono", 1, 3), ("chrono=1000", 40, 1000), ("chrono=3", 40, 3)])  # fmt: skip
def test_chronos_longest_time_is_the_one_given_or_the_sequence(init, seq_len, longest):
    shape = Shape(batch=1, seq_len=seq_len, input_size=1, hidden_size=2000)
    time = gates.get("lstm").draw(shape, 0, init=init)["bias_ih"][2000:4000].exp()  # U(1, T_max - 1)
    assert 1 <= float(time.min()) < 1 + 0.01 * (longest - 2)
    assert 1 + 0.99 * (longest - 2) < float(time.max()) <= longest - 1


# --- what all of them share


@pytest.mark.parametrize("init", ["keras", "xavier", "irnn", "orthogonal=1", "gaussian=1"])
@pytest.mark.parametrize("name", ["rnn_tanh", "gru", "gru_reset_before", "lstm_no_forget_gate", "minimal_rnn"])
def test_biases_are_zero(name, init):
    gate = gates.get(name)
    if init == "irnn" and name not in PLAIN:
        return
    params = gate.draw(SHAPE, 0, init=init)
    assert not any(bool(value.any()) for key, value in params.items() if "bias" in key)


@pytest.mark.parametrize("init", ["keras", "xavier", "orthogonal=1", "gaussian=1"])
def test_vectors_that_are_no_biases_keep_their_rule(init):
    for name in ("lstm_peephole", "lstm_layernorm"):
        gate = gates.get(name)
        params, plain = gate.draw(SHAPE, 0, init=init), gate.draw(SHAPE, 0)
        kept = [key for key in params if params[key].dim() == 1 and "bias" not in key]
        assert len(kept) == 3
        assert all(torch.equal(params[key], plain[key]) for key in kept)


@pytest.mark.parametrize(("name", "kept"), [
    ("rg_lru", {"Lambda"}), ("selective_scan", {"bias_delta", "A_log", "D"}), ("sru", {"weight_c"}),
    ("channel_gate", {"weight_p", "threshold"}), ("gated_attention_unit", {"gamma", "beta"}),
    ("highway_uncoupled", {"b_T", "b_C"}), ("swiglu_ffn", set()), ("attention_gate", set()),
])  # fmt: skip
def test_what_sets_a_time_scale_or_is_an_option_keeps_its_rule(name, kept):
    gate = gates.get(name, **({"bias": True} if name == "swiglu_ffn" else {}))
    plain = gate.draw(SQUARE, 0)
    for init in ("keras", "xavier"):
        params = gate.draw(SQUARE, 0, init=init)
        assert {key for key in params if torch.equal(params[key], plain[key])} == kept


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("name", gates.names())
def test_every_gate_draws_its_shapes_or_refuses(name, init):
    gate = gates.get(name)
    for shape in (SQUARE, SHAPE):
        try:
            params = gate.draw(shape, 0, init=init)
        except gatebench.Unsupported:
            continue  # who and why: below
        assert {key: tuple(value.shape) for key, value in params.items()} == gate.parameters(shape)
        assert all(bool(value.isfinite().all()) and value.dtype == torch.float64 for value in params.values())


@pytest.mark.parametrize("init", ["keras", "xavier", *OF_RECURRENCE])
@pytest.mark.parametrize("name", gates.names())
def test_who_refuses_and_why(name, init):
    gate, reason = gates.get(name), None
    if init in OF_RECURRENCE and name in OTHERS:
        reason = f"{name} has no recurrent matrix, so {init.partition('=')[0]} does not apply"
    elif init == "irnn" and name not in PLAIN:
        reason = f"{name} is no plain recurrent network"
    elif not gate.parameters(SQUARE):
        reason = f"{name} has no weights that {init} draws"
    if reason is None:
        gate.draw(SQUARE, 0, init=init)
        return
    with pytest.raises(gatebench.Unsupported, match=reason):
        gate.draw(SQUARE, 0, init=init)


# --- the same numbers, whatever else there is


@pytest.mark.parametrize("init", ["keras", "xavier", "orthogonal=1", "gaussian=1", "chrono=20"])
def test_numbers_belong_to_seed_and_name(init):
    lstm, stack = gates.get("lstm"), gates.get("lstm", num_layers=2)
    first, again, other = (lstm.draw(SHAPE, seed, init=init) for seed in (4, 4, 5))
    for name in ("weight_ih", "weight_hh"):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
    for more in (stack, gates.get("lstm_peephole")):
        beside = more.draw(SHAPE, 4, init=init)
        assert all(torch.equal(beside[name], value) for name, value in first.items())
    assert not torch.equal(stack.draw(SHAPE, 4, init=init)["weight_hh_l1"], first["weight_hh"])


@pytest.mark.parametrize("init", ["keras", "orthogonal=1"])
def test_numbers_do_not_depend_on_threads(init):
    gate, shape, threads = gates.get("rnn_tanh"), Shape(batch=1, seq_len=1, input_size=1, hidden_size=128), []
    before = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            threads.append(gate.draw(shape, 0, init=init)["weight_hh"])
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*threads)
