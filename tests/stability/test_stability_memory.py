"""Memory grows with T·B·S, not with T·S²: what a Jacobian per step would take is never there at once."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import resource, torch
from gatebench import Shape, gates, stability
torch.set_num_threads(1)
gate = gates.get({gate!r})
def problem(steps):
    shape = Shape(batch=1, seq_len=steps, input_size=8, hidden_size={hidden})
    return stability.unroll(gate, gate.draw(shape, 0), gate.inputs(shape, 0))
trajectory = problem({steps} // 4)  # what a chunk of steps takes, it takes here already
{call}
trajectory = problem({steps})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
# gate (with and without a closed form), hidden size, steps: a Jacobian per step would take 1 GiB
CASES = [("lstm", 128, 2000), ("rnn_tanh", 256, 2000), ("minimal_rnn", 256, 2000)]
CALLS = {
    "gradients": "stability.gradient_profile(trajectory)",
    "largest exponent": "stability.lyapunov_spectrum(trajectory, k=1)",
    "leading values": "stability.singular_values(trajectory, k=2)",
    "bound": "stability.norm_bound(trajectory)",
    "determinant": "stability.log_abs_det(trajectory)",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize(("gate", "hidden", "steps"), CASES, ids=[case[0] for case in CASES])
def test_memory_does_not_grow_with_a_jacobian_per_step(gate, hidden, steps, what):
    size = 2 * hidden if gate == "lstm" else hidden
    assert steps * size**2 * 8 >= 2**30 - 2**25
    code = CODE.format(gate=gate, hidden=hidden, steps=steps, call=CALLS[what])
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert float(answer.stdout) < 150  # MiB; three quarters of the Jacobians are 768, T·S values 8
