"""P22: fixture A, every number of every cell."""

import math

import pytest
import torch
from golden_cells import CELLS, golden
from stability_models import TOLERANCE, end_to_end

from gatebench import stability

CLOSE = {"rtol": 0, "atol": TOLERANCE["golden"]}
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)


def unrolled(cell):
    """Return the trajectory of a cell, and what is expected of it."""
    gate, params, inputs, expected = golden(cell)
    return stability.unroll(gate, params, inputs), expected


def f64(values):
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


@EVERY_CELL
def test_p22_golden_states(cell):
    gate, params, inputs, expected = golden(cell)
    trajectory, final = stability.unroll(gate, params, inputs), f64(expected["final_state"])
    torch.testing.assert_close(trajectory.states[-1, 0], final, **CLOSE)
    whole = gate.forward(params, inputs)
    torch.testing.assert_close(torch.cat([whole[part][0] for part in trajectory.parts]), final, **CLOSE)


@EVERY_CELL
def test_p22_golden_cut_gradient_norms(cell):
    trajectory, expected = unrolled(cell)
    norms = stability.gradient_norms(trajectory)[:, 0].flip(0)
    torch.testing.assert_close(norms, f64(expected["cut_gradient_norms_t5_to_t0"]), **CLOSE)


@EVERY_CELL
def test_p22_golden_gradient_at_the_start(cell):
    trajectory, expected = unrolled(cell)
    at_start = f64(expected["cut_gradient_t0"])
    probe = torch.zeros(trajectory.size, dtype=torch.float64)
    probe[trajectory.parts["h"]] = 1
    torch.testing.assert_close(end_to_end(trajectory)[0].T @ probe, at_start, **CLOSE)
    for part, where in trajectory.parts.items():
        norm = stability.gradient_norms(trajectory, part=part)[0, 0]
        torch.testing.assert_close(norm, at_start[where].norm(), **CLOSE)


@EVERY_CELL
def test_p22_golden_singular_values(cell):
    trajectory, expected = unrolled(cell)
    found, values = stability.singular_values(trajectory), f64(expected["log_singular_values"])
    assert torch.equal(found.resolved[0], torch.isfinite(values))
    torch.testing.assert_close(found.values[0], values, rtol=0, atol=TOLERANCE["singular"])


@EVERY_CELL
def test_p22_golden_determinant(cell):
    trajectory, expected = unrolled(cell)
    found, value = stability.log_abs_det(trajectory).item(), float(expected["log_abs_det"])
    assert found == pytest.approx(value, abs=TOLERANCE["determinant"])
    spectrum = stability.lyapunov_spectrum(trajectory)
    assert float(spectrum.values.sum()) == pytest.approx(value / 5, abs=TOLERANCE["determinant"])


@EVERY_CELL
def test_p22_the_fixture_agrees_with_itself(cell):
    _, expected = unrolled(cell)
    norms = expected["cut_gradient_norms_t5_to_t0"]
    assert norms[0] == pytest.approx(math.sqrt(3), abs=1e-15)  # L = Σ h_T of three units
    assert norms[-1] == pytest.approx(float(f64(expected["cut_gradient_t0"]).norm()), abs=1e-14)
    logs = [float(value) for value in expected["log_singular_values"]]
    assert logs == sorted(logs, reverse=True)
    assert sum(logs) == pytest.approx(float(expected["log_abs_det"]), abs=1e-9)
