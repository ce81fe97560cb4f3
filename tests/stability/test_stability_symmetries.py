"""P23: what changes no metric: the order of units and of batch rows, the sign of a z block, a unit that no one hears."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stability_models import TOLERANCE, drawn

from gatebench import gates, stability

SETTINGS = settings(max_examples=5, deadline=None, derandomize=True, database=None)
NAMES = (
    "rnn_linear", "rnn_tanh", "rnn_relu", "lstm", "lstm_coupled", "lstm_peephole", "lstm_peephole_full", "gru",
    "gru_reset_before", "gru_textbook", "slstm", "minimal_rnn", "mingru", "minlstm", "qrnn", "rg_lru",
)  # fmt: skip
EACH = pytest.mark.parametrize("name", NAMES)
BETWEEN_UNITS = {"weight_hh", "weight_zh", "weight_ci", "weight_cf", "weight_co"}  # from unit to unit, where 2-D
# dead units; a stabiliser that is nowhere seen, where rounding decides between -inf and a low number
SOMETIMES_SINGULAR = ("rnn_relu", "slstm")
CLOSE = {"rtol": 1e-9, "atol": 1e-9}
models = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "seq_len": st.integers(2, 10),
        "hidden_size": st.integers(1, 5),
        "seed": st.integers(0, 10_000),
    }
)


def problem(name, model):
    """Return gate, parameters and inputs of a random model; 3 inputs, or 4 where the gate needs them to differ from H."""
    sizes = dict(model)
    seed = sizes.pop("seed")
    gate, params, inputs = drawn(name, seed, input_size=4 if sizes["hidden_size"] == 3 else 3, **sizes)
    return gate, {key: 1.5 * value for key, value in params.items()}, inputs


def reordered_units(name, params, inputs, order):
    """Return parameters and inputs of the same model with its units in another order."""
    H = len(order)
    turned = {}
    for key, value in params.items():
        rows = torch.cat([order + start for start in range(0, len(value), H)])
        between = value.ndim == 2 and (key in BETWEEN_UNITS or (name == "rg_lru" and key == "weight_ih"))
        turned[key] = value[rows][:, order] if between else value[rows]
    return turned, {key: value if key in ("x", "x0") else value[:, order] for key, value in inputs.items()}


def metrics(trajectory):
    """Return what does not depend on the directions that a sweep starts with, the batch last or alone."""
    found = {
        "profile": stability.gradient_profile(trajectory).log_norm,
        "slope": stability.gradient_profile(trajectory).slope,
        "bound": stability.norm_bound(trajectory),
    }
    if trajectory.gate.name != "slstm":
        found["determinant"] = stability.log_abs_det(trajectory)
    for part in trajectory.parts:
        found[part] = stability.gradient_norms(trajectory, part=part)
    return found


def total_exponent(trajectory):
    """Return the sum of all exponents, 0 for a gate whose sum may be rounding."""
    if trajectory.gate.name == "slstm":
        return 0.0
    return float(stability.lyapunov_spectrum(trajectory).values.sum())


def same_metrics(one, other, rows=slice(None)):
    """Compare the metrics of one trajectory's rows with all of another's."""
    expected = metrics(one)
    for key, value in metrics(other).items():
        torch.testing.assert_close(value, expected[key][..., rows], **CLOSE, equal_nan=key == "slope")
    before, after = stability.singular_values(one), stability.singular_values(other)
    known = before.resolved[rows] & after.resolved
    assert one.gate.name in SOMETIMES_SINGULAR or bool(known.all())
    torch.testing.assert_close(after.values[known], before.values[rows][known], rtol=1e-6, atol=1e-6)


@EACH
@given(models)
@SETTINGS
def test_p23_the_order_of_units_does_not_matter(name, model):
    gate, params, inputs = problem(name, model)
    order = torch.randperm(model["hidden_size"], generator=torch.Generator().manual_seed(model["seed"]))
    turned, moved = reordered_units(name, params, inputs, order)
    one, other = stability.unroll(gate, params, inputs), stability.unroll(gate, turned, moved)
    same_metrics(one, other)
    assert total_exponent(other) == pytest.approx(total_exponent(one), rel=1e-9, abs=1e-9)
    classes = [stability.classify(stability.gradient_profile(each), "float64") for each in (one, other)]
    assert classes[0] == classes[1]
    before, after = stability.saturation(gate, params, inputs), stability.saturation(gate, turned, moved)
    for letter, found in before.items():
        assert after[letter].mean == pytest.approx(found.mean)
        assert after[letter].slope == pytest.approx(found.slope)


@EACH
@given(models)
@SETTINGS
def test_the_order_of_batch_rows_does_not_matter(name, model):
    gate, params, inputs = problem(name, model | {"batch": 3})
    order = torch.tensor([2, 0, 1])
    moved = {key: value[:, order] if key in ("x", "x0") else value[order] for key, value in inputs.items()}
    one, other = stability.unroll(gate, params, inputs), stability.unroll(gate, params, moved)
    same_metrics(one, other, order)
    k = 1 if name in SOMETIMES_SINGULAR else None
    found = [stability.lyapunov_spectrum(each, k).values for each in (one, other)]
    torch.testing.assert_close(*found, **CLOSE)


@EACH
@given(models)
@SETTINGS
def test_batch_rows_do_not_see_each_other(name, model):
    gate, params, inputs = problem(name, model | {"batch": 3})
    last = {key: value[:, -1:] if key in ("x", "x0") else value[-1:] for key, value in inputs.items()}
    same_metrics(stability.unroll(gate, params, inputs), stability.unroll(gate, params, last), slice(2, 3))


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru"])
def test_p23_after_a_burn_in_every_exponent_is_free_of_the_order_of_units_and_rows(name):
    """Before it, exponents of finite time depend on the random directions that the sweep starts with."""
    gate, params, inputs = drawn(name, seq_len=300, hidden_size=3, batch=2)
    params = {key: 3 * value for key, value in params.items()}
    turned, moved = reordered_units(name, params, inputs, torch.tensor([2, 0, 1]))
    moved = {key: value.flip(1 if key == "x" else 0) for key, value in moved.items()}
    one, other = stability.unroll(gate, params, inputs), stability.unroll(gate, turned, moved)
    for k in (None, 1):
        found = [stability.lyapunov_spectrum(each, k, burn_in=200).values for each in (one, other)]
        torch.testing.assert_close(*found, rtol=0, atol=1e-8)


# --- z adds or keeps


def test_p23_negating_the_z_block_turns_adding_into_keeping():
    keeping = gates.get("gru_reset_before")
    gate, params, inputs = drawn("gru_textbook", seq_len=10)
    z = slice(4, 8)
    negated = {key: value.clone() for key, value in params.items()}
    for value in negated.values():
        value[z] *= -1
    one, other = stability.unroll(gate, params, inputs), stability.unroll(keeping, negated, inputs)
    torch.testing.assert_close(one.states, other.states, rtol=TOLERANCE["exact"], atol=1e-15)
    same_metrics(one, other)
    swapped = stability.unroll(keeping, params, inputs)
    assert float((swapped.states - one.states).abs().max()) > 1e-2


# --- a unit that no one hears


def with_silent_unit(name, H=3, T=12):
    """Return trajectories of H units, and of the same with one more whose weights in and out are 0, from state 0."""
    gate, params, inputs = drawn(name, seed=5, hidden_size=H, seq_len=T)
    blocks = len(params["bias_ih"]) // H
    wider = {}
    for key, value in params.items():
        added = torch.zeros(blocks, 1, *value.shape[1:], dtype=torch.float64)
        value = torch.cat([value.unflatten(0, (blocks, H)), added], dim=1).flatten(0, 1)
        wider[key] = torch.nn.functional.pad(value, (0, 1)) if key == "weight_hh" else value
    states = {key: torch.nn.functional.pad(value, (0, 1)) for key, value in inputs.items() if key != "x"}
    return stability.unroll(gate, params, inputs), stability.unroll(gate, wider, {"x": inputs["x"], **states})


# what the silent unit's own product of Jacobians has for singular values, per step a share of 1/2 where σ(0) keeps
SILENT = {
    "rnn_linear": lambda T: [-math.inf],
    "rnn_tanh": lambda T: [-math.inf],
    "rnn_relu": lambda T: [-math.inf],
    "gru": lambda T: [T * math.log(0.5)],
    "gru_reset_before": lambda T: [T * math.log(0.5)],
    "gru_textbook": lambda T: [T * math.log(0.5)],
    "lstm": lambda T: [T * math.log(0.5) + 0.5 * math.log(1.25), -math.inf],  # (½, 1) c' of h' and c'
    "lstm_coupled": lambda T: [T * math.log(0.5) + 0.5 * math.log(1.25), -math.inf],
}


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_unit_changes_no_gradient(name):
    plain, wider = with_silent_unit(name)
    heard = torch.ones(plain.batch, wider.size, dtype=torch.float64)
    heard.unflatten(1, (len(plain.parts), -1))[:, :, -1] = 0
    norms = stability.gradient_norms(plain, torch.ones(plain.batch, plain.size))
    torch.testing.assert_close(stability.gradient_norms(wider, heard), norms, rtol=TOLERANCE["exact"], atol=0)
    for part in plain.parts:
        torch.testing.assert_close(
            stability.gradient_norms(wider, heard, part),
            stability.gradient_norms(plain, torch.ones(plain.batch, plain.size), part),
            rtol=TOLERANCE["exact"],
            atol=0,
        )


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_unit_adds_its_own_singular_values_and_exponents(name):
    plain, wider = with_silent_unit(name)
    own = SILENT[name](12)
    before, after = stability.singular_values(plain).values, stability.singular_values(wider).values
    expected = torch.cat([before, torch.tensor([own] * 2, dtype=torch.float64)], -1).sort(descending=True).values
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-9)
    both = stability.lyapunov_spectrum(plain), stability.lyapunov_spectrum(wider)
    added = int(both[1].values.eq(-math.inf).sum()) - int(both[0].values.eq(-math.inf).sum())
    assert added == own.count(-math.inf)
