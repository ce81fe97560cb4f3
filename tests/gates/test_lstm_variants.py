"""The variants of the LSTM: hand-worked steps, Jacobians in closed form, and what ties one variant to another."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from gatebench import Shape, Unsupported, gates

SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
GOLDEN = Path(__file__).parents[1] / "data" / "golden_recurrent.json"
PEEPHOLES = (
    "lstm_peephole", "lstm_no_input_gate", "lstm_no_forget_gate", "lstm_no_output_gate", "lstm_no_input_activation",
    "lstm_no_output_activation", "lstm_gate_recurrence",
)  # fmt: skip


def drawn(name, seed=0, shape=SHAPE, **options):
    gate = gates.get(name, **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


def rows(value, letters, keep):
    """Return the blocks `keep` of a parameter whose rows are the blocks `letters`."""
    blocks = dict(zip(letters, value.chunk(len(letters)), strict=True))
    return torch.cat([blocks[letter] for letter in keep])


def same(found, expected):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **TOLERANCE)


# --- one step by hand: x = 1, h = 1/2, c = -1/4, and these weights of one unit; 13 digits from another program

WEIGHTS = {
    "weight_ih": {"i": 0.5, "f": -0.3, "g": 0.8, "o": 0.2},
    "weight_hh": {"i": 0.1, "f": 0.4, "g": -0.6, "o": 0.3},
    "bias_ih": {"i": 0.1, "f": 0.2, "g": -0.1, "o": 0.0},
}
PEEP = {"weight_ci": 0.7, "weight_cf": -0.4, "weight_co": 0.9}
BY_HAND = {
    "lstm": (0.06912447250973, 0.1183856466139),
    "lstm_peephole": (0.05863331591812, 0.09680530422609),
    "lstm_peephole_full": (0.05863331591812, 0.09680530422609),  # of one unit
    "lstm_coupled": (0.02886106501888, 0.04923886789728),
    "lstm_projected": (-0.03456223625487, 0.1183856466139),
    "lstm_no_input_gate": (0.1518311830932, 0.2424904629271),
    "lstm_no_forget_gate": (-0.009176262362738, -0.01573619644579),
    "lstm_no_output_gate": (0.09650403736133, 0.09680530422609),
    "lstm_no_input_activation": (0.06635354464663, 0.1091681024804),
    "lstm_no_output_activation": (0.05881635774455, 0.09680530422609),
    "lstm_gate_recurrence": (
        0.06430661043438, 0.1035545400114, 0.6759015277259, 0.6130141761393, 0.6232108332421,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_one_step_of_one_unit_equals_the_numbers_worked_out_by_hand(name):
    gate = gates.get(name)
    sizes = gate.parameters(Shape(batch=1, seq_len=1, input_size=1, hidden_size=1))
    values = {key: list(map(blocks.get, gate.letters)) for key, blocks in WEIGHTS.items()}
    values |= {key: [value] for key, value in PEEP.items()} | {"bias_hh": [0.0] * len(gate.letters)}
    values |= {"weight_hr": [-0.5], "weight_gates": [0.1, 0.2, 0.3, -0.1, 0.4, 0.2, 0.3, -0.2, 0.1]}
    params = {key: torch.tensor(values[key], dtype=torch.float64).reshape(size) for key, size in sizes.items()}
    state = [0.5, -0.25, 0.6, 0.7, 0.2][: len(BY_HAND[name])]
    found = gate.step(params, torch.ones(1, 1).double(), torch.tensor([state], dtype=torch.float64))
    assert found[0].tolist() == pytest.approx(BY_HAND[name], abs=1e-12)


def test_layer_normalisation_by_hand():
    # W x = (1, -1, ...) and U h = 3 (1, 1, 1, 1, -1, -1, -1, -1) have mean 0, so LN divides them by 1 and by 3:
    # i, f = (2, 0), g, o = (0, -2) before activation; c = σ(2)/2, -1/2 + tanh(-2)/2; LN(c) of two numbers = (1, -1).
    gate = gates.get("lstm_layernorm", eps=0.0, affine=False)
    params = {
        "weight_ih": torch.tensor([[1.0], [-1.0]] * 4), "weight_hh": torch.tensor([[3.0, 7.0]] * 4 + [[-3.0, 7.0]] * 4),
        "bias": torch.zeros(8),
    }  # fmt: skip
    params = {name: value.double() for name, value in params.items()}
    x, state = torch.ones(1, 1).double(), torch.tensor([[1.0, 0.0, 0.5, -1.0]]).double()
    c = [0.4403985389889, -0.9820137900379]
    assert gate.step(params, x, state)[0].tolist() == pytest.approx([0.3807970779779, -0.0907842487849, *c], abs=1e-12)
    # With gain 2 and shift 1/2, LN(c) = (2.5, -1.5).
    ones, zeros = torch.ones(8).double(), torch.zeros(8).double()
    params |= {"ln_ih_weight": ones, "ln_ih_bias": zeros, "ln_hh_weight": ones, "ln_hh_bias": zeros}
    params |= {"ln_c_weight": 2 * ones[:2], "ln_c_bias": 0.5 * ones[:2]}
    found = gates.get("lstm_layernorm", eps=0.0).step(params, x, state)
    assert found[0].tolist() == pytest.approx([0.4933071490757, -0.1078963166977, *c], abs=1e-12)


# --- Jacobians in closed form


def jacobian_in_closed_form(name, params, values, h, c, c_new, gates_before=()):
    """Return J (S, S) of one row by total differentials, [out, in], from the gates' values; absent gates are constants.

    With s = (h, c, ...) each d below is a row block of J: d i = i(1-i) (U_i dh + p_i dc + R_i d(i, f, o)), and so on.
    """
    H = len(h)
    letters = gates.get(name).letters
    width = H * (2 + len(gates_before))
    part = dict(zip(("h", "c", *gates_before), torch.eye(width, dtype=torch.float64).split(H), strict=True))
    U = dict(zip(letters, params["weight_hh"].chunk(len(letters)), strict=True))
    nothing = torch.zeros(H, width, dtype=torch.float64)

    def seen(letter, dc):
        """Return the differential of the gate before its activation."""
        P = params.get(f"weight_c{letter}", torch.zeros(H, dtype=torch.float64))
        d = U[letter] @ part["h"] + (torch.diag(P) if P.dim() == 1 else P) @ dc
        if gates_before:
            R = dict(zip("ifo", params["weight_gates"].chunk(3), strict=True))[letter]
            d = d + R @ torch.cat([part[gate] for gate in gates_before])
        return d

    def sigmoid(letter, dc):
        g = values[letter]
        return torch.diag(g * (1 - g)) @ seen(letter, dc)

    one = torch.ones(H, dtype=torch.float64)
    i, f, g, o = (values.get(letter, one) for letter in "ifgo")
    d_f = sigmoid("f", part["c"]) if "f" in values else nothing
    if name == "lstm_coupled":
        i, d_i = 1 - f, -d_f
    else:
        d_i = sigmoid("i", part["c"]) if "i" in values else nothing
    slope = one if name == "lstm_no_input_activation" else 1 - g**2
    d_g = torch.diag(slope) @ U["g"] @ part["h"]
    d_c = torch.diag(f) @ part["c"] + torch.diag(c) @ d_f + torch.diag(g) @ d_i + torch.diag(i) @ d_g
    d_o = sigmoid("o", d_c) if "o" in values else nothing
    out, slope = (c_new, one) if name == "lstm_no_output_activation" else (c_new.tanh(), 1 - c_new.tanh() ** 2)
    d_h = torch.diag(out) @ d_o + torch.diag(o * slope) @ d_c
    if name == "lstm_projected":
        d_h = params["weight_hr"] @ d_h
    return torch.cat([d_h, d_c, *({"i": d_i, "f": d_f, "o": d_o}[gate] for gate in gates_before)])


@pytest.mark.parametrize("name", ["lstm", "lstm_coupled", "lstm_peephole_full", *PEEPHOLES])
def test_the_jacobian_of_a_step_is_the_one_in_closed_form(name):
    gate, params, inputs = drawn(name, seed=3)
    params = {key: 2 * value for key, value in params.items()}
    parts = list(gate.state(SHAPE))
    row = [inputs[f"{part}0"][0] for part in parts]
    x, state = inputs["x"][0, :1], torch.cat(row)[None]
    found = torch.autograd.functional.jacobian(lambda s: gate.step(params, x, s[None])[0], state[0])
    values = {letter: value[0] for letter, value in gate.activations(params, x, state).items()}
    c_new = gate.step(params, x, state)[0].split(4)[1]
    expected = jacobian_in_closed_form(name, params, values, row[0], row[1], c_new, tuple(parts[2:]))
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("name", ["lstm_peephole", "lstm_peephole_full"])
def test_the_four_blocks_of_a_peephole_jacobian(name):
    """dc/dc' = D, dc/dh' = K, dh/dc' = Q D, dh/dh' = diag(tanh(c) o(1-o)) U_o + Q K."""
    gate, params, inputs = drawn(name, seed=4)
    x, h, c = inputs["x"][0, :1], inputs["h0"][0], inputs["c0"][0]
    state = torch.cat((h, c))
    J = torch.autograd.functional.jacobian(lambda s: gate.step(params, x, s[None])[0], state)
    i, f, g, o = (value[0] for value in gate.activations(params, x, state[None]).values())
    U_i, U_f, U_g, U_o = params["weight_hh"].chunk(4)
    P_i, P_f, P_o = (
        torch.diag(P) if P.dim() == 1 else P for P in (params["weight_ci"], params["weight_cf"], params["weight_co"])
    )
    diag, t = torch.diag, (f * c + i * g).tanh()
    K = diag(c * f * (1 - f)) @ U_f + diag(g * i * (1 - i)) @ U_i + diag(i * (1 - g**2)) @ U_g
    D = diag(f) + diag(c * f * (1 - f)) @ P_f + diag(g * i * (1 - i)) @ P_i
    Q = diag(o * (1 - t**2)) + diag(t * o * (1 - o)) @ P_o
    blocks = torch.cat((torch.cat((diag(t * o * (1 - o)) @ U_o + Q @ K, Q @ D), 1), torch.cat((K, D), 1)))
    torch.testing.assert_close(J, blocks, **TOLERANCE)


# --- ties


@pytest.mark.parametrize("name", ["lstm_peephole", "lstm_peephole_full"])
def test_without_peepholes_it_is_the_lstm(name):
    gate, params, inputs = drawn(name)
    params = {key: torch.zeros_like(value) if key.startswith("weight_c") else value for key, value in params.items()}
    same(gate.forward(params, inputs), gates.get("lstm").forward(params, inputs))


def test_a_full_peephole_of_diagonal_matrices_is_the_diagonal_one():
    gate, params, inputs = drawn("lstm_peephole")
    full = {key: torch.diag(value) if key.startswith("weight_c") else value for key, value in params.items()}
    same(gates.get("lstm_peephole_full").forward(full, inputs), gate.forward(params, inputs))


def test_a_full_peephole_reaches_other_units():
    gate, params, inputs = drawn("lstm_peephole_full")
    before = gate.step(params, inputs["x"][0], torch.cat((inputs["h0"], inputs["c0"]), -1))
    inputs["c0"][:, 0] += 1.0
    after = gate.step(params, inputs["x"][0], torch.cat((inputs["h0"], inputs["c0"]), -1))
    assert (before != after).all()


def test_gate_recurrence_without_its_matrices_is_the_peephole_lstm():
    gate, params, inputs = drawn("lstm_gate_recurrence")
    alone = {**params, "weight_gates": torch.zeros_like(params["weight_gates"])}
    plain = gates.get("lstm_peephole").forward(params, inputs)
    same(gate.forward(alone, inputs), plain)
    assert float((gate.forward(params, inputs)["output"] - plain["output"]).abs().max()) > 1e-2


def test_gate_recurrence_hands_its_gates_on_as_state():
    gate, params, inputs = drawn("lstm_gate_recurrence")
    assert all(bool(((inputs[f"{gate}0"] > 0) & (inputs[f"{gate}0"] < 1)).all()) for gate in "ifo")
    state = torch.cat([inputs[f"{part}0"] for part in gate.state(SHAPE)], -1)
    values = gate.activations(params, inputs["x"][0], state)
    new = dict(zip(gate.state(SHAPE), gate.step(params, inputs["x"][0], state).split(4, -1), strict=True))
    for letter in "ifo":
        assert torch.equal(new[letter], values[letter])


# A gate whose weights are 0 and whose bias is 40 is 1 to the last bit of float64: what "absent" means.
ABSENT = {"lstm_no_input_gate": "i", "lstm_no_forget_gate": "f", "lstm_no_output_gate": "o"}


@pytest.mark.parametrize("name", ABSENT)
def test_a_gate_that_is_absent_is_one_that_is_always_open(name):
    gate, letter = gates.get(name), ABSENT[name]
    full, params, inputs = drawn("lstm_peephole")
    start = full.letters.index(letter) * 4
    for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        params[key][start : start + 4] = 0.0
    params["bias_ih"][start : start + 4] = 40.0
    params[f"weight_c{letter}"] = torch.zeros(4, dtype=torch.float64)
    reduced = {k: rows(v, "ifgo", gate.letters) if k in WEIGHTS or k == "bias_hh" else v for k, v in params.items()}
    del reduced[f"weight_c{letter}"]
    assert reduced.keys() == gate.parameters(SHAPE).keys()
    same(gate.forward(reduced, inputs), full.forward(params, inputs))


def test_the_coupled_lstm_is_one_whose_input_gate_is_the_negated_forget_gate():
    gate, params, inputs = drawn("lstm_coupled")
    full = {}
    for key, value in params.items():
        f, g, o = value.chunk(3)
        full[key] = torch.cat((-f, f, g, o))  # 1 - σ(a) = σ(-a)
    same(gate.forward(params, inputs), gates.get("lstm").forward(full, inputs))


def test_p22_golden_coupled_lstm():
    """Fixture A: parameters of four blocks, of which the coupled LSTM keeps f, g, o."""
    expected = json.loads(GOLDEN.read_text())["cells"]["lstm_coupled"]
    shape, gate = Shape(batch=1, seq_len=5, input_size=2, hidden_size=3), gates.get("lstm_coupled")
    sizes = gates.get("lstm").parameters(shape)
    counts = [torch.Size(size).numel() for size in sizes.values()]
    flat = 0.6 * torch.sin((torch.arange(sum(counts), dtype=torch.float64) + 1) ** 2)
    parts = zip(sizes.items(), flat.split(counts), strict=True)
    params = {key: rows(part.reshape(size), "ifgo", "fgo") for (key, size), part in parts}
    t, j = torch.arange(5, dtype=torch.float64)[:, None], torch.arange(2, dtype=torch.float64)
    state = torch.tensor([[0.1, -0.2, 0.3, -0.3, 0.2, 0.1]], dtype=torch.float64, requires_grad=True)
    last = state
    for x_t in torch.cos(0.7 * t + 1.3 * j)[:, None]:
        last = gate.step(params, x_t, last)
    assert last[0].tolist() == pytest.approx(expected["final_state"], abs=1e-10)
    (gradient,) = torch.autograd.grad(last[:, :3].sum(), state)
    assert gradient[0].tolist() == pytest.approx(expected["cut_gradient_t0"], abs=1e-10)


def test_without_a_forget_gate_the_cell_keeps_its_gradient_for_ever():
    gate, params, inputs = drawn("lstm_no_forget_gate", shape=Shape(batch=2, seq_len=50, input_size=5, hidden_size=4))
    params = {k: v if k in ("weight_ih", "bias_ih", "bias_hh") else torch.zeros_like(v) for k, v in params.items()}
    c0 = inputs["c0"].requires_grad_()
    c = gate.forward(params, {**inputs, "c0": c0})["c"]
    J = torch.stack([torch.autograd.grad(c[:, unit].sum(), c0, retain_graph=True)[0] for unit in range(4)], 1)
    assert torch.equal(J, torch.eye(4, dtype=torch.float64).expand(2, 4, 4))


# --- projection


@pytest.mark.parametrize("proj_size", [0, 1, 3])
def test_the_projected_lstm_is_torchs(proj_size):
    gate, params, inputs = drawn("lstm_projected", proj_size=proj_size)
    width = proj_size or 2
    module = nn.LSTM(5, 4, proj_size=width, dtype=torch.float64)
    module.load_state_dict({f"{key}_l0": value for key, value in params.items()})
    output, (h, c) = module(inputs["x"], (inputs["h0"][None], inputs["c0"][None]))
    assert output.shape == (7, 3, width)
    same(gate.forward(params, inputs), {"output": output.detach(), "h": h[0].detach(), "c": c[0].detach()})


def test_a_projection_wider_than_the_cell_is_refused_by_name_and_range():
    gate = gates.get("lstm_projected", proj_size=5)
    for ask in (gate.draw, gate.inputs):
        with pytest.raises(Unsupported, match=r"proj_size = 5 at hidden_size = 4; accepted: 0 to 4"):
            ask(SHAPE, 0)
    gates.get("lstm_projected", proj_size=4).draw(SHAPE, 0)


# --- layer normalisation


@pytest.mark.parametrize("cell_norm", [True, False])
def test_layer_normalisation_is_torchs_modules_around_the_products(cell_norm):
    gate, params, inputs = drawn("lstm_layernorm", cell_norm=cell_norm)
    noise = torch.Generator().manual_seed(0)
    gate_params = {
        key: value + 0.3 * torch.randn(value.shape, generator=noise, dtype=value.dtype) for key, value in params.items()
    }
    norms = {"ih": nn.LayerNorm(16), "hh": nn.LayerNorm(16), "c": nn.LayerNorm(4) if cell_norm else nn.Identity()}
    for key, norm in norms.items():
        weights = {kind: gate_params.get(f"ln_{key}_{kind}") for kind in ("weight", "bias")}
        norm.double().load_state_dict({kind: value for kind, value in weights.items() if value is not None})
    h, c = inputs["h0"], inputs["c0"]
    for x in inputs["x"]:
        a = norms["ih"](x @ gate_params["weight_ih"].T) + norms["hh"](h @ gate_params["weight_hh"].T)
        i, f, g, o = (a + gate_params["bias"]).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * norms["c"](c).tanh()
    same(gate.forward(gate_params, inputs), {"h": h.detach(), "c": c.detach()})


def test_layer_normalisation_is_blind_to_the_scale_of_its_products():
    gate, params, inputs = drawn("lstm_layernorm", eps=0.0)
    scaled = {**params, "weight_ih": 100 * params["weight_ih"], "weight_hh": 0.01 * params["weight_hh"]}
    torch.testing.assert_close(
        gate.forward(scaled, inputs)["output"], gate.forward(params, inputs)["output"], rtol=1e-9, atol=1e-9
    )


def test_layer_normalisation_of_one_unit_is_refused():
    with pytest.raises(Unsupported, match="hidden_size = 1; accepted: 2 and more"):
        gates.get("lstm_layernorm").draw(Shape(batch=1, seq_len=1, input_size=2, hidden_size=1), 0)
    gates.get("lstm_layernorm", cell_norm=False).draw(Shape(batch=1, seq_len=1, input_size=2, hidden_size=1), 0)


def test_options_of_layer_normalisation_choose_its_parameters():
    options = {"all": {}, "plain": {"affine": False}, "no cell": {"cell_norm": False}}
    names = {key: set(gates.get("lstm_layernorm", **value).parameters(SHAPE)) for key, value in options.items()}
    assert names["plain"] == {"weight_ih", "weight_hh", "bias"}
    assert names["all"] - names["no cell"] == {"ln_c_weight", "ln_c_bias"}
    params = gates.get("lstm_layernorm").draw(SHAPE, 0)
    assert all(bool((params[f"ln_{key}_weight"] == 1).all()) for key in ("ih", "hh", "c"))
    assert not any(bool(params[f"ln_{key}_bias"].any()) for key in ("ih", "hh", "c"))
