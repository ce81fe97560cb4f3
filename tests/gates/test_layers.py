"""Stacked, bidirectional and ragged recurrences against torch's modules, packed sequences and single rows."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatebench import Shape, Unsupported, gates
from gatebench.cases import Case
from gatebench.measure import subject as subjects
from gatebench.measure.reference import ReferenceCache
from gatebench.measure.verify import verify, wrong_reason
from gatebench.options import Option
from gatebench.registry import default_registry

MODULES = {"rnn_tanh": nn.RNN, "rnn_relu": partial(nn.RNN, nonlinearity="relu"), "lstm": nn.LSTM, "gru": nn.GRU}
SHAPE = Shape(batch=4, seq_len=7, input_size=5, hidden_size=3)
STACKS = {
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "three layers, both directions": {"num_layers": 3, "bidirectional": True},
    "ragged rows": {"lengths": True},
    "all": {"num_layers": 2, "bidirectional": True, "lengths": True},
}
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}


def torch_forward(gate, params, inputs):
    """Compute the same by torch's module: its own names `weight_ih_l0_reverse`, its own (P, B, H) states."""
    module = MODULES[gate.name](
        SHAPE.input_size, SHAPE.hidden_size, num_layers=gate["num_layers"], bidirectional=gate["bidirectional"],
        dtype=torch.float64,
    )  # fmt: skip
    ours = {
        name.replace("_l0", ""): name for name, _ in module.named_parameters()
    }  # weight_ih_l0_reverse is weight_ih_reverse here
    assert ours.keys() == params.keys()
    module.load_state_dict({ours[name]: value for name, value in params.items()})
    passes = gate["num_layers"] * (2 if gate["bidirectional"] else 1)
    start = [inputs[f"{part}0"].reshape(-1, passes, SHAPE.hidden_size).transpose(0, 1) for part in gate.parts]
    x = inputs["x"]
    if gate["lengths"]:
        x = pack_padded_sequence(x, inputs["lengths"], enforce_sorted=False)
    output, final = module(x, tuple(start) if len(start) > 1 else start[0])
    if gate["lengths"]:
        output, _ = pad_packed_sequence(output, total_length=SHAPE.seq_len)
    final = final if len(start) > 1 else (final,)
    states = {part: value.transpose(0, 1).flatten(1) for part, value in zip(gate.parts, final, strict=True)}
    return {"output": output, **states}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", MODULES)
def test_forward_equals_torchs_module(name, stack):
    gate = gates.get(name, **STACKS[stack])
    params, inputs = gate.draw(SHAPE, seed=1), gate.inputs(SHAPE, seed=1)
    found, expected = gate.forward(params, inputs), torch_forward(gate, params, inputs)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value.detach(), **TOLERANCE)


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("implementation", "name"), [("native", name) for name in MODULES] + [("eager", "lstm")])
def test_implementations_are_right_with_every_gradient(implementation, name, stack, mode):
    case = Case(
        gate=name, implementation=implementation, shape=SHAPE, mode=mode, gate_options=tuple(STACKS[stack].items())
    )
    subject = subjects.prepare(case, default_registry().implementation(implementation, name))
    subjects.first_call(subject)
    errors = verify(subject, ReferenceCache(), None)
    assert wrong_reason(errors) is None
    gradients = {error.tensor for error in errors if error.tensor.startswith("grad:weight")}
    blocks = {
        f"grad:{key}/{letter}"
        for key in subject.params
        if key.startswith("weight")
        for letter in gates.get(name).letters
    }
    one_block = {block.partition("/")[0] for block in blocks}
    assert gradients in ((blocks, one_block) if mode == "forward_backward" else (set(),))


def test_what_stands_beyond_a_rows_end_is_never_read():
    gate = gates.get("gru", lengths=True, num_layers=2)
    params, inputs = gate.draw(SHAPE, seed=6), gate.inputs(SHAPE, seed=6)
    params = {key: value.requires_grad_() for key, value in params.items()}
    clean = torch.autograd.grad(gate.forward(params, inputs)["output"].sum(), list(params.values()))
    for row, length in enumerate(inputs["lengths"].tolist()):
        inputs["x"][length:, row] = float("nan")
    found = gate.forward(params, inputs)["output"]
    assert bool(found.isfinite().all())
    for before, after in zip(clean, torch.autograd.grad(found.sum(), list(params.values())), strict=True):
        assert torch.equal(before, after)


def test_a_ragged_row_is_that_row_alone_and_zero_beyond():
    gate = gates.get("lstm", lengths=True, bidirectional=True)
    params, inputs = gate.draw(SHAPE, seed=3), gate.inputs(SHAPE, seed=3)
    assert sorted(inputs["lengths"].tolist()) == [2, 4, 6, 7]  # ⌈7 b / 4⌉
    found = gate.forward(params, inputs)
    alone = gates.get("lstm", bidirectional=True)
    for row, length in enumerate(inputs["lengths"].tolist()):
        cut = {"x": inputs["x"][:length, [row]], **{key: inputs[key][[row]] for key in ("h0", "c0")}}
        expected = alone.forward(params, cut)
        torch.testing.assert_close(found["output"][:length, [row]], expected["output"], **TOLERANCE)
        assert not found["output"][length:, row].any()
        for part in ("h", "c"):
            torch.testing.assert_close(found[part][[row]], expected[part], **TOLERANCE)


@pytest.mark.parametrize("name", MODULES)
def test_steps_climb_all_layers(name):
    gate = gates.get(name, num_layers=3)
    params, inputs = gate.draw(SHAPE, seed=2), gate.inputs(SHAPE, seed=2)
    state = torch.cat([inputs[f"{part}0"] for part in gate.parts], dim=-1)
    values = gate.activations(params, inputs["x"][0], state)
    assert {tuple(value.shape) for value in values.values()} == {(SHAPE.batch, 3 * SHAPE.hidden_size)}
    for x_t in inputs["x"]:
        state = gate.step(params, x_t, state)
    found = gate.forward(params, inputs)
    torch.testing.assert_close(state, torch.cat([found[part] for part in gate.parts], dim=-1), **TOLERANCE)


@pytest.mark.parametrize("option", ["bidirectional", "lengths"])
def test_what_sees_more_than_the_past_has_no_step(option):
    gate = gates.get("gru", **{option: True})
    params, inputs = gate.draw(SHAPE, seed=2), gate.inputs(SHAPE, seed=2)
    with pytest.raises(Unsupported, match=f"gru with {option}=True has no step"):
        gate.step(params, inputs["x"][0], inputs["h0"])


def test_numba_refuses_what_it_would_compute_wrong():
    case = Case(gate="gru", implementation="numba", shape=SHAPE, gate_options=(("num_layers", 2),))
    with pytest.raises(Unsupported, match="numba does one layer"):
        subjects.prepare(case, default_registry().implementation("numba", "gru"))


def test_the_work_is_that_of_all_passes():
    # Two layers in both directions, B = 4, T = 7, I = 5, H = 3, float64. Rows end at 2, 4, 6, 7: n = 19 steps.
    gate = gates.get("lstm", num_layers=2, bidirectional=True, lengths=True)
    forward, backward, both = (
        gate.cost(SHAPE, mode, "float64") for mode in ("forward", "backward", "forward_backward")
    )
    n, rows = 19, 12
    below, above = rows * (5 + 3), rows * (6 + 3)  # multiply-adds per step and pass; the upper layer's input is 2H wide
    assert forward.flops == 2 * n * (2 * below + 2 * above)
    assert backward.flops == 2 * forward.flops
    assert forward.transcendental == 5 * n * 3 * 4
    weights = 2 * rows * (5 + 3 + 2) + 2 * rows * (6 + 3 + 2)
    assert weights == sum(torch.tensor(size).prod().item() for size in gate.parameters(SHAPE).values())
    states = 2 * 2 * (4 * 4 * 3)  # h and c, in and out, of B = 4 rows and 4 passes
    assert forward.bytes_min == 8 * (n * 5 + weights + 4 * 7 * 6 + states)
    reserve = 5 * n * 4 * 3 + n * 6  # i, f, g, o, c of each pass, and the lower layer's h, which the upper one reads
    assert backward.bytes_min == 8 * (n * 5 + 4 * 7 * 5 + 2 * 4 * 7 * 6 + reserve + 2 * weights)  # dx is written whole
    assert both.bytes_min == forward.bytes_min + backward.bytes_min + 8 * reserve
    one = gates.get("lstm", num_layers=1)
    assert one.cost(SHAPE, "forward", "float64").flops == 2 * 4 * 7 * below


def test_hidden_states_of_other_layers_matter():
    # h0 has the passes side by side: changing the second layer's part changes the final state of that layer alone.
    gate = gates.get("rnn_tanh", num_layers=2)
    params, inputs = gate.draw(SHAPE, seed=4), gate.inputs(SHAPE, seed=4)
    before = gate.forward(params, inputs)["h"]
    inputs["h0"][:, SHAPE.hidden_size :] += 1
    after = gate.forward(params, inputs)["h"]
    assert torch.equal(before[:, : SHAPE.hidden_size], after[:, : SHAPE.hidden_size])
    assert not torch.isclose(before[:, SHAPE.hidden_size :], after[:, SHAPE.hidden_size :]).any()


def test_a_forget_bias_is_set_in_every_pass():
    gate = gates.get("lstm", num_layers=2, bidirectional=True)
    params, plain = gate.draw(SHAPE, seed=5, init="forget_bias=1"), gate.draw(SHAPE, seed=5)
    H = SHAPE.hidden_size
    for suffix in ("", "_reverse", "_l1", "_l1_reverse"):
        assert params[f"bias_ih{suffix}"][H : 2 * H].tolist() == [1.0] * H
        assert params[f"bias_hh{suffix}"][H : 2 * H].tolist() == [0.0] * H
        assert torch.equal(params[f"bias_ih{suffix}"][:H], plain[f"bias_ih{suffix}"][:H])
        assert torch.equal(params[f"weight_hh{suffix}"], plain[f"weight_hh{suffix}"])


def test_chrono_draws_each_pass_and_seed_its_own():
    gate = gates.get("lstm", num_layers=2)
    H = SHAPE.hidden_size
    forgets = [
        gate.draw(SHAPE, seed, init="chrono")[name][H : 2 * H] for seed in (0, 1) for name in ("bias_ih", "bias_ih_l1")
    ]
    assert len({tuple(values.tolist()) for values in forgets}) == 4
    assert torch.equal(forgets[0], gates.get("lstm").draw(SHAPE, 0, init="chrono")["bias_ih"][H : 2 * H])


def test_every_pass_has_the_gates_blocks():
    gate = gates.get("lstm", num_layers=2, bidirectional=True)
    assert {gate.blocks(name) for name in gate.parameters(SHAPE)} == {("i", "f", "g", "o")}
    assert gate.blocks("h0") == ()


def test_a_subclass_has_its_own_options_beside_these():
    class Leaky(type(gates.get("lstm"))):
        options = {"leak": Option(0.5, float, (0.0, 1.0), "a test's")}  # noqa: RUF012

    assert dict(Leaky(leak=0.25, num_layers=2).option_values) == {
        "bidirectional": False, "leak": 0.25, "lengths": False, "num_layers": 2
    }  # fmt: skip
