"""The sLSTM: one step by hand, and that its stabiliser is of no effect but on the range of numbers."""

import pytest
import torch

from gatebench import Shape, gates

SHAPE = Shape(batch=3, seq_len=9, input_size=5, hidden_size=4)
FORGET = ["sigmoid", "exp"]
STABILISED = ("output", "h")  # what the stabiliser must not change


def problem(forget, seed=0, scale=1.0):
    gate = gates.get("slstm", forget=forget)
    params = {name: scale * value for name, value in gate.draw(SHAPE, seed).items()}
    return gate, params, gate.inputs(SHAPE, seed)


def shifted(inputs, shift):
    """Return the same memory in another representation: c e^a, n e^a, m - a."""
    return {
        **inputs, "c0": inputs["c0"] * torch.exp(shift), "n0": inputs["n0"] * torch.exp(shift), "m0": inputs["m0"] - shift,
    }  # fmt: skip


def unstabilised(forget, params, inputs):
    """Compute outputs and the memory c, n with m = 0 throughout: plain exponentials."""
    h, c, n = inputs["h0"], inputs["c0"] * inputs["m0"].exp(), inputs["n0"] * inputs["m0"].exp()
    outputs = []
    for x in inputs["x"]:
        a = x @ params["weight_ih"].T + params["bias_ih"] + h @ params["weight_hh"].T + params["bias_hh"]
        i, f, z, o = a.chunk(4, -1)
        f = f.sigmoid() if forget == "sigmoid" else f.exp()
        c = f * c + i.exp() * z.tanh()
        n = f * n + i.exp()
        h = o.sigmoid() * c / n
        outputs.append(h)
    return torch.stack(outputs), c, n


# x = 1, h = 1/2, c = -1/4, n = 4/5, m = 9/10; 13 digits from another program. With exp the maximum is the forget path's.
@pytest.mark.parametrize(
    ("forget", "expected"),
    [
        ("sigmoid", (0.08057522840926, 0.2114273072665, 1.539269295964, 0.65)),
        ("exp", (0.006918262493542, 0.01774550840224, 1.504688089719, 1.0)),
    ],
)
def test_one_step_of_one_unit_equals_the_numbers_worked_out_by_hand(forget, expected):
    params = {
        "weight_ih": torch.tensor([[0.5], [-0.3], [0.8], [0.2]], dtype=torch.float64),
        "weight_hh": torch.tensor([[0.1], [0.4], [-0.6], [0.3]], dtype=torch.float64),
        "bias_ih": torch.tensor([0.1, 0.2, -0.1, 0.0], dtype=torch.float64), "bias_hh": torch.zeros(4, dtype=torch.float64),
    }  # fmt: skip
    state = torch.tensor([[0.5, -0.25, 0.8, 0.9]], dtype=torch.float64)
    found = gates.get("slstm", forget=forget).step(params, torch.ones(1, 1, dtype=torch.float64), state)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("forget", FORGET)
def test_the_stabilised_recurrence_is_the_plain_one(forget):
    gate, params, inputs = problem(forget)
    found = gate.forward(params, inputs)
    output, c, n = unstabilised(forget, params, inputs)
    torch.testing.assert_close(found["output"], output, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found["c"] * found["m"].exp(), c, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found["n"] * found["m"].exp(), n, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("forget", FORGET)
@pytest.mark.parametrize("shift", [-30.0, 0.7, 20.0])
def test_the_output_does_not_depend_on_the_stabiliser(forget, shift):
    gate, params, inputs = problem(forget)
    shift = shift * torch.linspace(0.5, 1.0, 4, dtype=torch.float64)
    found, expected = gate.forward(params, shifted(inputs, shift)), gate.forward(params, inputs)
    for name in STABILISED:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-11, atol=1e-12)


def test_the_jacobian_of_h_vanishes_along_a_shift_of_the_stabiliser():
    gate, params, inputs = problem("sigmoid")
    parts = [inputs[f"{part}0"][0] for part in gate.state(SHAPE)]
    J = torch.autograd.functional.jacobian(
        lambda s: gate.step(params, inputs["x"][0, :1], s[None])[0], torch.cat(parts)
    )
    along = torch.cat((torch.zeros(4), parts[1], parts[2], -torch.ones(4))).double()
    assert float((J @ along)[:4].abs().max()) < 1e-14
    assert float(J[:4].abs().max()) > 1e-2


@pytest.mark.parametrize("forget", FORGET)
def test_an_empty_memory_makes_the_first_stabiliser_arbitrary(forget):
    gate, params, inputs = problem(forget)
    empty = {**inputs, "c0": torch.zeros(3, 4).double(), "n0": torch.zeros(3, 4).double()}
    outputs = [
        gate.forward(params, {**empty, "m0": torch.full((3, 4), m).double()})["output"] for m in (-50.0, 0.0, 5.0)
    ]
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=1e-12, atol=1e-13)
    # n = i and c = i tanh(z): the first output is σ(o) tanh(z), whatever i is.
    a = gate.activations(params, inputs["x"][0], torch.cat([empty[f"{part}0"] for part in "hcnm"], -1))
    torch.testing.assert_close(outputs[0][0], a["o"] * a["z"], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("forget", FORGET)
def test_an_empty_memory_below_a_low_stabiliser_takes_the_smallest_input(forget):
    gate, params, inputs = problem(forget)
    params["bias_ih"][:4] -= 200  # exp(-200) is 0 in float32
    low = {name: value.float() for name, value in params.items()}
    empty = {name: value.float() for name, value in inputs.items()} | dict.fromkeys(("c0", "n0"), torch.zeros(3, 4))
    found = gate.forward(low, {**empty, "m0": torch.full((3, 4), -1e4)})["output"]
    assert bool(found.isfinite().all())
    a = gate.activations(params, inputs["x"][0], torch.cat([inputs["h0"], *(torch.zeros(3, 4),) * 2, torch.full((3, 4), -1e4)], -1).double())  # fmt: skip
    torch.testing.assert_close(found[0].double(), a["o"] * a["z"], rtol=1e-5, atol=1e-6)
    # What the docstring warns of: the same memory below m_0 = 0.
    assert bool(gate.forward(low, {**empty, "m0": torch.zeros(3, 4)})["output"][0].isnan().all())


def test_gates_beyond_the_range_of_exp_stay_finite():
    gate, params, inputs = problem("exp", scale=3000.0)
    params = {name: value.float() for name, value in params.items()}
    found = gate.forward(params, {name: value.float() for name, value in inputs.items()})
    assert all(bool(value.isfinite().all()) for value in found.values())
    assert float(found["m"].abs().max()) > 1000  # exp of it is not a float32
    largest = (inputs["c0"] / inputs["n0"]).abs().clamp(min=1)  # c / n stays a mean of c_0 / n_0 and tanh(z)
    assert bool((found["output"].abs() <= largest + 1e-5).all())
    assert bool((found["n"] >= inputs["n0"].clamp(max=1).float()).all())  # one of i and f is 1


def test_the_normaliser_is_drawn_positive_and_starts_empty_at_rest():
    gate = gates.get("slstm")
    shape = Shape(batch=50, seq_len=1, input_size=1, hidden_size=50)
    assert bool((gate.inputs(shape, 0)["n0"] > 0).all())
    assert not any(bool(value.any()) for value in gate.inputs(shape, 0, kind="zero").values())
    at_rest = gate.forward(gate.draw(shape, 0), gate.inputs(shape, 0, kind="zero"))
    assert bool(at_rest["output"].isfinite().all())
