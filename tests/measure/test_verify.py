"""Verify: correct implementations always pass, small mistakes never do."""

import random

import pytest
import torch
import torch.nn.functional as F
from mistakes import MISTAKES, gru, lstm

from gatebench.cases import Case
from gatebench.contract import Failure, Implementation, Prepared
from gatebench.measure import subject as subjects
from gatebench.measure.reference import ReferenceCache
from gatebench.measure.verify import check_kept, verify, wrong_reason
from gatebench.registry import default_registry
from gatebench.shape import Shape

SHAPE = Shape(batch=3, seq_len=6, input_size=5, hidden_size=7)


def verified(case, entry):
    """Return why the result is wrong, None where it is right."""
    subject = subjects.prepare(case, entry)
    try:
        subjects.first_call(subject)
        return wrong_reason(verify(subject, ReferenceCache(), None))
    except Failure as failure:
        return f"{failure.status}: {failure.reason}"


def entry_of(forward, gate):
    return Implementation(f"test:{gate}", (gate,), lambda gate, case, params: Prepared(forward, params))


def case_of(gate, shape=SHAPE, mode="forward_backward", dtype="float32", **options):
    return Case(
        gate=gate, implementation="test", shape=shape, mode=mode, dtype=dtype, gate_options=tuple(options.items())
    )


@pytest.mark.parametrize("name", MISTAKES)
def test_each_small_mistake_is_wrong(name):
    gate, forward = MISTAKES[name]
    reason = verified(case_of(gate), entry_of(forward, gate))
    assert reason is not None


@pytest.mark.parametrize(("gate", "forward"), [("lstm", lstm), ("gru", gru)])
def test_the_same_code_without_a_mistake_is_right(gate, forward):
    assert verified(case_of(gate), entry_of(forward, gate)) is None


def test_reasons_name_the_tensor_and_the_gate_block():
    gate, forward = MISTAKES["gradient of the forget gate detached"]
    assert "/f: error ratio" in verified(case_of(gate), entry_of(forward, gate))
    gate, forward = MISTAKES["changes its input"]
    assert verified(case_of(gate), entry_of(forward, gate)) == "wrong: changes its input gate in place"
    gate, forward = MISTAKES["backward cut"]
    assert "output cannot be differentiated" in verified(case_of(gate), entry_of(forward, gate))


def other_order(name):
    """Return a correct implementation that computes in another order than the reference."""
    if name in ("lstm", "gru"):
        return lstm if name == "lstm" else gru
    if name == "rnn_tanh":
        return lambda p, x: rnn_by_one_product(p, x)
    if name == "swiglu_ffn":
        return fused_ffn
    return None


def rnn_by_one_product(params, inputs):
    weights = torch.cat((params["weight_ih"], params["weight_hh"]), dim=1)
    bias = params["bias_ih"] + params["bias_hh"]
    h, outputs = inputs["h0"], []
    for x_t in inputs["x"]:
        h = torch.tanh(F.linear(torch.cat((x_t, h), dim=-1), weights, bias))
        outputs.append(h)
    return {"output": torch.stack(outputs), "h": h}


def fused_ffn(params, inputs):
    u, v = F.linear(inputs["x"], torch.cat((params["W"], params["V"]))).chunk(2, dim=-1)
    return {"output": F.linear(F.silu(u) * v, params["W2"])}


def random_problem(number):
    """Return (case, entry) of a correct implementation at a random odd shape; numbers are the seeds."""
    generator = random.Random(number)
    gate = generator.choice(["rnn_tanh", "lstm", "gru", "glu", "swiglu", "swiglu_ffn"])
    sizes = [generator.choice([1, 2, 3, 5, 8, 13, 32]) for _ in range(4)]
    shape = Shape(batch=sizes[0], seq_len=sizes[1], input_size=sizes[2], hidden_size=sizes[3])
    dtype = generator.choice(["float32", "bfloat16", "float64"])
    forward = other_order(gate)
    if forward is None or generator.random() < 0.5:
        entry = default_registry().implementation("native", gate)
    else:
        entry = entry_of(forward, gate)
    mode = generator.choice(["forward", "backward", "forward_backward"])
    return Case(gate=gate, implementation="native", shape=shape, dtype=dtype, mode=mode, seed=number), entry


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_a_correct_implementation_is_never_called_wrong(start):
    wrong = {}
    for number in range(start, start + 20):
        case, entry = random_problem(number)
        reason = verified(case, entry)
        if reason is not None and not reason.startswith("unsupported: ill-conditioned"):
            wrong[number, case.case_id, entry.name] = reason
    assert wrong == {}


def test_a_replayed_output_is_found_in_a_timed_call():
    state = {}

    def replays(params, inputs):
        state.setdefault("output", inputs["value"] * torch.sigmoid(inputs["gate"]))
        return {"output": state["output"]}

    subject = subjects.prepare(case_of("glu", mode="forward"), entry_of(replays, "glu"))
    references = ReferenceCache()
    subjects.first_call(subject)
    assert wrong_reason(verify(subject, references, None)) is None
    subject.kept = (2, dict(subjects.call(subject, 2)))
    assert "output" in wrong_reason(check_kept(subject, references, None))


def test_forward_mode_leaves_gradients_out():
    subject = subjects.prepare(case_of("lstm", mode="forward"), default_registry().implementation("eager", "lstm"))
    subjects.first_call(subject)
    names = {error.tensor for error in verify(subject, ReferenceCache(), None)}
    assert names == {"output", "output@first", "output@last", "h", "c"}


def test_gradients_have_one_row_per_gate_block_and_ends_of_time():
    subject = subjects.prepare(case_of("gru"), default_registry().implementation("eager", "gru"))
    subjects.first_call(subject)
    names = {error.tensor for error in verify(subject, ReferenceCache(), None)}
    blocks = {f"grad:{name}/{letter}" for name in subject.params for letter in "rzn"}
    assert names == {
        "output", "output@first", "output@last", "h", "grad:x", "grad:x@first", "grad:x@last", "grad:h0", *blocks,
    }  # fmt: skip


def test_batch_first_plugins_get_and_return_their_own_layout():
    def batch_first(params, inputs):
        assert inputs["x"].shape == (SHAPE.batch, SHAPE.seq_len, SHAPE.input_size)
        assert inputs["x"].is_contiguous()
        found = lstm(params, {**inputs, "x": inputs["x"].transpose(0, 1)})
        return {**found, "output": found["output"].transpose(0, 1)}

    entry = Implementation(
        "test:lstm", ("lstm",), lambda gate, case, params: Prepared(batch_first, params), layout="batch_first"
    )
    assert verified(case_of("lstm"), entry) is None


def test_packed_leaves_are_mapped_back_to_the_gates_names():
    def prepare(gate, case, params):
        packed = torch.cat((params["W"], params["V"]))

        def forward(leaves, inputs):
            u, v = F.linear(inputs["x"], leaves["packed"]).chunk(2, dim=-1)
            return {"output": F.linear(F.silu(u) * v, leaves["W2"])}

        def canonical(gradients):
            W, V = gradients["packed"].chunk(2)
            return {"W": W, "V": V, "W2": gradients["W2"]}

        return Prepared(forward, {"packed": packed, "W2": params["W2"]}, canonical)

    assert verified(case_of("swiglu_ffn"), Implementation("test:packed", ("swiglu_ffn",), prepare)) is None
