"""Layer normalisation in the LSTM: a step by hand, torch's modules around the products, and what it is blind to."""

import pytest
import torch
from torch import nn

from gatebench import Shape, Unsupported, gates

SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)


def drawn(**options):
    gate = gates.get("lstm_layernorm", **options)
    return gate, gate.draw(SHAPE, 0), gate.inputs(SHAPE, 0)


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


@pytest.mark.parametrize("cell_norm", [True, False])
def test_layer_normalisation_is_torchs_modules_around_the_products(cell_norm):
    gate, params, inputs = drawn(cell_norm=cell_norm)
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
    found = gate.forward(gate_params, inputs)
    for name, expected in (("h", h), ("c", c)):
        torch.testing.assert_close(found[name], expected.detach(), rtol=1e-12, atol=1e-13)


def test_layer_normalisation_is_blind_to_the_scale_of_its_products():
    gate, params, inputs = drawn(eps=0.0)
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
