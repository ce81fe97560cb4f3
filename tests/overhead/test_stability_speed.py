"""The speed of the stability instrument, as ratios within one run; printed, and asserted nowhere."""

import time

import pytest
import torch

from gatebench import Shape, gates, stability

SPECTRUM = Shape(batch=8, seq_len=2000, input_size=128, hidden_size=128)
WIDE = Shape(batch=16, seq_len=2000, input_size=1024, hidden_size=1024)
PLAIN_STEPS = 4  # of the plain way, every row of them: its cost grows with the steps alone


def trajectory_of(shape):
    gate = gates.get("lstm")
    params, inputs = gate.draw(shape, 0), gate.inputs(shape, 0)
    return gate, params, inputs, stability.unroll(gate, params, inputs)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def plain_spectrum(gate, params, trajectory, steps):
    """Build each Jacobian with torch.autograd.functional.jacobian, and orthonormalise once per step and row."""
    for row in range(trajectory.batch):
        q = torch.linalg.qr(torch.randn(trajectory.size, trajectory.size, dtype=torch.float64)).Q
        for t in range(steps):
            x = trajectory.x[t, row : row + 1]
            step = lambda s, x=x: gate.step(params, x, s[None])[0]  # noqa: E731
            J = torch.autograd.functional.jacobian(step, trajectory.states[t, row])
            q, _ = torch.linalg.qr(J @ q)


def test_full_lyapunov_spectrum_beside_plain_autograd(benchmark):
    gate, params, _, trajectory = trajectory_of(SPECTRUM)
    plain_spectrum(gate, params, trajectory, 1)
    plain = seconds(lambda: plain_spectrum(gate, params, trajectory, PLAIN_STEPS)) / PLAIN_STEPS
    benchmark.pedantic(stability.lyapunov_spectrum, (trajectory,), rounds=1)
    own = benchmark.stats.stats.min / SPECTRUM.seq_len
    again = seconds(lambda: plain_spectrum(gate, params, trajectory, PLAIN_STEPS)) / PLAIN_STEPS
    print(
        f"\nfull spectrum, LSTM H128 T2000 B8: {own * 1e3:.1f} ms a step; plain autograd {plain * 1e3:.0f} and "
        f"{again * 1e3:.0f} ms a step, before and after ({PLAIN_STEPS} steps): {plain / own:.1f} and {again / own:.1f} times"
    )


@pytest.mark.parametrize("name", ["lstm", "lstm_layernorm"])  # in closed form, and by autograd
def test_largest_exponent_and_profile_beside_the_forward_pass(benchmark, name):
    gate = gates.get(name)
    params, inputs = gate.draw(WIDE, 0), gate.inputs(WIDE, 0)

    def measured():
        trajectory = stability.unroll(gate, params, inputs)
        stability.gradient_profile(trajectory)
        stability.lyapunov_spectrum(trajectory, k=1)

    with torch.no_grad():
        forward = seconds(lambda: gate.forward(params, inputs))
        benchmark.pedantic(measured, rounds=1)
        again = seconds(lambda: gate.forward(params, inputs))
    own = benchmark.stats.stats.min
    print(
        f"\n{name} H1024 T2000 B16, float64: unroll, profile and largest exponent {own:.0f} s; forward {forward:.1f} s "
        f"before, {again:.1f} s after: {own / forward:.2f} and {own / again:.2f} times"
    )
