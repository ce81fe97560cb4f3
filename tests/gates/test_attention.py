"""Gates around attention against torch's attention, loops over heads and pixels, and what torch counts."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import gatebench
from gatebench import Shape, gates

SHAPE = Shape(batch=2, seq_len=5, input_size=6, hidden_size=8)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
VARIANTS = [
    ("attention_gate", {}),
    ("attention_gate", {"stride": 1, "gating_channels": 3, "width": 4}),
    ("gated_attention", {}),
    ("gated_attention", {"heads": 4, "granularity": "head", "causal": False}),
    ("gated_attention_unit", {"key_size": 3}),
    ("gated_attention_unit", {"key_size": 4, "causal": False}),
]


def problem(name, options, shape=SHAPE, seed=1):
    gate = gates.get(name, **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_gradients_are_those_of_the_function(name, options):
    gate, params, inputs = problem(name, options, Shape(batch=1, seq_len=3, input_size=2, hidden_size=4))
    names = [*params, *inputs]
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]

    def function(*values):
        given = dict(zip(names, values, strict=True))
        return gate.forward({key: given[key] for key in params}, {key: given[key] for key in inputs})["output"]

    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("name", ["gated_attention", "gated_attention_unit"])
def test_a_causal_token_sees_no_later_one(name):
    for causal in (True, False):
        gate, params, inputs = problem(name, {"causal": causal})
        inputs["x"].requires_grad_(True)
        output = gate.forward(params, inputs)["output"]
        (gradient,) = torch.autograd.grad(output[:, 2].sum(), inputs["x"])
        assert bool(gradient[:, :3].any())
        assert bool(gradient[:, 3:].any()) is not causal


@pytest.mark.parametrize(("name", "options"), [pair for pair in VARIANTS if pair[1].get("causal") is False or "stride" in pair[1]])  # fmt: skip
def test_flops_are_those_that_torch_counts(name, options):
    gate, params, inputs = problem(name, options)
    leaves = [value.requires_grad_(True) for value in (*params.values(), *inputs.values())]
    with FlopCounterMode(display=False) as counter:
        output = gate.forward(params, inputs)["output"]
    assert gate.cost(SHAPE, "forward", "float32").flops == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(output.sum(), leaves)
    # Eager keeps the scores: 10·5 pairs, over H 8 or key_size 4, are not computed again.
    again = {"attention_gate": 0, "gated_attention": 2 * 50 * 8, "gated_attention_unit": 2 * 50 * 4}[name]
    assert gate.cost(SHAPE, "backward", "float32").flops == counter.get_total_flops() + again


# --- gated attention


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("granularity", ["head", "element"])
@pytest.mark.parametrize("heads", [1, 2, 8])
def test_gated_attention_is_torchs_attention_head_by_head(heads, granularity, causal):
    options = {"heads": heads, "granularity": granularity, "causal": causal}
    gate, params, inputs = problem("gated_attention", options)
    x, d = inputs["x"], 8 // heads
    Q, K, V = (x @ W.T for W in params["in_proj_weight"].chunk(3))
    scores = torch.sigmoid(x @ params["gate_weight"].T)
    assert scores.shape == (2, 5, heads if granularity == "head" else 8)
    parts = []
    for head in range(heads):
        at = slice(head * d, (head + 1) * d)
        y = F.scaled_dot_product_attention(Q[..., at], K[..., at], V[..., at], is_causal=causal)
        parts.append(y * (scores[..., head, None] if granularity == "head" else scores[..., at]))
    expected = torch.cat(parts, dim=-1) @ params["out_proj_weight"].T
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, **TOLERANCE)
    assert torch.equal(gate.activations(params, inputs)["gate"], scores)


@pytest.mark.parametrize("granularity", ["head", "element"])
def test_p19_a_gate_without_weights_halves_torchs_multihead_attention(granularity):
    options = {"heads": 2, "causal": False, "granularity": granularity}
    gate, params, inputs = problem("gated_attention", options, Shape(batch=2, seq_len=5, input_size=8, hidden_size=8))
    module = torch.nn.MultiheadAttention(8, 2, bias=False, batch_first=True, dtype=torch.float64)
    module.load_state_dict({"in_proj_weight": params["in_proj_weight"], "out_proj.weight": params["out_proj_weight"]})
    expected, _ = module(inputs["x"], inputs["x"], inputs["x"])
    shut = {**params, "gate_weight": torch.zeros_like(params["gate_weight"])}
    torch.testing.assert_close(gate.forward(shut, inputs)["output"], expected.detach() / 2, **TOLERANCE)


def test_gated_attention_costs_and_refusals():
    # n = 10 tokens, I 6, H 8, 2 gates: 2·10·6·(32 + 2) FLOP, and 4·10·5·8 for the pairs, half where causal.
    cost = gates.get("gated_attention", heads=2, granularity="head").cost(SHAPE, "forward", "float32")
    assert cost.flops == 2 * 10 * 6 * 34 + 4 * 10 * 5 * 8 // 2
    assert cost.bytes_min == 4 * (60 + 24 * 6 + 2 * 6 + 6 * 8 + 60)
    # Gates 10·2, and exp of 25 pairs for 2 heads, which alone is computed again, with the scores themselves.
    backward = gates.get("gated_attention", heads=2, granularity="head").cost(SHAPE, "backward", "float32")
    assert (cost.transcendental, backward.transcendental) == (20 + 50, 50)
    assert backward.flops == 2 * cost.flops + 2 * 25 * 8
    assert backward.bytes_min == 4 * (2 * 60 + 2 * 204 + 60 + 10 * (4 * 8 + 2 + 2))
    with pytest.raises(gatebench.Unsupported, match="hidden_size 8 is no multiple of heads = 3"):
        gates.get("gated_attention", heads=3).draw(SHAPE, 0)


# --- gated attention unit


@pytest.mark.parametrize("causal", [True, False])
def test_gated_attention_unit_token_by_token(causal):
    gate, params, inputs = problem("gated_attention_unit", {"key_size": 3, "causal": causal})
    x, (W_u, W_v) = inputs["x"], params["weight_uv"].chunk(2)
    expected = torch.zeros_like(x)
    for row in range(2):
        U, V, Z = (F.silu(x[row] @ W.T) for W in (W_u, W_v, params["weight_z"]))
        for t in range(5):
            mixed = torch.zeros(8, dtype=torch.float64)
            for other in range(t + 1 if causal else 5):
                score = (params["gamma"][0] * Z[t] + params["beta"][0]) @ (params["gamma"][1] * Z[other] + params["beta"][1])  # fmt: skip
                mixed += max(0.0, float(score) / 5) ** 2 * V[other]
            expected[row, t] = params["weight_o"] @ (U[t] * mixed)
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, **TOLERANCE)


def test_gated_attention_unit_draws_scores_of_both_signs():
    _, params, inputs = problem("gated_attention_unit", {}, Shape(batch=2, seq_len=20, input_size=16, hidden_size=8))
    z = F.silu(inputs["x"] @ params["weight_z"].T)
    q, k = (z * params["gamma"][row] + params["beta"][row] for row in (0, 1))
    assert 0.25 < float((q @ k.transpose(1, 2) > 0).double().mean()) < 0.75


def test_gated_attention_unit_costs():
    cost = gates.get("gated_attention_unit", key_size=3).cost(SHAPE, "forward", "float32")
    assert cost.flops == 2 * 10 * 6 * (24 + 3) + 2 * 10 * 5 * (3 + 8) // 2
    assert cost.bytes_min == 4 * (60 + (16 + 3 + 8) * 6 + 4 * 3 + 60)
    # What is kept are products before SiLU: each is computed again, and so are the scores of 25 pairs.
    backward = gates.get("gated_attention_unit", key_size=3).cost(SHAPE, "backward", "float32")
    assert cost.transcendental == backward.transcendental == 10 * (16 + 3)
    assert backward.flops == 2 * cost.flops + 2 * 25 * 3


# --- Attention U-Net


@pytest.mark.parametrize(("stride", "width"), [(1, 0), (2, 0), (2, 4), (3, 7), (4, 9)])
def test_attention_gate_pixel_by_pixel(stride, width):
    gate, params, inputs = problem("attention_gate", {"stride": stride, "gating_channels": 3, "width": width})
    x, g, (h, w) = inputs["x"], inputs["g"], (5 // stride, (width or 5) // stride)
    assert g.shape == (2, 3, h, w)
    alpha = torch.zeros(2, 1, h, w, dtype=torch.float64)
    for i in range(h):
        for j in range(w):
            patch = x[:, :, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride].flatten(1)
            q = patch @ params["theta_weight"].flatten(1).T + g[:, :, i, j] @ params["phi_weight"].flatten(1).T
            q = (q + params["phi_bias"]).clamp(min=0)
            alpha[:, :, i, j] = torch.sigmoid(q @ params["psi_weight"].flatten(1).T + params["psi_bias"])
    torch.testing.assert_close(gate.activations(params, inputs)["alpha"], alpha, **TOLERANCE)
    gated = x * torch.nn.Upsample(size=x.shape[2:], mode="bilinear")(alpha)
    expected = torch.einsum("oc,bchw->bohw", params["out_weight"].flatten(1), gated) + params["out_bias"][:, None, None]
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, **TOLERANCE)


def test_p19_attention_without_weights_halves():
    gate, params, inputs = problem("attention_gate", {})
    params |= {name: torch.zeros_like(params[name]) for name in ("psi_weight", "psi_bias")}
    assert bool(gate.activations(params, inputs)["alpha"].eq(0.5).all())
    out = F.conv2d(inputs["x"] / 2, params["out_weight"], params["out_bias"])
    torch.testing.assert_close(gate.forward(params, inputs)["output"], out, **TOLERANCE)


def test_alpha_is_interpolated_between_the_centres_of_coarse_pixels():
    # One channel: α is σ(ln 3) = ¾ left and ½ right; at stride 2 with align_corners = False, x's four columns see
    # ¾, ¾ - ¼·¼, ½ + ¼·¼, ½.
    gate, shape = gates.get("attention_gate", width=4), Shape(batch=1, seq_len=2, input_size=1, hidden_size=1)
    params = {name: torch.zeros(size) for name, size in gate.parameters(shape).items()}
    params |= {"phi_weight": torch.ones(1, 1, 1, 1), "psi_weight": torch.ones(1, 1, 1, 1)}
    params |= {"out_weight": torch.ones(1, 1, 1, 1)}
    inputs = {"x": torch.ones(1, 1, 2, 4), "g": torch.tensor([[[[math.log(3), -5.0]]]])}
    found = gate.forward(params, inputs)["output"][0, 0]
    torch.testing.assert_close(found, torch.tensor([[0.75, 0.6875, 0.5625, 0.5]] * 2))


def test_attention_gate_costs():
    # x 2·6·25 = 300, g 2·6·4 = 48; n' = 8 coarse positions, H 8.
    cost = gates.get("attention_gate").cost(SHAPE, "forward", "float32")
    assert cost.flops == 2 * 8 * 8 * (4 * 6 + 6 + 1) + 2 * 50 * 36
    weights = 8 * 6 * 4 + 8 * 6 + 8 + 8 + 1 + 36 + 6
    assert cost.bytes_min == 4 * (300 + 48 + weights + 300)
    backward = gates.get("attention_gate").cost(SHAPE, "backward", "float32")  # max(0, q) and α are kept
    assert (cost.transcendental, backward.transcendental, backward.flops) == (8, 0, 2 * cost.flops)
    assert backward.bytes_min == 4 * (2 * 348 + 2 * weights + 300 + 8 * 9)
    # An image smaller than the stride is one patch.
    row = gates.get("attention_gate", stride=4, width=9)
    assert row.parameters(Shape(batch=1, seq_len=1, input_size=2, hidden_size=3))["theta_weight"] == (3, 2, 1, 4)
    assert row.input_shapes(Shape(batch=1, seq_len=1, input_size=2, hidden_size=3))["g"] == (1, 2, 1, 2)
