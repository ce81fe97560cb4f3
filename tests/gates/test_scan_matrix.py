"""mLSTM and selective scan, whose state is wider than h: other formulations and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from scan_helpers import SHAPES, TOLERANCE, jacobian, problem

from gatebench import Shape, gates

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
