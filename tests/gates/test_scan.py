"""Scan gates against closed forms, other formulations of the same gate, hand-made numbers, and themselves in pieces."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import gatebench
from gatebench import Shape, gates
from gatebench.cases import Case
from gatebench.gates.scan.rg_lru import root
from gatebench.registry import default_registry
from gatebench.stability import unroll

SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
SQUARE = Shape(batch=3, seq_len=7, input_size=4, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
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
SHAPES = pytest.mark.parametrize("shape", [SHAPE, SQUARE], ids=["widths-differ", "square"])


def problem(name, options, shape=SHAPE, seed=1):
    gate = gates.get(name, **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


def state_of(gate, inputs, shape=SHAPE):
    return torch.cat([inputs[f"{part}0"] for part in gate.state(shape)], dim=-1)


def jacobian(gate, params, x_t, state):
    """Return ds'/ds of one step, (S, S), for a batch of one row."""
    return torch.autograd.functional.jacobian(lambda s: gate.step(params, x_t, s[None])[0], state[0])


# --- what every scan gate keeps


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


# --- mLSTM


def mlstm_plain(params, inputs, heads):
    """Compute mLSTM from C, n = 0 as the paper writes it, without a stabiliser, step by step and head by head."""
    H = len(params["bias_ih"]) // 4
    d = H // heads
    W, b = params["weight_ih"].chunk(4), params["bias_ih"].chunk(4)
    outputs = torch.zeros(len(inputs["x"]), inputs["x"].shape[1], H, dtype=torch.float64)
    for row in range(inputs["x"].shape[1]):
        for head in range(heads):
            at = slice(head * d, (head + 1) * d)
            C, n = torch.zeros(d, d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
            for t, x in enumerate(inputs["x"][:, row]):
                q, k, v = (W[j][at] @ x + b[j][at] for j in range(3))
                k = k / math.sqrt(d)
                i = torch.exp(params["weight_if"][head] @ x + params["bias_if"][head])
                f = torch.sigmoid(params["weight_if"][heads + head] @ x + params["bias_if"][heads + head])
                C, n = f * C + i * torch.outer(v, k), f * n + i * k
                o = torch.sigmoid(W[3][at] @ x + b[3][at])
                outputs[t, row, at] = o * (C @ q) / max(abs(float(n @ q)), 1.0)
    return outputs


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("scale", [1.0, 8.0])  # 8: the normaliser |nᵀ q| is above 1, and the stabiliser at work
def test_mlstm_equals_the_recurrence_without_stabiliser(heads, scale):
    gate, params, inputs = problem("mlstm", {"heads": heads})
    inputs = {name: scale * value if name == "x" else torch.zeros_like(value) for name, value in inputs.items()}
    expected = mlstm_plain(params, inputs, heads)
    torch.testing.assert_close(gate.forward(params, inputs)["output"], expected, rtol=1e-11, atol=1e-12)


def test_mlstm_equals_its_parallel_form():
    gate, params, inputs = problem("mlstm", {}, seed=5)
    inputs = {name: 6 * value if name == "x" else torch.zeros_like(value) for name, value in inputs.items()}
    x = inputs["x"].transpose(0, 1)
    q, k, v, o = (x @ params["weight_ih"].T + params["bias_ih"]).chunk(4, dim=-1)
    i, f = (x @ params["weight_if"].T + params["bias_if"]).chunk(2, dim=-1)
    decay = F.logsigmoid(f[..., 0]).cumsum(-1)
    log_D = decay[:, :, None] - decay[:, None, :] + i[..., 0][:, None, :]  # of step t, of what step s wrote
    D = torch.exp(log_D).tril()
    S = D * (q @ k.transpose(1, 2)) / 2  # √4
    expected = torch.sigmoid(o) * (S @ v) / S.sum(-1, keepdim=True).abs().clamp(min=1)
    found = gate.forward(params, inputs)["output"].transpose(0, 1)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shift", [-900.0, -3.0, 5.0])
def test_mlstm_does_not_see_how_its_state_is_scaled(shift):
    gate, params, inputs = problem("mlstm", {"heads": 2})
    small = math.exp(-shift) if shift > -700 else 0.0
    shifted = inputs | {"m0": inputs["m0"] + shift, "C0": inputs["C0"] * small, "n0": inputs["n0"] * small}
    if small == 0.0:  # the old memory is gone either way: the stabiliser starts from far below
        inputs = inputs | {"C0": 0 * inputs["C0"], "n0": 0 * inputs["n0"]}
    expected = gate.forward(params, inputs)["output"]
    torch.testing.assert_close(gate.forward(params, shifted)["output"], expected, rtol=1e-11, atol=1e-12)


# --- selective scan


def test_selective_scan_of_one_state_is_the_gate_of_mingru():
    shape = Shape(batch=3, seq_len=7, input_size=4, hidden_size=4)
    scan, mingru = gates.get("selective_scan", d_state=1, discretization="zoh", skip=False), gates.get("mingru")
    params, inputs = mingru.draw(shape, 2), mingru.inputs(shape, 2)
    x = inputs["x"]
    params |= {"weight_ih": torch.cat((params["weight_ih"][:4], torch.eye(4, dtype=torch.float64)))}  # n = x
    params |= {"bias_ih": torch.cat((params["bias_ih"][:4], torch.zeros(4, dtype=torch.float64)))}
    values = {
        "x": x,
        "delta": F.softplus(x @ params["weight_ih"][:4].T + params["bias_ih"][:4]),
        "B": torch.ones(7, 3, 1, dtype=torch.float64),
        "C": torch.ones(7, 3, 1, dtype=torch.float64),
    }
    h, outputs = (inputs["h0"],), []
    for t in range(7):
        y, h = scan.cell({"A_log": torch.zeros(4, 1, dtype=torch.float64)}, {k: v[t] for k, v in values.items()}, h)
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs), mingru.forward(params, inputs)["output"], **TOLERANCE)


@SHAPES
@pytest.mark.parametrize("discretization", ["euler", "zoh"])
@pytest.mark.parametrize("skip", [True, False])
def test_selective_scan_channel_by_channel(shape, discretization, skip):
    gate, params, inputs = problem(
        "selective_scan", {"d_state": 3, "discretization": discretization, "skip": skip}, shape
    )
    h = inputs["h0"].clone().unflatten(-1, (4, 3))
    for t, x in enumerate(inputs["x"]):
        u = x @ params["weight_in"].T if "weight_in" in params else x
        delta = torch.log1p(torch.exp(u @ params["weight_delta"].T + params["bias_delta"]))
        B, C = u @ params["weight_B"].T, u @ params["weight_C"].T
        y = torch.zeros_like(u)
        for d in range(4):
            for n in range(3):
                A = -torch.exp(params["A_log"][d, n])
                step = delta[:, d] if discretization == "euler" else (torch.exp(delta[:, d] * A) - 1) / A
                h[:, d, n] = torch.exp(delta[:, d] * A) * h[:, d, n] + step * B[:, n] * u[:, d]
                y[:, d] += C[:, n] * h[:, d, n]
            y[:, d] += params["D"][d] * u[:, d] if skip else 0
        torch.testing.assert_close(gate.forward(params, inputs)["output"][t], y, rtol=1e-10, atol=1e-12)


def test_selective_scan_jacobian_is_diagonal():
    shape = Shape(batch=1, seq_len=1, input_size=4, hidden_size=4)
    gate, params, inputs = problem("selective_scan", {"d_state": 3}, shape)
    delta = gate.activations(params, inputs["x"][0], inputs["h0"])["delta"]
    expected = torch.exp(-delta[0][:, None] * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).flatten()
    torch.testing.assert_close(jacobian(gate, params, inputs["x"][0], inputs["h0"]), torch.diag(expected), **TOLERANCE)
    step = torch.log1p(torch.exp(params["bias_delta"]))
    assert float(step.min()) >= 0.001
    assert float(step.max()) <= 0.1


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
