"""What every scan gate keeps: steps equal the whole, pieces equal the whole, causality, gradients, costs."""

import math

import pytest
import torch
from scan_helpers import SHAPE, SHAPES, SQUARE, TOLERANCE, problem, state_of
from torch.utils.flop_counter import FlopCounterMode

import gatebench
from gatebench import Shape, gates
from gatebench.stability import unroll

VARIANTS = [
    ("mingru", {}),
    ("minlstm", {}),
    ("qrnn", {}),
    ("qrnn", {"pooling": "f", "kernel_size": 1}),
    ("qrnn", {"pooling": "ifo", "kernel_size": 4}),
    ("sru", {"alpha": 1.5}),
    ("rg_lru", {}),
    ("rg_lru", {"num_blocks": 2}),
    ("mlstm", {}),
    ("mlstm", {"heads": 2}),
    ("selective_scan", {"d_state": 3}),
    ("selective_scan", {"d_state": 2, "discretization": "zoh", "skip": False}),
]
EVERY = pytest.mark.parametrize(("name", "options"), VARIANTS)


@SHAPES
@EVERY
def test_steps_in_sequence_equal_forward(name, options, shape):
    gate, params, inputs = problem(name, options, shape)
    state = state_of(gate, inputs, shape)
    for x_t in gate.step_inputs(inputs):
        state = gate.step(params, x_t, state)
    found = gate.forward(params, inputs)
    torch.testing.assert_close(state, torch.cat([found[part] for part in gate.state(shape)], dim=-1), **TOLERANCE)
    assert found["output"].shape == (shape.seq_len, shape.batch, shape.hidden_size)


@EVERY
def test_a_sequence_in_pieces_equals_the_whole(name, options):
    gate, params, inputs = problem(name, options)
    whole = gate.forward(params, inputs)
    carried = {key: value for key, value in inputs.items() if key != "x"}
    outputs, result = [], {}
    for x in inputs["x"].split([1, 1, 4, 1]):
        result = gate.forward(params, {"x": x, **carried})
        carried = gate.carried({"x": x, **carried}, result)
        outputs.append(result["output"])
    torch.testing.assert_close(torch.cat(outputs), whole["output"], **TOLERANCE)
    for part in gate.state(SHAPE):
        torch.testing.assert_close(result[part], whole[part], **TOLERANCE)


@EVERY
def test_no_output_sees_a_later_input(name, options):
    gate, params, inputs = problem(name, options)
    inputs["x"].requires_grad_(True)
    output = gate.forward(params, inputs)["output"]
    for t in (0, 3, 6):
        (gradient,) = torch.autograd.grad(output[t].sum(), inputs["x"], retain_graph=True)
        assert bool(gradient[t].any())
        assert not bool(gradient[t + 1 :].any())


@EVERY
def test_gradients_are_those_of_the_function(name, options):
    shape = Shape(batch=2, seq_len=3, input_size=3, hidden_size=4)
    gate, params, inputs = problem(name, options, shape)
    names = [*params, *inputs]
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]

    def function(*values):
        given = dict(zip(names, values, strict=True))
        outputs = gate.forward({key: given[key] for key in params}, {key: given[key] for key in inputs})
        return tuple(outputs.values())

    assert torch.autograd.gradcheck(function, leaves)


@EVERY
def test_stability_unrolls_the_same_states(name, options):
    gate, params, inputs = problem(name, options)
    trajectory = unroll(gate, params, inputs)
    found = gate.forward(params, inputs)
    assert list(trajectory.parts) == list(gate.state(SHAPE))
    for part, place in trajectory.parts.items():
        torch.testing.assert_close(trajectory.states[-1][:, place], found[part], **TOLERANCE)


@EVERY
def test_activations_are_named_and_lie_in_their_range(name, options):
    gate, params, inputs = problem(name, options)
    values = gate.activations(params, gate.step_inputs(inputs)[0], state_of(gate, inputs))
    assert values
    for letter, value in values.items():
        if gate.nonlinearities.get(letter) == "sigmoid":
            assert float(value.min()) > 0
            assert float(value.max()) < 1


@pytest.mark.parametrize("name", ["mingru", "qrnn", "sru", "rg_lru"])
def test_a_large_memory_bias_keeps_the_state(name):
    gate, shape = gates.get(name), Shape(batch=2, seq_len=10, input_size=3, hidden_size=4)
    part = next(iter(gate.state(shape)))
    inputs = gate.inputs(shape, 0, kind="zero") | {f"{part}0": torch.ones(2, 4, dtype=torch.float64)}
    held, plain = (gate.forward(gate.draw(shape, 0, init=init), inputs)[part] for init in ("forget_bias=30", "torch"))
    assert float((held - 1).abs().max()) < 1e-9
    assert float((plain - 1).abs().max()) > 0.1


def test_memory_biases_of_the_gates_with_several_scales():
    # minLSTM: f' = σ(b) / (σ(b) + σ(-b)) = σ(b) with chrono's b_i = -b_f, and b lies in [0, ln 99].
    shape = Shape(batch=2, seq_len=100, input_size=3, hidden_size=500)
    f, i, _ = gates.get("minlstm").draw(shape, 0, init="chrono")["bias_ih"].chunk(3)
    assert torch.equal(f, -i)
    assert 0 <= float(f.min()) < 1 < 4.5 < float(f.max()) <= math.log(99)
    assert gates.get("mlstm", heads=2).draw(SHAPE, 0, init="forget_bias=3")["bias_if"][2:].tolist() == [3.0, 3.0]
    with pytest.raises(gatebench.Unsupported, match="no gate that keeps its state"):
        gates.get("selective_scan").draw(SHAPE, 0, init="forget_bias=1")


def test_refused_shapes_say_why():
    for name, options in (("mlstm", {"heads": 3}), ("rg_lru", {"num_blocks": 3})):
        with pytest.raises(gatebench.Unsupported, match="no multiple of"):
            gates.get(name, **options).draw(SHAPE, 0)


# --- costs


@pytest.mark.parametrize(
    ("name", "options"),
    [pair for pair in VARIANTS if pair[0] in ("mingru", "minlstm", "qrnn", "sru", "rg_lru")],
)
@SHAPES
def test_flops_are_those_that_torch_counts(name, options, shape):
    gate, params, inputs = problem(name, options, shape)
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]
    with FlopCounterMode(display=False) as counter:
        output = gate.forward(params, inputs)["output"]
    assert gate.cost(shape, "forward", "float32").flops == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(output.sum(), leaves)
    assert gate.cost(shape, "backward", "float32").flops == counter.get_total_flops()


def test_costs_equal_numbers_worked_out_by_hand():
    # minGRU: n = 21 steps, x 105, weights 2·4·(5+1) = 48, output 84, states 12; kept z, n, h, of which h is the output.
    cost = {
        mode: gates.get("mingru").cost(SHAPE, mode, "float32") for mode in ("forward", "backward", "forward_backward")
    }
    assert cost["forward"].bytes_min == 4 * (105 + 48 + 84 + 2 * 12)
    assert cost["backward"].bytes_min == 4 * (2 * 105 + 2 * 48 + 84 + 3 * 84)
    assert cost["forward_backward"].bytes_min == cost["forward"].bytes_min + cost["backward"].bytes_min + 4 * 2 * 84
    assert (cost["forward"].transcendental, cost["backward"].transcendental) == (84, 0)
    # mLSTM, two heads of width 2: products 2·5·(16 + 4), and 2·2·2 multiply-adds to write C and to read it, per head.
    mlstm = gates.get("mlstm", heads=2)
    assert mlstm.cost(SHAPE, "forward", "float32").flops == 21 * (2 * 5 * 20 + 2 * 2 * (2 * 2 * 2))
    assert mlstm.state(SHAPE) == {"C": 8, "n": 4, "m": 2}
    # Backward the memory is written and read again, from its initial state; ln σ(f̃), i, f and both scales per head.
    backward = mlstm.cost(SHAPE, "backward", "float32")
    assert backward.flops == 21 * (2 * 2 * 5 * 20 + 3 * 2 * (2 * 2 * 2 * 2))
    assert backward.transcendental == 21 * 5 * 2
    assert backward.bytes_min == 4 * (2 * 105 + 2 * (16 + 4) * 6 + 84 + 21 * (16 + 4) + 3 * (8 + 4 + 2))
    # selective scan: x to 4 channels, Δ (4·4), B and C (2·3·4), and 4·3 states that are written and read.
    scan = gates.get("selective_scan", d_state=3)
    assert scan.cost(SHAPE, "forward", "float32").flops == 21 * 2 * (5 * 4 + 4 * 4 + 2 * 3 * 4 + 2 * 4 * 3)
    assert scan.cost(SQUARE, "forward", "float32").flops == 21 * 2 * (4 * 4 + 2 * 3 * 4 + 2 * 4 * 3)
    # Backward the states are written again, from the initial ones; Δ, B, C are kept; σ of softplus, exp(Δ A).
    backward = scan.cost(SQUARE, "backward", "float32")
    assert backward.flops == 21 * 2 * (2 * (4 * 4 + 2 * 3 * 4 + 2 * 4 * 3) + 4 * 3)
    assert backward.transcendental == 21 * (4 + 4 * 3)
    weights = 16 + 2 * 12 + 4 + 12 + 4
    assert backward.bytes_min == 4 * (2 * 84 + 2 * weights + 84 + 21 * (4 + 2 * 3) + 3 * 12)
    # RG-LRU: the gates are kept, exp and the root of 4 decays are not.
    assert gates.get("rg_lru").cost(SQUARE, "backward", "float32").transcendental == 21 * 2 * 4
    # QRNN: the input before the first is read, too: 3·5 values.
    qrnn = gates.get("qrnn").cost(SHAPE, "forward", "float64")
    assert qrnn.bytes_min == 8 * (105 + 15 + 12 * (5 * 2 + 1) + 84 + 2 * 12)
