"""Scan gates with a vector as state, one by one: closed forms, other formulations, hand-made numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from scan_helpers import SHAPE, SHAPES, SQUARE, TOLERANCE, jacobian, problem

from gatebench import Shape, gates
from gatebench.cases import Case
from gatebench.gates.scan.rg_lru import root
from gatebench.registry import default_registry

# --- minGRU, minLSTM


def test_mingru_gradient_is_the_product_of_what_is_kept():
    gate, params, inputs = problem("mingru", {})
    inputs["h0"].requires_grad_(True)
    z = torch.sigmoid(inputs["x"] @ params["weight_ih"][:4].T + params["bias_ih"][:4])
    (found,) = torch.autograd.grad(gate.forward(params, inputs)["h"].sum(), inputs["h0"])
    torch.testing.assert_close(found, (1 - z).prod(0), **TOLERANCE)


def test_mingru_equals_the_sum_over_its_inputs():
    gate, params, inputs = problem("mingru", {})
    z, n = (inputs["x"] @ params["weight_ih"].T + params["bias_ih"]).chunk(2, dim=-1)
    z = torch.sigmoid(z)
    kept = torch.cumprod((1 - z).flip(0), 0).flip(0)  # kept[t] = Π_{s ≥ t} (1 - z_s)
    after = torch.cat((kept[1:], torch.ones_like(kept[:1])))
    expected = kept[0] * inputs["h0"] + (after * z * n).sum(0)
    torch.testing.assert_close(gate.forward(params, inputs)["h"], expected, **TOLERANCE)


def test_minlstm_weighs_by_gates_scaled_to_one():
    gate, params, inputs = problem("minlstm", {})
    f, i, g = (inputs["x"] @ params["weight_ih"].T + params["bias_ih"]).chunk(3, dim=-1)
    f, i, h = torch.sigmoid(f), torch.sigmoid(i), inputs["h0"]
    for t in range(7):
        h = f[t] / (f[t] + i[t]) * h + i[t] / (f[t] + i[t]) * g[t]
    torch.testing.assert_close(gate.forward(params, inputs)["h"], h, **TOLERANCE)
    values = gate.activations(params, inputs["x"][0], inputs["h0"])
    torch.testing.assert_close(values["f"], f[0], **TOLERANCE)
    torch.testing.assert_close(values["i"], i[0], **TOLERANCE)


def test_minlstm_with_both_gates_shut_still_weighs_them():
    gate, params, inputs = problem("minlstm", {})
    shut = params | {"bias_ih": torch.cat((torch.full((8,), -2000.0, dtype=torch.float64), params["bias_ih"][8:]))}
    kept = torch.sigmoid(
        inputs["x"][0] @ (params["weight_ih"][:4] - params["weight_ih"][4:8]).T
    )  # σ(f) / σ(i) = e^(f-i)
    g = inputs["x"][0] @ params["weight_ih"][8:].T + params["bias_ih"][8:]
    expected = kept * inputs["h0"] + (1 - kept) * g
    torch.testing.assert_close(gate.forward(shut, inputs)["output"][0], expected, rtol=1e-9, atol=1e-9)


# --- QRNN


@pytest.mark.parametrize("pooling", ["f", "fo", "ifo"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_qrnn_is_a_causal_convolution_and_a_pooling(pooling, k):
    gate, params, inputs = problem("qrnn", {"pooling": pooling, "kernel_size": k})
    if k > 1:
        inputs["x0"] = torch.zeros_like(inputs["x0"])  # the paper's padding
    x = inputs["x"].permute(1, 2, 0)
    values = F.conv1d(x, params["weight_ih"], params["bias_ih"], padding=k - 1)[..., :7].permute(2, 0, 1)
    z, f, *rest = values.chunk(len(pooling) + 1, dim=-1)
    z, f, c = torch.tanh(z), torch.sigmoid(f), inputs["c0"]
    o = torch.sigmoid(rest[0]) if rest else torch.ones_like(f)
    i = torch.sigmoid(rest[1]) if pooling == "ifo" else 1 - f
    outputs = []
    for t in range(7):
        c = f[t] * c + i[t] * z[t]
        outputs.append(o[t] * c)
    found = gate.forward(params, inputs)
    torch.testing.assert_close(found["output"], torch.stack(outputs), **TOLERANCE)
    torch.testing.assert_close(found["c"], c, **TOLERANCE)
    assert gate.blocks("weight_ih") == ("z", "f", "o", "i")[: len(pooling) + 1]


def test_qrnn_takes_the_inputs_before_the_first():
    gate, params, inputs = problem("qrnn", {"kernel_size": 3})
    longer = {"x": torch.cat((inputs["x0"], inputs["x"])), "x0": torch.zeros_like(inputs["x0"]), "c0": inputs["c0"]}
    values = gate.project(params, gate.step_inputs(longer)[2:])
    torch.testing.assert_close(gate.project(params, gate.step_inputs(inputs))["z"], values["z"], **TOLERANCE)


def test_qrnn_jacobian_is_the_forget_gate():
    shape = Shape(batch=1, seq_len=2, input_size=5, hidden_size=4)
    gate, params, inputs = problem("qrnn", {}, shape)
    window = gate.step_inputs(inputs)[0]
    f = gate.activations(params, window, inputs["c0"])["f"]
    torch.testing.assert_close(jacobian(gate, params, window, inputs["c0"]), torch.diag(f[0]), **TOLERANCE)


@pytest.mark.slow
def test_compile_hands_the_convolutions_past_from_chunk_to_chunk():
    gate, params, inputs = problem("qrnn", {"kernel_size": 4})  # 7 steps in chunks of 2: shorter than the past
    inputs["c0"] = inputs["c0"].T.contiguous().T  # Inductor once read a strided c0 as if it were not
    chunks = (("chunk", 2),)
    case = Case(gate="qrnn", implementation="compile", shape=SHAPE, dtype="float64", implementation_options=chunks)
    compiled = default_registry().implementation("compile", "qrnn").prepare(gate, case, params).forward
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]
    found, expected = compiled(params, inputs), gate.forward(params, inputs)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **TOLERANCE)
    upstream = torch.randn(7, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gradients = [torch.autograd.grad(outputs["output"], leaves, upstream) for outputs in (found, expected)]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, **TOLERANCE)


# --- SRU


@SHAPES
def test_sru_equals_its_equations(shape):
    gate, params, inputs = problem("sru", {"alpha": 1.7}, shape)
    W, W_f, W_r = params["weight_ih"].chunk(3)
    (v_f, v_r), (b_f, b_r), c = params["weight_c"].chunk(2), params["bias_ih"].chunk(2), inputs["c0"]
    for t, x in enumerate(inputs["x"]):
        f = torch.sigmoid(x @ W_f.T + v_f * c + b_f)
        r = torch.sigmoid(x @ W_r.T + v_r * c + b_r)  # the last state, not the new one
        c = f * c + (1 - f) * (x @ W.T)
        by = x @ params["weight_skip"].T if shape == SHAPE else 1.7 * x
        torch.testing.assert_close(gate.forward(params, inputs)["output"][t], r * c + (1 - r) * by, **TOLERANCE)


def test_sru_jacobian_has_the_closed_form():
    shape = Shape(batch=1, seq_len=1, input_size=5, hidden_size=4)
    gate, params, inputs = problem("sru", {}, shape)
    x, c = inputs["x"][0], inputs["c0"]
    f = gate.activations(params, x, c)["f"]
    candidate = x @ params["weight_ih"][:4].T
    expected = f + (c - candidate) * f * (1 - f) * params["weight_c"][:4]
    torch.testing.assert_close(jacobian(gate, params, x, c), torch.diag(expected[0]), **TOLERANCE)


# --- RG-LRU


def test_rg_lru_by_hand():
    # Weights and biases 0: r = i = ½. With softplus(Λ) = ln 2 / 4, ln a = -8 · ½ · ln 2 / 4 = -ln 2, so a = ½.
    gate, shape = gates.get("rg_lru"), Shape(batch=1, seq_len=2, input_size=1, hidden_size=1)
    one = torch.ones(1, dtype=torch.float64)
    params = {"weight_ih": torch.zeros(2, 1, dtype=torch.float64), "bias_ih": torch.zeros(2, dtype=torch.float64)}
    params["Lambda"] = torch.log(torch.expm1(math.log(2) / 4 * one))
    inputs = {"x": torch.tensor([[[2.0]], [[-4.0]]], dtype=torch.float64), "h0": 3 * one[None]}
    found = gate.forward(params, inputs)["output"].flatten().tolist()
    first = 0.5 * 3 + math.sqrt(0.75) * 0.5 * 2
    assert found == pytest.approx([first, 0.5 * first - math.sqrt(0.75) * 0.5 * 4], rel=1e-14)
    assert {key: tuple(size) for key, size in gate.parameters(shape).items()} == {
        "weight_ih": (2, 1), "bias_ih": (2,), "Lambda": (1,),
    }  # fmt: skip


def test_rg_lru_gradient_is_the_product_of_decays():
    gate, params, inputs = problem("rg_lru", {}, SQUARE)
    inputs["h0"].requires_grad_(True)
    r = torch.sigmoid(inputs["x"] @ params["weight_ih"][:4].T + params["bias_ih"][:4])
    expected = torch.exp(-8 * r * F.softplus(params["Lambda"])).prod(0)
    (found,) = torch.autograd.grad(gate.forward(params, inputs)["h"].sum(), inputs["h0"])
    torch.testing.assert_close(found, expected, **TOLERANCE)


def test_rg_lru_blocks_are_a_block_diagonal_matrix():
    blocked, full = gates.get("rg_lru", num_blocks=2), gates.get("rg_lru")
    params, inputs = blocked.draw(SQUARE, 3), blocked.inputs(SQUARE, 3)
    r, i = params["weight_ih"].chunk(2)
    dense = torch.cat([torch.block_diag(*gate.chunk(2)) for gate in (r, i)])
    expected = full.forward({**params, "weight_ih": dense}, inputs)["output"]
    torch.testing.assert_close(blocked.forward(params, inputs)["output"], expected, **TOLERANCE)


def test_rg_lru_draws_decays_of_the_ring():
    shape = Shape(batch=1, seq_len=1, input_size=4, hidden_size=4000)
    square = torch.exp(-2 * F.softplus(gates.get("rg_lru").draw_parameter(shape, 0, "Lambda")))
    assert float(square.min()) >= 0.9**2
    assert float(square.max()) <= 0.999**2
    assert float(square.mean()) == pytest.approx((0.9**2 + 0.999**2) / 2, abs=4e-3)  # uniform: 4 standard errors


def test_rg_lru_has_finite_gradients_where_nothing_is_forgotten():
    gate, params, inputs = problem("rg_lru", {}, SQUARE)
    params = {name: value.requires_grad_(True) for name, value in params.items()}
    shut = {**params, "bias_ih": params["bias_ih"] - 2000}  # r = i = 0, a = 1 exactly
    output = gate.forward(shut, inputs)["output"]
    torch.testing.assert_close(output, inputs["h0"].expand_as(output), **TOLERANCE)
    for gradient in torch.autograd.grad(output.sum(), list(params.values())):
        assert not bool(gradient.any())


def test_rg_lru_root_is_flat_at_zero_and_keeps_nan():
    square = torch.tensor([0.0, 0.25, math.nan], requires_grad=True)
    value = root(square)
    (slope,) = torch.autograd.grad(value[:2].sum(), square)
    assert value[:2].tolist() == [0.0, 0.5]
    assert bool(value[2].isnan())
    assert slope[:2].tolist() == [0.0, 1.0]  # 1 / (2 √¼)
