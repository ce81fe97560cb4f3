"""Gated convolutions against torch's own, against sums written out, and against what torch counts."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import gatebench
from gatebench import Shape, gates

SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
VARIANTS = [
    ("gated_conv", {}),
    ("gated_conv", {"kernel_size": 1}),
    ("gated_conv", {"dimensions": 2}),
    ("gated_conv", {"dimensions": 2, "kernel_size": 4, "width": 3}),
    ("gated_tanh_conv", {}),
    ("gated_tanh_conv", {"kernel_size": 3, "dilation": 4}),
]
EVERY = pytest.mark.parametrize(("name", "options"), VARIANTS)


def problem(name, options, shape=SHAPE, seed=1):
    gate = gates.get(name, **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_gated_conv_is_glu_of_torchs_convolution(k):
    gate, params, inputs = problem("gated_conv", {"kernel_size": k})
    pre = F.conv1d(inputs["x"], params["weight"], params["bias"], padding=k - 1)[..., :7]
    torch.testing.assert_close(gate.forward(params, inputs)["output"], F.glu(pre, dim=1), **TOLERANCE)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("k", "width"), [(1, 0), (3, 0), (5, 4), (4, 3)])
def test_gated_conv_of_images_keeps_their_size(k, width):
    gate, params, inputs = problem("gated_conv", {"dimensions": 2, "kernel_size": k, "width": width})
    assert inputs["x"].shape == (3, 5, 7, width or 7)
    pre = torch.nn.Conv2d(5, 8, k, padding="same", dtype=torch.float64)
    pre.load_state_dict(params)
    torch.testing.assert_close(
        gate.forward(params, inputs)["output"], F.glu(pre(inputs["x"]).detach(), dim=1), **TOLERANCE
    )


def test_gated_tanh_conv_meets_every_fourth_input():
    gate, params, inputs = problem("gated_tanh_conv", {"kernel_size": 2, "dilation": 4})
    x, (W, V), (b, c) = inputs["x"], params["weight"].chunk(2), params["bias"].chunk(2)
    output = gate.forward(params, inputs)["output"]
    for t in range(7):
        value, pre = (w[..., 1] @ x[..., t, None] + bias[:, None] for w, bias in ((W, b), (V, c)))
        if t >= 4:
            value, pre = (s + w[..., 0] @ x[..., t - 4, None] for s, w in ((value, W), (pre, V)))
        torch.testing.assert_close(output[..., t], (torch.tanh(value) * torch.sigmoid(pre))[..., 0], **TOLERANCE)


def test_a_gated_filter_by_hand():
    # One channel, filter (2, 1) on the value and gate bias 0 with filter 0: half of 2 x_{t-1} + x_t + 1.
    gate, shape = gates.get("gated_conv", kernel_size=2), Shape(batch=1, seq_len=3, input_size=1, hidden_size=1)
    params = {"weight": torch.tensor([[[2.0, 1.0]], [[0.0, 0.0]]]), "bias": torch.tensor([1.0, 0.0])}
    assert {name: tuple(value.shape) for name, value in params.items()} == gate.parameters(shape)
    assert gate.forward(params, {"x": torch.tensor([[[1.0, 3.0, -2.0]]])})["output"].tolist() == [[[1.0, 3.0, 2.5]]]


@EVERY
def test_gradients_are_those_of_the_function(name, options):
    gate, params, inputs = problem(name, options, Shape(batch=2, seq_len=4, input_size=2, hidden_size=3))
    leaves = [value.requires_grad_(True) for value in (inputs["x"], params["weight"], params["bias"])]
    assert torch.autograd.gradcheck(
        lambda x, weight, bias: gate.forward({"weight": weight, "bias": bias}, {"x": x})["output"], leaves
    )


@pytest.mark.parametrize(("name", "options"), [pair for pair in VARIANTS if "dimensions" not in pair[1]])
def test_no_output_sees_a_later_input(name, options):
    gate, params, inputs = problem(name, options)
    inputs["x"].requires_grad_(True)
    output = gate.forward(params, inputs)["output"]
    for t in (0, 3, 6):
        (gradient,) = torch.autograd.grad(output[..., t].sum(), inputs["x"], retain_graph=True)
        assert bool(gradient[..., t].any())
        assert not bool(gradient[..., t + 1 :].any())


@EVERY
def test_activations_are_what_the_output_is_made_of(name, options):
    gate, params, inputs = problem(name, options)
    values = gate.activations(params, inputs)
    assert values.keys() == gate.nonlinearities.keys()
    value = values.get("value", gate._halves(params, inputs)[0])
    torch.testing.assert_close(gate.forward(params, inputs)["output"], value * values["gate"], **TOLERANCE)


@EVERY
def test_flops_are_those_that_torch_counts(name, options):
    gate, params, inputs = problem(name, options)
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]
    with FlopCounterMode(display=False) as counter:
        output = gate.forward(params, inputs)["output"]
    by_hand = 4 * inputs["x"].numel() * 4 * math.prod(params["weight"].shape[2:])  # two filters, 4 channels out
    assert gate.cost(SHAPE, "forward", "float32").flops == by_hand == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(output.sum(), leaves)
    assert gate.cost(SHAPE, "backward", "float32").flops == 2 * by_hand == counter.get_total_flops()
    assert gate.cost(SHAPE, "forward_backward", "float32").flops == 3 * by_hand


def test_bytes_equal_numbers_worked_out_by_hand():
    # x 3·5·7 = 105, output 3·4·7 = 84, weights 8·5·3 + 8 = 128; both convolutions 168.
    cost = {
        mode: gates.get("gated_conv").cost(SHAPE, mode, "float32")
        for mode in ("forward", "backward", "forward_backward")
    }
    assert cost["forward"].bytes_min == 4 * (105 + 128 + 84)
    assert cost["backward"].bytes_min == 4 * (105 + 168 + 84 + 128 + 105 + 128)
    assert cost["forward_backward"].bytes_min == cost["forward"].bytes_min + cost["backward"].bytes_min + 4 * 168
    image = gates.get("gated_conv", dimensions=2, width=3).cost(SHAPE, "forward", "float64")
    assert image.bytes_min == 8 * (5 * 63 + 8 * (5 * 9 + 1) + 4 * 63)
    for mode, calls in (("forward", 84), ("backward", 84), ("forward_backward", 168)):  # kept before the activation
        assert gates.get("gated_conv").cost(SHAPE, mode, "float32").transcendental == calls
        assert gates.get("gated_tanh_conv").cost(SHAPE, mode, "float32").transcendental == 2 * calls


def test_a_width_is_refused_where_there_is_none():
    with pytest.raises(gatebench.Unsupported, match="width = 3 at dimensions = 1"):
        gates.get("gated_conv", width=3).draw(SHAPE, 0)
