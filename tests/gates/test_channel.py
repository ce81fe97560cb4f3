"""Gates on channels against dense convolutions, closed forms of the surrogate, hand-made numbers, and in low precision."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import gatebench
from gatebench import Shape, gates

SHAPE = Shape(batch=3, seq_len=6, input_size=9, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
NORMS = pytest.mark.parametrize("norm", ["folded", "batch"])


def problem(options, shape=SHAPE, seed=1):
    gate = gates.get("channel_gate", **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


def dense(params, x):
    """Return the convolution with all channels, and the one with the first channels alone."""
    base = F.conv2d(x[:, : params["weight_p"].shape[1]], params["weight_p"], padding="same")
    return F.conv2d(x, torch.cat((params["weight_p"], params["weight_r"]), dim=1), padding="same"), base


# --- channel gating


@NORMS
def test_p18_open_is_the_dense_convolution_and_shut_the_base(norm):
    gate, params, inputs = problem({"norm": norm})
    full, base = dense(params, inputs["x"])
    for threshold, expected in ((-math.inf, full), (math.inf, base)):
        found = gate.forward({**params, "threshold": torch.full((4,), threshold, dtype=torch.float64)}, inputs)
        torch.testing.assert_close(found["output"], expected, **TOLERANCE)


@NORMS
def test_the_output_is_the_papers_mixture(norm):
    gate, params, inputs = problem({"norm": norm, "kernel_size": 1, "p": 3, "width": 5})
    assert params["weight_p"].shape == (4, 3, 1, 1)
    assert inputs["x"].shape == (3, 9, 6, 5)
    full, base = dense(params, inputs["x"])
    bn = torch.nn.BatchNorm2d(4, affine=False, dtype=torch.float64)
    normed = bn(base) if norm == "batch" else base
    d = (torch.sigmoid(2.0 * (normed - params["threshold"][:, None, None])) - 0.5 > 0).double()
    assert 0.2 < float(d.mean()) < 0.8
    torch.testing.assert_close(gate.forward(params, inputs)["output"], full * d + base * (1 - d), **TOLERANCE)
    assert torch.equal(gate.activations(params, inputs)["d"], d)


def test_a_gate_by_hand():
    # Two channels, filters 1: Y_p = x_1, and x_2 is added where x_1 > 1; at 1 itself the gate is shut.
    gate, shape = gates.get("channel_gate", kernel_size=1), Shape(batch=1, seq_len=2, input_size=2, hidden_size=1)
    assert gate.parameters(shape) == {"weight_p": (1, 1, 1, 1), "weight_r": (1, 1, 1, 1), "threshold": (1,)}
    one = torch.ones(1, 1, 1, 1)
    x = torch.tensor([[[[0.0, 1.0], [1.5, 2.0]], [[10.0, 20.0], [30.0, 40.0]]]])
    found = gate.forward({"weight_p": one, "weight_r": one, "threshold": torch.ones(1)}, {"x": x})["output"]
    assert found.tolist() == [[[[0.0, 1.0], [31.5, 42.0]]]]


@pytest.mark.parametrize("sparse", [False, True])
def test_the_gradient_is_the_surrogates_closed_form(sparse):
    gate, params, inputs = problem({"alpha": 3.0, "sparse_bp": sparse, "kernel_size": 1})
    x = inputs["x"]
    leaves = [value.requires_grad_(True) for value in (x, *params.values())]
    upstream = torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = torch.autograd.grad(gate.forward(params, inputs)["output"], leaves, upstream)
    with torch.no_grad():
        W_p, W_r, delta = params["weight_p"][..., 0, 0], params["weight_r"][..., 0, 0], params["threshold"]
        base, rest = (torch.einsum("oc,bchw->bohw", W, part) for W, part in ((W_p, x[:, :2]), (W_r, x[:, 2:])))
        d = (base > delta[:, None, None]).double()
        soft = torch.sigmoid(3.0 * (base - delta[:, None, None]))
        through = upstream * rest * 3.0 * soft * (1 - soft) * (d if sparse else 1.0)  # dL/dd · dd/dY_p
        to_base, to_rest = upstream + through, upstream * d
        expected = (
            torch.cat([torch.einsum("oc,bohw->bchw", W, up) for W, up in ((W_p, to_base), (W_r, to_rest))], dim=1),
            torch.einsum("bohw,bchw->oc", to_base, x[:, :2])[..., None, None],
            torch.einsum("bohw,bchw->oc", to_rest, x[:, 2:])[..., None, None],
            -through.sum((0, 2, 3)),
        )
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, **TOLERANCE)


def test_batch_norm_lets_the_surrogate_through():
    gate, params, inputs = problem({"norm": "batch", "kernel_size": 1})
    params["weight_p"].requires_grad_(True)
    (found,) = torch.autograd.grad(gate.forward(params, inputs)["output"].sum(), params["weight_p"])
    full, base = dense(params, inputs["x"])
    normed = torch.nn.BatchNorm2d(4, affine=False, dtype=torch.float64)(base)
    above = normed - params["threshold"][:, None, None]
    # The same number from the derivative of a smooth function: y = Y_p + (stop(d - σ) + σ) ⊙ Y_r.
    rest, soft = (full - base).detach(), torch.sigmoid(2.0 * above)
    (expected,) = torch.autograd.grad((base + soft * rest).sum(), params["weight_p"])
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [2, 9, 64, 300])
def test_no_dtype_and_no_order_of_summation_moves_a_decision(dtype, channels):
    shape = Shape(batch=2, seq_len=8, input_size=channels, hidden_size=8)
    gate, params, inputs = problem({}, shape)
    exact = gate.activations(params, inputs)["d"]
    low = {name: value.to(dtype) for name, value in params.items()}
    found = gate.activations(low, {"x": inputs["x"].to(dtype)})["d"]
    assert torch.equal(found.double(), exact)
    assert 0.1 < float(exact.mean()) < 0.9
    backwards = {**low, "weight_p": low["weight_p"].flip(1)}
    base = params["weight_p"].shape[1]
    x = torch.cat((inputs["x"][:, :base].flip(1), inputs["x"][:, base:]), dim=1).to(dtype)
    assert torch.equal(gate.activations(backwards, {"x": x})["d"], found)


def test_thresholds_stand_half_way_between_sums():
    _, params, inputs = problem({})
    step = float(params["weight_p"].abs().unique()[1])
    assert math.log2(step).is_integer()
    sums = F.conv2d(inputs["x"][:, :2], params["weight_p"], padding="same") / step
    assert torch.equal(sums, sums.round())
    assert set(((params["threshold"] / step) % 1).tolist()) == {0.5}


def test_a_nan_in_the_gated_channels_shows_where_the_gate_is_shut():
    gate, params, inputs = problem({})
    shut = {**params, "threshold": torch.full((4,), math.inf, dtype=torch.float64)}
    inputs["x"][0, -1, 2, 2] = math.nan
    assert bool(gate.forward(shut, inputs)["output"][0, :, 2, 2].isnan().all())


def test_channel_gating_refuses_what_it_cannot_split():
    with pytest.raises(gatebench.Unsupported, match="leave none to gate"):
        gates.get("channel_gate").draw(Shape(batch=1, seq_len=2, input_size=1, hidden_size=2), 0)
    with pytest.raises(gatebench.Unsupported, match="kernel_size 2 is even"):
        gates.get("channel_gate", kernel_size=2).draw(SHAPE, 0)
    one = Shape(batch=1, seq_len=1, input_size=9, hidden_size=4)
    with pytest.raises(gatebench.Unsupported, match="has no deviation"):
        gates.get("channel_gate", norm="batch").draw(one, 0)
    for options, shape in (({}, one), ({"norm": "batch", "width": 2}, one)):
        gate, params, inputs = problem(options, shape)
        assert bool(gate.forward(params, inputs)["output"].isfinite().all())


def test_p18_flops_by_density_are_those_of_the_paper():
    gate, shape = gates.get("channel_gate"), Shape(batch=2, seq_len=5, input_size=8, hidden_size=3)
    whole = 2 * 2 * 25 * 9 * 8 * 3
    assert gate.cost(shape, "forward", "float32").flops == whole
    assert [gate.flops(shape, density) / whole for density in (1.0, 0.0, 0.5)] == [1.0, 0.25, 0.625]
    with FlopCounterMode(display=False) as counter:
        gate.forward(gate.draw(shape, 0), gate.inputs(shape, 0))
    assert counter.get_total_flops() == whole
    # x 2·8·25 = 400, output and each sum 2·3·25 = 150, weights 3·8·9 + 3 = 219
    assert gate.cost(shape, "forward", "float32").bytes_min == 4 * (400 + 219 + 150)
    assert gate.cost(shape, "backward", "float32").bytes_min == 4 * (2 * 400 + 2 * 219 + 3 * 150)
    calls = [gate.cost(shape, mode, "float32").transcendental for mode in ("forward", "backward", "forward_backward")]
    assert calls == [0, 150, 150]  # the surrogate's σ


# --- squeeze and excitation


@pytest.mark.parametrize("dimensions", [1, 2])
def test_squeeze_excite_equals_its_two_linear_layers(dimensions):
    gate, shape = gates.get("squeeze_excite", reduction=2, dimensions=dimensions), Shape(batch=3, seq_len=5, input_size=6, hidden_size=6)  # fmt: skip
    params, inputs = gate.draw(shape, 1), gate.inputs(shape, 1)
    x = inputs["x"]
    pooled = F.adaptive_avg_pool1d(x, 1) if dimensions == 1 else F.adaptive_avg_pool2d(x, 1)
    one = (1,) * dimensions
    convolve = F.conv1d if dimensions == 1 else F.conv2d
    z = F.relu(convolve(pooled, params["weight_1"].reshape(3, 6, *one), params["bias_1"]))
    expected = x * torch.sigmoid(convolve(z, params["weight_2"].reshape(6, 3, *one), params["bias_2"]))
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, **TOLERANCE)
    assert gate.activations(params, inputs)["z"].shape == (3, 3)


def test_squeeze_excite_with_weights_of_zero_halves():
    gate, shape = gates.get("squeeze_excite"), Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)
    params = {name: torch.zeros_like(value) for name, value in gate.draw(shape, 0).items()}
    inputs = gate.inputs(shape, 0)
    assert gate.parameters(shape)["weight_1"] == (1, 4)  # 4 channels at reduction 16
    torch.testing.assert_close(gate.forward(params, inputs)["output"], inputs["x"] / 2, **TOLERANCE)


def test_squeeze_excite_gradients_are_those_of_the_function():
    gate, shape = gates.get("squeeze_excite", reduction=1, width=2), Shape(batch=2, seq_len=3, input_size=3, hidden_size=3)  # fmt: skip
    params, inputs = gate.draw(shape, 2), gate.inputs(shape, 2)
    leaves = [value.requires_grad_(True) for value in (inputs["x"], *params.values())]
    assert torch.autograd.gradcheck(
        lambda x, *values: gate.forward(dict(zip(params, values, strict=True)), {"x": x})["output"], leaves
    )


def test_squeeze_excite_costs_and_refusals():
    gate, shape = gates.get("squeeze_excite", reduction=2), Shape(batch=3, seq_len=5, input_size=6, hidden_size=6)
    with FlopCounterMode(display=False) as counter:
        gate.forward(gate.draw(shape, 0), gate.inputs(shape, 0))
    assert gate.cost(shape, "forward", "float32").flops == counter.get_total_flops() == 4 * 3 * 6 * 3
    assert gate.cost(shape, "forward", "float32").bytes_min == 4 * (2 * 450 + 2 * 18 + 3 + 6)
    assert gate.cost(shape, "backward", "bfloat16").bytes_min == 2 * (3 * 450 + 2 * (2 * 18 + 3 + 6))
    backward = gate.cost(shape, "backward", "float32")  # nothing is kept: both products and σ of 3·6 gates again
    assert (backward.flops, backward.transcendental) == (3 * 4 * 3 * 6 * 3, 18)
    assert gate.cost(shape, "forward", "float32").transcendental == 18
    with pytest.raises(gatebench.Unsupported, match="width = 4 at dimensions = 1"):
        gates.get("squeeze_excite", dimensions=1, width=4).draw(shape, 0)
    with pytest.raises(gatebench.Unsupported, match="input_size 9 is not hidden_size 4"):
        gate.draw(SHAPE, 0)
